//! Reading what people have decided, in one statement, so that all of it is of one moment.

use adelie_store::configuration::{Configuration, Needed};
use sqlx::SqliteConnection;

use crate::failure::Attempt;
use crate::rows::to_json;

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

/// The MDM servers of a change: all of them if `?1` says so, those of `?2`, and those with a default of `?3`.
macro_rules! chosen_servers {
    () => {
        "SELECT id FROM mdm_servers WHERE ?1
         UNION SELECT value FROM json_each(?2)
         UNION SELECT d.server_id FROM server_defaults d JOIN profiles p ON p.id = d.profile_id
             WHERE p.name IN (SELECT value FROM json_each(?3))"
    };
}
pub(crate) use chosen_servers;

/// A revision of the table with this name, without its content.
macro_rules! revision {
    ($table:literal) => {
        concat!(
            "json_object('id', ",
            $table,
            ".id, 'number', ",
            $table,
            ".number, 'content_hash', ",
            $table,
            ".content_hash, 'document_hash', ",
            $table,
            ".document_hash, 'secrets_id', nullif(hex(",
            $table,
            ".secrets_id), ''))"
        )
    };
}

const CONFIGURATION: &str = concat!(
    "-- configuration
     SELECT json_object(
         'version', (SELECT version FROM configuration WHERE id = 1),
         'profiles', (SELECT json_group_array(json_object(
                 'id', p.id, 'name', p.name,
                 'newest', (SELECT max(r.number) FROM profile_revisions r WHERE r.profile_id = p.id),
                 'in_force', ",
    revision!("f"),
    ", 'staged', json(CASE WHEN s.id IS NOT NULL THEN json_object('revision', ",
    revision!("s"),
    ", 'percent', p.staged_percent, 'paused', json(iif(p.staged_paused, 'true', 'false'))) END)))
             FROM profiles p JOIN profile_revisions f ON f.id = p.in_force_id
             LEFT JOIN profile_revisions s ON s.id = p.staged_id
             WHERE p.removed_at IS NULL),
         'removed', (SELECT json_group_array(json_array(p.name,
                 (SELECT max(r.number) FROM profile_revisions r WHERE r.profile_id = p.id)))
             FROM profiles p WHERE p.removed_at IS NOT NULL),
         'rules', (SELECT json_group_array(json_object('id', r.id, 'place', r.place, 'name', r.name,
                 'only', json(CASE WHEN s.id IS NOT NULL THEN json_array(s.id, s.name) END),
                 'conditions', json(r.conditions), 'profile', p.name))
             FROM rules r JOIN profiles p ON p.id = r.profile_id LEFT JOIN mdm_servers s ON s.id = r.server_id),
         'servers', (SELECT json_group_array(json_object('id', s.id, 'name', s.name,
                 'settings', json(s.sync_settings),
                 'defaults', (SELECT json_group_array(json_array(d.scope, p.name))
                     FROM server_defaults d JOIN profiles p ON p.id = d.profile_id WHERE d.server_id = s.id)))
             FROM mdm_servers s WHERE s.id IN (",
    chosen_servers!(),
    ")))"
);

/// What people have decided, with the MDM servers that are asked for.
pub(crate) async fn load(connection: &mut SqliteConnection, servers: Servers<'_>) -> Attempt<Configuration> {
    let none = Needed::default();
    let (all, needed) = match servers {
        Servers::None => (false, &none),
        Servers::Needed(needed) => (false, needed),
        Servers::All => (true, &none),
    };
    let text: String = sqlx::query_scalar(CONFIGURATION)
        .bind(all)
        .bind(to_json("MDM servers", &needed.servers)?)
        .bind(to_json("profiles", &needed.with_default)?)
        .fetch_one(connection)
        .await?;
    Ok(Configuration::from_stored(&text)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A change of one MDM server does not read ten thousand.
    #[tokio::test]
    async fn only_the_servers_that_are_needed_are_read() {
        let plan = crate::plan::of(CONFIGURATION).await;
        let step = "SEARCH s USING INTEGER PRIMARY KEY (rowid=?)";
        assert!(plan.iter().any(|found| found == step), "{plan:#?}");
        assert!(!plan.iter().any(|found| found == "SCAN s"), "{plan:#?}");
        let defaults = "SEARCH d USING INDEX server_defaults_by_profile (profile_id=?)";
        assert!(plan.iter().any(|found| found == defaults), "{plan:#?}");
    }
}
