use adelie_model::{ProfileName, RuleName};
use adelie_rules::{ConditionError, Field};

/// Why a change of what people decide was refused. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigurationError {
    /// Somebody else has changed something since.
    #[error(
        "the configuration has been changed since it was looked at (version {found}, not {expected}): look at it again"
    )]
    Moved {
        /// The version that was looked at.
        expected: i64,
        /// The version that it has.
        found: i64,
    },
    /// The profile has a newer revision than its author has seen.
    #[error("profile {profile} has revision {newest} by now, and this change was made from revision {seen}")]
    Stale {
        /// The profile.
        profile: ProfileName,
        /// The revision that the change was made from.
        seen: u32,
        /// The newest one.
        newest: u32,
    },
    /// The profile is still given to devices.
    #[error("profile {profile} is still in use by {}", by.join(", "))]
    InUse {
        /// The profile.
        profile: ProfileName,
        /// The rules and MDM servers that give it.
        by: Vec<String>,
    },
    /// The profile has no staged revision.
    #[error("no revision of profile {profile} is being rolled out")]
    NothingStaged {
        /// The profile.
        profile: ProfileName,
    },
    /// No share of the devices.
    #[error("{0} % is no share of devices: give 1 to 100")]
    Percent(u8),
    /// The rule has more than one condition on a field, so that it is not clear which one is meant.
    #[error("rule {rule} has several conditions on {field}: give all its conditions anew")]
    SeveralConditions {
        /// The rule.
        rule: RuleName,
        /// What they look at.
        field: Field,
    },
    /// A pattern to be taken away that is not there.
    #[error("rule {rule} has no {pattern} in its condition on {field}")]
    NoSuchPattern {
        /// The rule.
        rule: RuleName,
        /// What the condition looks at.
        field: Field,
        /// The pattern.
        pattern: String,
    },
    /// Without its last pattern a condition would mean something else.
    #[error(
        "this would take the last pattern from the condition of rule {rule} on {field}: give its conditions anew, or \
         remove the rule"
    )]
    LastPattern {
        /// The rule.
        rule: RuleName,
        /// What the condition looks at.
        field: Field,
    },
    /// Patterns for a condition that asks for devices without the fact, or the other way round.
    #[error("rule {rule} asks for devices without {field}, or was to: give its conditions anew")]
    AbsentAndPresent {
        /// The rule.
        rule: RuleName,
        /// What the condition looks at.
        field: Field,
    },
    /// A condition that is none.
    #[error(transparent)]
    Condition(ConditionError),
}
