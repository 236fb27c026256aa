-- The life of a server token: who made it and who imported it, what replaced it, what was told of its expiry; and
-- when a token that Apple refuses is tried again.
ALTER TABLE server_tokens ADD COLUMN account TEXT; -- JSON: what Apple said of the account behind it; NULL until it was asked.
ALTER TABLE server_tokens ADD COLUMN imported_by TEXT; -- NULL for those that were imported before this was written down.
ALTER TABLE server_tokens ADD COLUMN replaced_at INTEGER; -- When another one took its place; NULL while it is in use.
ALTER TABLE server_tokens ADD COLUMN restored_at INTEGER; -- When it was last put back into use; NULL if never.
ALTER TABLE server_tokens ADD COLUMN restored_by TEXT;
ALTER TABLE server_tokens ADD COLUMN told_rung INTEGER; -- The lowest rung of the expiry ladder that was told, in days; NULL before the first.

UPDATE server_tokens SET account = (SELECT s.account FROM mdm_servers s WHERE s.id = server_tokens.server_id)
WHERE is_current = 1;
UPDATE server_tokens SET replaced_at = (
    SELECT min(later.imported_at) FROM server_tokens later
    WHERE later.server_id = server_tokens.server_id AND later.id <> server_tokens.id
        AND later.imported_at >= server_tokens.imported_at)
WHERE is_current = 0;
CREATE INDEX server_tokens_by_expiry ON server_tokens (expires_at) WHERE is_current = 1;
CREATE INDEX server_tokens_by_server ON server_tokens (server_id, imported_at);

ALTER TABLE mdm_servers ADD COLUMN token_check_at INTEGER; -- When a token that Apple refuses is tried again; NULL while it is not refused.
ALTER TABLE mdm_servers ADD COLUMN clock_skew_ms INTEGER; -- How far Apple's clock is ahead of ours; NULL while that is less than a minute.
