use schemars::JsonSchema;
use serde::Serialize;

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
