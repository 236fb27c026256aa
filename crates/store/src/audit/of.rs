//! What changes by hand come to in the audit. Pure; drivers call it in the transaction that makes the change.

use std::collections::{BTreeMap, HashSet};

use adelie_model::{
    DeliveryId, Device, EscrowId, RunId, SerialNumber, ServerName, ServerTokenId, Timestamp, TokenKeyId,
    WebhookId,
};
use adelie_rules::Condition;
use serde_json::{Value, json};

use super::{AuditAction, AuditObject, Facts, NewAudit};
use crate::backup::Header;
use crate::configuration::{Configuration, Edits, Head, ServerConfiguration, StoredRule};
use crate::page::Action;
use crate::seal::StoredDataKey;
use crate::{
    EscrowKind, EscrowState, Escrowed, NewBulkChange, NewServer, NewWebhook, Replay, RunStart, WebhookChange,
    WebhookState,
};

/// More patterns than these in a condition, and only those that differ are told.
const PATTERNS: usize = 20;

fn server(name: &ServerName) -> AuditObject {
    AuditObject::new("server", name)
}

/// An MDM server was added.
#[must_use]
pub fn server_added(new: &NewServer) -> NewAudit {
    let facts = Facts::new().with("base_url", new.base_url.as_str()).with("paused", new.paused);
    NewAudit::new(AuditAction::ServerAdded, server(&new.name)).after(facts)
}

/// An MDM server was paused or resumed.
#[must_use]
pub fn server_paused(name: &ServerName, paused: bool) -> NewAudit {
    let action = if paused { AuditAction::ServerPaused } else { AuditAction::ServerResumed };
    let facts = |paused: bool| Facts::new().with("paused", paused);
    NewAudit::new(action, server(name)).before(facts(!paused)).after(facts(paused))
}

/// A key pair for server tokens was made.
#[must_use]
pub fn token_key_added(name: &ServerName, id: TokenKeyId) -> NewAudit {
    NewAudit::new(AuditAction::TokenKeyAdded, server(name)).after(Facts::new().with("key", id.to_string()))
}

/// A server token was taken into use: a new one, or a former one once more. `was` is the one that was in use before.
#[must_use]
pub fn token_switched(
    action: AuditAction,
    name: &ServerName,
    was: Option<ServerTokenId>,
    is: ServerTokenId,
    expires_at: Timestamp,
) -> NewAudit {
    let facts = |id: ServerTokenId| Facts::new().with("token", id.to_string());
    let after = facts(is).with("expires_at", expires_at.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true));
    NewAudit { before: was.map(facts), ..NewAudit::new(action, server(name)).after(after) }
}

/// Secrets are sealed under another data key, or data keys under another master key. Nothing else about them is done by
/// people.
#[must_use]
pub fn keys_changed(before: &[StoredDataKey], after: &[StoredDataKey]) -> Vec<NewAudit> {
    let facts = |keys: &[StoredDataKey]| {
        let newest = keys.last();
        Facts::new()
            .with("data_key", newest.map(|key| key.version))
            .with("master_key", newest.map(|key| key.master_id().to_owned()))
    };
    let (was, is) = (facts(before), facts(after));
    if was == is {
        return Vec::new();
    }
    vec![NewAudit::new(AuditAction::KeyRotated, AuditObject::new("key", "all")).before(was).after(is)]
}

/// A backup was made, into this file.
#[must_use]
pub fn backup_made(file: &str, rows: u64) -> NewAudit {
    NewAudit::new(AuditAction::BackupMade, AuditObject::new("backup", file))
        .after(Facts::new().with("rows", rows))
}

/// The database was filled from this file.
#[must_use]
pub fn backup_restored(file: &str, header: &Header) -> NewAudit {
    let facts = Facts::new()
        .with("made_at", header.made_at.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true))
        .with("database", header.database.as_str())
        .with("installation", header.installation.as_str())
        .with("rows", header.rows);
    NewAudit::new(AuditAction::BackupRestored, AuditObject::new("backup", file)).after(facts)
}

/// So many refused profiles of an MDM server were made due again.
#[must_use]
pub fn profiles_retried(name: &ServerName, profiles: u64) -> NewAudit {
    NewAudit::new(AuditAction::ServerProfilesRetried, server(name))
        .after(Facts::new().with("profiles", profiles))
}

/// What an operator has decided with a sync that begins: to have it in spite of the policy, and to accept removals. A sync
/// that the policy allows is told by the history of syncs alone.
#[must_use]
pub fn sync_begun(name: &ServerName, start: &RunStart, run: RunId) -> Vec<NewAudit> {
    let mut entries = Vec::new();
    if start.requested_by.is_none() {
        return entries;
    }
    if start.trigger == adelie_model::Trigger::Forced {
        let facts = Facts::new().with("run", run.0).with("kind", start.kind.as_str());
        entries.push(NewAudit::new(AuditAction::SyncForced, server(name)).after(facts));
    }
    if start.removals_accepted {
        let facts = Facts::new().with("run", run.0);
        entries.push(NewAudit::new(AuditAction::RemovalsAccepted, server(name)).after(facts));
    }
    entries
}

/// What people decide was changed: an entry for each profile, rule and MDM server that is otherwise than before.
#[must_use]
pub fn edited(before: &Configuration, edits: &Edits) -> Vec<NewAudit> {
    let after = &edits.after;
    let mut entries = profiles(before, edits);
    entries.extend(rules(before, after));
    for server in &after.servers {
        if let Some(was) = before.server(server.id) {
            entries.extend(server_edited(was, server));
        }
    }
    entries
}

fn profiles(before: &Configuration, edits: &Edits) -> Vec<NewAudit> {
    let entry = |edit: &crate::configuration::HeadEdit| {
        let (was, is) = (before.profile(&edit.profile), edits.after.profile(&edit.profile));
        let action = match (was, is) {
            (None, Some(_)) => AuditAction::ProfileAdded,
            (Some(_), Some(_)) => AuditAction::ProfileRevised,
            (_, None) => AuditAction::ProfileRemoved,
        };
        // Its author's word about the newest revision that this change has made.
        let made = edits.revisions.iter().rfind(|revision| revision.profile == edit.profile);
        let note = made.map(|made| made.revision.note.as_str()).filter(|note| !note.is_empty());
        let after = is.map(|head| match note {
            Some(note) => head_facts(head).with("note", note),
            None => head_facts(head),
        });
        let object = AuditObject::new("profile", &edit.profile);
        NewAudit { before: was.map(head_facts), after, ..NewAudit::new(action, object) }
    };
    edits.heads.iter().map(entry).collect()
}

/// Which revisions count. Revisions never change, so that their numbers and hashes say what they are.
fn head_facts(head: &Head) -> Facts {
    let facts = Facts::new().with("revision", head.in_force.number).with("hash", head.in_force.hash.as_str());
    match &head.staged {
        None => facts,
        Some(staged) => {
            let (number, hash) = (staged.revision.number, &staged.revision.hash);
            let staged = json!({
                "revision": number, "hash": hash, "percent": staged.percent, "paused": staged.paused,
            });
            facts.with("staged", staged)
        }
    }
}

fn rules(before: &Configuration, after: &Configuration) -> Vec<NewAudit> {
    let entry = |action, name: &adelie_model::RuleName| NewAudit::new(action, AuditObject::new("rule", name));
    let mut entries = Vec::new();
    let is_there = |rule: &StoredRule, all: &[StoredRule]| all.iter().any(|other| other.id == rule.id);
    for gone in before.rules.iter().filter(|rule| !is_there(rule, &after.rules)) {
        entries.push(entry(AuditAction::RuleRemoved, &gone.name).before(rule_facts(gone, None)));
    }
    for (place, rule) in after.rules.iter().enumerate() {
        match before.rules.iter().find(|was| was.id == rule.id) {
            None => {
                let facts = rule_facts(rule, None).with("place", place + 1);
                entries.push(entry(AuditAction::RuleAdded, &rule.name).after(facts));
            }
            Some(was) if was != rule => {
                let (before, after) = (rule_facts(was, Some(rule)), rule_facts(rule, Some(was)));
                entries.push(entry(AuditAction::RuleChanged, &was.name).before(before).after(after));
            }
            Some(_) => {}
        }
    }
    // Of those that stay, by the names that they have now.
    let order = |rules: &[StoredRule], others: &[StoredRule]| -> Vec<String> {
        let stay = rules.iter().filter(|rule| is_there(rule, others));
        let named = stay.filter_map(|rule| after.rules.iter().find(|now| now.id == rule.id));
        named.map(|rule| rule.name.to_string()).collect()
    };
    let (was, is) = (order(&before.rules, &after.rules), order(&after.rules, &before.rules));
    if was != is {
        let order = |names: Vec<String>| Facts::new().with("order", names);
        let entry = NewAudit::new(AuditAction::RulesOrdered, AuditObject::new("rules", "all"));
        entries.push(entry.before(order(was)).after(order(is)));
    }
    entries
}

fn rule_facts(rule: &StoredRule, other: Option<&StoredRule>) -> Facts {
    let others = other.map_or(&[][..], |other| &other.conditions);
    let conditions: Vec<String> =
        rule.conditions.iter().map(|condition| condition_text(condition, others)).collect();
    Facts::new()
        .with("name", rule.name.as_str())
        .with("conditions", conditions)
        .with("profile", rule.profile.as_str())
        .with("server", rule.only.as_ref().map(|(_, name)| name.as_str()))
}

/// A condition; of one with a long list, which may have 100,000 serial numbers, what the other side has too is left out.
fn condition_text(condition: &Condition, others: &[Condition]) -> String {
    let patterns = condition.patterns();
    let Some(other) = others.iter().find(|other| other.field() == condition.field()) else {
        return condition.to_string();
    };
    if patterns.len() <= PATTERNS {
        return condition.to_string();
    }
    let known: HashSet<String> = other.patterns().iter().map(ToString::to_string).collect();
    let own: Vec<String> =
        patterns.iter().map(ToString::to_string).filter(|pattern| !known.contains(pattern)).collect();
    let shared = patterns.len() - own.len();
    format!("{}={} (and {shared} that stay)", condition.field(), own.join(","))
}

fn server_edited(was: &ServerConfiguration, is: &ServerConfiguration) -> Vec<NewAudit> {
    let mut entries = Vec::new();
    if was.defaults != is.defaults {
        let facts = |server: &ServerConfiguration| {
            let defaults = server.defaults.iter();
            let defaults: BTreeMap<_, _> =
                defaults.map(|(scope, profile)| (scope.to_string(), profile.to_string())).collect();
            defaults.into_iter().fold(Facts::new(), |facts, (scope, profile)| facts.with(&scope, profile))
        };
        let entry = NewAudit::new(AuditAction::ServerDefaults, server(&is.name));
        entries.push(entry.before(facts(was)).after(facts(is)));
    }
    if was.settings != is.settings {
        let facts = |server: &ServerConfiguration| {
            let settings = serde_json::to_value(server.settings).unwrap_or_default();
            let settings = settings.as_object().cloned().unwrap_or_default();
            settings.into_iter().fold(Facts::new(), |facts, (name, value)| facts.with(&name, value))
        };
        let entry = NewAudit::new(AuditAction::ServerSettings, server(&is.name));
        entries.push(entry.before(facts(was)).after(facts(is)));
    }
    entries
}

/// A device was held, let go, retried, put away or tagged.
#[must_use]
pub fn device_operated(at: &ServerName, action: &Action, before: &Device, after: &Device) -> NewAudit {
    let action = match action {
        Action::Hold { .. } => AuditAction::DeviceHeld,
        Action::Unhold => AuditAction::DeviceUnheld,
        Action::Retry { .. } => AuditAction::DeviceRetried,
        Action::Archive => AuditAction::DeviceDeleted,
        Action::Tag { .. } => AuditAction::DeviceTagged,
    };
    let facts = |device: &Device| {
        Facts::new()
            .with("server", at.as_str())
            .with("state", device.assignment.state.as_str())
            .with("hold", device.hold.as_deref())
            .with("tags", device.tags.clone())
    };
    NewAudit::new(action, AuditObject::new("device", before.serial.as_str()))
        .before(facts(before))
        .after(facts(after))
}

/// Somebody has Apple asked about a device, which is not by the sync policy.
#[must_use]
pub fn device_refreshed(at: &ServerName, serial: &SerialNumber) -> NewAudit {
    NewAudit::new(AuditAction::DeviceRefreshed, AuditObject::new("device", serial))
        .after(Facts::new().with("server", at.as_str()))
}

/// A change of several devices is about to be made.
#[must_use]
pub fn bulk_begun(number: i64, change: &NewBulkChange) -> NewAudit {
    let devices: usize = change.undo.iter().map(|undo| undo.serials.len()).sum();
    let facts = Facts::new().with("what", change.what.as_str()).with("devices", devices);
    NewAudit::new(AuditAction::BulkBegun, AuditObject::new("bulk", number)).after(facts)
}

/// A change of several devices was undone.
#[must_use]
pub fn bulk_undone(number: i64, what: &str) -> NewAudit {
    NewAudit::new(AuditAction::BulkUndone, AuditObject::new("bulk", number))
        .before(Facts::new().with("what", what))
}

/// Something was done about the secret of a device that is kept.
#[must_use]
pub fn secret(
    action: AuditAction,
    at: &ServerName,
    serial: &SerialNumber,
    kind: EscrowKind,
    id: Option<EscrowId>,
) -> NewAudit {
    let facts = Facts::new()
        .with("server", at.as_str())
        .with("kind", kind.as_str())
        .with("id", id.map(|id| id.to_string()));
    NewAudit::new(action, AuditObject::new("device", serial)).after(facts)
}

/// What became of the secret of a device was told.
#[must_use]
pub fn secret_settled(kept: &Escrowed, state: EscrowState, detail: &str) -> NewAudit {
    let facts = |state: EscrowState| {
        Facts::new()
            .with("server", kept.server_name.as_str())
            .with("kind", kept.kind.as_str())
            .with("id", kept.id.to_string())
            .with("state", state.as_str())
    };
    NewAudit::new(AuditAction::SecretSettled, AuditObject::new("device", &kept.serial))
        .before(facts(kept.state))
        .after(facts(state).with("detail", detail))
}

fn webhook(id: WebhookId) -> AuditObject {
    AuditObject::new("webhook", id)
}

/// An endpoint was added.
#[must_use]
pub fn webhook_added(id: WebhookId, new: &NewWebhook) -> NewAudit {
    let facts = Facts::new()
        .with("url", new.url.as_str())
        .with("events", new.events.clone())
        .with("servers", new.servers.iter().map(|server| server.0).collect::<Vec<_>>())
        .with("format", new.format.as_str())
        .with("thin", new.thin)
        .with("ordered", new.ordered)
        .with("concurrency", new.concurrency)
        .with("signed_by", new.secret.id.to_string());
    NewAudit::new(AuditAction::WebhookAdded, webhook(id)).after(facts)
}

/// An endpoint that stood like this was changed.
#[must_use]
pub fn webhook_changed(id: WebhookId, url: &str, was: WebhookState, change: &WebhookChange) -> NewAudit {
    let facts = |state: WebhookState| Facts::new().with("url", url).with("state", state.as_str());
    let entry = |action| NewAudit::new(action, webhook(id)).before(facts(was));
    match change {
        WebhookChange::Pause { reason } => {
            entry(AuditAction::WebhookPaused).after(facts(WebhookState::Paused).with("why", reason.as_str()))
        }
        WebhookChange::Resume => entry(AuditAction::WebhookResumed).after(facts(WebhookState::Active)),
        WebhookChange::Rotate { secret, old_until } => entry(AuditAction::WebhookRotated).after(
            facts(was)
                .with("signed_by", secret.id.to_string())
                .with("others_until", old_until.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true)),
        ),
    }
}

/// An endpoint was removed.
#[must_use]
pub fn webhook_removed(id: WebhookId, url: &str, was: WebhookState) -> NewAudit {
    let facts = Facts::new().with("url", url).with("state", was.as_str());
    NewAudit::new(AuditAction::WebhookRemoved, webhook(id)).before(facts)
}

/// A test was sent to an endpoint.
#[must_use]
pub fn webhook_tested(id: WebhookId, url: &str, delivery: DeliveryId) -> NewAudit {
    let facts = Facts::new().with("url", url).with("delivery", delivery.0);
    NewAudit::new(AuditAction::WebhookTested, webhook(id)).after(facts)
}

/// So many deliveries were made due again.
#[must_use]
pub fn webhook_replayed(which: &Replay, deliveries: u64) -> NewAudit {
    let time =
        |moment: &Timestamp| -> Value { moment.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true).into() };
    let facts = Facts::new().with("deliveries", deliveries);
    let (object, facts) = match which {
        Replay::One(id) => (AuditObject::new("delivery", id), facts),
        Replay::Failed(None) => (AuditObject::new("webhook", "all"), facts),
        Replay::Failed(Some(id)) => (webhook(*id), facts),
        Replay::Range { webhook: id, since, until } => {
            (webhook(*id), facts.with("since", time(since)).with("until", time(until)))
        }
    };
    NewAudit::new(AuditAction::WebhookReplayed, object).after(facts)
}
