-- When there is next something to do for an MDM server, so that asking for work every second touches only what is
-- due. 0 is at once: every server is looked at after this migration.
ALTER TABLE mdm_servers ADD COLUMN work_at INTEGER NOT NULL DEFAULT 0;
-- Pieces of work in a row that met with trouble.
ALTER TABLE mdm_servers ADD COLUMN setbacks INTEGER NOT NULL DEFAULT 0
    CONSTRAINT mdm_servers_setbacks_counted CHECK (setbacks >= 0);
CREATE INDEX mdm_servers_by_work ON mdm_servers (work_at) WHERE paused = 0;

ALTER TABLE sync_runs ADD COLUMN requested_by TEXT; -- The operator who asked; NULL when it was the schedule.

-- A digest of the event with the newest op_date, by which the same event is known when it comes again.
ALTER TABLE devices ADD COLUMN op_digest INTEGER;
ALTER TABLE devices ADD COLUMN hold TEXT; -- Why an operator keeps it from being assigned.
CREATE INDEX devices_removed ON devices (server_id, removed_at) WHERE removed_at IS NOT NULL;

CREATE INDEX events_of_device ON events (server_id, serial, id) WHERE serial IS NOT NULL;
CREATE INDEX events_of_several ON events (server_id, id) WHERE serial IS NULL;
