-- What people did by hand. Texts stand here exactly as they were hashed, which jsonb would not keep; docs/audit.md says
-- how.
CREATE TABLE audit (
    number bigint PRIMARY KEY CONSTRAINT audit_counts_from_one CHECK (number > 0),
    at timestamptz NOT NULL,
    actor text NOT NULL,
    action text NOT NULL,
    object_kind text NOT NULL,
    object_name text NOT NULL,
    "before" text,
    "after" text,
    reason text,
    request text NOT NULL,
    hash text NOT NULL
);
CREATE INDEX audit_by_object ON audit (object_name, number);
CREATE INDEX audit_by_time ON audit (at, number);
COMMENT ON TABLE audit IS 'What people did by hand, as a chain of hashes.';
COMMENT ON COLUMN audit.number IS 'One more than that of the entry before.';
COMMENT ON COLUMN audit.action IS 'Like server.paused.';
COMMENT ON COLUMN audit."before" IS 'How it was: a JSON object, without secrets.';
COMMENT ON COLUMN audit."after" IS 'How it is: a JSON object, without secrets.';
COMMENT ON COLUMN audit.reason IS 'Why, in their words.';
COMMENT ON COLUMN audit.request IS 'The run of the command, or the request, that it was part of.';
COMMENT ON COLUMN audit.hash IS 'Over the entry and the hash of the one before.';

CREATE TABLE audit_head (
    id integer PRIMARY KEY CONSTRAINT audit_head_has_one_row CHECK (id = 1),
    number bigint NOT NULL,
    hash text NOT NULL
);
COMMENT ON TABLE audit_head IS 'The end of the chain. Whoever writes an entry locks it, last of all that a transaction locks.';
INSERT INTO audit_head (id, number, hash)
VALUES (1, 0, '0000000000000000000000000000000000000000000000000000000000000000');

CREATE FUNCTION audit_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the audit is never changed, only added to' USING ERRCODE = 'integrity_constraint_violation';
END
$$;
CREATE TRIGGER audit_is_not_changed BEFORE UPDATE OR DELETE ON audit
    FOR EACH ROW EXECUTE FUNCTION audit_refuse();
CREATE TRIGGER audit_is_not_emptied BEFORE TRUNCATE ON audit
    FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse();
CREATE TRIGGER audit_head_goes_forward BEFORE UPDATE ON audit_head
    FOR EACH ROW WHEN (NEW.number <= OLD.number) EXECUTE FUNCTION audit_refuse();
CREATE TRIGGER audit_head_is_not_deleted BEFORE DELETE ON audit_head
    FOR EACH ROW EXECUTE FUNCTION audit_refuse();
CREATE TRIGGER audit_head_is_not_emptied BEFORE TRUNCATE ON audit_head
    FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse();
