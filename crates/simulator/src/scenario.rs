//! Scenario files: settings of the simulator and what happens by itself, in TOML.

use serde::Deserialize;
use serde_json::Value;
use toml::Spanned;

use crate::control::Command;
use crate::settings::Settings;

/// A scenario file that was read: settings, and steps that happen at the start or later.
#[derive(Clone, Debug)]
pub struct Scenario {
    file_name: String,
    settings: Option<(usize, Value)>,
    steps: Vec<Step>,
}

/// Something that happens by itself.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// Simulated seconds after the start.
    pub after_seconds: u64,
    /// What happens.
    pub command: Command,
}

/// Why a scenario file was refused.
#[derive(Debug, thiserror::Error)]
pub enum ScenarioError {
    /// Not TOML, or a table that is unknown.
    #[error("{file} cannot be read as a scenario: {text}")]
    File {
        /// The file.
        file: String,
        /// What is wrong, with the line.
        text: String,
    },
    /// A setting that is unknown or wrong.
    #[error("{file}, line {line}, [simulator]: {text}")]
    Setting {
        /// The file.
        file: String,
        /// The line of the table.
        line: usize,
        /// What is wrong and what is right.
        text: String,
    },
    /// A step that is unknown or wrong.
    #[error("{file}, line {line}, step {number}: {text}")]
    Step {
        /// The file.
        file: String,
        /// The line of the step.
        line: usize,
        /// Which `[[step]]`, from 1.
        number: usize,
        /// What is wrong and what is right.
        text: String,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    simulator: Option<Spanned<toml::Table>>,
    #[serde(default)]
    step: Vec<Spanned<toml::Table>>,
}

impl Scenario {
    /// Reads a scenario; `file_name` is for messages.
    ///
    /// # Errors
    /// Names the line, the field, the rule and what is allowed instead.
    pub fn parse(text: &str, file_name: &str) -> Result<Self, ScenarioError> {
        let file = file_name.to_owned();
        let document: Document = toml::from_str(text)
            .map_err(|error| ScenarioError::File { file: file.clone(), text: error.to_string() })?;
        let line = |place: usize| text.get(..place).unwrap_or_default().matches('\n').count() + 1;

        let settings = match document.simulator {
            Some(table) => {
                let line = line(table.span().start);
                let refuse = |text: String| ScenarioError::Setting { file: file.clone(), line, text };
                let patch =
                    serde_json::to_value(table.into_inner()).map_err(|error| refuse(error.to_string()))?;
                Settings::default().patched(&patch).map_err(|error| refuse(error.to_string()))?;
                Some((line, patch))
            }
            None => None,
        };
        let mut steps = Vec::with_capacity(document.step.len());
        for (number, table) in (1..).zip(document.step) {
            let line = line(table.span().start);
            let refuse = |text: String| ScenarioError::Step { file: file.clone(), line, number, text };
            steps.push(step(table.into_inner()).map_err(refuse)?);
        }
        Ok(Self { file_name: file, settings, steps })
    }

    /// The settings with those of the scenario over them, and its steps after theirs.
    ///
    /// # Errors
    /// When the two do not go together.
    pub fn apply(&self, settings: &Settings) -> Result<Settings, ScenarioError> {
        let mut settings = match &self.settings {
            Some((line, patch)) => settings.patched(patch).map_err(|error| ScenarioError::Setting {
                file: self.file_name.clone(),
                line: *line,
                text: error.to_string(),
            })?,
            None => settings.clone(),
        };
        settings.steps.extend(self.steps.iter().cloned());
        Ok(settings)
    }

    /// The steps, in the order of the file.
    #[must_use]
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }
}

fn step(mut table: toml::Table) -> Result<Step, String> {
    let after_seconds = match table.remove("after_seconds") {
        None => 0,
        Some(toml::Value::Integer(seconds)) => u64::try_from(seconds)
            .map_err(|_| format!("`after_seconds` is {seconds}: it must be 0 or more"))?,
        Some(other) => {
            return Err(format!("`after_seconds` is {other}: it must be a whole number of seconds"));
        }
    };
    let action = match table.remove("action") {
        Some(toml::Value::String(action)) => action,
        Some(other) => {
            return Err(format!("`action` is {other}: it must be the name of a command in quotes"));
        }
        None => {
            return Err(format!("`action` is missing: give one of {}", crate::control::COMMANDS.join(", ")));
        }
    };
    let arguments = serde_json::to_value(table).map_err(|error| error.to_string())?;
    let command = Command::read(&action, arguments).map_err(|error| format!("{action}: {error}"))?;
    Ok(Step { after_seconds, command })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_example_of_the_documentation_is_a_scenario() {
        let text = include_str!("../../../docs/simulator.md");
        let example =
            text.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next()).expect("an example");
        let scenario = Scenario::parse(example, "example.toml").unwrap_or_else(|error| panic!("{error}"));
        let settings = scenario.apply(&Settings { seed: 9, ..Settings::default() }).expect("applies");
        assert!(settings.steps.len() >= 4 && settings.devices > 0);
        assert!(settings.latency > Duration::ZERO);
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        let refused = |text: &str| Scenario::parse(text, "s.toml").expect_err("refused").to_string();
        let setting = refused("\n[simulator]\nlatency = 5\n");
        assert!(
            setting.contains("s.toml, line 2")
                && setting.contains("`latency`")
                && setting.contains("latency_ms"),
            "{setting}"
        );
        let argument = refused("[[step]]\naction = \"add_devices\"\ncout = 5\n");
        assert!(
            argument.contains("step 1") && argument.contains("`cout`") && argument.contains("`count`"),
            "{argument}"
        );
        let action = refused("[[step]]\naction = \"explode\"\n");
        assert!(action.contains("`explode`") && action.contains("add_devices"), "{action}");
        assert!(refused("[[step]]\ncount = 5\n").contains("`action` is missing"));
        assert!(refused("[[step]]\naction = \"clear_log\"\nafter_seconds = -1\n").contains("0 or more"));
        assert!(refused("[steps]\n").contains("steps"));
        assert!(refused("[simulator\n").contains("s.toml"));
    }
}
