//! Account settings as a table: with their secrets for a file or a sealed store, and without for everyone else.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use secrecy::ExposeSecret;
use serde::de::{Deserialize, Deserializer, Error};
use serde::ser::{Serialize, Serializer};
use serde_json::{Map, Value, json};

use super::{AccountSettings, AccountType, AdministratorPassword, parse};

/// What stands in the place of a password that is not shown. Reading it again asks for the one that is stored, so that
/// settings which were shown cannot lose it in silence.
pub(crate) const STORED: &str = "stored";

impl AccountSettings {
    /// The settings as the table `accounts` of a file. Reading it again gives the same settings, so **it contains
    /// the password or its hash**: seal it, and show [`Serialize`]'s form instead.
    #[must_use]
    pub fn to_table(&self) -> Map<String, Value> {
        self.table(true)
    }

    /// The settings as the table `accounts` of a file, with `"stored"` in the place of a password or its hash.
    #[must_use]
    pub fn to_shown_table(&self) -> Map<String, Value> {
        self.table(false)
    }

    /// Whether they ask for the password of a stored profile.
    #[must_use]
    pub fn needs_stored_password(&self) -> bool {
        self.administrator
            .as_ref()
            .is_some_and(|admin| matches!(admin.password, AdministratorPassword::Stored))
    }

    /// The password or hash that [`to_shown_table`](Self::to_shown_table) leaves out, in the form of a file.
    pub(crate) fn secret_password(&self) -> Option<Value> {
        let administrator = self.administrator.as_ref()?;
        administrator.password.is_secret().then(|| password(&administrator.password, true))
    }

    /// Puts back what [`secret_password`](Self::secret_password) has given. Says whether it fits.
    pub(crate) fn restore_password(&mut self, raw: &Value) -> bool {
        match (&mut self.administrator, parse::stored_password(raw)) {
            (Some(administrator), Some(password)) => {
                administrator.password = password;
                true
            }
            _ => false,
        }
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
        AdministratorPassword::Stored => STORED.into(),
        secret if secret.is_secret() && !with_secrets => STORED.into(),
        AdministratorPassword::Given(text) => json!({ "given": text.expose_secret() }),
        AdministratorPassword::Hashed(hash) => json!({ "hashed": {
            "entropy": STANDARD.encode(hash.entropy()),
            "iterations": hash.iterations(),
            "salt": STANDARD.encode(hash.salt()),
        }}),
    }
}

impl Serialize for AccountSettings {
    /// The table with `"stored"` in the place of a password or its hash.
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
