use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

use super::input::Input;
use super::{Imported, NoteKind, Source};
use crate::accounts::{AccountSettings, SignIn};
use crate::certificates;

/// A profile of ours in the making.
pub(super) struct Draft {
    source: Source,
    platforms: &'static [&'static str],
    pub(super) sign_in: SignIn,
    pub(super) apple: Map<String, Value>,
    pub(super) accounts: AccountSettings,
    skip: Vec<Value>,
}

impl Draft {
    pub(super) fn new(source: Source, platforms: &'static [&'static str]) -> Self {
        Self {
            source,
            platforms,
            sign_in: SignIn::None,
            apple: Map::new(),
            accounts: AccountSettings::default(),
            skip: Vec::new(),
        }
    }

    pub(super) fn set(&mut self, key: &str, value: Option<impl Into<Value>>) {
        if let Some(value) = value {
            self.apple.insert(key.to_owned(), value.into());
        }
    }

    /// Moves texts and flags that have the same meaning in both systems.
    pub(super) fn take_texts(&mut self, input: &mut Input, table: &[(&str, &str)]) {
        for (theirs, apple) in table {
            self.set(apple, input.text(theirs));
        }
    }

    /// Moves flags that have the same meaning in both systems.
    pub(super) fn take_flags(&mut self, input: &mut Input, table: &[(&str, &str)]) {
        for (theirs, apple) in table {
            self.set(apple, input.flag(theirs));
        }
    }

    /// Adds a skip key once.
    pub(super) fn skip(&mut self, key: impl Into<Value>) {
        let key = key.into();
        if !self.skip.contains(&key) {
            self.skip.push(key);
        }
    }

    /// Apple refuses a locked enrollment without supervision, which both systems have for granted.
    pub(super) fn supervise_lock(&mut self, input: &mut Input, key: &str) {
        let locked = self.apple.get("is_mdm_removable") == Some(&Value::Bool(false));
        if locked && self.apple.get("is_supervised") != Some(&Value::Bool(true)) {
            let reason = "Apple wants supervision with a locked enrollment, so that is set as well";
            input.note(NoteKind::Changed, key, Value::Null, reason);
            self.set("is_supervised", Some(true));
        }
    }

    /// Certificates as base64 of DER, which is what Apple takes; both systems also have PEM, and PEM in base64.
    pub(super) fn certificates(&mut self, input: &mut Input, key: &str, apple: &str, items: Vec<Value>) {
        let mut certificates = Vec::with_capacity(items.len());
        for (at, item) in items.into_iter().enumerate() {
            match item {
                Value::String(text) => certificates.extend(der_of(&text).into_iter().map(Value::from)),
                wrong => input.wrong(&format!("{key}[{at}]"), wrong, "a certificate"),
            }
        }
        if !certificates.is_empty() {
            self.set(apple, Some(certificates));
        }
    }

    /// The finished profile. `name` stands in the field `name_field` of the input.
    pub(super) fn finish(
        mut self,
        mut input: Input,
        name: Option<String>,
        description: Option<String>,
    ) -> Imported {
        let skip = std::mem::take(&mut self.skip);
        if !skip.is_empty() {
            self.set("skip_setup_items", Some(skip));
        }
        match &name {
            Some(name) => self.set("profile_name", Some(name.as_str())),
            None => input.fill_in("name", "the profile has no name there, and needs one here"),
        }
        let accounts = (!self.accounts.is_empty()).then_some(self.accounts);
        if let Some(accounts) = &accounts {
            accounts.switch_await_on(&mut self.apple);
        }
        Imported {
            name: name.unwrap_or_default(),
            description,
            source: self.source,
            platforms: self.platforms.to_vec(),
            sign_in: self.sign_in,
            apple: self.apple,
            accounts,
            notes: input.finish(),
        }
    }
}

/// The base64 of each certificate in the text. What is neither PEM nor base64 of it stays as it is; checking the
/// profile says what is wrong with it.
fn der_of(text: &str) -> Vec<String> {
    let decoded;
    let mut pem = text;
    if !text.contains("-----BEGIN")
        && let Some(inner) = STANDARD.decode(text.trim()).ok().and_then(|bytes| String::from_utf8(bytes).ok())
        && inner.contains("-----BEGIN")
    {
        decoded = inner;
        pem = &decoded;
    }
    let certificates: Vec<String> = certificates::pem_bodies(pem).collect();
    if certificates.is_empty() { vec![text.trim().to_owned()] } else { certificates }
}
