use adelie_model::{ProfileName, RuleName, ServerName};
use adelie_profile::Format;
use adelie_rules::{Condition, Field};
use serde::{Deserialize, Serialize};

use crate::Reader;
use crate::file::{Problem, read};

/// A rule as a folder wants it.
#[derive(Clone, Debug, PartialEq)]
pub struct WantedRule {
    /// Its name.
    pub name: RuleName,
    /// The MDM server that it is limited to.
    pub server: Option<ServerName>,
    /// All of them must hold.
    pub conditions: Vec<Condition>,
    /// The profile that it gives.
    pub profile: ProfileName,
}

/// The file of the rules.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RulesFile {
    #[serde(default, rename = "rule", skip_serializing_if = "Vec::is_empty")]
    pub(crate) rules: Vec<RuleEntry>,
}

/// One of them.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RuleEntry {
    pub(crate) name: RuleName,
    pub(crate) profile: ProfileName,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) server: Option<ServerName>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) when: Vec<Condition>,
    /// A file with serial numbers, relative to the folder: one more condition.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) serials: Option<String>,
}

/// Reads the rules of a folder.
pub(crate) fn rules(
    file: &str,
    text: &str,
    format: Format,
    reader: &dyn Reader,
) -> Result<Vec<WantedRule>, Vec<Problem>> {
    let content: RulesFile = read(file, text, format).map_err(|problem| vec![problem])?;
    let mut problems = Vec::new();
    let mut rules: Vec<WantedRule> = Vec::with_capacity(content.rules.len());
    for entry in content.rules {
        if rules.iter().any(|rule| rule.name == entry.name) {
            let message = format!("rule {:?} is there twice: give each its own name", entry.name.as_str());
            problems.push(Problem::new(file, message));
            continue;
        }
        let mut conditions = entry.when;
        if let Some(path) = &entry.serials {
            let serials = reader.serials(path).and_then(|serials| {
                Condition::values(Field::Serial, serials).map_err(|error| error.to_string())
            });
            match serials {
                Ok(condition) => conditions.push(condition),
                Err(error) => problems.push(Problem::new(path, error)),
            }
        }
        rules.push(WantedRule { name: entry.name, server: entry.server, conditions, profile: entry.profile });
    }
    if problems.is_empty() { Ok(rules) } else { Err(problems) }
}
