-- What must hold of every device, and costs too much to be looked at in production.
ALTER TABLE devices
    ADD CONSTRAINT devices_extra_object CHECK (jsonb_typeof(extra) = 'object'),
    ADD CONSTRAINT devices_assign_state_known CHECK (assign_state IN (
        'unmatched', 'held', 'due', 'sent', 'assigned', 'pushed', 'throttled', 'failed', 'not_accessible',
        'drifted', 'removed')),
    ADD CONSTRAINT devices_attempts_counted CHECK (attempts >= 0),
    ADD CONSTRAINT devices_removed_is_a_state CHECK ((removed_at IS NOT NULL) = (assign_state = 'removed')),
    ADD CONSTRAINT devices_due_for_something CHECK (
        assign_state NOT IN ('due', 'sent', 'throttled', 'failed') OR wanted_revision_id IS NOT NULL),
    ADD CONSTRAINT devices_due_at_some_time CHECK (assign_state NOT IN ('due', 'sent') OR next_attempt_at IS NOT NULL);
