PRAGMA application_id = 1836086132;
PRAGMA user_version = 6;
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
    auto_resumes INTEGER NOT NULL DEFAULT 0, provider TEXT, awaits TEXT NOT NULL DEFAULT '[]', request TEXT, requested_at INTEGER, requested_by TEXT, detached_at INTEGER, now TEXT, stored_bytes INTEGER NOT NULL DEFAULT 0) STRICT;
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
INSERT INTO run (key, id, workflow, status, seq, epoch, created_at, updated_at, owner, lease_until, stop_code, due_at, recoveries, auto_resumes, provider, awaits, request, requested_at, requested_by, detached_at, now, stored_bytes) VALUES (1, 'held', 'test', 'paused', 5, 1, 1700000000000000000, 1700000000000000000, NULL, NULL, 'waiting_for_time', NULL, 0, 0, NULL, '[]', NULL, NULL, NULL, NULL, '{"format":1,"body":{"steps":1,"in_flight":[]}}', 896);
INSERT INTO run (key, id, workflow, status, seq, epoch, created_at, updated_at, owner, lease_until, stop_code, due_at, recoveries, auto_resumes, provider, awaits, request, requested_at, requested_by, detached_at, now, stored_bytes) VALUES (2, 'ready', 'test', 'paused', 5, 1, 1700000000000000000, 1700000000000000000, NULL, NULL, 'ready', 1700000000000000000, 0, 0, NULL, '[]', NULL, NULL, NULL, NULL, '{"format":1,"body":{"steps":1,"in_flight":[]}}', 940);
INSERT INTO run (key, id, workflow, status, seq, epoch, created_at, updated_at, owner, lease_until, stop_code, due_at, recoveries, auto_resumes, provider, awaits, request, requested_at, requested_by, detached_at, now, stored_bytes) VALUES (3, 'rejected', 'test', 'cancelled', 6, 1, 1700000000000000000, 1700000000000000000, NULL, NULL, 'rejected', NULL, 0, 0, NULL, '[]', NULL, NULL, NULL, NULL, '{"format":1,"body":{"steps":1,"in_flight":[]}}', 1079);
INSERT INTO run (key, id, workflow, status, seq, epoch, created_at, updated_at, owner, lease_until, stop_code, due_at, recoveries, auto_resumes, provider, awaits, request, requested_at, requested_by, detached_at, now, stored_bytes) VALUES (4, 'cancelled', 'test', 'cancelled', 5, 1, 1700000000000000000, 1700000000000000000, NULL, NULL, 'cancelled', NULL, 0, 0, NULL, '[]', NULL, NULL, NULL, NULL, '{"format":1,"body":{"steps":1,"in_flight":[]}}', 909);
INSERT INTO journal (key, run, seq, at, epoch, body) VALUES (1, 1, 1, 1700000000000000000, 0, '{"format":1,"body":{"type":"run_created","run":"held","workflow":"test","definition":"sha256:6b7bbf5995725490a5a15fe51bc2eeb530b07875a54b48de5d10a0f32bd0e52f","file":"/some/workflows/test.toml","plugins":{"p":"sha256:909ef3d0cc91ac75f8a64c217ebd52602338ee08e2dfba047df58f659dc875d5"},"inputs":{"inline":{}},"seed":5914219900455572,"rules":1}}');
INSERT INTO journal (key, run, seq, at, epoch, body) VALUES (2, 1, 2, 1700000000000000000, 1, '{"format":1,"body":{"type":"run_claimed","owner":"process 23750 on hh","cause":"start"}}');
INSERT INTO journal (key, run, seq, at, epoch, body) VALUES (3, 1, 3, 1700000000000000000, 1, '{"format":1,"body":{"type":"wait_started","path":"nap","wait":{"for":"time","until":"2023-11-14T23:13:20.000000000Z"}}}');
INSERT INTO journal (key, run, seq, at, epoch, body) VALUES (4, 1, 4, 1700000000000000000, 1, '{"format":1,"body":{"type":"run_paused","stop":{"code":"waiting_for_time","path":"nap","due_at":"2023-11-14T23:13:20.000000000Z","why":"waiting_for_time"}}}');
INSERT INTO journal (key, run, seq, at, epoch, body) VALUES (5, 2, 1, 1700000000000000000, 0, '{"format":1,"body":{"type":"run_created","run":"ready","workflow":"test","definition":"sha256:120ef58ca76d437ef2a51a6cdf2840b5d984ee640c6f2fb1f8479318142265f4","file":"/some/workflows/test.toml","plugins":{"p":"sha256:909ef3d0cc91ac75f8a64c217ebd52602338ee08e2dfba047df58f659dc875d5"},"inputs":{"inline":{}},"seed":4740973957789397,"rules":1}}');
INSERT INTO journal (key, run, seq, at, epoch, body) VALUES (6, 2, 2, 1700000000000000000, 1, '{"format":1,"body":{"type":"run_claimed","owner":"process 23750 on hh","cause":"start"}}');
INSERT INTO journal (key, run, seq, at, epoch, body) VALUES (7, 2, 3, 1700000000000000000, 1, '{"format":1,"body":{"type":"wait_started","path":"ask","wait":{"for":"approval","message":"Go on?"}}}');
INSERT INTO journal (key, run, seq, at, epoch, body) VALUES (8, 2, 4, 1700000000000000000, 1, '{"format":1,"body":{"type":"run_paused","stop":{"code":"waiting_for_approval","path":"ask","why":{"waiting_for_approval":{"question":"Go on?"}}}}}');
INSERT INTO journal (key, run, seq, at, epoch, body) VALUES (9, 3, 1, 1700000000000000000, 0, '{"format":1,"body":{"type":"run_created","run":"rejected","workflow":"test","definition":"sha256:120ef58ca76d437ef2a51a6cdf2840b5d984ee640c6f2fb1f8479318142265f4","file":"/some/workflows/test.toml","plugins":{"p":"sha256:909ef3d0cc91ac75f8a64c217ebd52602338ee08e2dfba047df58f659dc875d5"},"inputs":{"inline":{}},"seed":6342489195592426,"rules":1}}');
INSERT INTO journal (key, run, seq, at, epoch, body) VALUES (10, 3, 2, 1700000000000000000, 1, '{"format":1,"body":{"type":"run_claimed","owner":"process 23750 on hh","cause":"start"}}');
INSERT INTO journal (key, run, seq, at, epoch, body) VALUES (11, 3, 3, 1700000000000000000, 1, '{"format":1,"body":{"type":"wait_started","path":"ask","wait":{"for":"approval","message":"Go on?"}}}');
INSERT INTO journal (key, run, seq, at, epoch, body) VALUES (12, 3, 4, 1700000000000000000, 1, '{"format":1,"body":{"type":"run_paused","stop":{"code":"waiting_for_approval","path":"ask","why":{"waiting_for_approval":{"question":"Go on?"}}}}}');
INSERT INTO journal (key, run, seq, at, epoch, body) VALUES (13, 4, 1, 1700000000000000000, 0, '{"format":1,"body":{"type":"run_created","run":"cancelled","workflow":"test","definition":"sha256:3161ddcb4b5285a9034b86fce472f0d15f5bb26ce80ed4d07de3a1613fb82fd1","file":"/some/workflows/test.toml","plugins":{"p":"sha256:909ef3d0cc91ac75f8a64c217ebd52602338ee08e2dfba047df58f659dc875d5"},"inputs":{"inline":{}},"seed":2287295925013203,"rules":1}}');
INSERT INTO journal (key, run, seq, at, epoch, body) VALUES (14, 4, 2, 1700000000000000000, 1, '{"format":1,"body":{"type":"run_claimed","owner":"process 23750 on hh","cause":"start"}}');
INSERT INTO journal (key, run, seq, at, epoch, body) VALUES (15, 4, 3, 1700000000000000000, 1, '{"format":1,"body":{"type":"wait_started","path":"go","wait":{"for":"signal","name":"go"}}}');
INSERT INTO journal (key, run, seq, at, epoch, body) VALUES (16, 4, 4, 1700000000000000000, 1, '{"format":1,"body":{"type":"run_paused","stop":{"code":"waiting_for_signal","path":"go","why":{"waiting_for_signal":{"signal":"go"}}}}}');
INSERT INTO journal (key, run, seq, at, epoch, body) VALUES (17, 1, 5, 1700000000000000000, 1, '{"format":1,"body":{"type":"run_held","by":"somebody"}}');
INSERT INTO journal (key, run, seq, at, epoch, body) VALUES (18, 2, 5, 1700000000000000000, 1, '{"format":1,"body":{"type":"approval_decided","path":"ask","decision":"approved","comment":"because","by":"ada"}}');
INSERT INTO journal (key, run, seq, at, epoch, body) VALUES (19, 3, 5, 1700000000000000000, 1, '{"format":1,"body":{"type":"approval_decided","path":"ask","decision":"rejected","comment":"because","by":"ada"}}');
INSERT INTO journal (key, run, seq, at, epoch, body) VALUES (20, 3, 6, 1700000000000000000, 1, '{"format":1,"body":{"type":"run_cancelled","stop":{"code":"rejected","path":"ask","why":{"rejected":{"by":"ada","comment":"because"}}}}}');
INSERT INTO journal (key, run, seq, at, epoch, body) VALUES (21, 4, 5, 1700000000000000000, 1, '{"format":1,"body":{"type":"run_cancelled","stop":{"code":"cancelled","why":{"cancelled":{"by":"somebody"}}}}}');
INSERT INTO checkpoint (key, run, part, body) VALUES (1, 1, 'run', '{"format":1,"body":{"binding":{"definition":"sha256:6b7bbf5995725490a5a15fe51bc2eeb530b07875a54b48de5d10a0f32bd0e52f","plugins":{"p":"sha256:909ef3d0cc91ac75f8a64c217ebd52602338ee08e2dfba047df58f659dc875d5"}},"phase":{"status":"paused","stop":{"code":"waiting_for_time","path":"nap","held_by":"somebody","why":"waiting_for_time"},"at":"2023-11-14T22:13:20.000000000Z"},"started_at":"2023-11-14T22:13:20.000000000Z","recoveries":0,"episode":{"resumes":0}}}');
INSERT INTO checkpoint (key, run, part, body) VALUES (2, 1, 'step/nap', '{"format":1,"body":{"path":"nap","phase":{"phase":"awaiting","wait":{"for":"time","until":"2023-11-14T23:13:20.000000000Z"}},"attempts":1,"failures":0,"started_at":"2023-11-14T22:13:20.000000000Z","waited":true,"rejections":0}}');
INSERT INTO checkpoint (key, run, part, body) VALUES (3, 1, 'created', '{"format":1,"body":{"created":{"run":"held","workflow":"test","definition":"sha256:6b7bbf5995725490a5a15fe51bc2eeb530b07875a54b48de5d10a0f32bd0e52f","file":"/some/workflows/test.toml","plugins":{"p":"sha256:909ef3d0cc91ac75f8a64c217ebd52602338ee08e2dfba047df58f659dc875d5"},"inputs":{"inline":{}},"seed":5914219900455572,"rules":1},"created_at":"2023-11-14T22:13:20.000000000Z"}}');
INSERT INTO checkpoint (key, run, part, body) VALUES (4, 2, 'run', '{"format":1,"body":{"binding":{"definition":"sha256:120ef58ca76d437ef2a51a6cdf2840b5d984ee640c6f2fb1f8479318142265f4","plugins":{"p":"sha256:909ef3d0cc91ac75f8a64c217ebd52602338ee08e2dfba047df58f659dc875d5"}},"phase":{"status":"paused","stop":{"code":"ready","path":"ask","due_at":"2023-11-14T22:13:20.000000000Z","why":{"ready":{"decision":"approved"}}},"at":"2023-11-14T22:13:20.000000000Z"},"started_at":"2023-11-14T22:13:20.000000000Z","recoveries":0,"episode":{"resumes":0}}}');
INSERT INTO checkpoint (key, run, part, body) VALUES (5, 2, 'step/ask', '{"format":1,"body":{"path":"ask","phase":{"phase":"settled","result":{"result":"completed","output":{"inline":{"by":"ada","comment":"because","decision":"approved","timed_out":false}}},"at":"2023-11-14T22:13:20.000000000Z"},"attempts":1,"failures":0,"started_at":"2023-11-14T22:13:20.000000000Z","waited":true,"rejections":0}}');
INSERT INTO checkpoint (key, run, part, body) VALUES (6, 2, 'created', '{"format":1,"body":{"created":{"run":"ready","workflow":"test","definition":"sha256:120ef58ca76d437ef2a51a6cdf2840b5d984ee640c6f2fb1f8479318142265f4","file":"/some/workflows/test.toml","plugins":{"p":"sha256:909ef3d0cc91ac75f8a64c217ebd52602338ee08e2dfba047df58f659dc875d5"},"inputs":{"inline":{}},"seed":4740973957789397,"rules":1},"created_at":"2023-11-14T22:13:20.000000000Z"}}');
INSERT INTO checkpoint (key, run, part, body) VALUES (7, 3, 'run', '{"format":1,"body":{"binding":{"definition":"sha256:120ef58ca76d437ef2a51a6cdf2840b5d984ee640c6f2fb1f8479318142265f4","plugins":{"p":"sha256:909ef3d0cc91ac75f8a64c217ebd52602338ee08e2dfba047df58f659dc875d5"}},"phase":{"status":"cancelled","stop":{"code":"rejected","path":"ask","why":{"rejected":{"by":"ada","comment":"because"}}},"at":"2023-11-14T22:13:20.000000000Z"},"started_at":"2023-11-14T22:13:20.000000000Z","recoveries":0,"episode":{"resumes":0}}}');
INSERT INTO checkpoint (key, run, part, body) VALUES (8, 3, 'step/ask', '{"format":1,"body":{"path":"ask","phase":{"phase":"settled","result":{"result":"completed","output":{"inline":{"by":"ada","comment":"because","decision":"rejected","timed_out":false}}},"at":"2023-11-14T22:13:20.000000000Z"},"attempts":1,"failures":0,"started_at":"2023-11-14T22:13:20.000000000Z","waited":true,"rejections":1}}');
INSERT INTO checkpoint (key, run, part, body) VALUES (9, 3, 'created', '{"format":1,"body":{"created":{"run":"rejected","workflow":"test","definition":"sha256:120ef58ca76d437ef2a51a6cdf2840b5d984ee640c6f2fb1f8479318142265f4","file":"/some/workflows/test.toml","plugins":{"p":"sha256:909ef3d0cc91ac75f8a64c217ebd52602338ee08e2dfba047df58f659dc875d5"},"inputs":{"inline":{}},"seed":6342489195592426,"rules":1},"created_at":"2023-11-14T22:13:20.000000000Z"}}');
INSERT INTO checkpoint (key, run, part, body) VALUES (10, 4, 'run', '{"format":1,"body":{"binding":{"definition":"sha256:3161ddcb4b5285a9034b86fce472f0d15f5bb26ce80ed4d07de3a1613fb82fd1","plugins":{"p":"sha256:909ef3d0cc91ac75f8a64c217ebd52602338ee08e2dfba047df58f659dc875d5"}},"phase":{"status":"cancelled","stop":{"code":"cancelled","why":{"cancelled":{"by":"somebody"}}},"at":"2023-11-14T22:13:20.000000000Z"},"started_at":"2023-11-14T22:13:20.000000000Z","recoveries":0,"episode":{"resumes":0}}}');
INSERT INTO checkpoint (key, run, part, body) VALUES (11, 4, 'step/go', '{"format":1,"body":{"path":"go","phase":{"phase":"awaiting","wait":{"for":"signal","name":"go"}},"attempts":1,"failures":0,"started_at":"2023-11-14T22:13:20.000000000Z","waited":true,"rejections":0}}');
INSERT INTO checkpoint (key, run, part, body) VALUES (12, 4, 'created', '{"format":1,"body":{"created":{"run":"cancelled","workflow":"test","definition":"sha256:3161ddcb4b5285a9034b86fce472f0d15f5bb26ce80ed4d07de3a1613fb82fd1","file":"/some/workflows/test.toml","plugins":{"p":"sha256:909ef3d0cc91ac75f8a64c217ebd52602338ee08e2dfba047df58f659dc875d5"},"inputs":{"inline":{}},"seed":2287295925013203,"rules":1},"created_at":"2023-11-14T22:13:20.000000000Z"}}');
INSERT INTO blob (digest, bytes) VALUES (x'6b7bbf5995725490a5a15fe51bc2eeb530b07875a54b48de5d10a0f32bd0e52f', CAST('schema = 1
name = "test"
[plugins.p]
source = "p.wasm"
[[step]]
id = "nap"
wait = { for = "1h" }
[[step]]
id = "last"
use = "p/last"
' AS BLOB));
INSERT INTO blob (digest, bytes) VALUES (x'909ef3d0cc91ac75f8a64c217ebd52602338ee08e2dfba047df58f659dc875d5', CAST('p 0' AS BLOB));
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
INSERT INTO blob_use (run, digest) VALUES (2, x'120ef58ca76d437ef2a51a6cdf2840b5d984ee640c6f2fb1f8479318142265f4');
INSERT INTO blob_use (run, digest) VALUES (3, x'120ef58ca76d437ef2a51a6cdf2840b5d984ee640c6f2fb1f8479318142265f4');
INSERT INTO blob_use (run, digest) VALUES (4, x'3161ddcb4b5285a9034b86fce472f0d15f5bb26ce80ed4d07de3a1613fb82fd1');
INSERT INTO blob_use (run, digest) VALUES (1, x'6b7bbf5995725490a5a15fe51bc2eeb530b07875a54b48de5d10a0f32bd0e52f');
INSERT INTO blob_use (run, digest) VALUES (1, x'909ef3d0cc91ac75f8a64c217ebd52602338ee08e2dfba047df58f659dc875d5');
INSERT INTO blob_use (run, digest) VALUES (2, x'909ef3d0cc91ac75f8a64c217ebd52602338ee08e2dfba047df58f659dc875d5');
INSERT INTO blob_use (run, digest) VALUES (3, x'909ef3d0cc91ac75f8a64c217ebd52602338ee08e2dfba047df58f659dc875d5');
INSERT INTO blob_use (run, digest) VALUES (4, x'909ef3d0cc91ac75f8a64c217ebd52602338ee08e2dfba047df58f659dc875d5');
