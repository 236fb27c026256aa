//! Account settings as a table: with their secrets for a file or a sealed store, and without for everyone else.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use secrecy::ExposeSecret;
use serde::de::{Deserialize, Deserializer, Error};
use serde::ser::{Serialize, Serializer};
use serde_json::{Map, Value, json};

use super::{AccountSettings, AccountType, AdministratorPassword};

/// What stands in the place of a password that is not shown. As a password it is refused, so that settings which
/// were shown and read again cannot lose it in silence.
pub(crate) const HIDDEN: &str = "(hidden)";

impl AccountSettings {
    /// The settings as the table `accounts` of a file. Reading it again gives the same settings, so **it contains
    /// the password or its hash**: seal it, and show [`Serialize`]'s form instead.
    #[must_use]
    pub fn to_table(&self) -> Map<String, Value> {
        self.table(true)
    }

    fn table(&self, with_secrets: bool) -> Map<String, Value> {
        let mut table = Map::new();
        if let Some(primary) = &self.primary {
            let mut entry = Map::new();
            entry.insert("create".into(), primary.create.into());
            let account_type = match primary.account_type {
                AccountType::Standard => "standard",
                AccountType::Administrator => "administrator",
            };
            entry.insert("type".into(), account_type.into());
            for (key, name) in [("full_name", &primary.full_name), ("account_name", &primary.account_name)] {
                if let Some(name) = name {
                    entry.insert(key.into(), name.to_string().into());
                }
            }
            // It says nothing where there is no name to edit.
            if primary.prefills() || !primary.restrict_editing {
                entry.insert("restrict_editing".into(), primary.restrict_editing.into());
            }
            table.insert("primary".into(), entry.into());
        }
        if let Some(administrator) = &self.administrator {
            let mut entry = Map::new();
            entry.insert("short_name".into(), administrator.short_name.to_string().into());
            if let Some(name) = &administrator.full_name {
                entry.insert("full_name".into(), name.to_string().into());
            }
            entry.insert("hidden".into(), administrator.hidden.into());
            entry.insert("password".into(), password(&administrator.password, with_secrets));
            table.insert("administrator".into(), entry.into());
        }
        if let Some(name) = &self.managed_local_user {
            table.insert("managed_local_user".into(), name.to_string().into());
        }
        table
    }
}

fn password(password: &AdministratorPassword, with_secrets: bool) -> Value {
    match password {
        AdministratorPassword::Generated => "generated".into(),
        AdministratorPassword::Given(_) if !with_secrets => json!({ "given": HIDDEN }),
        AdministratorPassword::Hashed(_) if !with_secrets => json!({ "hashed": HIDDEN }),
        AdministratorPassword::Given(text) => json!({ "given": text.expose_secret() }),
        AdministratorPassword::Hashed(hash) => json!({ "hashed": {
            "entropy": STANDARD.encode(hash.entropy()),
            "iterations": hash.iterations(),
            "salt": STANDARD.encode(hash.salt()),
        }}),
    }
}

impl Serialize for AccountSettings {
    /// The table with `(hidden)` in the place of a password or its hash.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.table(false).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for AccountSettings {
    /// Like [`AccountSettings::from_stored`].
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Value::deserialize(deserializer)?;
        Self::from_stored(&raw).map_err(D::Error::custom)
    }
}
