//! Writing what becomes of people's changes.

use std::collections::BTreeMap;

use adelie_model::ServerId;
use adelie_store::configuration::{
    Affected, DefaultEdit, Edits, HeadEdit, RevisionEdit, RuleEdit, StoredRule, Version,
};
use adelie_store::event::{DefaultsChanged, NewEvent, SettingsChanged, configured};
use adelie_store::{Operator, SyncSettings};
use serde_json::{Value, json};
use sqlx::SqliteConnection;

use super::load::chosen_servers;
use crate::batch;
use crate::failure::Attempt;
use crate::rows::to_json;
use crate::servers::changed;

/// Writes all of it, under the version that it leads to.
pub(crate) async fn edits(
    transaction: &mut SqliteConnection,
    edits: &Edits,
    version: Version,
    by: &Operator,
) -> Attempt<()> {
    decide_anew(transaction, &edits.affected).await?;
    for edit in &edits.revisions {
        revision(transaction, edit, by).await?;
    }
    for edit in &edits.heads {
        head(transaction, edit, by).await?;
    }
    rules(transaction, &edits.rules).await?;
    defaults(transaction, &edits.defaults, by).await?;
    for (server, new) in &edits.settings {
        settings(transaction, *server, new, by).await?;
    }
    batch::events(transaction, None::<ServerId>, None, &configured(edits, by), by.now).await?;
    sqlx::query("-- set_version\nUPDATE configuration SET version = ?1 WHERE id = 1")
        .bind(version.0)
        .execute(&mut *transaction)
        .await?;
    sqlx::query(
        r#"-- add_change
         INSERT INTO configuration_changes (version, at, "by", changes) VALUES (?1, ?2, ?3, ?4)"#,
    )
    .bind(version.0)
    .bind(by.now.timestamp_millis())
    .bind(&by.name)
    .bind(to_json("configuration_changes.changes", &edits.lines)?)
    .execute(transaction)
    .await?;
    Ok(())
}

const DECIDE_ANEW: &str = concat!(
    "-- decide_all_anew
     UPDATE mdm_servers SET decide_after = '', work_at = 0 WHERE id IN (",
    chosen_servers!(),
    ")"
);

/// Makes all devices of these MDM servers be decided anew, at once.
async fn decide_anew(transaction: &mut SqliteConnection, affected: &Affected) -> Attempt<()> {
    sqlx::query(DECIDE_ANEW)
        .bind(affected.all)
        .bind(to_json("MDM servers", &affected.servers)?)
        .bind(to_json("profiles", &affected.with_default)?)
        .execute(transaction)
        .await?;
    Ok(())
}

async fn revision(transaction: &mut SqliteConnection, edit: &RevisionEdit, by: &Operator) -> Attempt<()> {
    let RevisionEdit { profile, number, revision } = edit;
    if *number == 1 {
        sqlx::query("-- add_profile\nINSERT INTO profiles (name, created_at) VALUES (?1, ?2)")
            .bind(profile.as_str())
            .bind(by.now.timestamp_millis())
            .execute(&mut *transaction)
            .await?;
    }
    let document = revision.document.as_ref();
    let (secrets_id, secrets) =
        revision.secrets.as_ref().map(|(id, sealed)| (*id, sealed.0.as_slice())).unzip();
    let id: i64 = sqlx::query_scalar(
        "-- add_revision
         INSERT INTO profile_revisions (profile_id, number, content, content_hash, document, document_hash, secrets,
             secrets_id, author, note, created_at)
         SELECT id, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11 FROM profiles WHERE name = ?1
         RETURNING id",
    )
    .bind(profile.as_str())
    .bind(number)
    .bind(to_json("profile_revisions.content", &revision.content)?)
    .bind(&revision.content_hash)
    .bind(document.map(|document| to_json("profile_revisions.document", &document.content)).transpose()?)
    .bind(document.map(|document| &document.hash))
    .bind(secrets)
    .bind(secrets_id)
    .bind(&by.name)
    .bind(&revision.note)
    .bind(by.now.timestamp_millis())
    .fetch_one(&mut *transaction)
    .await?;
    // What Apple has of the same content it has of this one: a device that has it needs no assignment.
    sqlx::query(
        "-- publish_the_same
         INSERT INTO published_profiles (server_id, revision_id, profile_uuid, at, differs)
         SELECT p.server_id, ?1, p.profile_uuid, p.at, p.differs
         FROM profile_revisions r INDEXED BY profile_revisions_by_content
         CROSS JOIN published_profiles p ON p.revision_id = r.id
         WHERE r.content_hash = ?2 AND p.profile_uuid IS NOT NULL ORDER BY p.server_id, p.id
         ON CONFLICT (server_id, revision_id) DO NOTHING",
    )
    .bind(id)
    .bind(&revision.content_hash)
    .execute(transaction)
    .await?;
    Ok(())
}

async fn head(transaction: &mut SqliteConnection, edit: &HeadEdit, by: &Operator) -> Attempt<()> {
    let Some(in_force) = edit.in_force else {
        sqlx::query(
            "-- remove_profile
             UPDATE profiles SET removed_at = ?2, staged_id = NULL, staged_percent = NULL, staged_paused = 0
             WHERE name = ?1",
        )
        .bind(edit.profile.as_str())
        .bind(by.now.timestamp_millis())
        .execute(transaction)
        .await?;
        return Ok(());
    };
    sqlx::query(
        "-- put_in_force
         UPDATE profile_revisions SET in_force_at = ?3
         WHERE number = ?2 AND profile_id = (SELECT id FROM profiles WHERE name = ?1)
             AND id IS NOT (SELECT in_force_id FROM profiles WHERE name = ?1)",
    )
    .bind(edit.profile.as_str())
    .bind(in_force)
    .bind(by.now.timestamp_millis())
    .execute(&mut *transaction)
    .await?;
    sqlx::query(
        "-- set_head
         UPDATE profiles SET removed_at = NULL,
             in_force_id = (SELECT r.id FROM profile_revisions r WHERE r.profile_id = profiles.id AND r.number = ?2),
             staged_id = (SELECT r.id FROM profile_revisions r WHERE r.profile_id = profiles.id AND r.number = ?3),
             staged_percent = ?4, staged_paused = ?5
         WHERE name = ?1",
    )
    .bind(edit.profile.as_str())
    .bind(in_force)
    .bind(edit.staged.map(|(number, ..)| number))
    .bind(edit.staged.map(|(_, percent, _)| percent))
    .bind(edit.staged.is_some_and(|(.., paused)| paused))
    .execute(transaction)
    .await?;
    Ok(())
}

/// Rules may exchange their names, and a new one may take the name of one that goes.
async fn rules(transaction: &mut SqliteConnection, edits: &[RuleEdit]) -> Attempt<()> {
    let (mut gone, mut changed, mut new) = (Vec::new(), Vec::new(), Vec::new());
    for edit in edits {
        match edit {
            RuleEdit::Delete(id) => gone.push(*id),
            RuleEdit::Update { place, rule } => changed.push(row(*place, rule)),
            RuleEdit::Insert { place, rule } => new.push(row(*place, rule)),
        }
    }
    let statements = [
        (
            "-- remove_rules
             DELETE FROM rules WHERE id IN (SELECT value FROM json_each(?1))",
            json!(gone),
        ),
        (
            // No name has a slash in it.
            "-- park_names_of_rules
             UPDATE rules SET name = '/' || id WHERE id IN (SELECT value ->> 'id' FROM json_each(?1))",
            json!(changed),
        ),
        (
            "-- change_rules
             UPDATE rules SET place = new.value ->> 'place', name = new.value ->> 'name',
                 server_id = new.value ->> 'server', conditions = new.value -> 'conditions',
                 profile_id = (SELECT p.id FROM profiles p WHERE p.name = new.value ->> 'profile')
             FROM json_each(?1) AS new WHERE rules.id = new.value ->> 'id'",
            json!(changed),
        ),
        (
            "-- add_rules
             INSERT INTO rules (place, name, server_id, conditions, profile_id)
             SELECT value ->> 'place', value ->> 'name', value ->> 'server', value -> 'conditions',
                 (SELECT p.id FROM profiles p WHERE p.name = value ->> 'profile')
             FROM json_each(?1) ORDER BY key",
            json!(new),
        ),
    ];
    for (statement, rules) in statements {
        if rules.as_array().is_some_and(|rules| !rules.is_empty()) {
            sqlx::query(statement).bind(rules.to_string()).execute(&mut *transaction).await?;
        }
    }
    Ok(())
}

fn row(place: usize, rule: &StoredRule) -> Value {
    json!({
        "id": rule.id,
        "place": place,
        "name": rule.name,
        "server": rule.only.as_ref().map(|(server, _)| server),
        "conditions": rule.conditions,
        "profile": rule.profile,
    })
}

/// Sets defaults and takes them away, and writes for each MDM server who did it.
async fn defaults(transaction: &mut SqliteConnection, edits: &[DefaultEdit], by: &Operator) -> Attempt<()> {
    let mut set: BTreeMap<ServerId, BTreeMap<String, Option<String>>> = BTreeMap::new();
    for DefaultEdit { server, scope, profile } in edits {
        let statement = match profile {
            Some(_) => {
                "-- set_default
                 INSERT INTO server_defaults (server_id, scope, profile_id)
                 SELECT ?1, ?2, id FROM profiles WHERE name = ?3
                 ON CONFLICT (server_id, scope) DO UPDATE SET profile_id = excluded.profile_id"
            }
            None => "-- drop_default\nDELETE FROM server_defaults WHERE server_id = ?1 AND scope = ?2",
        };
        let query = sqlx::query(statement).bind(server.0).bind(scope.as_str());
        let query = match profile {
            Some(profile) => query.bind(profile.as_str()),
            None => query,
        };
        query.execute(&mut *transaction).await?;
        let profile = profile.as_ref().map(ToString::to_string);
        set.entry(*server).or_default().insert(scope.to_string(), profile);
    }
    for (server, defaults) in set {
        let details = DefaultsChanged { by: by.name.clone(), defaults };
        let event = NewEvent::new("server.defaults_changed", &details);
        changed(transaction, server, event, by).await?;
    }
    Ok(())
}

async fn settings(
    transaction: &mut SqliteConnection,
    server: ServerId,
    new: &SyncSettings,
    by: &Operator,
) -> Attempt<()> {
    sqlx::query("-- set_sync_settings\nUPDATE mdm_servers SET sync_settings = ?2, work_at = 0 WHERE id = ?1")
        .bind(server.0)
        .bind(to_json("mdm_servers.sync_settings", new)?)
        .execute(&mut *transaction)
        .await?;
    let details = SettingsChanged { by: by.name.clone(), settings: *new };
    let event = NewEvent::new("server.settings_changed", &details);
    changed(transaction, server, event, by).await
}
