-- Data keys have versions, so that they can be exchanged while everybody works. They take the place of the vault.
CREATE TABLE data_keys (
    version bigint PRIMARY KEY CONSTRAINT data_keys_version_positive CHECK (version > 0),
    sealed bytea NOT NULL,
    created_at timestamptz NOT NULL,
    completed_at timestamptz,
    retired_at timestamptz
);
INSERT INTO data_keys (version, sealed, created_at, completed_at)
SELECT 1, data_key, date_trunc('milliseconds', now()), date_trunc('milliseconds', now()) FROM vault;
DROP TABLE vault;
COMMENT ON TABLE data_keys IS 'The keys that seal the secrets of this database.';
COMMENT ON COLUMN data_keys.version IS 'The greatest seals.';
COMMENT ON COLUMN data_keys.sealed IS 'The id of a master key, a colon, and the data key sealed under it.';
COMMENT ON COLUMN data_keys.created_at IS 'Of the first one in an older database: when it got this table.';
COMMENT ON COLUMN data_keys.completed_at IS 'When everything was sealed under it, or a newer one; NULL while older secrets still are to be.';
COMMENT ON COLUMN data_keys.retired_at IS 'Since when nothing has been sealed under it.';

-- Revisions that share their passwords are sealed anew together.
CREATE INDEX profile_revisions_by_secrets ON profile_revisions (secrets_id) WHERE secrets_id IS NOT NULL;
