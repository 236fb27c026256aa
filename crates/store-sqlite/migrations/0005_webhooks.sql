-- A name for this database that no other has; ids of events carry it. Restoring a backup gives it another one.
CREATE TABLE installation (
    id INTEGER PRIMARY KEY CONSTRAINT installation_has_one_row CHECK (id = 1),
    name TEXT NOT NULL -- 32 hex digits of a UUID.
);
INSERT INTO installation (id, name)
VALUES (1, lower(hex(randomblob(6))) || '4' || substr(lower(hex(randomblob(2))), 2) || 'a'
    || substr(lower(hex(randomblob(2))), 2) || lower(hex(randomblob(6))));

-- Events that concern no MDM server, like changed rules; and types of events with the names that webhooks tell.
CREATE TABLE new_events (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    server_id INTEGER REFERENCES mdm_servers (id), -- NULL when it concerns no MDM server.
    serial TEXT, -- The device it is about; NULL when it is about several, or about none.
    kind TEXT NOT NULL, -- Like device.added.
    at INTEGER NOT NULL,
    run_id INTEGER, -- The run that found it. No foreign key, because runs are deleted by age.
    data TEXT NOT NULL -- JSON.
);
INSERT INTO new_events (id, server_id, serial, kind, at, run_id, data)
SELECT id, server_id, serial,
    CASE kind
        WHEN 'device.assigned' THEN 'assignment.succeeded' WHEN 'devices.assigned' THEN 'assignment.succeeded'
        WHEN 'device.failed' THEN 'assignment.failed' WHEN 'devices.failed' THEN 'assignment.failed'
        WHEN 'device.throttled' THEN 'assignment.throttled' WHEN 'devices.throttled' THEN 'assignment.throttled'
        WHEN 'device.not_accessible' THEN 'assignment.not_accessible'
        WHEN 'devices.not_accessible' THEN 'assignment.not_accessible'
        WHEN 'device.not_assigned' THEN 'assignment.unconfirmed'
        WHEN 'device.drifted' THEN 'drift.detected'
        ELSE kind
    END, at, run_id, data
FROM events ORDER BY id;
-- Numbers are never used twice, also when all events were deleted by age.
DELETE FROM sqlite_sequence WHERE name = 'new_events';
INSERT INTO sqlite_sequence (name, seq) SELECT 'new_events', seq FROM sqlite_sequence WHERE name = 'events';
DROP TABLE events;
ALTER TABLE new_events RENAME TO events;
CREATE INDEX events_of_device ON events (server_id, serial, id) WHERE serial IS NOT NULL;
CREATE INDEX events_of_several ON events (server_id, id) WHERE serial IS NULL;

-- Endpoints that receive events.
CREATE TABLE webhooks (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    url TEXT NOT NULL, -- Where events are posted to.
    events TEXT NOT NULL, -- A JSON array of patterns of types, like device.*.
    servers TEXT NOT NULL, -- A JSON array of numbers of MDM servers; empty for all.
    format TEXT NOT NULL CONSTRAINT webhooks_format_known CHECK (format IN ('standard', 'cloudevents', 'nanodep')),
    thin INTEGER NOT NULL CONSTRAINT webhooks_thin_boolean CHECK (thin IN (0, 1)), -- Without details.
    ordered INTEGER NOT NULL CONSTRAINT webhooks_ordered_boolean CHECK (ordered IN (0, 1)), -- In order per device.
    concurrency INTEGER NOT NULL CONSTRAINT webhooks_concurrency_positive CHECK (concurrency > 0), -- Posts under way at once.
    -- A removed endpoint stays until its deliveries are deleted.
    state TEXT NOT NULL CONSTRAINT webhooks_state_known CHECK (state IN ('active', 'paused', 'disabled', 'removed')),
    reason TEXT NOT NULL, -- Why it stands there, for people.
    since INTEGER NOT NULL, -- Since when it has been so.
    created_at INTEGER NOT NULL,
    failing_since INTEGER, -- Its first failed try since the last good one.
    last_delivered_at INTEGER, -- Its last good answer.
    wait_until INTEGER -- It has asked to be left alone until then.
);

-- Secrets that sign for an endpoint.
CREATE TABLE webhook_secrets (
    id BLOB PRIMARY KEY NOT NULL, -- A UUID; the seal of secret is bound to it.
    webhook_id INTEGER NOT NULL REFERENCES webhooks (id),
    secret BLOB NOT NULL, -- Sealed.
    created_at INTEGER NOT NULL,
    valid_until INTEGER -- Until when it signs; NULL for the one in use.
);
CREATE INDEX webhook_secrets_by_webhook ON webhook_secrets (webhook_id);

-- One event on its way to one endpoint, written in the transaction that writes the event.
CREATE TABLE deliveries (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    webhook_id INTEGER NOT NULL REFERENCES webhooks (id),
    event_id INTEGER NOT NULL REFERENCES events (id) ON DELETE CASCADE,
    at INTEGER NOT NULL, -- When the event happened.
    server_id INTEGER, -- Of the event.
    serial TEXT, -- Of the event.
    ordered INTEGER NOT NULL, -- Whether the endpoint asks for order.
    state TEXT NOT NULL CONSTRAINT deliveries_state_known CHECK (state IN ('pending', 'retrying', 'delivered', 'dead')),
    claim INTEGER NOT NULL DEFAULT 0, -- How often it was claimed. Who settles it names the number.
    sending INTEGER NOT NULL DEFAULT 0, -- Whether it is being sent. That counts until due_at only.
    failures INTEGER NOT NULL DEFAULT 0, -- Tries that failed since it was written or replayed.
    -- When it may be claimed; for one that is being sent, when its claim ends. NULL once it is finished.
    due_at INTEGER,
    finished_at INTEGER, -- When it was delivered or given up.
    last_status INTEGER, -- What the endpoint answered last.
    last_error TEXT, -- Why the last try failed.
    CONSTRAINT deliveries_once UNIQUE (event_id, webhook_id),
    CONSTRAINT deliveries_due_or_finished CHECK ((due_at IS NULL) = (state IN ('delivered', 'dead'))),
    CONSTRAINT deliveries_finished CHECK ((finished_at IS NOT NULL) = (state IN ('delivered', 'dead')))
);
CREATE INDEX deliveries_due ON deliveries (webhook_id, due_at, event_id) WHERE due_at IS NOT NULL;
-- What is before a delivery: of its device, and of its MDM server.
CREATE INDEX deliveries_in_order ON deliveries (webhook_id, server_id, serial, event_id) WHERE ordered AND due_at IS NOT NULL;
CREATE INDEX deliveries_of_server ON deliveries (webhook_id, server_id, event_id) WHERE ordered AND due_at IS NOT NULL;
CREATE INDEX deliveries_finished ON deliveries (finished_at) WHERE finished_at IS NOT NULL;
CREATE INDEX deliveries_failed ON deliveries (webhook_id, id) WHERE state IN ('retrying', 'dead');

-- Tries of deliveries.
CREATE TABLE delivery_attempts (
    id INTEGER PRIMARY KEY,
    delivery_id INTEGER NOT NULL REFERENCES deliveries (id) ON DELETE CASCADE,
    claim INTEGER NOT NULL, -- The claim under which it was made. One try for each.
    at INTEGER NOT NULL,
    duration_ms INTEGER NOT NULL,
    status INTEGER, -- NULL when there was no answer.
    error TEXT, -- Why it failed; NULL when it did not.
    request TEXT NOT NULL, -- Its headers without the signature, and the beginning of its body.
    answer TEXT NOT NULL, -- The beginning of the answer's body.
    CONSTRAINT delivery_attempts_once UNIQUE (delivery_id, claim)
);
