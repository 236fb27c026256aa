//! Writing what becomes of people's changes.

use std::collections::BTreeMap;

use adelie_model::{ProfileName, ServerId, to_millis};
use adelie_store::configuration::{
    DefaultEdit, Edits, HeadEdit, RevisionEdit, RuleEdit, StoredRule, Version,
};
use adelie_store::event::{DefaultsChanged, NewEvent, SettingsChanged, configured};
use adelie_store::{Operator, SyncSettings};
use serde_json::{Value, json};
use sqlx::PgConnection;
use sqlx::types::Json;

use super::load::chosen_servers;
use crate::batch::{self, object, text};
use crate::failure::Attempt;
use crate::servers::tell;

/// Writes all of it, under the version that it leads to.
pub(crate) async fn edits(
    transaction: &mut PgConnection,
    edits: &Edits,
    version: Version,
    by: &Operator,
) -> Attempt<()> {
    // First of all the servers' rows, so that no page is decided by the old word after this.
    decide_anew(transaction, edits).await?;
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
    sqlx::query("-- set_version\nUPDATE configuration SET version = $1 WHERE id = 1")
        .bind(version.0)
        .execute(&mut *transaction)
        .await?;
    let lines: Vec<_> = edits.lines.iter().map(|line| text(line)).collect();
    sqlx::query(
        r#"-- add_change
         INSERT INTO configuration_changes (version, at, "by", changes) VALUES ($1, $2, $3, $4)"#,
    )
    .bind(version.0)
    .bind(to_millis(by.now))
    .bind(text(&by.name))
    .bind(Json(lines))
    .execute(transaction)
    .await?;
    Ok(())
}

const LOCK_SERVERS: &str = concat!(
    "-- lock_changed_servers
     SELECT s.id FROM mdm_servers s WHERE ",
    chosen_servers!(),
    " ORDER BY s.id FOR NO KEY UPDATE"
);

const DECIDE_ANEW: &str = concat!(
    "-- decide_all_anew
     UPDATE mdm_servers s SET decide_after = '', work_at = 'epoch' WHERE ",
    chosen_servers!()
);

/// Makes all devices of the MDM servers that are concerned be decided anew, at once. Their rows are locked in the order of
/// their ids, with those whose settings change; everybody else locks one of them only.
async fn decide_anew(transaction: &mut PgConnection, edits: &Edits) -> Attempt<()> {
    let affected = &edits.affected;
    let decided: Vec<i64> = affected.servers.iter().map(|server| server.0).collect();
    let profiles: Vec<&str> = affected.with_default.iter().map(ProfileName::as_str).collect();
    let locked: Vec<i64> =
        decided.iter().copied().chain(edits.settings.iter().map(|(server, _)| server.0)).collect();
    for (statement, servers) in [(LOCK_SERVERS, locked), (DECIDE_ANEW, decided)] {
        sqlx::query(statement)
            .bind(affected.all)
            .bind(servers)
            .bind(&profiles)
            .execute(&mut *transaction)
            .await?;
    }
    Ok(())
}

async fn revision(transaction: &mut PgConnection, edit: &RevisionEdit, by: &Operator) -> Attempt<()> {
    let RevisionEdit { profile, number, revision } = edit;
    if *number == 1 {
        sqlx::query("-- add_profile\nINSERT INTO profiles (name, created_at) VALUES ($1, $2)")
            .bind(profile.as_str())
            .bind(to_millis(by.now))
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
         SELECT id, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11 FROM profiles WHERE name = $1
         RETURNING id",
    )
    .bind(profile.as_str())
    .bind(i64::from(*number))
    .bind(Json(object(&revision.content)))
    .bind(&revision.content_hash)
    .bind(document.map(|document| Json(object(&document.content))))
    .bind(document.map(|document| &document.hash))
    .bind(secrets)
    .bind(secrets_id)
    .bind(text(&by.name))
    .bind(text(&revision.note))
    .bind(to_millis(by.now))
    .fetch_one(&mut *transaction)
    .await?;
    // What Apple has of the same content it has of this one: a device that has it needs no assignment.
    sqlx::query(
        "-- publish_the_same
         INSERT INTO published_profiles (server_id, revision_id, profile_uuid, at, differs)
         SELECT p.server_id, $1, p.profile_uuid, p.at, p.differs
         FROM profile_revisions r JOIN published_profiles p ON p.revision_id = r.id
         WHERE r.content_hash = $2 AND p.profile_uuid IS NOT NULL ORDER BY p.server_id, p.id
         ON CONFLICT (server_id, revision_id) DO NOTHING",
    )
    .bind(id)
    .bind(&revision.content_hash)
    .execute(transaction)
    .await?;
    Ok(())
}

async fn head(transaction: &mut PgConnection, edit: &HeadEdit, by: &Operator) -> Attempt<()> {
    let Some(in_force) = edit.in_force else {
        sqlx::query(
            "-- remove_profile
             UPDATE profiles SET removed_at = $2, staged_id = NULL, staged_percent = NULL, staged_paused = false
             WHERE name = $1",
        )
        .bind(edit.profile.as_str())
        .bind(to_millis(by.now))
        .execute(transaction)
        .await?;
        return Ok(());
    };
    sqlx::query(
        "-- put_in_force
         UPDATE profile_revisions r SET in_force_at = $3 FROM profiles p
         WHERE p.name = $1 AND r.profile_id = p.id AND r.number = $2 AND r.id IS DISTINCT FROM p.in_force_id",
    )
    .bind(edit.profile.as_str())
    .bind(i64::from(in_force))
    .bind(to_millis(by.now))
    .execute(&mut *transaction)
    .await?;
    sqlx::query(
        "-- set_head
         UPDATE profiles p SET removed_at = NULL,
             in_force_id = (SELECT r.id FROM profile_revisions r WHERE r.profile_id = p.id AND r.number = $2),
             staged_id = (SELECT r.id FROM profile_revisions r WHERE r.profile_id = p.id AND r.number = $3),
             staged_percent = $4, staged_paused = $5
         WHERE p.name = $1",
    )
    .bind(edit.profile.as_str())
    .bind(i64::from(in_force))
    .bind(edit.staged.map(|(number, ..)| i64::from(number)))
    .bind(edit.staged.map(|(_, percent, _)| i16::from(percent)))
    .bind(edit.staged.is_some_and(|(.., paused)| paused))
    .execute(transaction)
    .await?;
    Ok(())
}

/// Rules may exchange their names, and a new one may take the name of one that goes.
async fn rules(transaction: &mut PgConnection, edits: &[RuleEdit]) -> Attempt<()> {
    let (mut gone, mut changed, mut new) = (Vec::new(), Vec::new(), Vec::new());
    for edit in edits {
        match edit {
            RuleEdit::Delete(id) => gone.push(json!({ "id": id })),
            RuleEdit::Update { place, rule } => changed.push(row(*place, rule)),
            RuleEdit::Insert { place, rule } => new.push(row(*place, rule)),
        }
    }
    let statements = [
        (
            "-- remove_rules
             DELETE FROM rules r USING jsonb_to_recordset($1) AS gone (id bigint) WHERE r.id = gone.id",
            gone,
        ),
        (
            // No name has a slash in it.
            "-- park_names_of_rules
             UPDATE rules r SET name = '/' || r.id
             FROM jsonb_to_recordset($1) AS changed (id bigint) WHERE r.id = changed.id",
            changed.clone(),
        ),
        (
            "-- change_rules
             UPDATE rules r SET place = new.place, name = new.name, server_id = new.server,
                 conditions = new.conditions, profile_id = p.id
             FROM jsonb_to_recordset($1)
                 AS new (id bigint, place integer, name text, server bigint, conditions jsonb, profile text)
             JOIN profiles p ON p.name = new.profile
             WHERE r.id = new.id",
            changed,
        ),
        (
            "-- add_rules
             INSERT INTO rules (place, name, server_id, conditions, profile_id)
             SELECT new.place, new.name, new.server, new.conditions, p.id
             FROM jsonb_to_recordset($1)
                 AS new (place integer, name text, server bigint, conditions jsonb, profile text)
             JOIN profiles p ON p.name = new.profile
             ORDER BY new.place",
            new,
        ),
    ];
    for (statement, rules) in statements {
        if !rules.is_empty() {
            sqlx::query(statement).bind(Json(rules)).execute(&mut *transaction).await?;
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
async fn defaults(transaction: &mut PgConnection, edits: &[DefaultEdit], by: &Operator) -> Attempt<()> {
    let mut set: BTreeMap<ServerId, BTreeMap<String, Option<String>>> = BTreeMap::new();
    for DefaultEdit { server, scope, profile } in edits {
        let query = match profile {
            Some(profile) => sqlx::query(
                "-- set_default
                 INSERT INTO server_defaults (server_id, scope, profile_id)
                 SELECT $1, $2, id FROM profiles WHERE name = $3
                 ON CONFLICT (server_id, scope) DO UPDATE SET profile_id = excluded.profile_id",
            )
            .bind(server.0)
            .bind(scope.as_str())
            .bind(profile.as_str()),
            None => sqlx::query(
                "-- unset_default
                 DELETE FROM server_defaults WHERE server_id = $1 AND scope = $2",
            )
            .bind(server.0)
            .bind(scope.as_str()),
        };
        query.execute(&mut *transaction).await?;
        let profile = profile.as_ref().map(ToString::to_string);
        set.entry(*server).or_default().insert(scope.to_string(), profile);
    }
    for (server, defaults) in set {
        let details = DefaultsChanged { by: by.name.clone(), defaults };
        let event = NewEvent::new("server.defaults_changed", &details);
        tell(transaction, server, event, by).await?;
    }
    Ok(())
}

async fn settings(
    transaction: &mut PgConnection,
    server: ServerId,
    new: &SyncSettings,
    by: &Operator,
) -> Attempt<()> {
    sqlx::query(
        "-- set_sync_settings
         UPDATE mdm_servers SET sync_settings = $2, work_at = 'epoch' WHERE id = $1",
    )
    .bind(server.0)
    .bind(Json(new))
    .execute(&mut *transaction)
    .await?;
    let details = SettingsChanged { by: by.name.clone(), settings: *new };
    let event = NewEvent::new("server.settings_changed", &details);
    tell(transaction, server, event, by).await
}
