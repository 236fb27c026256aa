-- The life of a server token: who made it and who imported it, what replaced it, what was told of its expiry; and
-- when a token that Apple refuses is tried again.
ALTER TABLE server_tokens
    ADD COLUMN account jsonb,
    ADD COLUMN imported_by text,
    ADD COLUMN replaced_at timestamptz,
    ADD COLUMN restored_at timestamptz,
    ADD COLUMN restored_by text,
    ADD COLUMN told_rung integer;
COMMENT ON COLUMN server_tokens.account IS 'What Apple said of the account behind it; NULL until it was asked.';
COMMENT ON COLUMN server_tokens.imported_by IS 'NULL for those that were imported before this was written down.';
COMMENT ON COLUMN server_tokens.replaced_at IS 'When another one took its place; NULL while it is in use.';
COMMENT ON COLUMN server_tokens.restored_at IS 'When it was last put back into use; NULL if never.';
COMMENT ON COLUMN server_tokens.told_rung IS 'The lowest rung of the expiry ladder that was told, in days; NULL before the first.';

UPDATE server_tokens t SET account = s.account FROM mdm_servers s WHERE s.id = t.server_id AND t.is_current;
UPDATE server_tokens t SET replaced_at = (
    SELECT min(later.imported_at) FROM server_tokens later
    WHERE later.server_id = t.server_id AND later.id <> t.id AND later.imported_at >= t.imported_at)
WHERE NOT t.is_current;
CREATE INDEX server_tokens_by_expiry ON server_tokens (expires_at) WHERE is_current;
CREATE INDEX server_tokens_by_server ON server_tokens (server_id, imported_at);

ALTER TABLE mdm_servers ADD COLUMN token_check_at timestamptz, ADD COLUMN clock_skew_ms bigint;
COMMENT ON COLUMN mdm_servers.token_check_at IS 'When a token that Apple refuses is tried again; NULL while it is not refused.';
COMMENT ON COLUMN mdm_servers.clock_skew_ms IS 'How far Apple''s clock is ahead of ours; NULL while that is less than a minute.';
