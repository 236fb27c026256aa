-- Secrets of devices that a person may need one day: bypass codes of activation lock, passwords of managed administrators.
-- They are kept before anybody is told of them, and never deleted.
CREATE TABLE escrow (
    id BLOB PRIMARY KEY NOT NULL, -- A UUID in the order of time; the seal of secret is bound to it.
    server_id INTEGER NOT NULL REFERENCES mdm_servers (id),
    serial TEXT NOT NULL, -- Its device may be deleted by age; the secret stays.
    kind TEXT NOT NULL CONSTRAINT escrow_kind_known CHECK (kind IN ('bypass_code', 'admin_password')),
    secret BLOB NOT NULL, -- Sealed.
    state TEXT NOT NULL CONSTRAINT escrow_state_known CHECK (state IN ('escrowed', 'active', 'refused', 'replaced')),
    detail TEXT NOT NULL, -- Why it stands there, for people.
    created_at INTEGER NOT NULL,
    created_by TEXT NOT NULL,
    since INTEGER NOT NULL, -- Since when it has stood there.
    viewed_at INTEGER, -- When somebody last looked at it.
    rotate_at INTEGER -- When another is to take its place.
);
CREATE INDEX escrow_of_device ON escrow (serial, kind, id);
CREATE INDEX escrow_to_rotate ON escrow (rotate_at) WHERE rotate_at IS NOT NULL AND state IN ('escrowed', 'active');
-- Two at once would leave nobody knowing which is the one.
CREATE UNIQUE INDEX escrow_one_active ON escrow (server_id, serial, kind) WHERE state = 'active';
