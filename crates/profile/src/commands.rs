//! MDM commands for a device that awaits configuration, as the XML property lists that an MDM server queues.
//!
//! Adelie is no MDM server and sends none of them itself. Send `AccountConfiguration` first and let it be answered,
//! then everything else that must be there before the first login, and [`device_configured`] at the very end: it
//! releases the device (protocol section 8.3).

use std::fmt;

use plist::{Dictionary, Value};
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::accounts::{AccountNameError, MissingValue, PasswordHash};

mod account_configuration;
mod password_hash;

pub use account_configuration::account_configuration;
pub use password_hash::password_hash_plist;

/// One command, ready for an MDM server. Its XML may contain the hash of a password, so it is masked in `Debug` and
/// zeroed when dropped; do not log it.
#[derive(Clone)]
pub struct Command {
    request_type: &'static str,
    command_uuid: Uuid,
    xml: Zeroizing<Vec<u8>>,
}

impl Command {
    /// What Apple calls the command, like `DeviceConfigured`.
    #[must_use]
    pub fn request_type(&self) -> &'static str {
        self.request_type
    }

    /// The identifier by which the device's answer is known.
    #[must_use]
    pub fn command_uuid(&self) -> Uuid {
        self.command_uuid
    }

    /// The whole property list, in UTF-8.
    #[must_use]
    pub fn xml(&self) -> &[u8] {
        &self.xml
    }

    /// Puts the command into its envelope. Keys are sorted, so that the same command is the same bytes.
    fn new(
        request_type: &'static str,
        command_uuid: Uuid,
        mut keys: Dictionary,
    ) -> Result<Self, CommandError> {
        keys.insert("RequestType".into(), request_type.into());
        let mut envelope = Dictionary::new();
        envelope.insert("Command".into(), Value::Dictionary(keys));
        envelope.insert("CommandUUID".into(), command_uuid.hyphenated().to_string().into());
        Ok(Self { request_type, command_uuid, xml: xml(envelope)? })
    }
}

impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Command")
            .field("request_type", &self.request_type)
            .field("command_uuid", &self.command_uuid)
            .finish_non_exhaustive()
    }
}

/// Why there is no command.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// There are no account settings: only [`device_configured`] is to be sent.
    #[error("there are no account settings to send")]
    NothingToSend,
    /// A name needs what is not known of this device or its user.
    #[error("`{path}` cannot be filled in")]
    Variable {
        /// The setting with the name.
        path: &'static str,
        /// Which variable it is.
        source: MissingValue,
    },
    /// With the values of this device, the name is none that macOS takes for an account.
    #[error("`{path}` becomes {name:?}, which is no account name for macOS")]
    AccountName {
        /// The setting with the name.
        path: &'static str,
        /// What it became.
        name: String,
        /// What is wrong with that.
        source: AccountNameError,
    },
    /// A text has a character that XML cannot hold.
    #[error("`{path}` contains {character:?}, which cannot be sent")]
    Character {
        /// The setting or argument with the text.
        path: &'static str,
        /// The character.
        character: char,
    },
    /// A text that must not be empty is.
    #[error("`{path}` is empty")]
    Empty {
        /// The argument.
        path: &'static str,
    },
    /// The primary account and the administrator would have the same account name on this device.
    #[error("the primary account and the administrator would both be {name:?}")]
    SameAccountName {
        /// The account name.
        name: String,
    },
    /// The primary account is skipped, and nobody else could sign in.
    #[error("the primary account is skipped, and there is no administrator")]
    SkipNeedsAdministrator,
    /// There is an administrator, and no hash of a password was passed.
    #[error("the administrator has no password")]
    PasswordMissing,
    /// A hash of a password was passed, and there is no administrator.
    #[error("there is a password, and no administrator to have it")]
    PasswordUnused,
    /// The property list could not be written.
    #[error("the property list cannot be written")]
    Encoding(#[source] plist::Error),
}

/// `DeviceConfigured`: the device goes on with Setup Assistant. It has no keys of its own.
///
/// # Errors
/// Only when the property list cannot be written.
pub fn device_configured(command_uuid: Uuid) -> Result<Command, CommandError> {
    Command::new("DeviceConfigured", command_uuid, Dictionary::new())
}

/// `SetAutoAdminPassword`: another password for the administrator that was made by `AccountConfiguration`, at any
/// time later. `guid` is that account's in the device's answer to `DeviceInformation` with the query
/// `AutoSetupAdminAccounts`; a foreign one is answered with an error.
///
/// # Errors
/// When `guid` is empty or cannot be sent.
pub fn set_auto_admin_password(
    command_uuid: Uuid,
    guid: &str,
    password: &PasswordHash,
) -> Result<Command, CommandError> {
    const PATH: &str = "GUID";
    if guid.trim().is_empty() {
        return Err(CommandError::Empty { path: PATH });
    }
    check_characters(PATH, guid)?;
    let mut keys = Dictionary::new();
    keys.insert("GUID".into(), guid.into());
    keys.insert("passwordHash".into(), Value::Data(password_hash_plist(password)?.to_vec()));
    Command::new("SetAutoAdminPassword", command_uuid, keys)
}

/// Writes a dictionary as XML with sorted keys.
fn xml(mut dictionary: Dictionary) -> Result<Zeroizing<Vec<u8>>, CommandError> {
    sort(&mut dictionary);
    let mut xml = Zeroizing::new(Vec::new());
    Value::Dictionary(dictionary).to_writer_xml(&mut *xml).map_err(CommandError::Encoding)?;
    Ok(xml)
}

fn sort(dictionary: &mut Dictionary) {
    dictionary.sort_keys();
    for (_, value) in dictionary.iter_mut() {
        match value {
            Value::Dictionary(inner) => sort(inner),
            Value::Array(items) => items.iter_mut().filter_map(Value::as_dictionary_mut).for_each(sort),
            _ => {}
        }
    }
}

fn check_characters(path: &'static str, text: &str) -> Result<(), CommandError> {
    match crate::accounts::account_name::unprintable(text) {
        Some(character) => Err(CommandError::Character { path, character }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
