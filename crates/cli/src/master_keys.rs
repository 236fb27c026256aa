//! Where the master keys are: in the environment, in a file, in a systemd credential, or in the key file of the data
//! directory. The first that is set counts.

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use adelie_model::Secret;
use adelie_store::seal::{StoredDataKey, VaultSource};
use adelie_store::{KeyStore, MasterKeys, SealError, Vault};
use async_trait::async_trait;
use secrecy::ExposeSecret;
use zeroize::Zeroizing;

use crate::exit::{as_wrong, wrong};
use crate::key_file;
use crate::settings::Settings;

/// The variable with the text of the keys.
pub const VARIABLE: &str = "ADELIE_MASTER_KEY";
/// The name of the systemd credential.
const CREDENTIAL: &str = "adelie-master-key";
/// More than any number of keys has. Without a limit, a device given by mistake would be read for ever.
const LONGEST: u64 = 64 * 1024;

/// What the settings say of master keys.
#[derive(Clone, Debug, Default)]
pub struct MasterKeySettings {
    /// The text in the environment.
    pub text: Option<Secret>,
    /// The file that was named.
    pub file: Option<PathBuf>,
    /// The folder with the credentials of the systemd service.
    pub credentials: Option<PathBuf>,
}

impl MasterKeySettings {
    /// What the environment says; `file` is the setting that every other setting is like.
    pub fn from_environment(file: Option<PathBuf>) -> Self {
        // What is no text is no key either; it must not pass for nothing.
        let text = std::env::var_os(VARIABLE).map(|text| Zeroizing::new(text.to_string_lossy().into_owned()));
        let text = text.filter(|text| !text.trim().is_empty()).map(|text| Secret::from(text.as_str()));
        let credentials = std::env::var_os("CREDENTIALS_DIRECTORY").filter(|folder| !folder.is_empty());
        Self { text, file, credentials: credentials.map(PathBuf::from) }
    }
}

/// A place where master keys may be.
#[derive(Clone, Debug)]
pub enum Place {
    /// The environment.
    Variable(Secret),
    /// A file that the settings name.
    File(PathBuf),
    /// A credential that systemd hands to the service, with modes of its own.
    Credential(PathBuf),
    /// The key file of the data directory.
    KeyFile(PathBuf),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Variable(_) => write!(f, "the environment variable {VARIABLE}"),
            Self::File(path) => write!(f, "the master key file {}", path.display()),
            Self::Credential(path) => write!(f, "the systemd credential {}", path.display()),
            Self::KeyFile(path) => write!(f, "the key file {}", path.display()),
        }
    }
}

impl Place {
    /// The places that are set, the one that counts first. The key file is the last of them, whether it is there or not.
    pub fn all(settings: &Settings) -> Vec<Self> {
        let MasterKeySettings { text, file, credentials } = &settings.master_key;
        let credential = credentials.as_ref().map(|folder| folder.join(CREDENTIAL));
        let credential = credential.filter(|path| path.symlink_metadata().is_ok());
        let mut all: Vec<Self> = text.iter().cloned().map(Self::Variable).collect();
        all.extend(file.iter().cloned().map(Self::File));
        all.extend(credential.map(Self::Credential));
        all.push(Self::KeyFile(key_file::path(&settings.data_dir)));
        all
    }

    /// The place that counts.
    pub fn in_use(settings: &Settings) -> Self {
        Self::all(settings).swap_remove(0)
    }

    /// The keys in this place; `None` when it is the key file and that is not there (yet).
    pub fn read(&self) -> Result<Option<MasterKeys>, SealError> {
        let text = match self {
            Self::Variable(text) => Zeroizing::new(text.expose_secret().to_owned()),
            Self::File(path) | Self::Credential(path) | Self::KeyFile(path) => match read(path) {
                Ok((text, mode)) => {
                    self.check_mode(path, mode)?;
                    text
                }
                Err(error)
                    if error.kind() == std::io::ErrorKind::NotFound && matches!(self, Self::KeyFile(_)) =>
                {
                    return Ok(None);
                }
                Err(error) => return Err(self.unusable(&format!("cannot be read: {error}"))),
            },
        };
        match MasterKeys::parse(&text, self.to_string()) {
            Ok(keys) => Ok(Some(keys)),
            Err(error) => Err(self.unusable(&format!("is of no use: {error}"))),
        }
    }

    /// The keys in this place, which must be there, because the database has data keys.
    pub fn keys_for(&self, stored: &[StoredDataKey]) -> Result<MasterKeys, SealError> {
        self.read()?.ok_or_else(|| {
            let expected = stored.last().map(StoredDataKey::master_id).unwrap_or_default();
            SealError::NoKey {
                problem: format!("{self} is missing; the database was sealed under master key {expected}"),
                fix: "put the key file back from your backup; without it the tokens in the database cannot be opened"
                    .to_owned(),
            }
        })
    }

    /// Keys are their owner's alone. A file of root's may be lent to a group, as container platforms do; systemd has modes of
    /// its own for credentials, in a folder that only the service can enter.
    fn check_mode(&self, path: &Path, (mode, owner): (u32, u32)) -> Result<(), SealError> {
        let allowed = match self {
            Self::Variable(_) | Self::Credential(_) => return Ok(()),
            Self::File(_) if owner == 0 => 0o640,
            Self::File(_) | Self::KeyFile(_) => 0o600,
        };
        if mode & 0o077 & !allowed == 0 {
            return Ok(());
        }
        Err(SealError::NoKey {
            problem: format!("{self} can be read or changed by others (mode {mode:o})"),
            fix: format!(
                "run `chmod 600 {}`, and if others did read it, treat the tokens as known to them",
                path.display()
            ),
        })
    }

    fn unusable(&self, why: &str) -> SealError {
        let fix = match self {
            Self::Variable(_) => {
                "set it to the text of the key: one line of a file that `adelie key make` makes"
            }
            Self::File(_) => {
                "check ADELIE_MASTER_KEY_FILE, master_key_file in adelie.toml or --to, and that this user may read the file"
            }
            Self::Credential(_) => "check LoadCredential= of the service",
            Self::KeyFile(_) => {
                "run adelie as the user that owns the data directory, or put the right key file back from your backup"
            }
        };
        SealError::NoKey { problem: format!("{self} {why}"), fix: fix.to_owned() }
    }
}

/// The text of a file, its mode and its owner.
fn read(path: &Path) -> std::io::Result<(Zeroizing<String>, (u32, u32))> {
    let file = File::open(path)?;
    let meta = file.metadata()?;
    if meta.is_dir() {
        return Err(std::io::ErrorKind::IsADirectory.into());
    }
    let mut text = Zeroizing::new(String::with_capacity(1024));
    file.take(LONGEST).read_to_string(&mut text)?;
    Ok((text, (meta.mode() & 0o777, meta.uid())))
}

/// The data keys of a store with the master keys of a place.
pub struct Source {
    pub store: Arc<dyn KeyStore>,
    pub place: Place,
}

#[async_trait]
impl VaultSource for Source {
    async fn read(&self) -> Result<Vault, SealError> {
        let stored = self.store.data_keys().await?;
        let place = self.place.clone();
        let opened = tokio::task::spawn_blocking(move || Vault::open(&place.keys_for(&stored)?, &stored));
        opened.await.unwrap_or_else(|error| {
            Err(SealError::NoKey {
                problem: format!("{} could not be read: {error}", self.place),
                fix: "try again; if it happens again, report it".to_owned(),
            })
        })
    }
}

/// Shows a sealing error as wrong input, with what to do; what the database said stays what it is.
pub fn refused(error: SealError) -> anyhow::Error {
    match error {
        SealError::NoKey { problem, fix } => wrong(problem, fix),
        SealError::WrongKey { .. } => wrong(
            error.to_string(),
            "`adelie key show` shows which keys the database needs; docs/keys.md says what to do when one is lost",
        ),
        SealError::Store(error) => error.into(),
        error => as_wrong(&error),
    }
}
