//! What people decide: profiles, rules, defaults and settings, and how they are changed.
//!
//! All of it has one version, which grows with every change, so that whoever has shown a person what a change would do can
//! have it made only if nothing else has changed since. Changes are worked out by [`edits`], which is pure; a driver loads
//! the [`Configuration`], calls it, and writes the [`Edits`], all in one transaction.

mod change;
mod edits;
mod rule_change;
mod share;
mod stored;
#[cfg(test)]
mod tests;

use std::collections::HashMap;

use adelie_model::{ProfileId, ProfileName, RevisionId, RuleId, RuleName, ServerId, ServerName, Timestamp};
use adelie_rules::{Condition, Defaults, Scope};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};

pub use change::{Change, Document, NewRevision, NewRule, RollOut, RulePatch, hash};
pub use edits::{Affected, DefaultEdit, Edits, HeadEdit, Needed, RevisionEdit, RuleEdit, edits};
pub use share::is_among;

use crate::{
    ConfigurationError, Operator, Policy, ProfileStore, Result, Revision, RuleBook, StoreError, SyncSettings,
};

/// How often what people decide has changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Version(pub i64);

impl Version {
    /// The version that a change leads to.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// What people have decided, as it stands at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Configuration {
    /// Its version.
    pub version: Version,
    /// The profiles, by name, without those that were removed.
    pub profiles: Vec<Head>,
    /// The names of removed profiles with their newest revision's number, by name, so that a profile of that name goes on
    /// from it.
    pub removed: Vec<(ProfileName, u32)>,
    /// The rules, in their order.
    pub rules: Vec<StoredRule>,
    /// MDM servers, by name: all of them, or those that a change names.
    pub servers: Vec<ServerConfiguration>,
}

/// Which revision of a profile is in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// The profile.
    pub id: ProfileId,
    /// Its name.
    pub name: ProfileName,
    /// The number of its newest revision.
    pub newest: u32,
    /// The revision that devices get.
    pub in_force: RevisionRef,
    /// A revision that some of them get already.
    pub staged: Option<Staged>,
}

/// A revision of a profile, without its content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RevisionRef {
    /// Its id; negative when it is not stored yet.
    pub id: RevisionId,
    /// Its number, from 1.
    pub number: u32,
    /// What it says; see [`NewRevision::hash`].
    pub hash: String,
}

/// A revision that is rolled out step by step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Staged {
    /// The revision.
    pub revision: RevisionRef,
    /// So many percent of the devices get it, 1 to 99; see [`is_among`].
    pub percent: u8,
    /// While it is paused, no further device gets it, and those that have it keep it.
    pub paused: bool,
}

/// A rule as it is stored.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredRule {
    /// Its id; 0 when it is not stored yet.
    pub id: RuleId,
    /// Its name.
    pub name: RuleName,
    /// The MDM server that it is limited to, with its name.
    pub only: Option<(ServerId, ServerName)>,
    /// All of them must hold.
    pub conditions: Vec<Condition>,
    /// The profile that it gives.
    pub profile: ProfileName,
}

/// What is decided for one MDM server.
#[derive(Clone, Debug, PartialEq)]
pub struct ServerConfiguration {
    /// The MDM server.
    pub id: ServerId,
    /// Its name.
    pub name: ServerName,
    /// Its defaults, in the order of [`Scope::ALL`].
    pub defaults: Vec<(Scope, ProfileName)>,
    /// Its sync settings.
    pub settings: SyncSettings,
}

/// One change of what people decide, as it was made.
#[derive(Clone, Debug, PartialEq)]
pub struct Changed {
    /// The version that it led to.
    pub version: Version,
    /// When it was made.
    pub at: Timestamp,
    /// Who made it.
    pub by: String,
    /// What was changed, one line for each change, for people.
    pub changes: Vec<String>,
}

impl Configuration {
    /// Refuses to change anything when somebody else has changed something since.
    ///
    /// # Errors
    /// `Moved` when the version is not the expected one.
    pub fn check_version(&self, expected: Option<Version>) -> Result<(), ConfigurationError> {
        match expected {
            Some(expected) if expected != self.version => {
                Err(ConfigurationError::Moved { expected: expected.0, found: self.version.0 })
            }
            _ => Ok(()),
        }
    }

    /// The profile of that name.
    #[must_use]
    pub fn profile(&self, name: &ProfileName) -> Option<&Head> {
        self.profiles.iter().find(|head| head.name == *name)
    }

    /// The rule of that name.
    #[must_use]
    pub fn rule(&self, name: &RuleName) -> Option<&StoredRule> {
        self.rules.iter().find(|rule| rule.name == *name)
    }

    /// What decides for the devices of each MDM server, apart from what Apple has: nothing is published in it.
    #[must_use]
    pub fn policies(&self) -> HashMap<ServerId, Policy> {
        let book = RuleBook::new(self);
        let in_force: HashMap<&ProfileName, RevisionId> =
            self.profiles.iter().map(|head| (&head.name, head.in_force.id)).collect();
        let policy = |server: &ServerConfiguration| {
            let defaults = server.defaults.iter();
            let defaults =
                defaults.filter_map(|(scope, profile)| Some((scope.clone(), *in_force.get(profile)?)));
            let drift = server.settings.drift.unwrap_or_default();
            (server.id, book.policy(server.name.clone(), Defaults::new(defaults), HashMap::new(), drift))
        };
        self.servers.iter().map(policy).collect()
    }

    /// The profile and the number of a revision that is in force or staged.
    #[must_use]
    pub fn given(&self, revision: RevisionId) -> Option<(&ProfileName, u32)> {
        self.profiles.iter().find_map(|head| {
            let staged = head.staged.as_ref().map(|staged| &staged.revision);
            let found = [Some(&head.in_force), staged].into_iter().flatten().find(|it| it.id == revision)?;
            Some((&head.name, found.number))
        })
    }

    /// The MDM server with that number.
    #[must_use]
    pub fn server(&self, id: ServerId) -> Option<&ServerConfiguration> {
        self.servers.iter().find(|server| server.id == id)
    }
}

/// What people decide, and its changes.
#[async_trait]
pub trait ConfigurationStore: ProfileStore {
    /// All of it, at one moment.
    async fn configuration(&self) -> Result<Configuration>;

    /// Makes changes, all of them or none, one after the other, and says which version they led to. Devices that they
    /// may concern are marked to be decided anew (field lesson L25), and who made them is written down (field lesson
    /// L32). Changes that change nothing lead to no new version.
    ///
    /// # Errors
    /// `ConfigurationError::Moved` when the version is not the expected one; what [`edits`] refuses.
    async fn configure(
        &self,
        changes: &[Change],
        expected: Option<Version>,
        by: &Operator,
    ) -> Result<Version>;

    /// The changes that were made, newest first.
    async fn changes(&self, limit: u32) -> Result<Vec<Changed>>;

    /// How many devices each rule gives its profile to, as decided last. Rules without devices are left out.
    async fn rule_hits(&self) -> Result<HashMap<RuleId, u64>>;

    /// Adds a profile, and returns its first revision.
    ///
    /// # Errors
    /// `Exists` when the name is taken.
    async fn add_profile(
        &self,
        name: &ProfileName,
        revision: NewRevision,
        by: &Operator,
    ) -> Result<Revision> {
        self.configure(&[Change::AddProfile { name: name.clone(), revision }], None, by).await?;
        let missing = || StoreError::Missing { what: "profile", name: name.to_string() };
        self.profile(name).await?.ok_or_else(missing)
    }

    /// Sets, or with `None` takes away, defaults of an MDM server.
    ///
    /// # Errors
    /// `Missing` when a profile or the MDM server does not exist.
    async fn set_defaults(
        &self,
        server: ServerId,
        defaults: &[(Scope, Option<ProfileName>)],
        by: &Operator,
    ) -> Result<()> {
        let changes: Vec<Change> = defaults
            .iter()
            .cloned()
            .map(|(scope, profile)| Change::SetDefault { server, scope, profile })
            .collect();
        self.configure(&changes, None, by).await.map(drop)
    }

    /// Replaces the sync settings of an MDM server.
    ///
    /// # Errors
    /// `Missing` when the MDM server does not exist.
    async fn set_sync_settings(
        &self,
        server: ServerId,
        settings: &SyncSettings,
        by: &Operator,
    ) -> Result<()> {
        let change = Change::SetSettings { server, settings: *settings };
        self.configure(&[change], None, by).await.map(drop)
    }
}
