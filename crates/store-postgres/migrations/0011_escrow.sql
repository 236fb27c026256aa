CREATE TABLE escrow (
    id uuid PRIMARY KEY,
    server_id bigint NOT NULL REFERENCES mdm_servers (id),
    serial text NOT NULL,
    kind text NOT NULL CONSTRAINT escrow_kind_known CHECK (kind IN ('bypass_code', 'admin_password')),
    secret bytea NOT NULL,
    state text NOT NULL CONSTRAINT escrow_state_known CHECK (state IN ('escrowed', 'active', 'refused', 'replaced')),
    detail text NOT NULL,
    created_at timestamptz NOT NULL,
    created_by text NOT NULL,
    since timestamptz NOT NULL,
    viewed_at timestamptz,
    rotate_at timestamptz
);
CREATE INDEX escrow_of_device ON escrow (serial, kind, id);
CREATE INDEX escrow_to_rotate ON escrow (rotate_at) WHERE rotate_at IS NOT NULL AND state IN ('escrowed', 'active');
CREATE UNIQUE INDEX escrow_one_active ON escrow (server_id, serial, kind) WHERE state = 'active';
COMMENT ON TABLE escrow IS 'Secrets of devices that a person may need one day: bypass codes of activation lock, passwords of managed administrators. They are kept before anybody is told of them, and never deleted.';
COMMENT ON COLUMN escrow.id IS 'In the order of time; the seal of secret is bound to it.';
COMMENT ON COLUMN escrow.serial IS 'Its device may be deleted by age; the secret stays.';
COMMENT ON COLUMN escrow.secret IS 'Sealed.';
COMMENT ON COLUMN escrow.detail IS 'Why it stands there, for people.';
COMMENT ON COLUMN escrow.since IS 'Since when it has stood there.';
COMMENT ON COLUMN escrow.viewed_at IS 'When somebody last looked at it.';
COMMENT ON COLUMN escrow.rotate_at IS 'When another is to take its place.';
COMMENT ON INDEX escrow_one_active IS 'Two at once would leave nobody knowing which is the one.';
