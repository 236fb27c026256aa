use adelie_model::{RevisionId, RuleName, ServerId, ServerName};

use crate::Condition;

/// Which devices are to have which profile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Its name, by which people and explanations speak of it.
    pub name: RuleName,
    /// The one MDM server whose devices it is for; `None` for the devices of all.
    pub only: Option<OnlyServer>,
    /// What a device must be like: all of them must hold. A rule without conditions takes every device.
    pub conditions: Vec<Condition>,
    /// The revision that a device is to have. Whoever loads the rules looks up which revision of a profile is in force.
    pub gives: RevisionId,
}

/// The MDM server that a [`Rule`] is limited to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OnlyServer {
    /// Which one it is. Devices are compared by it.
    pub id: ServerId,
    /// What it is called now: for texts, and to tell conditions on the name that contradict the limit.
    pub name: ServerName,
}
