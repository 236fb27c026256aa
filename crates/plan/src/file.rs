use std::fmt;

use adelie_profile::Format;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Something in a folder that keeps it from being used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// The file, relative to the folder.
    pub file: String,
    /// What is wrong and what to do, for people.
    pub message: String,
}

impl Problem {
    pub(crate) fn new(file: &str, message: impl fmt::Display) -> Self {
        Self { file: file.to_owned(), message: message.to_string() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.file, self.message)
    }
}

/// Reads a text of that format.
pub(crate) fn read<T: DeserializeOwned>(file: &str, text: &str, format: Format) -> Result<T, Problem> {
    // Some editors begin a file with a byte order mark, which no parser here expects.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    match format {
        Format::Json => serde_json::from_str(text).map_err(|error| Problem::new(file, error)),
        Format::Toml => {
            toml::from_str(text).map_err(|error| Problem::new(file, error.to_string().trim_end()))
        }
        Format::Yaml => yaml_serde::from_str(text).map_err(|error| Problem::new(file, error)),
    }
}
