-- What was to be sent of pages that are not stored yet. A row goes with the transaction that stores its pages; one that
-- is found at the beginning of a sync was left by a killed process.
CREATE TABLE intents (
    id INTEGER PRIMARY KEY,
    server_id INTEGER NOT NULL REFERENCES mdm_servers (id),
    serials TEXT NOT NULL, -- A JSON array.
    at INTEGER NOT NULL
);
CREATE INDEX intents_by_server ON intents (server_id);
