PRAGMA application_id = 1836086132;
PRAGMA user_version = 13;
CREATE TABLE run (
    key INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    workflow TEXT NOT NULL,
    status TEXT NOT NULL,
    seq INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    owner TEXT,
    lease_until INTEGER,
    stop_code TEXT,
    due_at INTEGER,
    recoveries INTEGER NOT NULL,
    auto_resumes INTEGER NOT NULL DEFAULT 0, provider TEXT, awaits TEXT NOT NULL DEFAULT '[]', request TEXT, requested_at INTEGER, requested_by TEXT, detached_at INTEGER, present TEXT, stored_bytes INTEGER NOT NULL DEFAULT 0, parent TEXT, labels TEXT NOT NULL DEFAULT '{}', forked_from TEXT, worked INTEGER, working_since INTEGER) STRICT;
CREATE INDEX run_by_creation ON run (created_at, id);
CREATE INDEX run_by_status ON run (status, created_at, id);
CREATE INDEX run_by_due ON run (due_at) WHERE due_at IS NOT NULL;
CREATE TABLE journal (
    key INTEGER PRIMARY KEY,
    run INTEGER NOT NULL REFERENCES run (key) ON DELETE CASCADE,
    seq INTEGER NOT NULL,
    at INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    body TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX journal_by_run ON journal (run, seq);
CREATE TABLE checkpoint (
    key INTEGER PRIMARY KEY,
    run INTEGER NOT NULL REFERENCES run (key) ON DELETE CASCADE,
    part TEXT NOT NULL,
    body TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX checkpoint_by_run ON checkpoint (run, part);
CREATE TABLE log (
    position INTEGER PRIMARY KEY,
    run INTEGER NOT NULL REFERENCES run (key) ON DELETE CASCADE,
    at INTEGER NOT NULL,
    path TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    body TEXT NOT NULL
) STRICT;
CREATE INDEX log_by_run ON log (run);
CREATE TABLE blob (
    digest BLOB NOT NULL UNIQUE,
    bytes BLOB NOT NULL
) STRICT;
CREATE INDEX run_by_request ON run (key) WHERE request IS NOT NULL;
CREATE TABLE signal (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    run INTEGER NOT NULL REFERENCES run (key) ON DELETE CASCADE,
    name TEXT NOT NULL,
    at INTEGER NOT NULL,
    data TEXT NOT NULL
) STRICT;
CREATE INDEX signal_by_run ON signal (run);
CREATE TABLE blob_use (
    run INTEGER NOT NULL REFERENCES run (key) ON DELETE CASCADE,
    digest BLOB NOT NULL,
    PRIMARY KEY (run, digest)
) STRICT, WITHOUT ROWID;
CREATE INDEX blob_use_by_digest ON blob_use (digest);
CREATE INDEX run_by_awaits ON run (key) WHERE awaits <> '[]';
CREATE TABLE signal_token (
    run INTEGER NOT NULL REFERENCES run (key) ON DELETE CASCADE,
    token TEXT NOT NULL,
    number INTEGER NOT NULL,
    content BLOB NOT NULL,
    PRIMARY KEY (run, token)
) STRICT, WITHOUT ROWID;
CREATE INDEX run_by_parent ON run (parent, created_at, id) WHERE parent IS NOT NULL;
CREATE TABLE tape (
    key INTEGER PRIMARY KEY,
    run INTEGER NOT NULL REFERENCES run (key) ON DELETE CASCADE,
    started INTEGER NOT NULL,
    first INTEGER NOT NULL,
    body TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX tape_by_attempt ON tape (run, started, first);
CREATE TABLE memo (
    position INTEGER PRIMARY KEY,
    run INTEGER NOT NULL REFERENCES run (key) ON DELETE CASCADE,
    path TEXT NOT NULL,
    key TEXT NOT NULL,
    value TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX memo_by_path ON memo (run, path, key);
CREATE TABLE artifact (
    position INTEGER PRIMARY KEY AUTOINCREMENT,
    run INTEGER NOT NULL REFERENCES run (key) ON DELETE CASCADE,
    path TEXT NOT NULL,
    name TEXT NOT NULL,
    digest BLOB NOT NULL,
    size INTEGER NOT NULL,
    media_type TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX artifact_by_run ON artifact (run, path, name, digest);
CREATE INDEX artifact_by_digest ON artifact (digest);
CREATE TABLE process_group (
    run INTEGER NOT NULL REFERENCES run (key) ON DELETE CASCADE,
    host TEXT NOT NULL,
    boot TEXT NOT NULL,
    number INTEGER NOT NULL,
    started INTEGER NOT NULL,
    PRIMARY KEY (run, host, boot, number, started)
) STRICT, WITHOUT ROWID;
CREATE TABLE bucket (
    key INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    bytes INTEGER NOT NULL
, deleted_revision INTEGER NOT NULL DEFAULT 0) STRICT;
CREATE TABLE item (
    position INTEGER PRIMARY KEY,
    bucket INTEGER NOT NULL REFERENCES bucket (key) ON DELETE CASCADE,
    key TEXT NOT NULL,
    revision INTEGER NOT NULL,
    value BLOB
) STRICT;
CREATE UNIQUE INDEX item_by_key ON item (bucket, key);
CREATE TABLE counter (
    name TEXT PRIMARY KEY,
    value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE progress (
    run INTEGER NOT NULL REFERENCES run (key) ON DELETE CASCADE,
    path TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    at INTEGER NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (run, path)
) STRICT, WITHOUT ROWID;
CREATE TABLE worker (
    nonce TEXT PRIMARY KEY,
    owner TEXT NOT NULL,
    until INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO run (key, id, workflow, status, seq, epoch, created_at, updated_at, owner, lease_until, stop_code, due_at, recoveries, auto_resumes, provider, awaits, request, requested_at, requested_by, detached_at, present, stored_bytes, parent, labels, forked_from, worked, working_since) VALUES (1, 'done', 'test', 'completed', 7, 1, 1700000000000000000, 1700000000000000000, NULL, NULL, NULL, NULL, 0, 0, NULL, '[]', NULL, NULL, NULL, NULL, '{"format":1,"body":{"at":{"seq":7,"epoch":1,"updated_at":"2023-11-14T22:13:20.000000000Z"},"steps":2,"in_flight":[]}}', 21426, NULL, '{}', NULL, 0, NULL);
INSERT INTO run (key, id, workflow, status, seq, epoch, created_at, updated_at, owner, lease_until, stop_code, due_at, recoveries, auto_resumes, provider, awaits, request, requested_at, requested_by, detached_at, present, stored_bytes, parent, labels, forked_from, worked, working_since) VALUES (2, 'paused', 'test', 'paused', 12, 1, 1700000000000000000, 1700000000000000000, NULL, NULL, 'step_paused', NULL, 0, 0, NULL, '[]', NULL, NULL, NULL, NULL, '{"format":1,"body":{"at":{"seq":12,"epoch":1,"updated_at":"2023-11-14T22:13:20.000000000Z"},"steps":3,"in_flight":[]}}', 2212, NULL, '{}', NULL, 0, NULL);
INSERT INTO run (key, id, workflow, status, seq, epoch, created_at, updated_at, owner, lease_until, stop_code, due_at, recoveries, auto_resumes, provider, awaits, request, requested_at, requested_by, detached_at, present, stored_bytes, parent, labels, forked_from, worked, working_since) VALUES (3, 'failed', 'test', 'failed', 7, 1, 1700000000000000000, 1700000000000000000, NULL, NULL, 'step_failed', NULL, 0, 0, NULL, '[]', NULL, NULL, NULL, NULL, '{"format":1,"body":{"at":{"seq":7,"epoch":1,"updated_at":"2023-11-14T22:13:20.000000000Z"},"steps":2,"in_flight":[]}}', 21522, NULL, '{}', NULL, 0, NULL);
INSERT INTO run (key, id, workflow, status, seq, epoch, created_at, updated_at, owner, lease_until, stop_code, due_at, recoveries, auto_resumes, provider, awaits, request, requested_at, requested_by, detached_at, present, stored_bytes, parent, labels, forked_from, worked, working_since) VALUES (4, 'waits', 'test', 'paused', 4, 1, 1700000000000000000, 1700000000000000000, NULL, NULL, 'waiting_for_signal', NULL, 0, 0, NULL, '["go"]', NULL, NULL, NULL, NULL, '{"format":1,"body":{"at":{"seq":4,"epoch":1,"updated_at":"2023-11-14T22:13:20.000000000Z"},"steps":1,"in_flight":[]}}', 794, NULL, '{}', NULL, 0, NULL);
INSERT INTO run (key, id, workflow, status, seq, epoch, created_at, updated_at, owner, lease_until, stop_code, due_at, recoveries, auto_resumes, provider, awaits, request, requested_at, requested_by, detached_at, present, stored_bytes, parent, labels, forked_from, worked, working_since) VALUES (5, 'asks', 'test', 'paused', 4, 1, 1700000000000000000, 1700000000000000000, NULL, NULL, 'waiting_for_approval', NULL, 0, 0, NULL, '["request:"]', NULL, NULL, NULL, NULL, '{"format":1,"body":{"at":{"seq":4,"epoch":1,"updated_at":"2023-11-14T22:13:20.000000000Z"},"steps":1,"in_flight":[]}}', 825, NULL, '{}', NULL, 0, NULL);
INSERT INTO run (key, id, workflow, status, seq, epoch, created_at, updated_at, owner, lease_until, stop_code, due_at, recoveries, auto_resumes, provider, awaits, request, requested_at, requested_by, detached_at, present, stored_bytes, parent, labels, forked_from, worked, working_since) VALUES (6, 'early', 'test', 'pending', 1, 0, 1700000000000000000, 1700000000000000000, NULL, NULL, NULL, NULL, 0, 0, NULL, '[]', NULL, NULL, NULL, NULL, '{"format":1,"body":{"at":{"seq":1,"epoch":0,"updated_at":"2023-11-14T22:13:20.000000000Z"},"steps":0,"in_flight":[]}}', 481, NULL, '{}', NULL, 0, NULL);
INSERT INTO run (key, id, workflow, status, seq, epoch, created_at, updated_at, owner, lease_until, stop_code, due_at, recoveries, auto_resumes, provider, awaits, request, requested_at, requested_by, detached_at, present, stored_bytes, parent, labels, forked_from, worked, working_since) VALUES (7, 'lost', 'test', 'running', 5, 1, 1700000000000000000, 1700000000000000000, '{"host":"another","boot":"boot","pid":1,"started":1,"nonce":"nonce"}', 1700000030000000000, NULL, NULL, 0, 0, NULL, '[]', 'pause', 1700000000000000000, 'somebody', NULL, '{"format":1,"body":{"at":{"seq":3,"epoch":1,"updated_at":"2023-11-14T22:13:20.000000000Z"},"steps":1,"in_flight":[{"path":"big","phase":{"phase":"in_flight","since":"2023-11-14T22:13:20.000000000Z"},"attempts":1,"failures":0,"started_at":"2023-11-14T22:13:20.000000000Z"}]}}', 21095, NULL, '{}', NULL, 0, 1700000000000000000);
INSERT INTO journal (key, run, seq, at, epoch, body) VALUES (1, 1, 1, 1700000000000000000, 0, '{"format":1,"body":{"type":"run_created","run":"done","workflow":"test","definition":"sha256:2c3ded38048c40b0ec62f243895b6133c2c98cfe4dc94f8283fde56e7e6e6e2a","file":"/some/workflows/test.toml","plugins":{"p":"sha256:909ef3d0cc91ac75f8a64c217ebd52602338ee08e2dfba047df58f659dc875d5"},"inputs":{"inline":{}},"seed":1190962032609342,"rules":6}}');
INSERT INTO journal (key, run, seq, at, epoch, body) VALUES (2, 1, 2, 1700000000000000000, 1, '{"format":1,"body":{"type":"run_claimed","owner":"process 2458 on hh","cause":"start"}}');
INSERT INTO journal (key, run, seq, at, epoch, body) VALUES (3, 1, 3, 1700000000000000000, 1, '{"format":1,"body":{"type":"step_started","path":"big","attempt":1,"input":{"inline":{}},"seed":4388164726974989,"timeout_millis":1800000}}');
INSERT INTO journal (key, run, seq, at, epoch, body) VALUES (4, 1, 4, 1700000000000000000, 1, '{"format":1,"body":{"type":"step_completed","path":"big","attempt":1,"output":{"blob":"sha256:e03d9e85eec7bdc57d99d7347dc8df60e467ba0bcf8d242db601ce4c6c01798a","bytes":20002}}}');
INSERT INTO journal (key, run, seq, at, epoch, body) VALUES (5, 1, 5, 1700000000000000000, 1, '{"format":1,"body":{"type":"step_started","path":"last","attempt":1,"input":{"inline":{"size":20000}},"seed":345982797633253,"timeout_millis":1800000}}');
INSERT INTO journal (key, run, seq, at, epoch, body) VALUES (6, 1, 6, 1700000000000000000, 1, '{"format":1,"body":{"type":"step_completed","path":"last","attempt":1,"output":{"inline":{"at":"last"}}}}');
INSERT INTO journal (key, run, seq, at, epoch, body) VALUES (7, 1, 7, 1700000000000000000, 1, '{"format":1,"body":{"type":"run_completed","output":{"inline":{"at":"last"}}}}');
INSERT INTO journal (key, run, seq, at, epoch, body) VALUES (8, 2, 1, 1700000000000000000, 0, '{"format":1,"body":{"type":"run_created","run":"paused","workflow":"test","definition":"sha256:3f4f48a676ea726ab4bea9b69bffea8402e860427573d2221ec1b8867b12452d","file":"/some/workflows/test.toml","plugins":{"p":"sha256:909ef3d0cc91ac75f8a64c217ebd52602338ee08e2dfba047df58f659dc875d5"},"inputs":{"inline":{}},"seed":2588718871709177,"rules":6}}');
INSERT INTO journal (key, run, seq, at, epoch, body) VALUES (9, 2, 2, 1700000000000000000, 1, '{"format":1,"body":{"type":"run_claimed","owner":"process 2458 on hh","cause":"start"}}');
INSERT INTO journal (key, run, seq, at, epoch, body) VALUES (10, 2, 3, 1700000000000000000, 1, '{"format":1,"body":{"type":"loop_iteration_started","path":"fix","iteration":1}}');
INSERT INTO journal (key, run, seq, at, epoch, body) VALUES (11, 2, 4, 1700000000000000000, 1, '{"format":1,"body":{"type":"step_started","path":"fix#1/edit","attempt":1,"input":{"inline":{}},"seed":6371953886766839,"timeout_millis":1800000}}');
INSERT INTO journal (key, run, seq, at, epoch, body) VALUES (12, 2, 5, 1700000000000000000, 1, '{"format":1,"body":{"type":"step_completed","path":"fix#1/edit","attempt":1,"output":{"inline":{"at":"fix#1/edit"}}}}');
INSERT INTO journal (key, run, seq, at, epoch, body) VALUES (13, 2, 6, 1700000000000000000, 1, '{"format":1,"body":{"type":"step_started","path":"fix#1/check","attempt":1,"input":{"inline":{}},"seed":4049961915975140,"timeout_millis":1800000}}');
INSERT INTO journal (key, run, seq, at, epoch, body) VALUES (14, 2, 7, 1700000000000000000, 1, '{"format":1,"body":{"type":"step_completed","path":"fix#1/check","attempt":1,"output":{"inline":{"good":false}}}}');
INSERT INTO journal (key, run, seq, at, epoch, body) VALUES (15, 2, 8, 1700000000000000000, 1, '{"format":1,"body":{"type":"loop_iteration_ended","path":"fix","iteration":1,"condition_met":false}}');
INSERT INTO journal (key, run, seq, at, epoch, body) VALUES (16, 2, 9, 1700000000000000000, 1, '{"format":1,"body":{"type":"loop_iteration_started","path":"fix","iteration":2}}');
INSERT INTO journal (key, run, seq, at, epoch, body) VALUES (17, 2, 10, 1700000000000000000, 1, '{"format":1,"body":{"type":"step_started","path":"fix#2/edit","attempt":1,"input":{"inline":{}},"seed":7750379016723731,"timeout_millis":1800000}}');
INSERT INTO journal (key, run, seq, at, epoch, body) VALUES (18, 2, 11, 1700000000000000000, 1, '{"format":1,"body":{"type":"step_paused","path":"fix#2/edit","attempt":1,"pause":{"code":"quota","reason":"quota happened"}}}');
INSERT INTO journal (key, run, seq, at, epoch, body) VALUES (19, 2, 12, 1700000000000000000, 1, '{"format":1,"body":{"type":"run_paused","stop":{"code":"step_paused","path":"fix#2/edit","why":{"step_paused":{"code":"quota","reason":"quota happened"}}}}}');
INSERT INTO journal (key, run, seq, at, epoch, body) VALUES (20, 3, 1, 1700000000000000000, 0, '{"format":1,"body":{"type":"run_created","run":"failed","workflow":"test","definition":"sha256:17129d498364d93681ae510f2dc5edde13858ea31bca53f38dbfc4f1126fc122","file":"/some/workflows/test.toml","plugins":{"p":"sha256:909ef3d0cc91ac75f8a64c217ebd52602338ee08e2dfba047df58f659dc875d5"},"inputs":{"inline":{}},"seed":677745363372772,"rules":6}}');
INSERT INTO journal (key, run, seq, at, epoch, body) VALUES (21, 3, 2, 1700000000000000000, 1, '{"format":1,"body":{"type":"run_claimed","owner":"process 2458 on hh","cause":"start"}}');
INSERT INTO journal (key, run, seq, at, epoch, body) VALUES (22, 3, 3, 1700000000000000000, 1, '{"format":1,"body":{"type":"step_started","path":"big","attempt":1,"input":{"inline":{}},"seed":5426851324320420,"timeout_millis":1800000}}');
INSERT INTO journal (key, run, seq, at, epoch, body) VALUES (23, 3, 4, 1700000000000000000, 1, '{"format":1,"body":{"type":"step_completed","path":"big","attempt":1,"output":{"blob":"sha256:e03d9e85eec7bdc57d99d7347dc8df60e467ba0bcf8d242db601ce4c6c01798a","bytes":20002}}}');
INSERT INTO journal (key, run, seq, at, epoch, body) VALUES (24, 3, 5, 1700000000000000000, 1, '{"format":1,"body":{"type":"step_started","path":"broken","attempt":1,"input":{"inline":{}},"seed":4355003294174155,"timeout_millis":1800000}}');
INSERT INTO journal (key, run, seq, at, epoch, body) VALUES (25, 3, 6, 1700000000000000000, 1, '{"format":1,"body":{"type":"step_failed","path":"broken","attempt":1,"error":{"class":"failed","code":"broken","message":"broken happened"}}}');
INSERT INTO journal (key, run, seq, at, epoch, body) VALUES (26, 3, 7, 1700000000000000000, 1, '{"format":1,"body":{"type":"run_failed","stop":{"code":"step_failed","path":"broken","why":{"step_failed":{"failures":[{"path":"broken","code":"broken","message":"broken happened"}]}}}}}');
INSERT INTO journal (key, run, seq, at, epoch, body) VALUES (27, 4, 1, 1700000000000000000, 0, '{"format":1,"body":{"type":"run_created","run":"waits","workflow":"test","definition":"sha256:3161ddcb4b5285a9034b86fce472f0d15f5bb26ce80ed4d07de3a1613fb82fd1","file":"/some/workflows/test.toml","plugins":{"p":"sha256:909ef3d0cc91ac75f8a64c217ebd52602338ee08e2dfba047df58f659dc875d5"},"inputs":{"inline":{}},"seed":8745489381885410,"rules":6}}');
INSERT INTO journal (key, run, seq, at, epoch, body) VALUES (28, 4, 2, 1700000000000000000, 1, '{"format":1,"body":{"type":"run_claimed","owner":"process 2458 on hh","cause":"start"}}');
INSERT INTO journal (key, run, seq, at, epoch, body) VALUES (29, 4, 3, 1700000000000000000, 1, '{"format":1,"body":{"type":"wait_started","path":"go","wait":{"for":"signal","name":"go"}}}');
INSERT INTO journal (key, run, seq, at, epoch, body) VALUES (30, 4, 4, 1700000000000000000, 1, '{"format":1,"body":{"type":"run_paused","stop":{"code":"waiting_for_signal","path":"go","why":{"waiting_for_signal":{"signal":"go"}}}}}');
INSERT INTO journal (key, run, seq, at, epoch, body) VALUES (31, 5, 1, 1700000000000000000, 0, '{"format":1,"body":{"type":"run_created","run":"asks","workflow":"test","definition":"sha256:120ef58ca76d437ef2a51a6cdf2840b5d984ee640c6f2fb1f8479318142265f4","file":"/some/workflows/test.toml","plugins":{"p":"sha256:909ef3d0cc91ac75f8a64c217ebd52602338ee08e2dfba047df58f659dc875d5"},"inputs":{"inline":{}},"seed":6447918799844813,"rules":6}}');
INSERT INTO journal (key, run, seq, at, epoch, body) VALUES (32, 5, 2, 1700000000000000000, 1, '{"format":1,"body":{"type":"run_claimed","owner":"process 2458 on hh","cause":"start"}}');
INSERT INTO journal (key, run, seq, at, epoch, body) VALUES (33, 5, 3, 1700000000000000000, 1, '{"format":1,"body":{"type":"wait_started","path":"ask","wait":{"for":"approval","message":"Go on?"}}}');
INSERT INTO journal (key, run, seq, at, epoch, body) VALUES (34, 5, 4, 1700000000000000000, 1, '{"format":1,"body":{"type":"run_paused","stop":{"code":"waiting_for_approval","path":"ask","why":{"waiting_for_approval":{"question":"Go on?"}}}}}');
INSERT INTO journal (key, run, seq, at, epoch, body) VALUES (35, 6, 1, 1700000000000000000, 0, '{"format":1,"body":{"type":"run_created","run":"early","workflow":"test","definition":"sha256:3161ddcb4b5285a9034b86fce472f0d15f5bb26ce80ed4d07de3a1613fb82fd1","file":"/some/workflows/test.toml","plugins":{"p":"sha256:909ef3d0cc91ac75f8a64c217ebd52602338ee08e2dfba047df58f659dc875d5"},"inputs":{"inline":{}},"seed":4655563675412921,"rules":6}}');
INSERT INTO journal (key, run, seq, at, epoch, body) VALUES (36, 7, 1, 1700000000000000000, 0, '{"format":1,"body":{"type":"run_created","run":"lost","workflow":"test","definition":"sha256:6aa3ac8a7b65e2e78171d9c041ba509a56d1e34800c8f77ffd50cc3f84272cb7","file":"/some/workflows/test.toml","plugins":{"p":"sha256:909ef3d0cc91ac75f8a64c217ebd52602338ee08e2dfba047df58f659dc875d5"},"inputs":{"inline":{}},"seed":3649583348548735,"rules":6}}');
INSERT INTO journal (key, run, seq, at, epoch, body) VALUES (37, 7, 2, 1700000000000000000, 1, '{"format":1,"body":{"type":"run_claimed","owner":"process 2458 on hh","cause":"start"}}');
INSERT INTO journal (key, run, seq, at, epoch, body) VALUES (38, 7, 3, 1700000000000000000, 1, '{"format":1,"body":{"type":"step_started","path":"big","attempt":1,"input":{"inline":{}},"seed":58422137181097,"timeout_millis":1800000}}');
INSERT INTO journal (key, run, seq, at, epoch, body) VALUES (39, 7, 4, 1700000000000000000, 1, '{"format":1,"body":{"type":"step_completed","path":"big","attempt":1,"output":{"blob":"sha256:e03d9e85eec7bdc57d99d7347dc8df60e467ba0bcf8d242db601ce4c6c01798a","bytes":20002}}}');
INSERT INTO journal (key, run, seq, at, epoch, body) VALUES (40, 7, 5, 1700000000000000000, 1, '{"format":1,"body":{"type":"step_started","path":"slow","attempt":1,"input":{"inline":{}},"seed":115558429216348,"timeout_millis":1800000}}');
INSERT INTO checkpoint (key, run, part, body) VALUES (1, 1, 'run', '{"format":1,"body":{"binding":{"definition":"sha256:2c3ded38048c40b0ec62f243895b6133c2c98cfe4dc94f8283fde56e7e6e6e2a","plugins":{"p":"sha256:909ef3d0cc91ac75f8a64c217ebd52602338ee08e2dfba047df58f659dc875d5"}},"phase":{"status":"completed","output":{"inline":{"at":"last"}},"at":"2023-11-14T22:13:20.000000000Z"},"started_at":"2023-11-14T22:13:20.000000000Z","recoveries":0,"episode":{"resumes":0}}}');
INSERT INTO checkpoint (key, run, part, body) VALUES (2, 1, 'created', '{"format":1,"body":{"created":{"run":"done","workflow":"test","definition":"sha256:2c3ded38048c40b0ec62f243895b6133c2c98cfe4dc94f8283fde56e7e6e6e2a","file":"/some/workflows/test.toml","plugins":{"p":"sha256:909ef3d0cc91ac75f8a64c217ebd52602338ee08e2dfba047df58f659dc875d5"},"inputs":{"inline":{}},"seed":1190962032609342,"rules":6},"created_at":"2023-11-14T22:13:20.000000000Z"}}');
INSERT INTO checkpoint (key, run, part, body) VALUES (3, 1, 'step/big', '{"format":1,"body":{"path":"big","phase":{"phase":"settled","result":{"result":"completed","output":{"blob":"sha256:e03d9e85eec7bdc57d99d7347dc8df60e467ba0bcf8d242db601ce4c6c01798a","bytes":20002}},"at":"2023-11-14T22:13:20.000000000Z"},"attempts":1,"failures":0,"started_at":"2023-11-14T22:13:20.000000000Z"}}');
INSERT INTO checkpoint (key, run, part, body) VALUES (4, 1, 'step/last', '{"format":1,"body":{"path":"last","phase":{"phase":"settled","result":{"result":"completed","output":{"inline":{"at":"last"}}},"at":"2023-11-14T22:13:20.000000000Z"},"attempts":1,"failures":0,"started_at":"2023-11-14T22:13:20.000000000Z"}}');
INSERT INTO checkpoint (key, run, part, body) VALUES (5, 2, 'run', '{"format":1,"body":{"binding":{"definition":"sha256:3f4f48a676ea726ab4bea9b69bffea8402e860427573d2221ec1b8867b12452d","plugins":{"p":"sha256:909ef3d0cc91ac75f8a64c217ebd52602338ee08e2dfba047df58f659dc875d5"}},"phase":{"status":"paused","stop":{"code":"step_paused","path":"fix#2/edit","why":{"step_paused":{"code":"quota","reason":"quota happened"}}},"at":"2023-11-14T22:13:20.000000000Z"},"started_at":"2023-11-14T22:13:20.000000000Z","recoveries":0,"episode":{"resumes":0}}}');
INSERT INTO checkpoint (key, run, part, body) VALUES (6, 2, 'step/fix', '{"format":1,"body":{"path":"fix","phase":{"phase":"looping","iteration":2,"condition_met":null},"attempts":0,"failures":0,"started_at":"2023-11-14T22:13:20.000000000Z"}}');
INSERT INTO checkpoint (key, run, part, body) VALUES (7, 2, 'created', '{"format":1,"body":{"created":{"run":"paused","workflow":"test","definition":"sha256:3f4f48a676ea726ab4bea9b69bffea8402e860427573d2221ec1b8867b12452d","file":"/some/workflows/test.toml","plugins":{"p":"sha256:909ef3d0cc91ac75f8a64c217ebd52602338ee08e2dfba047df58f659dc875d5"},"inputs":{"inline":{}},"seed":2588718871709177,"rules":6},"created_at":"2023-11-14T22:13:20.000000000Z"}}');
INSERT INTO checkpoint (key, run, part, body) VALUES (8, 2, 'step/check', '{"format":1,"body":{"path":"fix#1/check","phase":{"phase":"settled","result":{"result":"completed","output":{"inline":{"good":false}}},"at":"2023-11-14T22:13:20.000000000Z"},"attempts":1,"failures":0,"started_at":"2023-11-14T22:13:20.000000000Z"}}');
INSERT INTO checkpoint (key, run, part, body) VALUES (9, 2, 'step/edit', '{"format":1,"body":{"path":"fix#2/edit","phase":{"phase":"paused","pause":{"code":"quota","reason":"quota happened"},"retries_exhausted":false},"attempts":1,"failures":0,"started_at":"2023-11-14T22:13:20.000000000Z","previous":{"result":{"result":"completed","output":{"inline":{"at":"fix#1/edit"}}},"at":"2023-11-14T22:13:20.000000000Z"}}}');
INSERT INTO checkpoint (key, run, part, body) VALUES (10, 3, 'run', '{"format":1,"body":{"binding":{"definition":"sha256:17129d498364d93681ae510f2dc5edde13858ea31bca53f38dbfc4f1126fc122","plugins":{"p":"sha256:909ef3d0cc91ac75f8a64c217ebd52602338ee08e2dfba047df58f659dc875d5"}},"phase":{"status":"failed","stop":{"code":"step_failed","path":"broken","why":{"step_failed":{"failures":[{"path":"broken","code":"broken","message":"broken happened"}]}}},"at":"2023-11-14T22:13:20.000000000Z"},"started_at":"2023-11-14T22:13:20.000000000Z","recoveries":0,"episode":{"resumes":0}}}');
INSERT INTO checkpoint (key, run, part, body) VALUES (11, 3, 'created', '{"format":1,"body":{"created":{"run":"failed","workflow":"test","definition":"sha256:17129d498364d93681ae510f2dc5edde13858ea31bca53f38dbfc4f1126fc122","file":"/some/workflows/test.toml","plugins":{"p":"sha256:909ef3d0cc91ac75f8a64c217ebd52602338ee08e2dfba047df58f659dc875d5"},"inputs":{"inline":{}},"seed":677745363372772,"rules":6},"created_at":"2023-11-14T22:13:20.000000000Z"}}');
INSERT INTO checkpoint (key, run, part, body) VALUES (12, 3, 'step/big', '{"format":1,"body":{"path":"big","phase":{"phase":"settled","result":{"result":"completed","output":{"blob":"sha256:e03d9e85eec7bdc57d99d7347dc8df60e467ba0bcf8d242db601ce4c6c01798a","bytes":20002}},"at":"2023-11-14T22:13:20.000000000Z"},"attempts":1,"failures":0,"started_at":"2023-11-14T22:13:20.000000000Z"}}');
INSERT INTO checkpoint (key, run, part, body) VALUES (13, 3, 'step/broken', '{"format":1,"body":{"path":"broken","phase":{"phase":"settled","result":{"result":"failed","error":{"class":"failed","code":"broken","message":"broken happened"}},"at":"2023-11-14T22:13:20.000000000Z"},"attempts":1,"failures":0,"started_at":"2023-11-14T22:13:20.000000000Z"}}');
INSERT INTO checkpoint (key, run, part, body) VALUES (14, 4, 'run', '{"format":1,"body":{"binding":{"definition":"sha256:3161ddcb4b5285a9034b86fce472f0d15f5bb26ce80ed4d07de3a1613fb82fd1","plugins":{"p":"sha256:909ef3d0cc91ac75f8a64c217ebd52602338ee08e2dfba047df58f659dc875d5"}},"phase":{"status":"paused","stop":{"code":"waiting_for_signal","path":"go","why":{"waiting_for_signal":{"signal":"go"}}},"at":"2023-11-14T22:13:20.000000000Z"},"started_at":"2023-11-14T22:13:20.000000000Z","recoveries":0,"episode":{"resumes":0}}}');
INSERT INTO checkpoint (key, run, part, body) VALUES (15, 4, 'step/go', '{"format":1,"body":{"path":"go","phase":{"phase":"awaiting","wait":{"for":"signal","name":"go"}},"attempts":1,"failures":0,"started_at":"2023-11-14T22:13:20.000000000Z","waited":true,"rejections":0}}');
INSERT INTO checkpoint (key, run, part, body) VALUES (16, 4, 'created', '{"format":1,"body":{"created":{"run":"waits","workflow":"test","definition":"sha256:3161ddcb4b5285a9034b86fce472f0d15f5bb26ce80ed4d07de3a1613fb82fd1","file":"/some/workflows/test.toml","plugins":{"p":"sha256:909ef3d0cc91ac75f8a64c217ebd52602338ee08e2dfba047df58f659dc875d5"},"inputs":{"inline":{}},"seed":8745489381885410,"rules":6},"created_at":"2023-11-14T22:13:20.000000000Z"}}');
INSERT INTO checkpoint (key, run, part, body) VALUES (17, 5, 'run', '{"format":1,"body":{"binding":{"definition":"sha256:120ef58ca76d437ef2a51a6cdf2840b5d984ee640c6f2fb1f8479318142265f4","plugins":{"p":"sha256:909ef3d0cc91ac75f8a64c217ebd52602338ee08e2dfba047df58f659dc875d5"}},"phase":{"status":"paused","stop":{"code":"waiting_for_approval","path":"ask","why":{"waiting_for_approval":{"question":"Go on?"}}},"at":"2023-11-14T22:13:20.000000000Z"},"started_at":"2023-11-14T22:13:20.000000000Z","recoveries":0,"episode":{"resumes":0}}}');
INSERT INTO checkpoint (key, run, part, body) VALUES (18, 5, 'step/ask', '{"format":1,"body":{"path":"ask","phase":{"phase":"awaiting","wait":{"for":"approval","message":"Go on?"}},"attempts":1,"failures":0,"started_at":"2023-11-14T22:13:20.000000000Z","waited":true,"rejections":0}}');
INSERT INTO checkpoint (key, run, part, body) VALUES (19, 5, 'created', '{"format":1,"body":{"created":{"run":"asks","workflow":"test","definition":"sha256:120ef58ca76d437ef2a51a6cdf2840b5d984ee640c6f2fb1f8479318142265f4","file":"/some/workflows/test.toml","plugins":{"p":"sha256:909ef3d0cc91ac75f8a64c217ebd52602338ee08e2dfba047df58f659dc875d5"},"inputs":{"inline":{}},"seed":6447918799844813,"rules":6},"created_at":"2023-11-14T22:13:20.000000000Z"}}');
INSERT INTO checkpoint (key, run, part, body) VALUES (20, 6, 'run', '{"format":1,"body":{"binding":{"definition":"sha256:3161ddcb4b5285a9034b86fce472f0d15f5bb26ce80ed4d07de3a1613fb82fd1","plugins":{"p":"sha256:909ef3d0cc91ac75f8a64c217ebd52602338ee08e2dfba047df58f659dc875d5"}},"phase":{"status":"pending"},"started_at":null,"recoveries":0,"episode":{"resumes":0}}}');
INSERT INTO checkpoint (key, run, part, body) VALUES (21, 6, 'created', '{"format":1,"body":{"created":{"run":"early","workflow":"test","definition":"sha256:3161ddcb4b5285a9034b86fce472f0d15f5bb26ce80ed4d07de3a1613fb82fd1","file":"/some/workflows/test.toml","plugins":{"p":"sha256:909ef3d0cc91ac75f8a64c217ebd52602338ee08e2dfba047df58f659dc875d5"},"inputs":{"inline":{}},"seed":4655563675412921,"rules":6},"created_at":"2023-11-14T22:13:20.000000000Z"}}');
INSERT INTO checkpoint (key, run, part, body) VALUES (22, 7, 'run', '{"format":1,"body":{"binding":{"definition":"sha256:6aa3ac8a7b65e2e78171d9c041ba509a56d1e34800c8f77ffd50cc3f84272cb7","plugins":{"p":"sha256:909ef3d0cc91ac75f8a64c217ebd52602338ee08e2dfba047df58f659dc875d5"}},"phase":{"status":"running"},"started_at":"2023-11-14T22:13:20.000000000Z","recoveries":0,"episode":{"resumes":0}}}');
INSERT INTO checkpoint (key, run, part, body) VALUES (23, 7, 'created', '{"format":1,"body":{"created":{"run":"lost","workflow":"test","definition":"sha256:6aa3ac8a7b65e2e78171d9c041ba509a56d1e34800c8f77ffd50cc3f84272cb7","file":"/some/workflows/test.toml","plugins":{"p":"sha256:909ef3d0cc91ac75f8a64c217ebd52602338ee08e2dfba047df58f659dc875d5"},"inputs":{"inline":{}},"seed":3649583348548735,"rules":6},"created_at":"2023-11-14T22:13:20.000000000Z"}}');
INSERT INTO log (position, run, at, path, attempt, body) VALUES (1, 1, 0, 'big', 1, '{"at":"1970-01-01T00:00:00.000000000Z","level":"info","message":"big, attempt 1"}');
INSERT INTO log (position, run, at, path, attempt, body) VALUES (2, 1, 0, 'last', 1, '{"at":"1970-01-01T00:00:00.000000000Z","level":"info","message":"last, attempt 1"}');
INSERT INTO log (position, run, at, path, attempt, body) VALUES (3, 2, 0, 'fix#1/edit', 1, '{"at":"1970-01-01T00:00:00.000000000Z","level":"info","message":"fix#1/edit, attempt 1"}');
INSERT INTO log (position, run, at, path, attempt, body) VALUES (4, 2, 0, 'fix#1/check', 1, '{"at":"1970-01-01T00:00:00.000000000Z","level":"info","message":"fix#1/check, attempt 1"}');
INSERT INTO log (position, run, at, path, attempt, body) VALUES (5, 2, 0, 'fix#2/edit', 1, '{"at":"1970-01-01T00:00:00.000000000Z","level":"info","message":"fix#2/edit, attempt 1"}');
INSERT INTO log (position, run, at, path, attempt, body) VALUES (6, 3, 0, 'big', 1, '{"at":"1970-01-01T00:00:00.000000000Z","level":"info","message":"big, attempt 1"}');
INSERT INTO log (position, run, at, path, attempt, body) VALUES (7, 3, 0, 'broken', 1, '{"at":"1970-01-01T00:00:00.000000000Z","level":"info","message":"broken, attempt 1"}');
INSERT INTO log (position, run, at, path, attempt, body) VALUES (8, 7, 0, 'big', 1, '{"at":"1970-01-01T00:00:00.000000000Z","level":"info","message":"big, attempt 1"}');
INSERT INTO blob (digest, bytes) VALUES (x'2c3ded38048c40b0ec62f243895b6133c2c98cfe4dc94f8283fde56e7e6e6e2a', CAST('schema = 1
name = "test"
[plugins.p]
source = "p.wasm"
[[step]]
id = "big"
use = "p/big"
[[step]]
id = "last"
use = "p/last"
with = { size = "${ size(steps.big.output) }" }
' AS BLOB));
INSERT INTO blob (digest, bytes) VALUES (x'909ef3d0cc91ac75f8a64c217ebd52602338ee08e2dfba047df58f659dc875d5', CAST('p 0' AS BLOB));
INSERT INTO blob (digest, bytes) VALUES (x'e03d9e85eec7bdc57d99d7347dc8df60e467ba0bcf8d242db601ce4c6c01798a', CAST('"' || printf('%.*c', 20000, 'x') || '"' AS BLOB));
INSERT INTO blob (digest, bytes) VALUES (x'3f4f48a676ea726ab4bea9b69bffea8402e860427573d2221ec1b8867b12452d', CAST('schema = 1
name = "test"
[plugins.p]
source = "p.wasm"
[[step]]
id = "fix"
loop = { until = "steps.check.output.good", max_iterations = 5 }
[[step]]
id = "edit"
in = "fix"
use = "p/edit"
[[step]]
id = "check"
in = "fix"
use = "p/check"
[[step]]
id = "last"
use = "p/last"
' AS BLOB));
INSERT INTO blob (digest, bytes) VALUES (x'17129d498364d93681ae510f2dc5edde13858ea31bca53f38dbfc4f1126fc122', CAST('schema = 1
name = "test"
[plugins.p]
source = "p.wasm"
[[step]]
id = "big"
use = "p/big"
[[step]]
id = "broken"
use = "p/broken"
' AS BLOB));
INSERT INTO blob (digest, bytes) VALUES (x'3161ddcb4b5285a9034b86fce472f0d15f5bb26ce80ed4d07de3a1613fb82fd1', CAST('schema = 1
name = "test"
[plugins.p]
source = "p.wasm"
[[step]]
id = "go"
wait = { signal = "go" }
[[step]]
id = "last"
use = "p/last"
' AS BLOB));
INSERT INTO blob (digest, bytes) VALUES (x'120ef58ca76d437ef2a51a6cdf2840b5d984ee640c6f2fb1f8479318142265f4', CAST('schema = 1
name = "test"
[plugins.p]
source = "p.wasm"
[[step]]
id = "ask"
[step.approval]
message = "Go on?"
[[step]]
id = "last"
use = "p/last"
' AS BLOB));
INSERT INTO blob (digest, bytes) VALUES (x'6aa3ac8a7b65e2e78171d9c041ba509a56d1e34800c8f77ffd50cc3f84272cb7', CAST('schema = 1
name = "test"
[plugins.p]
source = "p.wasm"
[[step]]
id = "big"
use = "p/big"
[[step]]
id = "slow"
use = "p/slow"
' AS BLOB));
INSERT INTO signal (number, run, name, at, data) VALUES (1, 6, 'go', 1700000000000000000, '{"n":1}');
INSERT INTO blob_use (run, digest) VALUES (5, x'120ef58ca76d437ef2a51a6cdf2840b5d984ee640c6f2fb1f8479318142265f4');
INSERT INTO blob_use (run, digest) VALUES (3, x'17129d498364d93681ae510f2dc5edde13858ea31bca53f38dbfc4f1126fc122');
INSERT INTO blob_use (run, digest) VALUES (1, x'2c3ded38048c40b0ec62f243895b6133c2c98cfe4dc94f8283fde56e7e6e6e2a');
INSERT INTO blob_use (run, digest) VALUES (4, x'3161ddcb4b5285a9034b86fce472f0d15f5bb26ce80ed4d07de3a1613fb82fd1');
INSERT INTO blob_use (run, digest) VALUES (6, x'3161ddcb4b5285a9034b86fce472f0d15f5bb26ce80ed4d07de3a1613fb82fd1');
INSERT INTO blob_use (run, digest) VALUES (2, x'3f4f48a676ea726ab4bea9b69bffea8402e860427573d2221ec1b8867b12452d');
INSERT INTO blob_use (run, digest) VALUES (7, x'6aa3ac8a7b65e2e78171d9c041ba509a56d1e34800c8f77ffd50cc3f84272cb7');
INSERT INTO blob_use (run, digest) VALUES (1, x'909ef3d0cc91ac75f8a64c217ebd52602338ee08e2dfba047df58f659dc875d5');
INSERT INTO blob_use (run, digest) VALUES (2, x'909ef3d0cc91ac75f8a64c217ebd52602338ee08e2dfba047df58f659dc875d5');
INSERT INTO blob_use (run, digest) VALUES (3, x'909ef3d0cc91ac75f8a64c217ebd52602338ee08e2dfba047df58f659dc875d5');
INSERT INTO blob_use (run, digest) VALUES (4, x'909ef3d0cc91ac75f8a64c217ebd52602338ee08e2dfba047df58f659dc875d5');
INSERT INTO blob_use (run, digest) VALUES (5, x'909ef3d0cc91ac75f8a64c217ebd52602338ee08e2dfba047df58f659dc875d5');
INSERT INTO blob_use (run, digest) VALUES (6, x'909ef3d0cc91ac75f8a64c217ebd52602338ee08e2dfba047df58f659dc875d5');
INSERT INTO blob_use (run, digest) VALUES (7, x'909ef3d0cc91ac75f8a64c217ebd52602338ee08e2dfba047df58f659dc875d5');
INSERT INTO blob_use (run, digest) VALUES (1, x'e03d9e85eec7bdc57d99d7347dc8df60e467ba0bcf8d242db601ce4c6c01798a');
INSERT INTO blob_use (run, digest) VALUES (3, x'e03d9e85eec7bdc57d99d7347dc8df60e467ba0bcf8d242db601ce4c6c01798a');
INSERT INTO blob_use (run, digest) VALUES (7, x'e03d9e85eec7bdc57d99d7347dc8df60e467ba0bcf8d242db601ce4c6c01798a');
INSERT INTO signal_token (run, token, number, content) VALUES (6, 'token', 1, x'a32d7a188edd0057b40be22d99dc29e8ab04fc99ab33ef0836442fd8269a6381');
INSERT INTO counter (name, value) VALUES ('attempt_seconds/le/1000', 7);
INSERT INTO counter (name, value) VALUES ('attempts_total/completed', 5);
INSERT INTO counter (name, value) VALUES ('attempts_total/failed', 1);
INSERT INTO counter (name, value) VALUES ('attempts_total/paused', 1);
INSERT INTO counter (name, value) VALUES ('commit_bytes/le/1024', 2);
INSERT INTO counter (name, value) VALUES ('commit_bytes/le/4096', 9);
INSERT INTO counter (name, value) VALUES ('commit_bytes/le/65536', 2);
INSERT INTO counter (name, value) VALUES ('commit_bytes/sum', 57107);
INSERT INTO counter (name, value) VALUES ('commit_seconds/le/100', 13);
INSERT INTO counter (name, value) VALUES ('run_stops_total/completed', 1);
INSERT INTO counter (name, value) VALUES ('run_stops_total/failed', 1);
INSERT INTO counter (name, value) VALUES ('run_stops_total/paused', 3);
INSERT INTO counter (name, value) VALUES ('steps_total/completed', 5);
INSERT INTO counter (name, value) VALUES ('steps_total/failed', 1);
INSERT INTO sqlite_sequence (name, seq) VALUES ('signal', 1);
