use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use adelie_model::{
    AssignState, Device, DriftMode, ProfileId, ProfileName, ProfileUuid, PublishedId, RevisionId, RuleId,
    ServerId, ServerName, Timestamp,
};
use adelie_rules::{Defaults, Explanation, Finding, OnlyServer, Rule, Rules, Subject};

use crate::configuration::{Configuration, Staged, Version, is_among};
use crate::page;

/// A revision at Apple, for one MDM server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    /// Its id.
    pub id: PublishedId,
    /// The MDM server it is defined for.
    pub server: ServerId,
    /// The revision.
    pub revision: RevisionId,
    /// Apple's name of it; `None` until Apple took it.
    pub profile_uuid: Option<ProfileUuid>,
    /// What Apple shows otherwise than was sent.
    pub differs: Option<String>,
    /// Why Apple did not take it, with what to do.
    pub error: Option<String>,
    /// When it is tried again after an error.
    pub next_attempt_at: Option<Timestamp>,
    /// When it was defined or last tried.
    pub at: Timestamp,
}

/// The rules as they stand at one version of the configuration, made ready for any number of devices of any MDM server. A
/// clone is cheap. Drivers keep the last one, so that a transaction only has to look whether the version is still the same.
#[derive(Clone, Debug, Default)]
pub struct RuleBook {
    version: Version,
    rules: Rules,
    ids: Arc<[RuleId]>,
    staged: Arc<HashMap<RevisionId, Staging>>,
}

/// A revision that some devices get in place of the one in force.
#[derive(Clone, Debug)]
struct Staging {
    profile: ProfileId,
    staged: Staged,
}

impl RuleBook {
    /// The rules of a configuration.
    #[must_use]
    pub fn new(configuration: &Configuration) -> Self {
        let in_force: HashMap<&ProfileName, RevisionId> =
            configuration.profiles.iter().map(|head| (&head.name, head.in_force.id)).collect();
        let (rules, ids): (Vec<Rule>, Vec<RuleId>) = configuration
            .rules
            .iter()
            .filter_map(|rule| {
                let only = rule.only.as_ref();
                let only = only.map(|(id, name)| OnlyServer { id: *id, name: name.clone() });
                let gives = *in_force.get(&rule.profile)?;
                let conditions = rule.conditions.clone();
                Some((Rule { name: rule.name.clone(), only, conditions, gives }, rule.id))
            })
            .unzip();
        let staged = configuration.profiles.iter().filter_map(|head| {
            let staged = head.staged.clone()?;
            Some((head.in_force.id, Staging { profile: head.id, staged }))
        });
        Self {
            version: configuration.version,
            rules: Rules::new(rules, Defaults::default()),
            ids: ids.into(),
            staged: Arc::new(staged.collect()),
        }
    }

    /// What in the rules does nothing or hides others.
    #[must_use]
    pub fn findings(&self) -> Vec<Finding> {
        self.rules.findings()
    }

    /// The version of the configuration that they are of.
    #[must_use]
    pub fn version(&self) -> Version {
        self.version
    }

    /// Everything that decides for the devices of one MDM server.
    #[must_use]
    pub fn policy(
        &self,
        server: ServerName,
        defaults: Defaults,
        published: HashMap<RevisionId, ProfileUuid>,
        drift: DriftMode,
    ) -> Policy {
        let book = Self { rules: self.rules.with_defaults(defaults), ..self.clone() };
        Policy { server: Some(server), book, published, drift }
    }
}

/// Everything that decides what the devices of one MDM server are to have. Loaded inside the
/// transaction that uses it, so that a default changed a moment ago counts (field lesson L14).
#[derive(Clone, Debug, Default)]
pub struct Policy {
    server: Option<ServerName>,
    book: RuleBook,
    /// Apple's UUID of each revision that is defined at this MDM server.
    pub published: HashMap<RevisionId, ProfileUuid>,
    /// What is done about drift.
    pub drift: DriftMode,
}

/// What a device is to have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted<'p> {
    /// The revision; `None` when nothing gives it one.
    pub revision: Option<RevisionId>,
    /// Its UUID at Apple, if it has one yet.
    pub uuid: Option<&'p ProfileUuid>,
    /// The rule that has decided; `None` when it was a default, or nothing.
    pub rule: Option<RuleId>,
    /// Why, for people.
    pub because: Cow<'p, str>,
}

impl Policy {
    /// A policy of defaults alone.
    #[must_use]
    pub fn of_defaults(
        defaults: Defaults,
        published: HashMap<RevisionId, ProfileUuid>,
        drift: DriftMode,
    ) -> Self {
        let rules = Rules::new([], defaults);
        Self { server: None, book: RuleBook { rules, ..RuleBook::default() }, published, drift }
    }

    /// Whether this one certainly decides as another one of the same MDM server does.
    #[must_use]
    pub fn decides_like(&self, other: &Self) -> bool {
        self.book.version == other.book.version
            && self.book.rules.defaults() == other.book.rules.defaults()
            && self.drift == other.drift
    }

    /// What this device is to have.
    #[must_use]
    pub fn wanted(&self, device: &Device) -> Wanted<'_> {
        let defaults = self.book.rules.defaults();
        // Without rules nobody need know more of a device than its family.
        let (revision, rule, because) = match &self.server {
            Some(server) if self.book.rules.rules().len() > 0 => {
                let ruling = self.book.rules.decide(&Subject::new(device, server, &device.tags));
                let rule = ruling.rule.and_then(|place| self.book.ids.get(place).copied());
                (ruling.wanted, rule, ruling.because)
            }
            _ => {
                let decision = defaults.decide(device.actual.device_family.as_ref());
                (decision.wanted, None, decision.because)
            }
        };
        let (revision, because) = match revision.and_then(|revision| self.staged(revision, device)) {
            Some(staged) => {
                let number = staged.revision.number;
                let because = format!("{because}, among the {} % that get revision {number}", staged.percent);
                (Some(staged.revision.id), because.into())
            }
            None => (revision, because),
        };
        Wanted { revision, uuid: revision.and_then(|it| self.published.get(&it)), rule, because }
    }

    /// Why this device is to have what it is to have.
    #[must_use]
    pub fn explain(&self, device: &Device) -> Option<Explanation<'_>> {
        let server = self.server.as_ref()?;
        Some(self.book.rules.explain(&Subject::new(device, server, &device.tags)))
    }

    /// The staged revision that this device gets in place of the one in force.
    fn staged(&self, in_force: RevisionId, device: &Device) -> Option<&Staged> {
        let Staging { profile, staged } = self.book.staged.get(&in_force)?;
        if !is_among(&device.serial, *profile, staged.percent) {
            return None;
        }
        // In a pause, those that have it keep it, and so do those of which it is not known whether they have it.
        let assignment = &device.assignment;
        let has_it = assignment.wanted == Some(staged.revision.id)
            && assignment.state != AssignState::Due
            && !page::is_asked_first(assignment);
        (!staged.paused || has_it).then_some(staged)
    }
}

#[cfg(test)]
mod tests;
