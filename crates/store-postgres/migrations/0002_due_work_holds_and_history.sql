ALTER TABLE mdm_servers ADD COLUMN work_at timestamptz NOT NULL DEFAULT 'epoch';
ALTER TABLE mdm_servers ADD COLUMN setbacks integer NOT NULL DEFAULT 0
    CONSTRAINT mdm_servers_setbacks_counted CHECK (setbacks >= 0);
CREATE INDEX mdm_servers_by_work ON mdm_servers (work_at, id) WHERE NOT paused;
COMMENT ON COLUMN mdm_servers.work_at IS 'When there is next something to do for it, so that asking for work every second touches only what is due; the epoch is at once.';
COMMENT ON COLUMN mdm_servers.setbacks IS 'Pieces of work in a row that met with trouble.';

ALTER TABLE sync_runs ADD COLUMN requested_by text;
COMMENT ON COLUMN sync_runs.requested_by IS 'The operator who asked; NULL when it was the schedule.';

ALTER TABLE devices ADD COLUMN op_digest bigint;
ALTER TABLE devices ADD COLUMN hold text;
-- What an operator looks for. What is settled or only due is not in it, so that a first import costs nothing more.
CREATE INDEX devices_in_trouble ON devices (server_id)
    WHERE assign_state IN ('held', 'throttled', 'failed', 'not_accessible', 'drifted');
CREATE INDEX devices_removed ON devices (server_id, removed_at) WHERE removed_at IS NOT NULL;
COMMENT ON COLUMN devices.op_digest IS 'A digest of the event with the newest op_date, by which the same event is known when it comes again.';
COMMENT ON COLUMN devices.hold IS 'Why an operator keeps it from being assigned.';

CREATE INDEX events_of_device ON events (server_id, serial, id) WHERE serial IS NOT NULL;
CREATE INDEX events_of_several ON events (server_id, id) WHERE serial IS NULL;
