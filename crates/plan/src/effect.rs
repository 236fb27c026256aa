use std::collections::{BTreeMap, HashMap};

use adelie_model::{Device, ProfileName, RevisionId, ServerId, ServerName};
use adelie_store::Policy;
use adelie_store::configuration::{Configuration, RevisionRef};
use serde::Serialize;

/// What changes mean for devices, by what they are to have before and afterwards.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Effect {
    /// The devices that were looked at.
    pub devices: u64,
    /// How many of them make each move. Those that stay as they are, are not in it.
    pub moves: BTreeMap<Move, u64>,
}

/// A device is to have something else than before.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Move {
    /// The MDM server.
    pub server: ServerName,
    /// What it was to have; `None` when nothing.
    pub from: Option<Given>,
    /// What it is to have; `None` when nothing.
    pub to: Option<Given>,
}

/// A revision of a profile.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Given {
    /// The profile.
    pub profile: ProfileName,
    /// The number of its revision.
    pub revision: u32,
}

impl Effect {
    /// Counts a device.
    pub fn count(&mut self, change: Option<Move>) {
        self.devices += 1;
        if let Some(change) = change {
            *self.moves.entry(change).or_default() += 1;
        }
    }

    /// How many devices are to have something else than before.
    #[must_use]
    pub fn moved(&self) -> u64 {
        self.moves.values().sum()
    }
}

/// Decides devices by two configurations.
pub struct Evaluator {
    before: Side,
    after: Side,
}

/// One of the two.
struct Side {
    policies: HashMap<ServerId, Policy>,
    revisions: HashMap<RevisionId, Given>,
}

impl Evaluator {
    /// Of these two, each with all its MDM servers.
    #[must_use]
    pub fn new(before: &Configuration, after: &Configuration) -> Self {
        Self { before: Side::new(before), after: Side::new(after) }
    }

    /// What the change means for a device; `None` when nothing, and when it is no longer at its MDM server.
    #[must_use]
    pub fn look(&self, device: &Device, server: &ServerName) -> Option<Move> {
        if device.removed_at.is_some() {
            return None;
        }
        let (from, to) = (self.before.given(device), self.after.given(device));
        (from != to).then(|| Move { server: server.clone(), from: from.cloned(), to: to.cloned() })
    }
}

impl Side {
    fn new(configuration: &Configuration) -> Self {
        let mut revisions = HashMap::new();
        for head in &configuration.profiles {
            let mut add = |revision: &RevisionRef| {
                let given = Given { profile: head.name.clone(), revision: revision.number };
                revisions.insert(revision.id, given);
            };
            add(&head.in_force);
            if let Some(staged) = &head.staged {
                add(&staged.revision);
            }
        }
        Self { policies: configuration.policies(), revisions }
    }

    fn given(&self, device: &Device) -> Option<&Given> {
        let revision = self.policies.get(&device.server)?.wanted(device).revision?;
        self.revisions.get(&revision)
    }
}
