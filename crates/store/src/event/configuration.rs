use schemars::JsonSchema;
use serde::Serialize;

use super::NewEvent;
use crate::Operator;
use crate::configuration::Edits;

/// Details of a changed profile.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct ProfileRevised {
    /// The name of the profile.
    pub profile: String,
    /// Who did it.
    pub by: String,
    /// What changed, a line for each change.
    pub changes: Vec<String>,
}

/// Details of changed rules.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct RulesChanged {
    /// Who did it.
    pub by: String,
    /// What changed, a line for each change.
    pub changes: Vec<String>,
}

/// The events of what people have changed: one for each profile, and one for all rules.
#[must_use]
pub fn configured(edits: &Edits, by: &Operator) -> Vec<NewEvent> {
    let by = &by.name;
    let revised = edits.heads.iter().map(|head| {
        let lines = edits.about_profiles.iter().filter(|(profile, _)| *profile == head.profile);
        let changes = lines.map(|(_, line)| line.clone()).collect();
        let details = ProfileRevised { profile: head.profile.to_string(), by: by.clone(), changes };
        NewEvent::new("profile.revised", &details)
    });
    let mut events: Vec<_> = revised.collect();
    if !edits.rules.is_empty() {
        let changes = edits.about_rules.clone();
        events.push(NewEvent::new("rules.changed", &RulesChanged { by: by.clone(), changes }));
    }
    events
}
