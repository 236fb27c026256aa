-- What was refused is asked about before it is sent again, so that it is looked for by its time and not by its wish.
DROP INDEX devices_to_assign;
CREATE INDEX devices_to_assign ON devices (server_id, wanted_revision_id, next_attempt_at)
    WHERE assign_state = 'due';
CREATE INDEX devices_to_try_again ON devices (server_id, next_attempt_at)
    WHERE assign_state IN ('throttled', 'failed');
