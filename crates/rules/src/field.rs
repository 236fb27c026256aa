use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What a [`Condition`](crate::Condition) looks at. Written as one word: `serial`, `family`, `model`, `os`, `color`,
/// `description`, `asset-tag`, `assigned-by`, `assigned-date`, `server` or `tag`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Field {
    /// The serial number. Every device has one.
    Serial,
    /// Apple's product family, like `iPad`.
    Family,
    /// The name of the model, like `MacBook Pro`.
    Model,
    /// The operating system, like `iPadOS`.
    Os,
    /// The colour.
    Color,
    /// Apple's description, like `MBP 14.2`.
    Description,
    /// The organization's asset tag.
    AssetTag,
    /// Who gave the device to its MDM server; `-1` for an automatic assignment.
    AssignedBy,
    /// The UTC day on which the device was given to its MDM server.
    AssignedDate,
    /// The name of the MDM server that the device is at. Every device has one.
    Server,
    /// The tags that we gave the device. The only field with any number of values.
    Tag,
}

impl Field {
    /// All of them, in the order of help texts, which is also the order of their numbers.
    pub const ALL: [Self; 11] = [
        Self::Serial,
        Self::Family,
        Self::Model,
        Self::Os,
        Self::Color,
        Self::Description,
        Self::AssetTag,
        Self::AssignedBy,
        Self::AssignedDate,
        Self::Server,
        Self::Tag,
    ];

    /// The word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Serial => "serial",
            Self::Family => "family",
            Self::Model => "model",
            Self::Os => "os",
            Self::Color => "color",
            Self::Description => "description",
            Self::AssetTag => "asset-tag",
            Self::AssignedBy => "assigned-by",
            Self::AssignedDate => "assigned-date",
            Self::Server => "server",
            Self::Tag => "tag",
        }
    }

    /// Whether every device has it, so that asking for devices without it makes no sense.
    pub(crate) fn is_always_known(self) -> bool {
        matches!(self, Self::Serial | Self::Server)
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A word that names no field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldError {
    /// What was written.
    pub written: String,
    /// The field that was probably meant, when one is spelt much the same.
    pub nearest: Option<Field>,
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} names no field of a device", self.written)?;
        if let Some(nearest) = self.nearest {
            write!(f, " (nearest: {nearest})")?;
        }
        f.write_str(": use one of")?;
        for (at, field) in Field::ALL.iter().enumerate() {
            write!(f, "{} {field}", if at == 0 { "" } else { "," })?;
        }
        Ok(())
    }
}

impl std::error::Error for FieldError {}

impl FromStr for Field {
    type Err = FieldError;

    /// Reads the word for a field in any case.
    fn from_str(text: &str) -> Result<Self, FieldError> {
        let word = text.trim();
        Self::ALL
            .into_iter()
            .find(|field| field.as_str().eq_ignore_ascii_case(word))
            .ok_or_else(|| FieldError { written: text.to_owned(), nearest: nearest(word) })
    }
}

/// About one letter in three may be wrong: further off, a suggestion would mislead.
fn nearest(word: &str) -> Option<Field> {
    let word = word.to_lowercase().replace(['_', ' '], "-");
    let allowed = (word.chars().count() / 3).max(1);
    Field::ALL
        .into_iter()
        .map(|field| (strsim::osa_distance(&word, field.as_str()), field))
        .filter(|(distance, field)| *distance <= allowed && *distance < field.as_str().len())
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, field)| field)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_is_read_back_from_its_word_and_stands_at_its_number() {
        for (at, field) in Field::ALL.into_iter().enumerate() {
            assert_eq!(field.to_string().parse(), Ok(field));
            assert_eq!(field.as_str().to_uppercase().parse(), Ok(field));
            assert_eq!(serde_json::to_value(field).expect("a word"), field.as_str());
            assert_eq!(field as usize, at);
        }
    }

    #[test]
    fn a_wrong_word_is_answered_with_the_nearest_and_with_all() {
        let error = "seriel".parse::<Field>().expect_err("misspelt");
        assert_eq!(
            error.to_string(),
            "\"seriel\" names no field of a device (nearest: serial): use one of serial, family, model, os, \
             color, description, asset-tag, assigned-by, assigned-date, server, tag"
        );
        for (written, nearest) in [
            ("colour", Some(Field::Color)),
            ("asset_tag", Some(Field::AssetTag)),
            ("tags", Some(Field::Tag)),
            ("wheels", None),
            ("xs", Some(Field::Os)),
            ("", None),
        ] {
            assert_eq!(written.parse::<Field>().expect_err("wrong").nearest, nearest, "{written}");
        }
    }
}
