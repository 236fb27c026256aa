-- The logical schema is the same in both drivers. Moments are kept in whole milliseconds.
-- Texts that programs compare or page by are COLLATE "C", so that the order is the same on every machine.

CREATE TABLE vault (
    id smallint PRIMARY KEY DEFAULT 1 CONSTRAINT vault_has_one_row CHECK (id = 1),
    data_key bytea NOT NULL
);
COMMENT ON TABLE vault IS 'The key that seals every secret of this database. One row.';
COMMENT ON COLUMN vault.data_key IS 'The data key, sealed under a master key that is not in the database.';

CREATE TABLE mdm_servers (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text COLLATE "C" NOT NULL CONSTRAINT mdm_servers_name_unique UNIQUE,
    base_url text NOT NULL,
    paused boolean NOT NULL,
    created_at timestamptz NOT NULL,
    sync_settings jsonb NOT NULL DEFAULT '{}',
    token_state text NOT NULL DEFAULT 'none' CONSTRAINT mdm_servers_token_state_known CHECK (token_state IN (
        'none', 'valid', 'expiring', 'expired', 'rejected', 'superseded', 'terms_not_signed', 'unreachable')),
    token_detail text,
    token_since timestamptz,
    account jsonb,
    last_full_at timestamptz,
    last_sync_at timestamptz,
    next_sync_at timestamptz,
    failures integer NOT NULL DEFAULT 0 CONSTRAINT mdm_servers_failures_counted CHECK (failures >= 0),
    last_error text,
    wait_until timestamptz,
    attention text,
    delta_cursor text,
    full_generation bigint,
    full_phase text CONSTRAINT mdm_servers_full_phase_known CHECK (full_phase IN ('fetch', 'sync')),
    fetch_cursor text,
    stuck integer NOT NULL DEFAULT 0 CONSTRAINT mdm_servers_stuck_counted CHECK (stuck >= 0),
    decide_after text COLLATE "C",
    lease_owner text,
    lease_epoch bigint NOT NULL DEFAULT 0,
    lease_expires_at timestamptz,
    CONSTRAINT mdm_servers_full_whole CHECK ((full_generation IS NULL) = (full_phase IS NULL)),
    CONSTRAINT mdm_servers_fetch_cursor_in_fetch CHECK (fetch_cursor IS NULL OR full_phase = 'fetch'),
    CONSTRAINT mdm_servers_lease_whole CHECK ((lease_owner IS NULL) = (lease_expires_at IS NULL))
);
COMMENT ON TABLE mdm_servers IS 'MDM servers as Apple''s portal knows them, each with its settings, sync position and lease.';
COMMENT ON COLUMN mdm_servers.name IS 'The administrator''s name for it.';
COMMENT ON COLUMN mdm_servers.base_url IS 'Where Apple, or a simulator, answers for it.';
COMMENT ON COLUMN mdm_servers.paused IS 'Neither synced nor assigned by itself.';
COMMENT ON COLUMN mdm_servers.sync_settings IS 'Its own sync settings; what is absent follows the defaults.';
COMMENT ON COLUMN mdm_servers.token_state IS 'How its server token stands, as last seen.';
COMMENT ON COLUMN mdm_servers.token_detail IS 'Apple''s word or the cause of token_state, for people.';
COMMENT ON COLUMN mdm_servers.token_since IS 'Since when token_state has been so.';
COMMENT ON COLUMN mdm_servers.account IS 'What Apple says of the account behind the token; NULL until it was asked.';
COMMENT ON COLUMN mdm_servers.last_full_at IS 'When the last full sync ended well; NULL until the first import is complete.';
COMMENT ON COLUMN mdm_servers.last_sync_at IS 'When the last sync of any kind ended well.';
COMMENT ON COLUMN mdm_servers.next_sync_at IS 'When the next scheduled sync is due; NULL is at once.';
COMMENT ON COLUMN mdm_servers.failures IS 'Failed runs since the last good one.';
COMMENT ON COLUMN mdm_servers.last_error IS 'Why the last run failed; NULL after a good one.';
COMMENT ON COLUMN mdm_servers.wait_until IS 'Apple has asked to be left alone until then.';
COMMENT ON COLUMN mdm_servers.attention IS 'What waits for an operator''s word.';
COMMENT ON COLUMN mdm_servers.delta_cursor IS 'Apple''s cursor from which the next delta sync starts.';
COMMENT ON COLUMN mdm_servers.full_generation IS 'The run that began the full sync under way; stamped on the devices it sees.';
COMMENT ON COLUMN mdm_servers.full_phase IS 'fetch while listing, sync once only the rest of the changes is missing; NULL when no full sync is under way.';
COMMENT ON COLUMN mdm_servers.fetch_cursor IS 'Apple''s cursor inside the listing; NULL at its start.';
COMMENT ON COLUMN mdm_servers.stuck IS 'Syncs in a row that Apple ended with the cursor it was sent.';
COMMENT ON COLUMN mdm_servers.decide_after IS 'The serial number up to which devices were decided anew after a change of defaults; empty before the first, NULL when none waits.';
COMMENT ON COLUMN mdm_servers.lease_owner IS 'The process that works on this MDM server.';
COMMENT ON COLUMN mdm_servers.lease_epoch IS 'Grows with every new holder; writes under an older epoch are refused.';
COMMENT ON COLUMN mdm_servers.lease_expires_at IS 'After this moment, by the database''s clock, anybody may take the lease.';

CREATE TABLE token_keys (
    id uuid PRIMARY KEY,
    server_id bigint NOT NULL REFERENCES mdm_servers (id),
    certificate bytea NOT NULL,
    private_key bytea NOT NULL,
    created_at timestamptz NOT NULL
);
CREATE INDEX token_keys_by_server ON token_keys (server_id, created_at);
COMMENT ON TABLE token_keys IS 'Key pairs whose certificates are uploaded to Apple, which encrypts server tokens to them.';
COMMENT ON COLUMN token_keys.certificate IS 'X.509, DER.';
COMMENT ON COLUMN token_keys.private_key IS 'PKCS #8 DER, sealed.';

CREATE TABLE server_tokens (
    id uuid PRIMARY KEY,
    server_id bigint NOT NULL REFERENCES mdm_servers (id),
    key_id uuid NOT NULL REFERENCES token_keys (id),
    consumer_key text NOT NULL,
    secrets bytea NOT NULL,
    expires_at timestamptz NOT NULL,
    imported_at timestamptz NOT NULL,
    is_current boolean NOT NULL
);
CREATE UNIQUE INDEX server_tokens_one_current ON server_tokens (server_id) WHERE is_current;
COMMENT ON TABLE server_tokens IS 'Server tokens (OAuth 1.0a credentials) as imported; renewed ones stay for the record.';
COMMENT ON COLUMN server_tokens.key_id IS 'The token key that opened it.';
COMMENT ON COLUMN server_tokens.consumer_key IS 'Identifies the MDM server at Apple; no secret.';
COMMENT ON COLUMN server_tokens.secrets IS 'Consumer secret, access token and access secret, sealed together.';
COMMENT ON COLUMN server_tokens.expires_at IS 'After this moment Apple refuses it.';
COMMENT ON COLUMN server_tokens.is_current IS 'The one in use; at most one per MDM server.';

CREATE TABLE profiles (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text COLLATE "C" NOT NULL CONSTRAINT profiles_name_unique UNIQUE,
    created_at timestamptz NOT NULL
);
COMMENT ON TABLE profiles IS 'Enrollment profiles: a name with revisions.';

CREATE TABLE profile_revisions (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    profile_id bigint NOT NULL REFERENCES profiles (id),
    number integer NOT NULL CONSTRAINT profile_revisions_number_positive CHECK (number > 0),
    content jsonb NOT NULL CONSTRAINT profile_revisions_content_object CHECK (jsonb_typeof(content) = 'object'),
    content_hash text NOT NULL,
    created_at timestamptz NOT NULL,
    CONSTRAINT profile_revisions_number_unique UNIQUE (profile_id, number)
);
COMMENT ON TABLE profile_revisions IS 'Immutable revisions of enrollment profiles.';
COMMENT ON COLUMN profile_revisions.number IS '1 for the first revision of its profile.';
COMMENT ON COLUMN profile_revisions.content IS 'What Apple receives.';
COMMENT ON COLUMN profile_revisions.content_hash IS 'Hash of the content, hex.';

CREATE TABLE published_profiles (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    server_id bigint NOT NULL REFERENCES mdm_servers (id),
    revision_id bigint NOT NULL REFERENCES profile_revisions (id),
    profile_uuid text,
    error text,
    next_attempt_at timestamptz,
    at timestamptz NOT NULL,
    CONSTRAINT published_profiles_once UNIQUE (server_id, revision_id)
);
CREATE INDEX published_profiles_by_revision ON published_profiles (revision_id);
COMMENT ON TABLE published_profiles IS 'What Apple has of each revision, per MDM server.';
COMMENT ON COLUMN published_profiles.profile_uuid IS 'Apple''s name of it; NULL until Apple took it.';
COMMENT ON COLUMN published_profiles.error IS 'Why Apple did not take it, with what to do.';
COMMENT ON COLUMN published_profiles.next_attempt_at IS 'When it is tried again after an error.';
COMMENT ON COLUMN published_profiles.at IS 'When it was defined or last tried.';

CREATE TABLE server_defaults (
    server_id bigint NOT NULL REFERENCES mdm_servers (id),
    scope text COLLATE "C" NOT NULL,
    profile_id bigint NOT NULL REFERENCES profiles (id),
    PRIMARY KEY (server_id, scope)
);
COMMENT ON TABLE server_defaults IS 'Default profiles of MDM servers. Devices get the newest revision.';
COMMENT ON COLUMN server_defaults.scope IS 'For which devices: a device family, or any.';

CREATE TABLE devices (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    server_id bigint NOT NULL REFERENCES mdm_servers (id),
    serial text COLLATE "C" NOT NULL,
    model text,
    description text,
    color text,
    asset_tag text,
    device_family text,
    os text,
    profile_status text,
    profile_uuid text,
    profile_assign_time timestamptz,
    profile_push_time timestamptz,
    device_assigned_by text,
    device_assigned_date timestamptz,
    mdm_migration_deadline timestamptz,
    extra jsonb NOT NULL CONSTRAINT devices_extra_object CHECK (jsonb_typeof(extra) = 'object'),
    op_date timestamptz,
    first_seen_at timestamptz NOT NULL,
    last_seen_at timestamptz NOT NULL,
    seen_run bigint NOT NULL,
    removed_at timestamptz,
    assign_state text NOT NULL CONSTRAINT devices_assign_state_known CHECK (assign_state IN (
        'unmatched', 'held', 'due', 'sent', 'assigned', 'pushed', 'throttled', 'failed', 'not_accessible',
        'drifted', 'removed')),
    assign_reason text NOT NULL,
    attempts integer NOT NULL CONSTRAINT devices_attempts_counted CHECK (attempts >= 0),
    next_attempt_at timestamptz,
    wanted_revision_id bigint,
    sent_epoch bigint NOT NULL DEFAULT 0,
    CONSTRAINT devices_serial_unique UNIQUE (server_id, serial),
    CONSTRAINT devices_removed_is_a_state CHECK ((removed_at IS NOT NULL) = (assign_state = 'removed')),
    CONSTRAINT devices_due_for_something CHECK (
        assign_state NOT IN ('due', 'sent', 'throttled', 'failed') OR wanted_revision_id IS NOT NULL),
    CONSTRAINT devices_due_at_some_time CHECK (assign_state NOT IN ('due', 'sent') OR next_attempt_at IS NOT NULL)
    -- Room for new versions of a row beside the old one: being seen again then touches no index.
) WITH (fillfactor = 85, autovacuum_vacuum_scale_factor = 0.05, autovacuum_analyze_scale_factor = 0.05);
CREATE INDEX devices_by_serial ON devices (serial);
CREATE INDEX devices_to_assign ON devices (server_id, wanted_revision_id, next_attempt_at)
    WHERE assign_state IN ('due', 'throttled', 'failed');
CREATE INDEX devices_to_read_back ON devices (server_id, next_attempt_at)
    WHERE assign_state IN ('sent', 'drifted', 'not_accessible');
COMMENT ON TABLE devices IS 'One row per serial number and MDM server: what Apple says, and the way to the wanted profile. Removed devices stay as tombstones.';
COMMENT ON COLUMN devices.profile_status IS 'Apple''s word on its profile: empty, assigned, pushed, removed, or a newer one.';
COMMENT ON COLUMN devices.profile_uuid IS 'The profile that Apple shows, whatever the status says of it.';
COMMENT ON COLUMN devices.device_assigned_by IS 'Who gave it to the MDM server; -1 for an automatic assignment.';
COMMENT ON COLUMN devices.device_assigned_date IS 'When it was given to the MDM server.';
COMMENT ON COLUMN devices.mdm_migration_deadline IS 'Until when it must have moved from another management service.';
COMMENT ON COLUMN devices.extra IS 'Whatever else Apple sent.';
COMMENT ON COLUMN devices.op_date IS 'The newest op_date folded in; older events are ignored.';
COMMENT ON COLUMN devices.last_seen_at IS 'When Apple last listed it or told of it.';
COMMENT ON COLUMN devices.seen_run IS 'The run or full-sync generation that saw it last; No foreign key, because runs are deleted by age.';
COMMENT ON COLUMN devices.removed_at IS 'When it left.';
COMMENT ON COLUMN devices.assign_reason IS 'Why it stands there, for people; empty when the state says it all.';
COMMENT ON COLUMN devices.attempts IS 'Requests sent for the wanted profile since it last was as wanted.';
COMMENT ON COLUMN devices.next_attempt_at IS 'When it is worked on next; NULL is not until something changes.';
COMMENT ON COLUMN devices.wanted_revision_id IS 'The revision that the defaults give it. No foreign key: it is decided from revisions in the same transaction, and the check would cost every insert.';
COMMENT ON COLUMN devices.sent_epoch IS 'The lease epoch under which it was last sent; 0 for never.';

CREATE TABLE sync_runs (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    server_id bigint NOT NULL REFERENCES mdm_servers (id),
    kind text NOT NULL CONSTRAINT sync_runs_kind_known CHECK (kind IN ('delta', 'full')),
    trigger text NOT NULL CONSTRAINT sync_runs_trigger_known CHECK (
        trigger IN ('schedule', 'manual', 'forced', 'recovery')),
    started_at timestamptz NOT NULL,
    finished_at timestamptz,
    outcome text NOT NULL CONSTRAINT sync_runs_outcome_known CHECK (outcome IN ('running', 'done', 'failed')),
    error text,
    pages bigint NOT NULL DEFAULT 0,
    records bigint NOT NULL DEFAULT 0,
    added bigint NOT NULL DEFAULT 0,
    modified bigint NOT NULL DEFAULT 0,
    removed bigint NOT NULL DEFAULT 0,
    epoch bigint NOT NULL,
    CONSTRAINT sync_runs_finished_when_ended CHECK ((finished_at IS NULL) = (outcome = 'running'))
);
CREATE INDEX sync_runs_by_server ON sync_runs (server_id, id);
CREATE INDEX sync_runs_running ON sync_runs (server_id) WHERE outcome = 'running';
COMMENT ON TABLE sync_runs IS 'Runs of syncs, with what they counted.';
COMMENT ON COLUMN sync_runs.trigger IS 'Who or what asked for it.';
COMMENT ON COLUMN sync_runs.error IS 'What went wrong and what to do, when it failed.';
COMMENT ON COLUMN sync_runs.pages IS 'Pages stored.';
COMMENT ON COLUMN sync_runs.records IS 'Device records in those pages, repeats included.';
COMMENT ON COLUMN sync_runs.added IS 'Devices that were new or came back.';
COMMENT ON COLUMN sync_runs.modified IS 'Devices of which a fact changed.';
COMMENT ON COLUMN sync_runs.removed IS 'Devices that left.';
COMMENT ON COLUMN sync_runs.epoch IS 'The lease epoch under which it began.';

CREATE TABLE events (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    server_id bigint NOT NULL REFERENCES mdm_servers (id),
    serial text COLLATE "C",
    kind text NOT NULL,
    at timestamptz NOT NULL,
    run_id bigint,
    data jsonb NOT NULL
);
COMMENT ON TABLE events IS 'What happened, written in the transaction that made it happen.';
COMMENT ON COLUMN events.serial IS 'The device it is about; NULL when it is about several.';
COMMENT ON COLUMN events.kind IS 'Like device.added.';
COMMENT ON COLUMN events.run_id IS 'The run that found it. No foreign key, because runs are deleted by age.';
