CREATE TABLE installation (
    id integer PRIMARY KEY CONSTRAINT installation_has_one_row CHECK (id = 1),
    name uuid NOT NULL
);
INSERT INTO installation (id, name) VALUES (1, gen_random_uuid());
COMMENT ON TABLE installation IS 'A name for this database that no other has; ids of events carry it. Restoring a backup gives it another one.';

ALTER TABLE events ALTER COLUMN server_id DROP NOT NULL;
UPDATE events SET kind = CASE kind
        WHEN 'device.assigned' THEN 'assignment.succeeded' WHEN 'devices.assigned' THEN 'assignment.succeeded'
        WHEN 'device.failed' THEN 'assignment.failed' WHEN 'devices.failed' THEN 'assignment.failed'
        WHEN 'device.throttled' THEN 'assignment.throttled' WHEN 'devices.throttled' THEN 'assignment.throttled'
        WHEN 'device.not_accessible' THEN 'assignment.not_accessible'
        WHEN 'devices.not_accessible' THEN 'assignment.not_accessible'
        WHEN 'device.not_assigned' THEN 'assignment.unconfirmed'
        WHEN 'device.drifted' THEN 'drift.detected'
    END
WHERE kind IN ('device.assigned', 'devices.assigned', 'device.failed', 'devices.failed', 'device.throttled',
    'devices.throttled', 'device.not_accessible', 'devices.not_accessible', 'device.not_assigned', 'device.drifted');

CREATE TABLE webhooks (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    url text NOT NULL,
    events text[] NOT NULL,
    servers bigint[] NOT NULL,
    format text NOT NULL CONSTRAINT webhooks_format_known CHECK (format IN ('standard', 'cloudevents', 'nanodep')),
    thin boolean NOT NULL,
    ordered boolean NOT NULL,
    concurrency integer NOT NULL CONSTRAINT webhooks_concurrency_positive CHECK (concurrency > 0),
    state text NOT NULL CONSTRAINT webhooks_state_known CHECK (state IN ('active', 'paused', 'disabled', 'removed')),
    reason text NOT NULL,
    since timestamptz NOT NULL,
    created_at timestamptz NOT NULL,
    failing_since timestamptz,
    last_delivered_at timestamptz,
    wait_until timestamptz
);
COMMENT ON TABLE webhooks IS 'Endpoints that receive events. A removed one stays until its deliveries are deleted.';
COMMENT ON COLUMN webhooks.events IS 'Patterns of types, like device.*.';
COMMENT ON COLUMN webhooks.servers IS 'Numbers of MDM servers; empty for all.';
COMMENT ON COLUMN webhooks.thin IS 'Without details.';
COMMENT ON COLUMN webhooks.ordered IS 'In order per device.';
COMMENT ON COLUMN webhooks.concurrency IS 'Posts under way at once.';
COMMENT ON COLUMN webhooks.reason IS 'Why it stands there, for people.';
COMMENT ON COLUMN webhooks.failing_since IS 'Its first failed try since the last good one.';
COMMENT ON COLUMN webhooks.wait_until IS 'It has asked to be left alone until then.';

CREATE TABLE webhook_secrets (
    id uuid PRIMARY KEY,
    webhook_id bigint NOT NULL REFERENCES webhooks (id),
    secret bytea NOT NULL,
    created_at timestamptz NOT NULL,
    valid_until timestamptz
);
CREATE INDEX webhook_secrets_by_webhook ON webhook_secrets (webhook_id);
COMMENT ON TABLE webhook_secrets IS 'Secrets that sign for an endpoint.';
COMMENT ON COLUMN webhook_secrets.id IS 'The seal of secret is bound to it.';
COMMENT ON COLUMN webhook_secrets.secret IS 'Sealed.';
COMMENT ON COLUMN webhook_secrets.valid_until IS 'Until when it signs; NULL for the one in use.';

CREATE TABLE deliveries (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    webhook_id bigint NOT NULL REFERENCES webhooks (id),
    event_id bigint NOT NULL REFERENCES events (id) ON DELETE CASCADE,
    at timestamptz NOT NULL,
    server_id bigint,
    serial text,
    ordered boolean NOT NULL,
    state text NOT NULL CONSTRAINT deliveries_state_known CHECK (state IN ('pending', 'retrying', 'delivered', 'dead')),
    claim integer NOT NULL DEFAULT 0,
    sending boolean NOT NULL DEFAULT false,
    failures integer NOT NULL DEFAULT 0,
    due_at timestamptz,
    finished_at timestamptz,
    last_status integer,
    last_error text,
    CONSTRAINT deliveries_once UNIQUE (event_id, webhook_id),
    CONSTRAINT deliveries_due_or_finished CHECK ((due_at IS NULL) = (state IN ('delivered', 'dead'))),
    CONSTRAINT deliveries_finished CHECK ((finished_at IS NOT NULL) = (state IN ('delivered', 'dead')))
);
CREATE INDEX deliveries_due ON deliveries (webhook_id, due_at, event_id) WHERE due_at IS NOT NULL;
CREATE INDEX deliveries_in_order ON deliveries (webhook_id, server_id, serial, event_id) WHERE ordered AND due_at IS NOT NULL;
CREATE INDEX deliveries_of_server ON deliveries (webhook_id, (server_id + 0), event_id) WHERE ordered AND due_at IS NOT NULL;
CREATE INDEX deliveries_finished ON deliveries (finished_at) WHERE finished_at IS NOT NULL;
COMMENT ON INDEX deliveries_in_order IS 'What is before a delivery of its device.';
COMMENT ON INDEX deliveries_of_server IS 'What is before a delivery of its MDM server. The sum keeps it from being taken for a device.';
CREATE INDEX deliveries_failed ON deliveries (webhook_id, id) WHERE state IN ('retrying', 'dead');
COMMENT ON TABLE deliveries IS 'One event on its way to one endpoint, written in the transaction that writes the event.';
COMMENT ON COLUMN deliveries.at IS 'When the event happened.';
COMMENT ON COLUMN deliveries.sending IS 'Whether it is being sent. That counts until due_at only.';
COMMENT ON COLUMN deliveries.ordered IS 'Whether the endpoint asks for order.';
COMMENT ON COLUMN deliveries.claim IS 'How often it was claimed. Who settles it names the number.';
COMMENT ON COLUMN deliveries.failures IS 'Tries that failed since it was written or replayed.';
COMMENT ON COLUMN deliveries.due_at IS 'When it may be claimed; for one that is being sent, when its claim ends. NULL once it is finished.';
COMMENT ON COLUMN deliveries.finished_at IS 'When it was delivered or given up.';
COMMENT ON COLUMN deliveries.last_status IS 'What the endpoint answered last.';
COMMENT ON COLUMN deliveries.last_error IS 'Why the last try failed.';

CREATE TABLE delivery_attempts (
    delivery_id bigint NOT NULL REFERENCES deliveries (id) ON DELETE CASCADE,
    claim integer NOT NULL,
    at timestamptz NOT NULL,
    duration_ms bigint NOT NULL,
    status integer,
    error text,
    request text NOT NULL,
    answer text NOT NULL,
    PRIMARY KEY (delivery_id, claim)
);
COMMENT ON TABLE delivery_attempts IS 'Tries of deliveries.';
COMMENT ON COLUMN delivery_attempts.claim IS 'The claim under which it was made. One try for each.';
COMMENT ON COLUMN delivery_attempts.status IS 'NULL when there was no answer.';
COMMENT ON COLUMN delivery_attempts.error IS 'Why it failed; NULL when it did not.';
COMMENT ON COLUMN delivery_attempts.request IS 'Its headers without the signature, and the beginning of its body.';
COMMENT ON COLUMN delivery_attempts.answer IS 'The beginning of the answer''s body.';
