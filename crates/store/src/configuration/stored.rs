//! A configuration as drivers read it: as one JSON text, made by one statement, so that all of it is of one moment.

use adelie_model::{ProfileId, ProfileName, RevisionId, RuleId, RuleName, ServerId, ServerName};
use adelie_rules::{Condition, Scope};
use serde::Deserialize;
use uuid::Uuid;

use super::{Configuration, Head, RevisionRef, ServerConfiguration, Staged, StoredRule, Version, hash};
use crate::{StoreError, SyncSettings};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    version: Version,
    /// In any order, like the other lists.
    profiles: Vec<StoredHead>,
    removed: Vec<(ProfileName, u32)>,
    rules: Vec<RuleRow>,
    servers: Vec<StoredServer>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredHead {
    id: ProfileId,
    name: ProfileName,
    newest: u32,
    in_force: StoredRevision,
    staged: Option<StoredStaged>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredRevision {
    id: RevisionId,
    number: u32,
    content_hash: String,
    document_hash: Option<String>,
    secrets_id: Option<Uuid>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredStaged {
    revision: StoredRevision,
    percent: u8,
    paused: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleRow {
    id: RuleId,
    place: i64,
    name: RuleName,
    only: Option<(ServerId, ServerName)>,
    conditions: Vec<Condition>,
    profile: ProfileName,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredServer {
    id: ServerId,
    name: ServerName,
    settings: SyncSettings,
    defaults: Vec<(String, ProfileName)>,
}

impl Configuration {
    /// Reads what a driver's statement made:
    ///
    /// ```json
    /// {
    ///   "version": 7,
    ///   "profiles": [{
    ///     "id": 1, "name": "labs", "newest": 3,
    ///     "in_force": { "id": 11, "number": 2, "content_hash": "…", "document_hash": null, "secrets_id": null },
    ///     "staged": { "revision": { … }, "percent": 10, "paused": false }
    ///   }],
    ///   "removed": [["old", 4]],
    ///   "rules": [{
    ///     "id": 5, "place": 0, "name": "macs", "only": [1, "School"], "conditions": ["family=mac"], "profile": "labs"
    ///   }],
    ///   "servers": [{ "id": 1, "name": "School", "settings": {}, "defaults": [["any", "labs"]] }]
    /// }
    /// ```
    ///
    /// The lists may be in any order.
    ///
    /// # Errors
    /// `Damaged` when something in it is not what it must be.
    pub fn from_stored(text: &str) -> Result<Self, StoreError> {
        let stored: Stored =
            serde_json::from_str(text).map_err(|error| StoreError::damaged("configuration", error))?;
        let Stored { version, profiles, mut removed, mut rules, servers } = stored;
        let mut profiles: Vec<Head> = profiles.into_iter().map(Head::from).collect();
        let mut servers: Vec<ServerConfiguration> = servers.into_iter().map(Into::into).collect();
        profiles.sort_by(|a, b| a.name.cmp(&b.name));
        removed.sort();
        rules.sort_by_key(|rule| (rule.place, rule.id));
        servers.sort_by(|a, b| a.name.cmp(&b.name));
        let rules = rules.into_iter().map(StoredRule::from).collect();
        Ok(Self { version, profiles, removed, rules, servers })
    }
}

impl From<StoredHead> for Head {
    fn from(head: StoredHead) -> Self {
        let StoredHead { id, name, newest, in_force, staged } = head;
        let staged = staged.map(|StoredStaged { revision, percent, paused }| Staged {
            revision: revision.into(),
            percent,
            paused,
        });
        Self { id, name, newest, in_force: in_force.into(), staged }
    }
}

impl From<StoredRevision> for RevisionRef {
    fn from(revision: StoredRevision) -> Self {
        let document = revision.document_hash.unwrap_or_default();
        let secrets = revision.secrets_id.map(|id| id.to_string()).unwrap_or_default();
        Self {
            id: revision.id,
            number: revision.number,
            hash: hash(&revision.content_hash, &document, &secrets),
        }
    }
}

impl From<RuleRow> for StoredRule {
    fn from(rule: RuleRow) -> Self {
        let RuleRow { id, place: _, name, only, conditions, profile } = rule;
        Self { id, name, only, conditions, profile }
    }
}

impl From<StoredServer> for ServerConfiguration {
    fn from(server: StoredServer) -> Self {
        let defaults = server.defaults.into_iter();
        let mut defaults: Vec<_> = defaults.map(|(word, profile)| (Scope::of_word(&word), profile)).collect();
        defaults.sort_by(|(a, _), (b, _)| a.order().cmp(&b.order()));
        Self { id: server.id, name: server.name, defaults, settings: server.settings }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_stored_is_read_in_its_order_and_damage_is_named() {
        let text = r#"{ "version": 7, "profiles": [
            { "id": 2, "name": "b", "newest": 1, "in_force": { "id": 21, "number": 1, "content_hash": "c",
              "document_hash": "d", "secrets_id": "67E5504410B1426F9247BB680E5FE0C8" }, "staged": null },
            { "id": 1, "name": "a", "newest": 2, "in_force": { "id": 11, "number": 1, "content_hash": "c",
              "document_hash": null, "secrets_id": null }, "staged": { "percent": 5, "paused": true, "revision":
              { "id": 12, "number": 2, "content_hash": "x", "document_hash": null, "secrets_id": null } } }],
          "removed": [["y", 2], ["x", 1]],
          "rules": [
            { "id": 1, "place": 1, "name": "r1", "only": null, "conditions": [], "profile": "a" },
            { "id": 2, "place": 0, "name": "r2", "only": [3, "s"], "conditions": ["tag=x"], "profile": "b" }],
          "servers": [
            { "id": 3, "name": "s", "settings": {}, "defaults": [["any", "a"], ["Watch", "b"], ["mac", "a"]] }] }"#;
        let read = Configuration::from_stored(text).expect("it is whole");
        let names: Vec<_> = read.profiles.iter().map(|head| head.name.as_str()).collect();
        assert_eq!((read.version, names), (Version(7), vec!["a", "b"]));
        assert_eq!(read.profiles[0].staged.as_ref().map(|staged| staged.revision.number), Some(2));
        assert_eq!(read.profiles[1].in_force.hash, "c:d:67e55044-10b1-426f-9247-bb680e5fe0c8");
        assert_eq!(read.removed[0].0.as_str(), "x");
        assert_eq!(read.rules.iter().map(|rule| rule.id.0).collect::<Vec<_>>(), [2, 1]);
        let scopes: Vec<_> = read.servers[0].defaults.iter().map(|(scope, _)| scope.as_str()).collect();
        assert_eq!(scopes, ["mac", "Watch", "any"]);

        let error =
            Configuration::from_stored(&text.replace("tag=x", "weight=x")).expect_err("no such field");
        assert!(matches!(error, StoreError::Damaged { what: "configuration", .. }), "{error:?}");
    }
}
