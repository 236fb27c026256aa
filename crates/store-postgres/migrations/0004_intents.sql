CREATE TABLE intents (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    server_id bigint NOT NULL REFERENCES mdm_servers (id),
    serials text[] NOT NULL,
    at timestamptz NOT NULL
);
CREATE INDEX intents_by_server ON intents (server_id);
COMMENT ON TABLE intents IS 'What was to be sent of pages that are not stored yet. A row goes with the transaction that stores its pages; one that is found at the beginning of a sync was left by a killed process.';
