//! From the table `accounts` to settings: the form of every value, and nothing of what it means.

use std::num::NonZeroU32;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

use super::table::STORED;
use super::{
    ADMIN_PASSWORD, AccountSettings, AccountType, Administrator, AdministratorPassword, PasswordHash,
    PrimaryAccount, Template, TemplateError,
};
use crate::check::type_name;
use crate::{Finding, Rule, spelling, texts};

/// Reads the settings. Where a finding is an error, its setting has a stand-in, so that the rules can be asked about
/// the others.
pub(super) fn parse(raw: &Value) -> (AccountSettings, Vec<Finding>) {
    let mut findings = Vec::new();
    let mut accounts = AccountSettings::default();
    if let Some(mut fields) = Fields::of("accounts", raw, &mut findings) {
        accounts.primary = fields.any("primary").map(|value| primary(value, fields.findings));
        accounts.administrator =
            fields.any("administrator").map(|value| administrator(value, fields.findings));
        accounts.managed_local_user = fields.name("managed_local_user");
        fields.finish();
    }
    (accounts, findings)
}

fn primary(raw: &Value, findings: &mut Vec<Finding>) -> PrimaryAccount {
    let plain = PrimaryAccount::default();
    let Some(mut fields) = Fields::of("accounts.primary", raw, findings) else {
        // The stand-in about which the rules have nothing to say.
        return PrimaryAccount { account_type: AccountType::Administrator, ..plain };
    };
    let restrict_editing = fields.flag("restrict_editing");
    let primary = PrimaryAccount {
        create: fields.flag("create").unwrap_or(plain.create),
        account_type: fields.account_type("type").unwrap_or(plain.account_type),
        full_name: fields.name("full_name"),
        account_name: fields.name("account_name"),
        restrict_editing: restrict_editing.unwrap_or(plain.restrict_editing),
    };
    if restrict_editing.is_some() && primary.create && !primary.prefills() {
        fields.findings.push(Finding::warning(
            "accounts.primary.restrict_editing",
            Rule::NoEffect,
            "there is no name that the user could be kept from editing",
            "set `full_name` or `account_name`, or take the key out",
        ));
    }
    fields.finish();
    primary
}

fn administrator(raw: &Value, findings: &mut Vec<Finding>) -> Administrator {
    let stand_in = Administrator {
        short_name: Template::literal("stand-in"),
        full_name: None,
        hidden: false,
        password: AdministratorPassword::Generated,
    };
    let Some(mut fields) = Fields::of("accounts.administrator", raw, findings) else { return stand_in };
    fields.require("short_name", "add the account name of the administrator, like `localadmin`");
    fields.require("password", PASSWORD_FORMS);
    let administrator = Administrator {
        short_name: fields.name("short_name").unwrap_or(stand_in.short_name),
        full_name: fields.name("full_name"),
        hidden: fields.flag("hidden").unwrap_or(false),
        password: fields
            .any("password")
            .and_then(|value| password(value, fields.findings))
            .unwrap_or(AdministratorPassword::Generated),
    };
    fields.finish();
    administrator
}

const PASSWORD_FORMS: &str = "write `generated` for a new password on each device, `stored` for the one of the \
                              profile as it is stored, { given = \"…\" }, or { hashed = { entropy = …, salt = …, iterations = … } }";

/// The password that stands here, as [`AccountSettings::secret_password`] has given it.
pub(super) fn stored_password(raw: &Value) -> Option<AdministratorPassword> {
    let mut findings = Vec::new();
    password(raw, &mut findings).filter(|password| findings.is_empty() && password.is_secret())
}

/// No finding here may repeat the value, which could be a password in the wrong place.
fn password(raw: &Value, findings: &mut Vec<Finding>) -> Option<AdministratorPassword> {
    let mut refuse = |message: &str| {
        findings.push(Finding::error(ADMIN_PASSWORD, Rule::Type, message, PASSWORD_FORMS));
        None
    };
    let table = match raw {
        Value::String(word) if word == "generated" => return Some(AdministratorPassword::Generated),
        Value::String(word) if word == STORED => return Some(AdministratorPassword::Stored),
        Value::Object(table) if table.len() == 1 => table,
        Value::String(_) => {
            return refuse("the text is not `generated`, and a password does not stand here alone");
        }
        Value::Object(_) => return refuse("a password has exactly one of `given` and `hashed`"),
        _ => return refuse("must be `generated` or a table"),
    };
    match (table.get("given"), table.get("hashed")) {
        (Some(Value::String(text)), _) => Some(AdministratorPassword::Given(text.as_str().into())),
        (Some(_), _) => refuse("`given` must be a text"),
        (None, Some(hashed)) => password_hash(hashed, findings).map(AdministratorPassword::Hashed),
        (None, None) => refuse("a password has exactly one of `given` and `hashed`"),
    }
}

fn password_hash(raw: &Value, findings: &mut Vec<Finding>) -> Option<PasswordHash> {
    const PATH: &str = "accounts.administrator.password.hashed";
    let mut fields = Fields::of(PATH, raw, findings)?;
    for key in ["entropy", "iterations", "salt"] {
        fields.require(key, "write the whole hash as `entropy`, `salt` and `iterations`");
    }
    let entropy = fields.bytes("entropy");
    let salt = fields.bytes("salt");
    let iterations = fields.any("iterations").and_then(|value| {
        let count = value.as_u64().and_then(|count| u32::try_from(count).ok()).and_then(NonZeroU32::new);
        if count.is_none() {
            fields.findings.push(Finding::error(
                format!("{PATH}.iterations"),
                Rule::Type,
                format!("must be a number from 1 to {}", u32::MAX),
                "write the number of rounds with which the hash was made",
            ));
        }
        count
    });
    fields.finish();
    Some(PasswordHash::from_parts(entropy?, salt?, iterations?))
}

/// The entries of one table, and which of them were asked for.
struct Fields<'a, 'f> {
    path: &'static str,
    table: &'a Map<String, Value>,
    known: Vec<&'static str>,
    findings: &'f mut Vec<Finding>,
}

impl<'a, 'f> Fields<'a, 'f> {
    fn of(path: &'static str, raw: &'a Value, findings: &'f mut Vec<Finding>) -> Option<Self> {
        match raw {
            Value::Object(table) => Some(Self { path, table, known: Vec::new(), findings }),
            // The value of a hash is as good as a password.
            _ if path.starts_with(ADMIN_PASSWORD) => {
                findings.push(Finding::error(path, Rule::Type, "must be a table", PASSWORD_FORMS));
                None
            }
            wrong => {
                let message = format!("must be a table, and is {}", type_name(wrong));
                findings.push(Finding::error(path, Rule::Type, message, "write a table of account settings"));
                None
            }
        }
    }

    fn path(&self, key: &str) -> String {
        format!("{}.{key}", self.path)
    }

    /// The value, if there is one.
    fn any(&mut self, key: &'static str) -> Option<&'a Value> {
        if !self.known.contains(&key) {
            self.known.push(key);
        }
        match self.table.get(key)? {
            Value::Null => {
                self.findings.push(Finding::error(
                    self.path(key),
                    Rule::Empty,
                    "the value is null",
                    "leave the key out",
                ));
                None
            }
            value => Some(value),
        }
    }

    fn require(&mut self, key: &'static str, fix: &str) {
        if !self.table.contains_key(key) {
            let message = format!("`{}` needs it", self.path);
            self.findings.push(Finding::error(self.path(key), Rule::Required, message, fix));
        }
    }

    fn flag(&mut self, key: &'static str) -> Option<bool> {
        let value = self.any(key)?;
        if !value.is_boolean() {
            self.wrong(key, "true or false", value, "write true or false, without quotes");
        }
        value.as_bool()
    }

    fn text(&mut self, key: &'static str) -> Option<&'a str> {
        let value = self.any(key)?;
        if !value.is_string() {
            self.wrong(key, "a text", value, "write one text in quotes");
        }
        value.as_str()
    }

    fn name(&mut self, key: &'static str) -> Option<Template> {
        let text = self.text(key)?;
        if text.trim().is_empty() {
            let message = "the name is empty";
            self.findings.push(Finding::error(self.path(key), Rule::Empty, message, "leave the key out"));
            return None;
        }
        Template::parse(text)
            .map_err(|errors| {
                for error in errors {
                    let fix = fix_of_variable(&error);
                    let path = self.path(key);
                    self.findings.push(Finding::error(path, Rule::UnknownVariable, error.to_string(), fix));
                }
            })
            .ok()
    }

    fn account_type(&mut self, key: &'static str) -> Option<AccountType> {
        let text = self.text(key)?;
        if text == "standard" {
            return Some(AccountType::Standard);
        }
        if text != "administrator" {
            let message = format!("{} is no type of account", texts::quote(text));
            let fix = "write `standard` or `administrator`";
            self.findings.push(Finding::error(self.path(key), Rule::Type, message, fix));
        }
        // Also the stand-in for a wrong one: the rules have nothing to say about it.
        Some(AccountType::Administrator)
    }

    /// Bytes in base64; the text is never repeated.
    fn bytes<const N: usize>(&mut self, key: &'static str) -> Option<[u8; N]> {
        let value = self.any(key)?;
        let bytes = value.as_str().and_then(|text| STANDARD.decode(text).ok());
        let bytes = bytes.and_then(|bytes| <[u8; N]>::try_from(bytes).ok());
        if bytes.is_none() {
            let message = format!("must be {N} bytes in base64");
            let fix = format!("write the {N} bytes of the hash in base64, in one line");
            self.findings.push(Finding::error(self.path(key), Rule::AdministratorPassword, message, fix));
        }
        bytes
    }

    fn wrong(&mut self, key: &'static str, expected: &str, value: &Value, fix: &str) {
        let message = format!("must be {expected}, and is {}", type_name(value));
        self.findings.push(Finding::error(self.path(key), Rule::Type, message, fix));
    }

    /// Everything that nobody asked for is unknown. An error, not a warning: none of this passes through to Apple,
    /// so a misspelt key would be lost.
    fn finish(self) {
        for key in self.table.keys().filter(|key| !self.known.contains(&key.as_str())) {
            let nearest = spelling::nearest(key, self.known.iter().copied());
            let fix = nearest.map_or_else(
                || format!("take it out; `{}` has {}", self.path, self.known.join(", ")),
                |nearest| format!("write `{nearest}` if that was meant"),
            );
            let message = "there is no such account setting";
            self.findings.push(Finding::error(self.path(key), Rule::UnknownKey, message, fix));
        }
    }
}

fn fix_of_variable(error: &TemplateError) -> String {
    match error {
        TemplateError::Unknown { nearest: Some(variable), .. } => {
            format!("write `{variable}` if that was meant")
        }
        TemplateError::Unknown { nearest: None, .. } => {
            let all: Vec<_> = super::Variable::ALL.iter().map(|variable| format!("`{variable}`")).collect();
            format!("write one of {}", all.join(", "))
        }
        TemplateError::Unclosed => "write }} after the word".to_owned(),
    }
}
