-- What people did by hand. Texts stand here exactly as they were hashed; docs/audit.md says how.
CREATE TABLE audit (
    number INTEGER PRIMARY KEY CONSTRAINT audit_counts_from_one CHECK (number > 0), -- One more than the one before.
    at INTEGER NOT NULL,
    actor TEXT NOT NULL,
    action TEXT NOT NULL, -- Like server.paused.
    object_kind TEXT NOT NULL,
    object_name TEXT NOT NULL,
    "before" TEXT, -- A JSON object, without secrets.
    "after" TEXT, -- A JSON object, without secrets.
    reason TEXT,
    request TEXT NOT NULL, -- The run of the command, or the request, that it was part of.
    hash TEXT NOT NULL -- Over the entry and the hash of the one before.
);
CREATE INDEX audit_by_object ON audit (object_name, number);
CREATE INDEX audit_by_time ON audit (at, number);

-- The end of the chain: that of the last entry, or how it begins.
CREATE TABLE audit_head (
    id INTEGER PRIMARY KEY CONSTRAINT audit_head_has_one_row CHECK (id = 1),
    number INTEGER NOT NULL,
    hash TEXT NOT NULL
);
INSERT INTO audit_head (id, number, hash)
VALUES (1, 0, '0000000000000000000000000000000000000000000000000000000000000000');

CREATE TRIGGER audit_is_not_changed BEFORE UPDATE ON audit
BEGIN
    SELECT RAISE(ABORT, 'entries of the audit are never changed');
END;
CREATE TRIGGER audit_is_not_deleted BEFORE DELETE ON audit
BEGIN
    SELECT RAISE(ABORT, 'entries of the audit are never deleted');
END;
-- INSERT OR REPLACE deletes without the trigger above.
CREATE TRIGGER audit_is_not_replaced BEFORE INSERT ON audit
WHEN EXISTS (SELECT 1 FROM audit WHERE number = NEW.number)
BEGIN
    SELECT RAISE(ABORT, 'entries of the audit are never replaced');
END;
CREATE TRIGGER audit_head_goes_forward BEFORE UPDATE ON audit_head
WHEN NEW.number <= OLD.number
BEGIN
    SELECT RAISE(ABORT, 'the head of the audit only goes forward');
END;
CREATE TRIGGER audit_head_is_not_deleted BEFORE DELETE ON audit_head
BEGIN
    SELECT RAISE(ABORT, 'the head of the audit is never deleted');
END;
