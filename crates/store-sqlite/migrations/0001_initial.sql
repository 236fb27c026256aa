-- The logical schema is the same in both drivers. Moments are milliseconds since 1970, UTC. Texts are compared
-- by bytes. All tables are ordinary rowid tables: WITHOUT ROWID made writing wide rows several times slower.

-- The key that seals every secret of this database. One row.
CREATE TABLE vault (
    id INTEGER PRIMARY KEY CONSTRAINT vault_has_one_row CHECK (id = 1),
    data_key BLOB NOT NULL -- The data key, sealed under a master key that is not in the database.
);

-- MDM servers as Apple's portal knows them, each with its settings, sync position and lease.
CREATE TABLE mdm_servers (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL CONSTRAINT mdm_servers_name_unique UNIQUE, -- The administrator's name for it.
    base_url TEXT NOT NULL, -- Where Apple, or a simulator, answers for it.
    paused INTEGER NOT NULL CONSTRAINT mdm_servers_paused_boolean CHECK (paused IN (0, 1)), -- Neither synced nor assigned by itself.
    created_at INTEGER NOT NULL,
    sync_settings TEXT NOT NULL DEFAULT '{}', -- JSON: its own sync settings; what is absent follows the defaults.
    -- How its server token stands, as last seen.
    token_state TEXT NOT NULL DEFAULT 'none' CONSTRAINT mdm_servers_token_state_known CHECK (token_state IN (
        'none', 'valid', 'expiring', 'expired', 'rejected', 'superseded', 'terms_not_signed', 'unreachable')),
    token_detail TEXT, -- Apple's word or the cause of token_state, for people.
    token_since INTEGER, -- Since when token_state has been so.
    account TEXT, -- JSON: what Apple says of the account behind the token; NULL until it was asked.
    last_full_at INTEGER, -- When the last full sync ended well; NULL until the first import is complete.
    last_sync_at INTEGER, -- When the last sync of any kind ended well.
    next_sync_at INTEGER, -- When the next scheduled sync is due; NULL is at once.
    failures INTEGER NOT NULL DEFAULT 0 CONSTRAINT mdm_servers_failures_counted CHECK (failures >= 0), -- Failed runs since the last good one.
    last_error TEXT, -- Why the last run failed; NULL after a good one.
    wait_until INTEGER, -- Apple has asked to be left alone until then.
    attention TEXT, -- What waits for an operator's word.
    delta_cursor TEXT, -- Apple's cursor from which the next delta sync starts.
    full_generation INTEGER, -- The run that began the full sync under way; stamped on the devices it sees.
    -- fetch while listing, sync once only the rest of the changes is missing; NULL when no full sync is under way.
    full_phase TEXT CONSTRAINT mdm_servers_full_phase_known CHECK (full_phase IN ('fetch', 'sync')),
    fetch_cursor TEXT, -- Apple's cursor inside the listing; NULL at its start.
    stuck INTEGER NOT NULL DEFAULT 0 CONSTRAINT mdm_servers_stuck_counted CHECK (stuck >= 0), -- Syncs in a row that Apple ended with the cursor it was sent.
    -- The serial number up to which devices were decided anew after a change of defaults; empty before the
    -- first, NULL when none waits.
    decide_after TEXT,
    lease_owner TEXT, -- The process that works on this MDM server.
    lease_epoch INTEGER NOT NULL DEFAULT 0, -- Grows with every new holder; writes under an older epoch are refused.
    lease_expires_at INTEGER, -- After this moment, by the database's clock, anybody may take the lease.
    CONSTRAINT mdm_servers_full_whole CHECK ((full_generation IS NULL) = (full_phase IS NULL)),
    CONSTRAINT mdm_servers_fetch_cursor_in_fetch CHECK (fetch_cursor IS NULL OR full_phase IS 'fetch'),
    CONSTRAINT mdm_servers_lease_whole CHECK ((lease_owner IS NULL) = (lease_expires_at IS NULL))
);

-- Key pairs whose certificates are uploaded to Apple, which encrypts server tokens to them.
CREATE TABLE token_keys (
    id BLOB PRIMARY KEY NOT NULL, -- A UUID; the seal of private_key is bound to it.
    server_id INTEGER NOT NULL REFERENCES mdm_servers (id),
    certificate BLOB NOT NULL, -- X.509, DER.
    private_key BLOB NOT NULL, -- PKCS #8 DER, sealed.
    created_at INTEGER NOT NULL
);
CREATE INDEX token_keys_by_server ON token_keys (server_id, created_at);

-- Server tokens (OAuth 1.0a credentials) as imported; renewed ones stay for the record.
CREATE TABLE server_tokens (
    id BLOB PRIMARY KEY NOT NULL, -- A UUID; the seal of secrets is bound to it.
    server_id INTEGER NOT NULL REFERENCES mdm_servers (id),
    key_id BLOB NOT NULL REFERENCES token_keys (id), -- The token key that opened it.
    consumer_key TEXT NOT NULL, -- Identifies the MDM server at Apple; no secret.
    secrets BLOB NOT NULL, -- Consumer secret, access token and access secret, sealed together.
    expires_at INTEGER NOT NULL, -- After this moment Apple refuses it.
    imported_at INTEGER NOT NULL,
    is_current INTEGER NOT NULL CONSTRAINT server_tokens_is_current_boolean CHECK (is_current IN (0, 1)) -- The one in use; at most one per MDM server.
);
CREATE UNIQUE INDEX server_tokens_one_current ON server_tokens (server_id) WHERE is_current = 1;

-- Enrollment profiles: a name with revisions.
CREATE TABLE profiles (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL CONSTRAINT profiles_name_unique UNIQUE,
    created_at INTEGER NOT NULL
);

-- Immutable revisions of enrollment profiles.
CREATE TABLE profile_revisions (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    profile_id INTEGER NOT NULL REFERENCES profiles (id),
    number INTEGER NOT NULL CONSTRAINT profile_revisions_number_positive CHECK (number > 0), -- 1 for the first revision of its profile.
    content TEXT NOT NULL CONSTRAINT profile_revisions_content_object CHECK (json_type(content) = 'object'), -- JSON: what Apple receives.
    content_hash TEXT NOT NULL, -- Hash of the content, hex.
    created_at INTEGER NOT NULL,
    CONSTRAINT profile_revisions_number_unique UNIQUE (profile_id, number)
);

-- What Apple has of each revision, per MDM server.
CREATE TABLE published_profiles (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    server_id INTEGER NOT NULL REFERENCES mdm_servers (id),
    revision_id INTEGER NOT NULL REFERENCES profile_revisions (id),
    profile_uuid TEXT, -- Apple's name of it; NULL until Apple took it.
    error TEXT, -- Why Apple did not take it, with what to do.
    next_attempt_at INTEGER, -- When it is tried again after an error.
    at INTEGER NOT NULL, -- When it was defined or last tried.
    CONSTRAINT published_profiles_once UNIQUE (server_id, revision_id)
);
CREATE INDEX published_profiles_by_revision ON published_profiles (revision_id);

-- Default profiles of MDM servers. Devices get the newest revision.
CREATE TABLE server_defaults (
    server_id INTEGER NOT NULL REFERENCES mdm_servers (id),
    scope TEXT NOT NULL, -- For which devices: a device family, or any.
    profile_id INTEGER NOT NULL REFERENCES profiles (id),
    CONSTRAINT server_defaults_once PRIMARY KEY (server_id, scope)
);

-- One row per serial number and MDM server: what Apple says, and the way to the wanted profile. Removed devices
-- stay as tombstones.
CREATE TABLE devices (
    id INTEGER PRIMARY KEY,
    server_id INTEGER NOT NULL REFERENCES mdm_servers (id),
    serial TEXT NOT NULL,
    model TEXT,
    description TEXT,
    color TEXT,
    asset_tag TEXT,
    device_family TEXT,
    os TEXT,
    profile_status TEXT, -- Apple's word on its profile: empty, assigned, pushed, removed, or a newer one.
    profile_uuid TEXT, -- The profile that Apple shows, whatever the status says of it.
    profile_assign_time INTEGER,
    profile_push_time INTEGER,
    device_assigned_by TEXT, -- Who gave it to the MDM server; -1 for an automatic assignment.
    device_assigned_date INTEGER, -- When it was given to the MDM server.
    mdm_migration_deadline INTEGER, -- Until when it must have moved from another management service.
    extra TEXT NOT NULL, -- A JSON object: whatever else Apple sent.
    op_date INTEGER, -- The newest op_date folded in; older events are ignored.
    first_seen_at INTEGER NOT NULL,
    last_seen_at INTEGER NOT NULL, -- When Apple last listed it or told of it.
    seen_run INTEGER NOT NULL, -- The run or full-sync generation that saw it last. No foreign key, because runs are deleted by age.
    removed_at INTEGER, -- When it left.
    assign_state TEXT NOT NULL CONSTRAINT devices_assign_state_known CHECK (assign_state IN (
        'unmatched', 'held', 'due', 'sent', 'assigned', 'pushed', 'throttled', 'failed', 'not_accessible',
        'drifted', 'removed')),
    assign_reason TEXT NOT NULL, -- Why it stands there, for people; empty when the state says it all.
    attempts INTEGER NOT NULL CONSTRAINT devices_attempts_counted CHECK (attempts >= 0), -- Requests sent for the wanted profile since it last was as wanted.
    next_attempt_at INTEGER, -- When it is worked on next; NULL is not until something changes.
    -- The revision that the defaults give it. No foreign key: it is decided from revisions in the same
    -- transaction, and the check would cost every insert.
    wanted_revision_id INTEGER,
    sent_epoch INTEGER NOT NULL DEFAULT 0, -- The lease epoch under which it was last sent; 0 for never.
    CONSTRAINT devices_serial_unique UNIQUE (server_id, serial),
    CONSTRAINT devices_removed_is_a_state CHECK ((removed_at IS NOT NULL) = (assign_state = 'removed')),
    CONSTRAINT devices_due_for_something CHECK (
        assign_state NOT IN ('due', 'sent', 'throttled', 'failed', 'not_accessible', 'drifted')
            OR wanted_revision_id IS NOT NULL),
    CONSTRAINT devices_due_at_some_time CHECK (assign_state NOT IN ('due', 'sent') OR next_attempt_at IS NOT NULL)
);
-- What is due, what is to be read back, and how many devices are in each state, per MDM server and revision.
-- There is no index on serial alone: writing it in Apple's order of serial numbers costs more than looking a
-- device up at every MDM server in turn.
CREATE INDEX devices_by_state ON devices (
    server_id, assign_state, wanted_revision_id, next_attempt_at, sent_epoch);

-- Runs of syncs, with what they counted. Numbers are never used twice, because devices are stamped with them.
CREATE TABLE sync_runs (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    server_id INTEGER NOT NULL REFERENCES mdm_servers (id),
    kind TEXT NOT NULL CONSTRAINT sync_runs_kind_known CHECK (kind IN ('delta', 'full')),
    -- Who or what asked for it.
    "trigger" TEXT NOT NULL CONSTRAINT sync_runs_trigger_known CHECK (
        "trigger" IN ('schedule', 'manual', 'forced', 'recovery')),
    started_at INTEGER NOT NULL,
    finished_at INTEGER,
    outcome TEXT NOT NULL CONSTRAINT sync_runs_outcome_known CHECK (outcome IN ('running', 'done', 'failed')),
    error TEXT, -- What went wrong and what to do, when it failed.
    pages INTEGER NOT NULL DEFAULT 0, -- Pages stored.
    records INTEGER NOT NULL DEFAULT 0, -- Device records in those pages, repeats included.
    added INTEGER NOT NULL DEFAULT 0, -- Devices that were new or came back.
    modified INTEGER NOT NULL DEFAULT 0, -- Devices of which a fact changed.
    removed INTEGER NOT NULL DEFAULT 0, -- Devices that left.
    epoch INTEGER NOT NULL, -- The lease epoch under which it began.
    CONSTRAINT sync_runs_finished_when_ended CHECK ((finished_at IS NULL) = (outcome = 'running'))
);
CREATE INDEX sync_runs_by_server ON sync_runs (server_id, id);
CREATE INDEX sync_runs_running ON sync_runs (server_id) WHERE outcome = 'running';

-- What happened, written in the transaction that made it happen.
CREATE TABLE events (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    server_id INTEGER NOT NULL REFERENCES mdm_servers (id),
    serial TEXT, -- The device it is about; NULL when it is about several.
    kind TEXT NOT NULL, -- Like device.added.
    at INTEGER NOT NULL,
    run_id INTEGER, -- The run that found it. No foreign key, because runs are deleted by age.
    data TEXT NOT NULL -- JSON.
);
