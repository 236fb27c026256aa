//! What decides about the devices of an MDM server.

use std::collections::HashMap;

use adelie_model::{ProfileUuid, RevisionId, ServerId};
use adelie_rules::{Defaults, Scope};
use adelie_store::configuration::Version;
use adelie_store::{Policy, RuleBook, StoreError, SyncSettings};
use sqlx::SqliteConnection;

use crate::SqliteStore;
use crate::configuration::{self, Servers};
use crate::failure::Attempt;
use crate::rows;

/// What decides about the devices of an MDM server, as it stands in this transaction.
pub(crate) async fn policy(
    store: &SqliteStore,
    transaction: &mut SqliteConnection,
    server: ServerId,
) -> Attempt<Policy> {
    let defaults: Vec<(String, i64)> = sqlx::query_as(
        "-- policy_defaults
         SELECT d.scope, p.in_force_id FROM server_defaults d JOIN profiles p ON p.id = d.profile_id
         WHERE d.server_id = ?1",
    )
    .bind(server.0)
    .fetch_all(&mut *transaction)
    .await?;
    let published: Vec<(i64, String)> = sqlx::query_as(
        "-- policy_published
         SELECT revision_id, profile_uuid FROM published_profiles
         WHERE server_id = ?1 AND profile_uuid IS NOT NULL",
    )
    .bind(server.0)
    .fetch_all(&mut *transaction)
    .await?;
    let of_server: Option<(String, String, i64)> = sqlx::query_as(
        "-- policy_of_server
         SELECT s.name, s.sync_settings, c.version FROM mdm_servers s CROSS JOIN configuration c WHERE s.id = ?1",
    )
    .bind(server.0)
    .fetch_optional(&mut *transaction)
    .await?;
    let (name, settings, version) = of_server.ok_or_else(|| StoreError::no_server(server))?;
    let settings: SyncSettings = rows::json("mdm_servers.sync_settings", &settings)?;
    let book = rule_book(store, transaction, Version(version)).await?;
    let defaults = defaults.into_iter().map(|(word, id)| (Scope::of_word(&word), RevisionId(id)));
    let published: HashMap<_, _> =
        published.into_iter().map(|(id, uuid)| (RevisionId(id), ProfileUuid(uuid))).collect();
    let name = rows::name("mdm_servers.name", &name)?;
    Ok(book.policy(name, Defaults::new(defaults), published, settings.drift.unwrap_or_default()))
}

/// The rules of this version. Read again only when the last ones are of another one; outside a transaction what is read
/// may be newer, and says so.
async fn rule_book(
    store: &SqliteStore,
    connection: &mut SqliteConnection,
    version: Version,
) -> Attempt<RuleBook> {
    if let Some(book) = store.rules.at(version) {
        return Ok(book);
    }
    let book = RuleBook::new(&configuration::load(connection, Servers::None).await?);
    store.rules.keep(&book);
    Ok(book)
}
