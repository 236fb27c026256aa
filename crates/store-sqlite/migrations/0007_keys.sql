-- Data keys have versions, so that they can be exchanged while everybody works. They take the place of the vault.
CREATE TABLE data_keys (
    version INTEGER PRIMARY KEY NOT NULL CONSTRAINT data_keys_version_positive CHECK (version > 0), -- The greatest seals.
    sealed BLOB NOT NULL, -- The id of a master key, a colon, and the data key sealed under it.
    created_at INTEGER NOT NULL, -- Of the first one in an older database: when it got this table.
    completed_at INTEGER, -- When everything was sealed under it, or a newer one; NULL while older secrets still are to be.
    retired_at INTEGER -- Since when nothing has been sealed under it.
);
INSERT INTO data_keys (version, sealed, created_at, completed_at)
SELECT 1, data_key, CAST(unixepoch('subsec') * 1000 AS INTEGER), CAST(unixepoch('subsec') * 1000 AS INTEGER) FROM vault;
DROP TABLE vault;

-- Revisions that share their passwords are sealed anew together.
CREATE INDEX profile_revisions_by_secrets ON profile_revisions (secrets_id) WHERE secrets_id IS NOT NULL;
