//! Importers: the enrollment profile of another system becomes one of ours, and nothing of it is dropped in silence.
//!
//! Every field of the input is taken over, is read-only there (an identifier, a version), is switched off there and
//! hence here, or has a [`Note`] that says where it stood and why it has no equivalent.
//!
//! ```
//! use adelie_profile::import::import;
//!
//! let prestage = r#"{"displayName": "Macs", "mandatory": true, "defaultPrestage": true}"#;
//! let import = import(prestage, None)?;
//! assert_eq!(import.profiles[0].apple["is_mandatory"], true);
//! assert_eq!(import.profiles[0].document()["mandatory"], true);
//! assert!(import.profiles[0].notes.iter().any(|note| note.path == "defaultPrestage"));
//! # Ok::<(), adelie_profile::Findings>(())
//! ```

use std::fmt;

use serde::Serialize;
use serde_json::{Map, Value};

use crate::accounts::{AccountSettings, SignIn};
use crate::{Finding, Findings, Format, Rule, parse};

mod apple;
mod document;
mod draft;
mod input;
mod intune;
mod intune_accounts;
mod jamf;
mod jamf_accounts;
mod panes;
mod variables;

pub use apple::apple;
pub use intune::intune;
pub use jamf::jamf;

/// Whose profile it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// A computer prestage of Jamf Pro, as its API (version 3) gives it.
    Jamf,
    /// An enrollment profile of Intune for macOS or iOS and iPadOS, as Microsoft Graph gives it
    /// (`depMacOSEnrollmentProfile`, `depIOSEnrollmentProfile`).
    Intune,
    /// A profile in Apple's own keys, as nanodep and Apple's documentation have it.
    Apple,
}

impl Source {
    /// Whose profile this seems to be, told from its fields.
    #[must_use]
    pub fn detect(profile: &Map<String, Value>) -> Option<Self> {
        let has = |keys: &[&str]| keys.iter().any(|key| profile.contains_key(*key));
        let graph = profile.get("@odata.type").and_then(Value::as_str).unwrap_or_default();
        if graph.ends_with("EnrollmentProfile")
            || has(&["requiresUserAuthentication", "supervisedModeEnabled", "enabledSkipKeys"])
        {
            Some(Self::Intune)
        } else if has(&["profile_name", "skip_setup_items", "is_supervised", "url"]) {
            Some(Self::Apple)
        } else if has(&["skipSetupItems", "accountSettings", "mdmRemovable", "defaultPrestage", "mandatory"])
        {
            Some(Self::Jamf)
        } else {
            None
        }
    }

    /// The importer for one profile.
    #[must_use]
    pub fn import(self, profile: Map<String, Value>) -> Imported {
        match self {
            Self::Jamf => jamf(profile),
            Self::Intune => intune(profile),
            Self::Apple => apple(profile),
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Jamf => "Jamf Pro",
            Self::Intune => "Intune",
            Self::Apple => "Apple",
        })
    }
}

/// What an importer makes of one profile. Not checked yet: [`document`](Self::document) is to be read as a file when what
/// the notes ask for is filled in.
#[derive(Clone, Debug, Serialize)]
pub struct Imported {
    /// Whose profile it was.
    pub source: Source,
    /// The platforms that it is for, where the other system says so.
    pub platforms: Vec<&'static str>,
    /// How its users sign in.
    #[serde(skip)]
    pub sign_in: SignIn,
    /// The name that it has there. Empty when it has none, which a note says.
    pub name: String,
    /// What its author wrote about it.
    pub description: Option<String>,
    /// Apple's keys.
    pub apple: Map<String, Value>,
    /// The local accounts, if any are set.
    pub accounts: Option<AccountSettings>,
    /// What was not taken over as it was, by path.
    pub notes: Vec<Note>,
}

/// Something that an importer could not take over, or not as it was.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Note {
    /// What is to be made of it.
    pub kind: NoteKind,
    /// The field in the input, like `accountSettings.adminPassword`; for [`NoteKind::FillIn`] the key of ours.
    pub path: String,
    /// What stood there; passwords are `(hidden)`, and null stands for nothing.
    pub value: Value,
    /// Why it is noted, and what to do.
    pub reason: String,
}

impl fmt::Display for Note {
    /// One line: `no equivalent: defaultPrestage = true: …`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind, self.path)?;
        if !self.value.is_null() {
            write!(f, " = {}", self.value)?;
        }
        write!(f, ": {}", self.reason)
    }
}

/// What is to be made of a note.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum NoteKind {
    /// The other system keeps this to itself; our profile cannot do without it.
    FillIn,
    /// It was taken over in another form.
    Changed,
    /// Nothing of ours does that; often it is the MDM server's.
    NoEquivalent,
    /// The importer does not know the field, or not with such a value.
    Unknown,
}

impl fmt::Display for NoteKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::FillIn => "fill in",
            Self::Changed => "changed",
            Self::NoEquivalent => "no equivalent",
            Self::Unknown => "unknown",
        })
    }
}

/// What a text holds: one profile, or a page of a listing.
#[derive(Clone, Debug, Serialize)]
pub struct Import {
    /// The profiles in their order.
    pub profiles: Vec<Imported>,
    /// What is to be said of the listing itself, for example that it goes on.
    pub notes: Vec<Note>,
}

/// Reads the JSON of one profile, or of a listing as the APIs of Jamf Pro (`results`) and Graph (`value`) give it.
/// Without a `source` it is told from the fields.
///
/// # Errors
/// One finding when the text is no JSON object, or when nobody's profile is recognised in it.
pub fn import(text: &str, source: Option<Source>) -> Result<Import, Findings> {
    let mut outer = parse(text, Format::Json).map_err(|findings| {
        let fix = "give the JSON of one profile, or of a listing, as the API returns it";
        let findings = findings.into_iter().map(|finding| Finding { fix: fix.to_owned(), ..finding });
        Findings::new(findings.collect())
    })?;
    let listing = ["results", "value"].into_iter().find(|key| outer.get(*key).is_some_and(Value::is_array));
    let Some(Value::Array(items)) = listing.and_then(|key| outer.remove(key)) else {
        let profile = import_one("", outer, source)?;
        return Ok(Import { profiles: vec![profile], notes: Vec::new() });
    };
    let count = items.len();
    let mut profiles = Vec::with_capacity(count);
    for (at, item) in items.into_iter().enumerate() {
        let path = format!("{}[{at}]", listing.unwrap_or_default());
        let Value::Object(item) = item else { return Err(not_recognised(&path)) };
        profiles.push(import_one(&path, item, source)?);
    }
    Ok(Import { profiles, notes: notes_of_listing(outer, count) })
}

fn import_one(path: &str, profile: Map<String, Value>, source: Option<Source>) -> Result<Imported, Findings> {
    match source.or_else(|| Source::detect(&profile)) {
        Some(source) => Ok(source.import(profile)),
        None => Err(not_recognised(path)),
    }
}

fn not_recognised(path: &str) -> Findings {
    Findings::new(vec![Finding::error(
        path,
        Rule::Required,
        "this is no enrollment profile that Adelie knows to import",
        "give the JSON of a Jamf Pro computer prestage, of an Intune enrollment profile, or of a profile in Apple's keys",
    )])
}

/// A listing may be a page of several, which must not go unnoticed.
fn notes_of_listing(outer: Map<String, Value>, count: usize) -> Vec<Note> {
    let mut input = input::Input::new(outer);
    input.ignore(&["@odata.context"]);
    let total = input.take("totalCount").or_else(|| input.take("@odata.count"));
    if total.as_ref().and_then(Value::as_u64).is_some_and(|total| total > count as u64) {
        let reason = format!("only {count} profiles are in this page; import the others as well");
        input.note(NoteKind::NoEquivalent, "totalCount", total.unwrap_or_default(), &reason);
    }
    input.no_equivalent(&[("@odata.nextLink", "the listing goes on there; import the next page as well")]);
    input.finish()
}

#[cfg(test)]
mod tests;
