//! More MDM servers than the store's own calls would make in a reasonable time.

use adelie_model::Timestamp;
use sqlx::PgConnection;

/// Adds that many MDM servers with a token each. One after the other has work, a second apart, from `first` on.
pub async fn add_servers(connection: &mut PgConnection, count: i64, first: Timestamp) {
    let statements = [
        "INSERT INTO mdm_servers (name, base_url, paused, created_at, next_sync_at, work_at)
         SELECT 'server ' || n, 'http://127.0.0.1:9/', false, $2, moment, moment
         FROM generate_series(0, $1 - 1) AS n CROSS JOIN LATERAL (SELECT $2 + n * interval '1 second') m (moment)",
        "INSERT INTO token_keys (id, server_id, certificate, private_key, created_at)
         SELECT gen_random_uuid(), id, '', '', $2 FROM mdm_servers WHERE $1 > 0",
        "INSERT INTO server_tokens
             (id, server_id, key_id, consumer_key, secrets, expires_at, imported_at, is_current)
         SELECT gen_random_uuid(), server_id, id, 'CK', '', $2, $2, true FROM token_keys WHERE $1 > 0",
    ];
    for statement in statements {
        sqlx::query(statement).bind(count).bind(first).execute(&mut *connection).await.expect("servers");
    }
}
