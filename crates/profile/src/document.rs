//! What a profile file says as a whole: what Apple gets, what stays here, and what must be sealed.

use std::fmt;

use adelie_model::Timestamp;
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use crate::accounts::{AccountSettings, SignIn};
use crate::check::ACCOUNTS;
use crate::form::Form;
use crate::{EnrollmentProfile, Findings, Format, Target};

mod affinity;
mod apple;
mod certificate_list;
mod extra;
mod made;
mod ours;
mod panes;
mod secrets;
mod write;

pub use secrets::{NoStoredSecrets, StoredDocumentError};
pub use write::{WriteError, write};

pub(crate) use affinity::WORDS as AFFINITY_WORDS;
use made::Made;
pub(crate) use panes::KEYS as PANE_KEYS;

/// A profile of an administrator: the document that was written, and everything that follows from it.
///
/// Its parts are stored side by side. [`document`](Self::document) is for people and version control and has no
/// secret; [`apple`](Self::apple) is what devices get, and stays what it was when a later catalogue of panes would
/// make something else of the same document; [`secrets`](Self::secrets) is to be sealed.
#[derive(Clone, Debug)]
pub struct ProfileDocument {
    form: Form,
    document: Map<String, Value>,
    profile: EnrollmentProfile,
    accounts: Option<AccountSettings>,
}

/// A document that may be used, and what deserves a second look.
#[derive(Clone, Debug)]
pub struct CheckedDocument {
    /// The document.
    pub document: ProfileDocument,
    /// Warnings only; often empty.
    pub warnings: Findings,
}

/// What reading a document needs of the world.
#[derive(Clone, Copy)]
pub struct Outside<'a> {
    /// The time by which certificates are judged.
    pub now: Timestamp,
    /// Reads a file that the document names; its path is relative to the document's own. An error is a sentence
    /// without the path.
    pub file: &'a dyn Fn(&str) -> Result<Vec<u8>, String>,
}

impl Outside<'static> {
    /// For documents that may name no files, like those of a store or of an API.
    #[must_use]
    pub fn without_files(now: Timestamp) -> Self {
        Self { now, file: &|_| Err("no files can be read here; write the certificate itself".into()) }
    }
}

impl fmt::Debug for Outside<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outside").field("now", &self.now).finish_non_exhaustive()
    }
}

/// Reads the text of a profile file in either form and checks it.
///
/// # Errors
/// All findings at once when one of them is an error; a single one when the text cannot be parsed.
pub fn read_document(text: &str, format: Format, outside: &Outside<'_>) -> Result<CheckedDocument, Findings> {
    ProfileDocument::check(crate::parse(text, format)?, outside)
}

impl ProfileDocument {
    /// Checks a document in either form: with `name` it is ours, with `profile_name` it is Apple's.
    ///
    /// # Errors
    /// All findings at once, warnings included, when one of them is an error.
    pub fn check(raw: Map<String, Value>, outside: &Outside<'_>) -> Result<CheckedDocument, Findings> {
        let form = Form::of(raw.keys());
        let made = match form {
            Form::Ours => ours::make(&raw, outside),
            Form::Apple => apple::make(&raw, outside),
        };
        let Made { apple, document, accounts, findings, .. } = made;
        let findings = findings.finish(&raw);
        if findings.has_errors() {
            return Err(findings);
        }
        let profile = EnrollmentProfile::from_stored(apple);
        Ok(CheckedDocument { document: Self { form, document, profile, accounts }, warnings: findings })
    }

    /// The name that the profile has at Apple.
    #[must_use]
    pub fn name(&self) -> &str {
        self.profile.name()
    }

    /// What its author wrote about it; Apple does not get it.
    #[must_use]
    pub fn description(&self) -> Option<&str> {
        let description = self.document.get("description").filter(|_| self.form == Form::Ours);
        description.and_then(Value::as_str)
    }

    /// In which form it was written.
    #[must_use]
    pub fn form(&self) -> Form {
        self.form
    }

    /// What Apple gets, with its getters.
    #[must_use]
    pub fn profile(&self) -> &EnrollmentProfile {
        &self.profile
    }

    /// What Apple gets.
    #[must_use]
    pub fn apple(&self) -> &Map<String, Value> {
        self.profile.apple_json()
    }

    /// The hash of what Apple gets: the same hash means the same profile at Apple.
    #[must_use]
    pub fn content_hash(&self) -> String {
        self.profile.content_hash()
    }

    /// The local accounts of a Mac, if any are set.
    #[must_use]
    pub fn accounts(&self) -> Option<&AccountSettings> {
        self.accounts.as_ref()
    }

    /// The document without any secret: certificates instead of the names of their files, platforms in Apple's
    /// spelling, and `"stored"` in the place of an administrator's password. Reading it gives the same content.
    #[must_use]
    pub fn document(&self) -> &Map<String, Value> {
        &self.document
    }

    /// The platforms that it is for; none when it does not say.
    #[must_use]
    pub fn targets(&self) -> Vec<Target> {
        let platforms = self.document.get("platforms").filter(|_| self.form == Form::Ours);
        let texts = platforms.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
        texts.filter_map(|text| Target::parse(text).ok()).collect()
    }

    /// The panes of which it says that they are to be shown, as skip keys.
    pub fn shown_panes(&self) -> impl Iterator<Item = &str> {
        let panes = self.document.get("panes").filter(|_| self.form == Form::Ours);
        let lists = ["show", "skip_all_except"].map(|key| panes.and_then(|panes| panes.get(key)));
        lists.into_iter().flatten().filter_map(Value::as_array).flatten().filter_map(Value::as_str)
    }

    /// How users sign in. In Apple's form only a page can be told; an MDM server may still ask for a user in Setup
    /// Assistant.
    #[must_use]
    pub fn sign_in(&self) -> SignIn {
        let legacy = self.document.get("user_affinity").is_some_and(|affinity| affinity == "legacy");
        match (self.form, self.profile.configuration_web_url()) {
            (_, Some(_)) => SignIn::Web,
            (Form::Ours, None) if legacy => SignIn::Legacy,
            _ => SignIn::None,
        }
    }

    /// The document as the text of a file, in an order that people like to read.
    ///
    /// # Errors
    /// When the format has no way to write a value; only `extra` can hold such.
    pub fn write(&self, format: Format) -> Result<String, WriteError> {
        write(&self.document, format)
    }

    /// The secrets that the document leaves out, as bytes to be sealed; nothing when there are none.
    #[must_use]
    pub fn secrets(&self) -> Option<Zeroizing<Vec<u8>>> {
        self.accounts.as_ref().and_then(secrets::of)
    }

    /// Whether the document says `"stored"` where the stored profile has a secret, and that is not there yet. Such
    /// a document is not whole: give it [the secrets](Self::with_secrets_of) of the profile that it changes.
    #[must_use]
    pub fn needs_stored_secrets(&self) -> bool {
        self.accounts.as_ref().is_some_and(AccountSettings::needs_stored_password)
    }

    /// The document with the secrets of another one where it says `"stored"`.
    ///
    /// # Errors
    /// When the other one has no such secret.
    pub fn with_secrets_of(mut self, stored: &Self) -> Result<Self, NoStoredSecrets> {
        if let Some(accounts) = self.accounts.as_mut().filter(|accounts| accounts.needs_stored_password()) {
            secrets::give(accounts, stored.accounts.as_ref())?;
        }
        Ok(self)
    }

    /// Takes a document back from a store, which has got its parts from [`document`](Self::document),
    /// [`apple`](Self::apple) and [`secrets`](Self::secrets). Nothing is checked or resolved again: a rule that has
    /// become stricter since must not take a profile away from devices that use it.
    ///
    /// # Errors
    /// When the parts are not of the form that they had.
    pub fn from_stored(
        document: Map<String, Value>,
        apple: Map<String, Value>,
        secrets: Option<&[u8]>,
    ) -> Result<Self, StoredDocumentError> {
        let mut accounts = match document.get(ACCOUNTS) {
            Some(table) => Some(AccountSettings::from_stored(table)?),
            None => None,
        };
        if let Some(secrets) = secrets {
            secrets::restore(accounts.as_mut(), secrets)?;
        }
        let form = Form::of(document.keys());
        Ok(Self { form, document, profile: EnrollmentProfile::from_stored(apple), accounts })
    }
}

#[cfg(test)]
mod tests;
