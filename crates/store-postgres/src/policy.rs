//! What decides about the devices of an MDM server.

use std::collections::HashMap;

use adelie_model::{DriftMode, ProfileUuid, RevisionId, ServerId};
use adelie_rules::{Defaults, Scope};
use adelie_store::configuration::Version;
use adelie_store::{Policy, RuleBook, StoreError};
use sqlx::PgConnection;

use crate::PostgresStore;
use crate::configuration::{self, Servers};
use crate::failure::Attempt;
use crate::rows;

/// The settings of an MDM server with one of the revisions that Apple has for it.
#[derive(sqlx::FromRow)]
struct PublishedRow {
    version: i64,
    name: String,
    drift: Option<String>,
    revision_id: Option<i64>,
    profile_uuid: Option<String>,
}

/// What decides about the devices of an MDM server, as it stands in this transaction.
///
/// Its statements may see different moments. Whoever has locked the server's row sees one all the same, because a change
/// that concerns this server locks it, too; without the lock what comes out is to be compared with what holds later.
pub(crate) async fn policy(
    store: &PostgresStore,
    transaction: &mut PgConnection,
    server: ServerId,
) -> Attempt<Policy> {
    let defaults: Vec<(String, i64)> = sqlx::query_as(
        "-- policy_defaults
         SELECT d.scope, p.in_force_id FROM server_defaults d JOIN profiles p ON p.id = d.profile_id
         WHERE d.server_id = $1",
    )
    .bind(server.0)
    .fetch_all(&mut *transaction)
    .await?;
    // One row at least, because of the server.
    let published: Vec<PublishedRow> = sqlx::query_as(
        "-- policy_published
         SELECT c.version, s.name, s.sync_settings ->> 'drift' AS drift, u.revision_id, u.profile_uuid
         FROM mdm_servers s CROSS JOIN configuration c
         LEFT JOIN published_profiles u ON u.server_id = s.id AND u.profile_uuid IS NOT NULL
         WHERE s.id = $1",
    )
    .bind(server.0)
    .fetch_all(&mut *transaction)
    .await?;
    let first = published.first().ok_or_else(|| StoreError::no_server(server))?;
    let drift = match &first.drift {
        Some(word) => DriftMode::parse(word)
            .ok_or_else(|| StoreError::damaged("drift of mdm_servers.sync_settings", word))?,
        None => DriftMode::default(),
    };
    let name = rows::server_name(first.name.clone())?;
    let book = rule_book(store, transaction, Version(first.version)).await?;
    let defaults = defaults.into_iter().map(|(word, id)| (Scope::of_word(&word), RevisionId(id)));
    let published = published.into_iter().filter_map(|row| row.revision_id.zip(row.profile_uuid));
    let published: HashMap<_, _> = published.map(|(id, uuid)| (RevisionId(id), ProfileUuid(uuid))).collect();
    Ok(book.policy(name, Defaults::new(defaults), published, drift))
}

/// The rules of this version, or of a newer one. Read again only when the last ones are of another one; what is read says
/// itself of which one it is, because another process may have changed something since the version was read.
async fn rule_book(
    store: &PostgresStore,
    connection: &mut PgConnection,
    version: Version,
) -> Attempt<RuleBook> {
    if let Some(book) = store.rules.at(version) {
        return Ok(book);
    }
    let book = RuleBook::new(&configuration::load(connection, Servers::None).await?);
    store.rules.keep(&book);
    Ok(book)
}
