PRAGMA application_id = 1836086132;
PRAGMA user_version = 8;
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
    auto_resumes INTEGER NOT NULL DEFAULT 0, provider TEXT, awaits TEXT NOT NULL DEFAULT '[]', request TEXT, requested_at INTEGER, requested_by TEXT, detached_at INTEGER, now TEXT, stored_bytes INTEGER NOT NULL DEFAULT 0, parent TEXT) STRICT;
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
) STRICT;
CREATE TABLE item (
    position INTEGER PRIMARY KEY,
    bucket INTEGER NOT NULL REFERENCES bucket (key) ON DELETE CASCADE,
    key TEXT NOT NULL,
    revision INTEGER NOT NULL,
    value BLOB
) STRICT;
CREATE UNIQUE INDEX item_by_key ON item (bucket, key);
INSERT INTO bucket (key, name, bytes) VALUES (1, 'rates', 27);
INSERT INTO bucket (key, name, bytes) VALUES (2, 'seen', 2);
INSERT INTO bucket (key, name, bytes) VALUES (3, 'empty', 4);
INSERT INTO bucket (key, name, bytes) VALUES (4, 'bytes', 5);
INSERT INTO item (position, bucket, key, revision, value) VALUES (1, 1, 'EUR', 2, CAST('1.09' AS BLOB));
INSERT INTO item (position, bucket, key, revision, value) VALUES (2, 1, 'USD', 4, NULL);
INSERT INTO item (position, bucket, key, revision, value) VALUES (3, 1, 'gone', 2, NULL);
INSERT INTO item (position, bucket, key, revision, value) VALUES (4, 1, 'ü "1"', 1, CAST('it''s ü' AS BLOB));
INSERT INTO item (position, bucket, key, revision, value) VALUES (5, 2, 'a', 2, NULL);
INSERT INTO item (position, bucket, key, revision, value) VALUES (6, 2, 'b', 4, NULL);
INSERT INTO item (position, bucket, key, revision, value) VALUES (7, 3, 'only', 1, CAST('' AS BLOB));
INSERT INTO item (position, bucket, key, revision, value) VALUES (8, 4, 'raw', 1, x'00ff');
