use adelie_model::{ProfileName, RuleName, ServerId, ServerName};
use adelie_rules::{Condition, Scope};
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::{Sealed, SyncSettings};

/// One thing that somebody wants to have otherwise.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// A new profile with its first revision, which is in force at once. A profile of that name that was removed comes
    /// back with its history.
    AddProfile {
        /// Its name; must be free.
        name: ProfileName,
        /// What it says.
        revision: NewRevision,
    },
    /// A new revision of a profile. When it says the same as the one in force and nothing is staged, nothing is changed.
    Revise {
        /// The profile.
        profile: ProfileName,
        /// The newest revision that its author had seen; refused when there is a newer one.
        seen: Option<u32>,
        /// What it says.
        revision: NewRevision,
        /// So many percent of the devices get it at first; 100 puts it in force at once.
        percent: u8,
    },
    /// A step of the roll-out of a staged revision.
    RollOut {
        /// The profile.
        profile: ProfileName,
        /// The step.
        step: RollOut,
    },
    /// Removes a profile that no rule and no default gives.
    RemoveProfile {
        /// The profile.
        name: ProfileName,
    },
    /// A new rule.
    AddRule {
        /// The rule.
        rule: NewRule,
        /// The rule that it stands before; `None` puts it at the end.
        before: Option<RuleName>,
    },
    /// Changes a rule where it stands.
    SetRule {
        /// The rule.
        name: RuleName,
        /// What becomes otherwise.
        patch: RulePatch,
    },
    /// Moves a rule.
    MoveRule {
        /// The rule.
        name: RuleName,
        /// The rule that it is to stand before; `None` moves it to the end.
        before: Option<RuleName>,
    },
    /// Removes a rule.
    RemoveRule {
        /// The rule.
        name: RuleName,
    },
    /// Sets a default of an MDM server, or takes it away.
    SetDefault {
        /// The MDM server.
        server: ServerId,
        /// For which devices.
        scope: Scope,
        /// The profile; `None` takes the default away.
        profile: Option<ProfileName>,
    },
    /// Replaces the sync settings of an MDM server.
    SetSettings {
        /// The MDM server.
        server: ServerId,
        /// All of its own settings.
        settings: SyncSettings,
    },
}

/// A revision that is to be made, already checked.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NewRevision {
    /// What Apple receives.
    pub content: Map<String, Value>,
    /// Hash of the content, hex.
    pub content_hash: String,
    /// The profile in our own form; `None` when Apple's form is all there is.
    pub document: Option<Document>,
    /// Passwords in it, sealed, with the id that the seal is bound to.
    pub secrets: Option<(Uuid, Sealed)>,
    /// What its author says about it; may be empty.
    pub note: String,
}

/// A profile in our own form, without secrets.
#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    /// What it says.
    pub content: Map<String, Value>,
    /// Hash of that, hex.
    pub hash: String,
}

impl NewRevision {
    /// The same for revisions that say the same. Sealed secrets differ whenever they are sealed, so that a revision with
    /// secrets is never the same as another.
    #[must_use]
    pub fn hash(&self) -> String {
        let document = self.document.as_ref().map_or("", |document| &document.hash);
        let secrets = self.secrets.as_ref().map(|(id, _)| id.to_string()).unwrap_or_default();
        hash(&self.content_hash, document, &secrets)
    }
}

/// The hash of a revision, from those of its parts as they are stored.
#[must_use]
pub fn hash(content: &str, document: &str, secrets: &str) -> String {
    format!("{content}:{document}:{secrets}")
}

/// A step of a roll-out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RollOut {
    /// So many percent of the devices are to have it; 100 puts it in force. Fewer than before take it away again from
    /// those beyond.
    Percent(u8),
    /// No further device gets it for now.
    Pause,
    /// Goes on after a pause.
    Continue,
    /// All devices go back to the revision that was in force.
    Abort,
}

/// A rule that is to be made.
#[derive(Clone, Debug, PartialEq)]
pub struct NewRule {
    /// Its name; must be free.
    pub name: RuleName,
    /// The MDM server that it is limited to, with its name.
    pub only: Option<(ServerId, ServerName)>,
    /// All of them must hold.
    pub conditions: Vec<Condition>,
    /// The profile that it gives.
    pub profile: ProfileName,
}

/// What becomes otherwise in a rule. Patterns are added and taken away one by one, so that two people who do so at the same
/// time do not undo each other's work.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RulePatch {
    /// Its new name.
    pub rename: Option<RuleName>,
    /// The profile that it gives from now on.
    pub profile: Option<ProfileName>,
    /// The MDM server that it is limited to from now on; `Some(None)` takes the limit away.
    pub only: Option<Option<(ServerId, ServerName)>>,
    /// Conditions in place of all that it has.
    pub conditions: Option<Vec<Condition>>,
    /// Patterns to be added to its condition on the same field. Without one, the condition is added.
    pub add: Vec<Condition>,
    /// Patterns to be taken away from its condition on the same field.
    pub remove: Vec<Condition>,
}
