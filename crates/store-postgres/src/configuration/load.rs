//! Reading what people have decided, in one statement: that sees one moment, also where a transaction does not.

use adelie_model::ProfileName;
use adelie_store::configuration::{Configuration, Needed};
use sqlx::PgConnection;

use crate::failure::Attempt;

/// Which MDM servers are read with it.
#[derive(Clone, Copy)]
pub(crate) enum Servers<'n> {
    /// None: rules and profiles are all that decides for devices, beside a server's own defaults.
    None,
    /// Those that a change has to look at.
    Needed(&'n Needed),
    /// All of them.
    All,
}

/// The MDM servers `s` of a change: all of them if `$1` says so, those of `$2`, and those with a default of `$3`.
macro_rules! chosen_servers {
    () => {
        "($1 OR s.id = ANY (ARRAY(
             SELECT unnest($2::bigint[])
             UNION SELECT d.server_id FROM server_defaults d JOIN profiles p ON p.id = d.profile_id
                 WHERE p.name = ANY ($3::text[]))))"
    };
}
pub(crate) use chosen_servers;

/// A revision of the table with this name, without its content.
macro_rules! revision {
    ($table:literal) => {
        concat!(
            "json_build_object('id', ",
            $table,
            ".id, 'number', ",
            $table,
            ".number, 'content_hash', ",
            $table,
            ".content_hash, 'document_hash', ",
            $table,
            ".document_hash, 'secrets_id', ",
            $table,
            ".secrets_id)"
        )
    };
}

const CONFIGURATION: &str = concat!(
    "-- configuration
     SELECT json_build_object(
         'version', (SELECT version FROM configuration WHERE id = 1),
         'profiles', (SELECT COALESCE(json_agg(json_build_object(
                 'id', p.id, 'name', p.name,
                 'newest', (SELECT max(r.number) FROM profile_revisions r WHERE r.profile_id = p.id),
                 'in_force', ",
    revision!("f"),
    ", 'staged', CASE WHEN n.id IS NOT NULL THEN json_build_object('revision', ",
    revision!("n"),
    ", 'percent', p.staged_percent, 'paused', p.staged_paused) END)), '[]')
             FROM profiles p JOIN profile_revisions f ON f.id = p.in_force_id
             LEFT JOIN profile_revisions n ON n.id = p.staged_id
             WHERE p.removed_at IS NULL),
         'removed', (SELECT COALESCE(json_agg(json_build_array(p.name,
                 (SELECT max(r.number) FROM profile_revisions r WHERE r.profile_id = p.id))), '[]')
             FROM profiles p WHERE p.removed_at IS NOT NULL),
         'rules', (SELECT COALESCE(json_agg(json_build_object('id', r.id, 'place', r.place, 'name', r.name,
                 'only', CASE WHEN s.id IS NOT NULL THEN json_build_array(s.id, s.name) END,
                 'conditions', r.conditions, 'profile', p.name)), '[]')
             FROM rules r JOIN profiles p ON p.id = r.profile_id LEFT JOIN mdm_servers s ON s.id = r.server_id),
         'servers', (SELECT COALESCE(json_agg(json_build_object('id', s.id, 'name', s.name,
                 'settings', s.sync_settings,
                 'defaults', (SELECT COALESCE(json_agg(json_build_array(d.scope, p.name)), '[]')
                     FROM server_defaults d JOIN profiles p ON p.id = d.profile_id WHERE d.server_id = s.id))), '[]')
             FROM mdm_servers s WHERE ",
    chosen_servers!(),
    ")
     )::text"
);

/// What people have decided, with the MDM servers that are asked for.
pub(crate) async fn load(connection: &mut PgConnection, servers: Servers<'_>) -> Attempt<Configuration> {
    let none = Needed::default();
    let (all, needed) = match servers {
        Servers::None => (false, &none),
        Servers::Needed(needed) => (false, needed),
        Servers::All => (true, &none),
    };
    let text: String = sqlx::query_scalar(CONFIGURATION)
        .bind(all)
        .bind(needed.servers.iter().map(|server| server.0).collect::<Vec<_>>())
        .bind(needed.with_default.iter().map(ProfileName::as_str).collect::<Vec<_>>())
        .fetch_one(connection)
        .await?;
    Ok(Configuration::from_stored(&text)?)
}
