PRAGMA application_id = 1836086132;
PRAGMA user_version = 1;
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
    cancel_requested_at INTEGER
) STRICT;
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
INSERT INTO run (key, id, workflow, status, seq, epoch, created_at, updated_at, owner, lease_until, stop_code, due_at, recoveries, cancel_requested_at) VALUES (1, 'done', 'test', 'completed', 7, 1, 1700000000000000000, 1700000000000000000, NULL, NULL, NULL, NULL, 0, NULL);
INSERT INTO run (key, id, workflow, status, seq, epoch, created_at, updated_at, owner, lease_until, stop_code, due_at, recoveries, cancel_requested_at) VALUES (2, 'paused', 'test', 'paused', 12, 1, 1700000000000000000, 1700000000000000000, NULL, NULL, 'step_paused', NULL, 0, NULL);
INSERT INTO run (key, id, workflow, status, seq, epoch, created_at, updated_at, owner, lease_until, stop_code, due_at, recoveries, cancel_requested_at) VALUES (3, 'failed', 'test', 'failed', 7, 1, 1700000000000000000, 1700000000000000000, NULL, NULL, 'step_failed', NULL, 0, NULL);
INSERT INTO run (key, id, workflow, status, seq, epoch, created_at, updated_at, owner, lease_until, stop_code, due_at, recoveries, cancel_requested_at) VALUES (4, 'lost', 'test', 'running', 5, 1, 1700000000000000000, 1700000000000000000, '{"host":"another","boot":"boot","pid":1,"started":1,"nonce":"nonce"}', 1700000030000000000, NULL, NULL, 0, NULL);
INSERT INTO journal (key, run, seq, at, epoch, body) VALUES (1, 1, 1, 1700000000000000000, 0, '{"format":1,"body":{"type":"run_created","run":"done","workflow":"test","definition":"sha256:2c3ded38048c40b0ec62f243895b6133c2c98cfe4dc94f8283fde56e7e6e6e2a","file":"/some/workflows/test.toml","plugins":{"p":"sha256:909ef3d0cc91ac75f8a64c217ebd52602338ee08e2dfba047df58f659dc875d5"},"inputs":{"inline":{}},"seed":2389884532967187}}');
INSERT INTO journal (key, run, seq, at, epoch, body) VALUES (2, 1, 2, 1700000000000000000, 1, '{"format":1,"body":{"type":"run_claimed","owner":"process 31211 on vm","cause":"start"}}');
INSERT INTO journal (key, run, seq, at, epoch, body) VALUES (3, 1, 3, 1700000000000000000, 1, '{"format":1,"body":{"type":"step_started","path":"big","attempt":1,"input":{"inline":{}},"seed":4120750114570212,"timeout_millis":1800000}}');
INSERT INTO journal (key, run, seq, at, epoch, body) VALUES (4, 1, 4, 1700000000000000000, 1, '{"format":1,"body":{"type":"step_completed","path":"big","attempt":1,"output":{"blob":"sha256:e03d9e85eec7bdc57d99d7347dc8df60e467ba0bcf8d242db601ce4c6c01798a","bytes":20002}}}');
INSERT INTO journal (key, run, seq, at, epoch, body) VALUES (5, 1, 5, 1700000000000000000, 1, '{"format":1,"body":{"type":"step_started","path":"last","attempt":1,"input":{"inline":{"size":20000}},"seed":4344137261560013,"timeout_millis":1800000}}');
INSERT INTO journal (key, run, seq, at, epoch, body) VALUES (6, 1, 6, 1700000000000000000, 1, '{"format":1,"body":{"type":"step_completed","path":"last","attempt":1,"output":{"inline":{"at":"last"}}}}');
INSERT INTO journal (key, run, seq, at, epoch, body) VALUES (7, 1, 7, 1700000000000000000, 1, '{"format":1,"body":{"type":"run_completed","output":{"inline":{"at":"last"}}}}');
INSERT INTO journal (key, run, seq, at, epoch, body) VALUES (8, 2, 1, 1700000000000000000, 0, '{"format":1,"body":{"type":"run_created","run":"paused","workflow":"test","definition":"sha256:3f4f48a676ea726ab4bea9b69bffea8402e860427573d2221ec1b8867b12452d","file":"/some/workflows/test.toml","plugins":{"p":"sha256:909ef3d0cc91ac75f8a64c217ebd52602338ee08e2dfba047df58f659dc875d5"},"inputs":{"inline":{}},"seed":2873154573984368}}');
INSERT INTO journal (key, run, seq, at, epoch, body) VALUES (9, 2, 2, 1700000000000000000, 1, '{"format":1,"body":{"type":"run_claimed","owner":"process 31211 on vm","cause":"start"}}');
INSERT INTO journal (key, run, seq, at, epoch, body) VALUES (10, 2, 3, 1700000000000000000, 1, '{"format":1,"body":{"type":"loop_iteration_started","path":"fix","iteration":1}}');
INSERT INTO journal (key, run, seq, at, epoch, body) VALUES (11, 2, 4, 1700000000000000000, 1, '{"format":1,"body":{"type":"step_started","path":"fix#1/edit","attempt":1,"input":{"inline":{}},"seed":5221399934703470,"timeout_millis":1800000}}');
INSERT INTO journal (key, run, seq, at, epoch, body) VALUES (12, 2, 5, 1700000000000000000, 1, '{"format":1,"body":{"type":"step_completed","path":"fix#1/edit","attempt":1,"output":{"inline":{"at":"fix#1/edit"}}}}');
INSERT INTO journal (key, run, seq, at, epoch, body) VALUES (13, 2, 6, 1700000000000000000, 1, '{"format":1,"body":{"type":"step_started","path":"fix#1/check","attempt":1,"input":{"inline":{}},"seed":1838940138969228,"timeout_millis":1800000}}');
INSERT INTO journal (key, run, seq, at, epoch, body) VALUES (14, 2, 7, 1700000000000000000, 1, '{"format":1,"body":{"type":"step_completed","path":"fix#1/check","attempt":1,"output":{"inline":{"good":false}}}}');
INSERT INTO journal (key, run, seq, at, epoch, body) VALUES (15, 2, 8, 1700000000000000000, 1, '{"format":1,"body":{"type":"loop_iteration_ended","path":"fix","iteration":1,"condition_met":false}}');
INSERT INTO journal (key, run, seq, at, epoch, body) VALUES (16, 2, 9, 1700000000000000000, 1, '{"format":1,"body":{"type":"loop_iteration_started","path":"fix","iteration":2}}');
INSERT INTO journal (key, run, seq, at, epoch, body) VALUES (17, 2, 10, 1700000000000000000, 1, '{"format":1,"body":{"type":"step_started","path":"fix#2/edit","attempt":1,"input":{"inline":{}},"seed":751062815757059,"timeout_millis":1800000}}');
INSERT INTO journal (key, run, seq, at, epoch, body) VALUES (18, 2, 11, 1700000000000000000, 1, '{"format":1,"body":{"type":"step_paused","path":"fix#2/edit","attempt":1,"pause":{"code":"quota","reason":"quota happened"}}}');
INSERT INTO journal (key, run, seq, at, epoch, body) VALUES (19, 2, 12, 1700000000000000000, 1, '{"format":1,"body":{"type":"run_paused","stop":{"code":"step_paused","message":"`fix#2/edit` paused (quota): quota happened","path":"fix#2/edit","next":"`milepost resume paused` goes on at `fix#2/edit`"}}}');
INSERT INTO journal (key, run, seq, at, epoch, body) VALUES (20, 3, 1, 1700000000000000000, 0, '{"format":1,"body":{"type":"run_created","run":"failed","workflow":"test","definition":"sha256:17129d498364d93681ae510f2dc5edde13858ea31bca53f38dbfc4f1126fc122","file":"/some/workflows/test.toml","plugins":{"p":"sha256:909ef3d0cc91ac75f8a64c217ebd52602338ee08e2dfba047df58f659dc875d5"},"inputs":{"inline":{}},"seed":6419323084736628}}');
INSERT INTO journal (key, run, seq, at, epoch, body) VALUES (21, 3, 2, 1700000000000000000, 1, '{"format":1,"body":{"type":"run_claimed","owner":"process 31211 on vm","cause":"start"}}');
INSERT INTO journal (key, run, seq, at, epoch, body) VALUES (22, 3, 3, 1700000000000000000, 1, '{"format":1,"body":{"type":"step_started","path":"big","attempt":1,"input":{"inline":{}},"seed":1702863069173537,"timeout_millis":1800000}}');
INSERT INTO journal (key, run, seq, at, epoch, body) VALUES (23, 3, 4, 1700000000000000000, 1, '{"format":1,"body":{"type":"step_completed","path":"big","attempt":1,"output":{"blob":"sha256:e03d9e85eec7bdc57d99d7347dc8df60e467ba0bcf8d242db601ce4c6c01798a","bytes":20002}}}');
INSERT INTO journal (key, run, seq, at, epoch, body) VALUES (24, 3, 5, 1700000000000000000, 1, '{"format":1,"body":{"type":"step_started","path":"broken","attempt":1,"input":{"inline":{}},"seed":4640876286198022,"timeout_millis":1800000}}');
INSERT INTO journal (key, run, seq, at, epoch, body) VALUES (25, 3, 6, 1700000000000000000, 1, '{"format":1,"body":{"type":"step_failed","path":"broken","attempt":1,"error":{"class":"failed","code":"broken","message":"broken happened"}}}');
INSERT INTO journal (key, run, seq, at, epoch, body) VALUES (26, 3, 7, 1700000000000000000, 1, '{"format":1,"body":{"type":"run_failed","stop":{"code":"step_failed","message":"`broken` failed (broken): broken happened","path":"broken","next":"nothing by itself; mend the cause, then `milepost resume failed` runs the failed steps again"}}}');
INSERT INTO journal (key, run, seq, at, epoch, body) VALUES (27, 4, 1, 1700000000000000000, 0, '{"format":1,"body":{"type":"run_created","run":"lost","workflow":"test","definition":"sha256:6aa3ac8a7b65e2e78171d9c041ba509a56d1e34800c8f77ffd50cc3f84272cb7","file":"/some/workflows/test.toml","plugins":{"p":"sha256:909ef3d0cc91ac75f8a64c217ebd52602338ee08e2dfba047df58f659dc875d5"},"inputs":{"inline":{}},"seed":4703951949151599}}');
INSERT INTO journal (key, run, seq, at, epoch, body) VALUES (28, 4, 2, 1700000000000000000, 1, '{"format":1,"body":{"type":"run_claimed","owner":"process 31211 on vm","cause":"start"}}');
INSERT INTO journal (key, run, seq, at, epoch, body) VALUES (29, 4, 3, 1700000000000000000, 1, '{"format":1,"body":{"type":"step_started","path":"big","attempt":1,"input":{"inline":{}},"seed":4510296456447300,"timeout_millis":1800000}}');
INSERT INTO journal (key, run, seq, at, epoch, body) VALUES (30, 4, 4, 1700000000000000000, 1, '{"format":1,"body":{"type":"step_completed","path":"big","attempt":1,"output":{"blob":"sha256:e03d9e85eec7bdc57d99d7347dc8df60e467ba0bcf8d242db601ce4c6c01798a","bytes":20002}}}');
INSERT INTO journal (key, run, seq, at, epoch, body) VALUES (31, 4, 5, 1700000000000000000, 1, '{"format":1,"body":{"type":"step_started","path":"slow","attempt":1,"input":{"inline":{}},"seed":1868456036794589,"timeout_millis":1800000}}');
INSERT INTO checkpoint (key, run, part, body) VALUES (1, 1, 'run', '{"format":1,"body":{"binding":{"definition":"sha256:2c3ded38048c40b0ec62f243895b6133c2c98cfe4dc94f8283fde56e7e6e6e2a","plugins":{"p":"sha256:909ef3d0cc91ac75f8a64c217ebd52602338ee08e2dfba047df58f659dc875d5"}},"phase":{"status":"completed","output":{"inline":{"at":"last"}},"at":"2023-11-14T22:13:20.000000000Z"},"started_at":"2023-11-14T22:13:20.000000000Z","recoveries":0,"steps":2}}');
INSERT INTO checkpoint (key, run, part, body) VALUES (2, 1, 'step/big', '{"format":1,"body":{"path":"big","phase":{"phase":"settled","result":{"result":"completed","output":{"blob":"sha256:e03d9e85eec7bdc57d99d7347dc8df60e467ba0bcf8d242db601ce4c6c01798a","bytes":20002}},"at":"2023-11-14T22:13:20.000000000Z"},"attempts":1,"failures":0,"started_at":"2023-11-14T22:13:20.000000000Z"}}');
INSERT INTO checkpoint (key, run, part, body) VALUES (3, 1, 'created', '{"format":1,"body":{"created":{"run":"done","workflow":"test","definition":"sha256:2c3ded38048c40b0ec62f243895b6133c2c98cfe4dc94f8283fde56e7e6e6e2a","file":"/some/workflows/test.toml","plugins":{"p":"sha256:909ef3d0cc91ac75f8a64c217ebd52602338ee08e2dfba047df58f659dc875d5"},"inputs":{"inline":{}},"seed":2389884532967187},"created_at":"2023-11-14T22:13:20.000000000Z"}}');
INSERT INTO checkpoint (key, run, part, body) VALUES (4, 1, 'step/last', '{"format":1,"body":{"path":"last","phase":{"phase":"settled","result":{"result":"completed","output":{"inline":{"at":"last"}}},"at":"2023-11-14T22:13:20.000000000Z"},"attempts":1,"failures":0,"started_at":"2023-11-14T22:13:20.000000000Z"}}');
INSERT INTO checkpoint (key, run, part, body) VALUES (5, 2, 'run', '{"format":1,"body":{"binding":{"definition":"sha256:3f4f48a676ea726ab4bea9b69bffea8402e860427573d2221ec1b8867b12452d","plugins":{"p":"sha256:909ef3d0cc91ac75f8a64c217ebd52602338ee08e2dfba047df58f659dc875d5"}},"phase":{"status":"paused","stop":{"code":"step_paused","message":"`fix#2/edit` paused (quota): quota happened","path":"fix#2/edit","next":"`milepost resume paused` goes on at `fix#2/edit`"},"at":"2023-11-14T22:13:20.000000000Z"},"started_at":"2023-11-14T22:13:20.000000000Z","recoveries":0,"steps":3}}');
INSERT INTO checkpoint (key, run, part, body) VALUES (6, 2, 'step/edit', '{"format":1,"body":{"path":"fix#2/edit","phase":{"phase":"paused","pause":{"code":"quota","reason":"quota happened"},"retries_exhausted":false},"attempts":1,"failures":0,"started_at":"2023-11-14T22:13:20.000000000Z","previous":{"result":{"result":"completed","output":{"inline":{"at":"fix#1/edit"}}},"at":"2023-11-14T22:13:20.000000000Z"}}}');
INSERT INTO checkpoint (key, run, part, body) VALUES (7, 2, 'step/fix', '{"format":1,"body":{"path":"fix","phase":{"phase":"looping","iteration":2,"condition_met":null},"attempts":0,"failures":0,"started_at":"2023-11-14T22:13:20.000000000Z"}}');
INSERT INTO checkpoint (key, run, part, body) VALUES (8, 2, 'created', '{"format":1,"body":{"created":{"run":"paused","workflow":"test","definition":"sha256:3f4f48a676ea726ab4bea9b69bffea8402e860427573d2221ec1b8867b12452d","file":"/some/workflows/test.toml","plugins":{"p":"sha256:909ef3d0cc91ac75f8a64c217ebd52602338ee08e2dfba047df58f659dc875d5"},"inputs":{"inline":{}},"seed":2873154573984368},"created_at":"2023-11-14T22:13:20.000000000Z"}}');
INSERT INTO checkpoint (key, run, part, body) VALUES (9, 2, 'step/check', '{"format":1,"body":{"path":"fix#1/check","phase":{"phase":"settled","result":{"result":"completed","output":{"inline":{"good":false}}},"at":"2023-11-14T22:13:20.000000000Z"},"attempts":1,"failures":0,"started_at":"2023-11-14T22:13:20.000000000Z"}}');
INSERT INTO checkpoint (key, run, part, body) VALUES (10, 3, 'run', '{"format":1,"body":{"binding":{"definition":"sha256:17129d498364d93681ae510f2dc5edde13858ea31bca53f38dbfc4f1126fc122","plugins":{"p":"sha256:909ef3d0cc91ac75f8a64c217ebd52602338ee08e2dfba047df58f659dc875d5"}},"phase":{"status":"failed","stop":{"code":"step_failed","message":"`broken` failed (broken): broken happened","path":"broken","next":"nothing by itself; mend the cause, then `milepost resume failed` runs the failed steps again"},"at":"2023-11-14T22:13:20.000000000Z"},"started_at":"2023-11-14T22:13:20.000000000Z","recoveries":0,"steps":2}}');
INSERT INTO checkpoint (key, run, part, body) VALUES (11, 3, 'step/big', '{"format":1,"body":{"path":"big","phase":{"phase":"settled","result":{"result":"completed","output":{"blob":"sha256:e03d9e85eec7bdc57d99d7347dc8df60e467ba0bcf8d242db601ce4c6c01798a","bytes":20002}},"at":"2023-11-14T22:13:20.000000000Z"},"attempts":1,"failures":0,"started_at":"2023-11-14T22:13:20.000000000Z"}}');
INSERT INTO checkpoint (key, run, part, body) VALUES (12, 3, 'created', '{"format":1,"body":{"created":{"run":"failed","workflow":"test","definition":"sha256:17129d498364d93681ae510f2dc5edde13858ea31bca53f38dbfc4f1126fc122","file":"/some/workflows/test.toml","plugins":{"p":"sha256:909ef3d0cc91ac75f8a64c217ebd52602338ee08e2dfba047df58f659dc875d5"},"inputs":{"inline":{}},"seed":6419323084736628},"created_at":"2023-11-14T22:13:20.000000000Z"}}');
INSERT INTO checkpoint (key, run, part, body) VALUES (13, 3, 'step/broken', '{"format":1,"body":{"path":"broken","phase":{"phase":"settled","result":{"result":"failed","error":{"class":"failed","code":"broken","message":"broken happened"}},"at":"2023-11-14T22:13:20.000000000Z"},"attempts":1,"failures":0,"started_at":"2023-11-14T22:13:20.000000000Z"}}');
INSERT INTO checkpoint (key, run, part, body) VALUES (14, 4, 'run', '{"format":1,"body":{"binding":{"definition":"sha256:6aa3ac8a7b65e2e78171d9c041ba509a56d1e34800c8f77ffd50cc3f84272cb7","plugins":{"p":"sha256:909ef3d0cc91ac75f8a64c217ebd52602338ee08e2dfba047df58f659dc875d5"}},"phase":{"status":"running"},"started_at":"2023-11-14T22:13:20.000000000Z","recoveries":0,"steps":2}}');
INSERT INTO checkpoint (key, run, part, body) VALUES (15, 4, 'step/big', '{"format":1,"body":{"path":"big","phase":{"phase":"settled","result":{"result":"completed","output":{"blob":"sha256:e03d9e85eec7bdc57d99d7347dc8df60e467ba0bcf8d242db601ce4c6c01798a","bytes":20002}},"at":"2023-11-14T22:13:20.000000000Z"},"attempts":1,"failures":0,"started_at":"2023-11-14T22:13:20.000000000Z"}}');
INSERT INTO checkpoint (key, run, part, body) VALUES (16, 4, 'created', '{"format":1,"body":{"created":{"run":"lost","workflow":"test","definition":"sha256:6aa3ac8a7b65e2e78171d9c041ba509a56d1e34800c8f77ffd50cc3f84272cb7","file":"/some/workflows/test.toml","plugins":{"p":"sha256:909ef3d0cc91ac75f8a64c217ebd52602338ee08e2dfba047df58f659dc875d5"},"inputs":{"inline":{}},"seed":4703951949151599},"created_at":"2023-11-14T22:13:20.000000000Z"}}');
INSERT INTO checkpoint (key, run, part, body) VALUES (17, 4, 'step/slow', '{"format":1,"body":{"path":"slow","phase":{"phase":"in_flight","since":"2023-11-14T22:13:20.000000000Z"},"attempts":1,"failures":0,"started_at":"2023-11-14T22:13:20.000000000Z"}}');
INSERT INTO log (position, run, at, path, attempt, body) VALUES (1, 1, 0, 'big', 1, '{"at":"1970-01-01T00:00:00.000000000Z","level":"info","message":"big, attempt 1"}');
INSERT INTO log (position, run, at, path, attempt, body) VALUES (2, 1, 0, 'last', 1, '{"at":"1970-01-01T00:00:00.000000000Z","level":"info","message":"last, attempt 1"}');
INSERT INTO log (position, run, at, path, attempt, body) VALUES (3, 2, 0, 'fix#1/edit', 1, '{"at":"1970-01-01T00:00:00.000000000Z","level":"info","message":"fix#1/edit, attempt 1"}');
INSERT INTO log (position, run, at, path, attempt, body) VALUES (4, 2, 0, 'fix#1/check', 1, '{"at":"1970-01-01T00:00:00.000000000Z","level":"info","message":"fix#1/check, attempt 1"}');
INSERT INTO log (position, run, at, path, attempt, body) VALUES (5, 2, 0, 'fix#2/edit', 1, '{"at":"1970-01-01T00:00:00.000000000Z","level":"info","message":"fix#2/edit, attempt 1"}');
INSERT INTO log (position, run, at, path, attempt, body) VALUES (6, 3, 0, 'big', 1, '{"at":"1970-01-01T00:00:00.000000000Z","level":"info","message":"big, attempt 1"}');
INSERT INTO log (position, run, at, path, attempt, body) VALUES (7, 3, 0, 'broken', 1, '{"at":"1970-01-01T00:00:00.000000000Z","level":"info","message":"broken, attempt 1"}');
INSERT INTO log (position, run, at, path, attempt, body) VALUES (8, 4, 0, 'big', 1, '{"at":"1970-01-01T00:00:00.000000000Z","level":"info","message":"big, attempt 1"}');
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
