use adelie_model::{Entropy, Timestamp};
use zeroize::Zeroizing;

use super::cipher::{self, Key};
use super::sealed::{WITH_VERSION, WITHOUT_VERSION};
use super::{MasterKey, MasterKeys, SealError};

/// A data key as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredDataKey {
    /// Its number; the one with the greatest seals.
    pub version: u32,
    /// The id of a master key, a colon, and the data key sealed under it.
    pub sealed: Vec<u8>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When everything was sealed under it, or a newer one; `None` while older secrets still are to be.
    pub completed_at: Option<Timestamp>,
    /// Since when nothing has been sealed under it.
    pub retired_at: Option<Timestamp>,
}

impl StoredDataKey {
    /// The first data key of a new database.
    ///
    /// # Errors
    /// [`SealError::Crypto`] when OpenSSL fails.
    pub fn first(master: &MasterKey, entropy: &dyn Entropy, now: Timestamp) -> Result<Self, SealError> {
        Ok(Self { completed_at: Some(now), ..Self::fresh(1, master, entropy, now)? })
    }

    /// A data key under which nothing is sealed yet.
    pub(super) fn fresh(
        version: u32,
        master: &MasterKey,
        entropy: &dyn Entropy,
        now: Timestamp,
    ) -> Result<Self, SealError> {
        let sealed = seal(&cipher::fresh(entropy), version, master, entropy)?;
        Ok(Self { version, sealed, created_at: now, completed_at: None, retired_at: None })
    }

    /// The same data key under this master key, if it is not there already.
    pub(super) fn under(
        self,
        master: &MasterKey,
        masters: &MasterKeys,
        entropy: &dyn Entropy,
    ) -> Result<Self, SealError> {
        let key = self.open(masters)?;
        let (_, form) = self.parts()?;
        if self.master_id() == master.id() && form.first() == Some(&WITH_VERSION) {
            return Ok(self);
        }
        Ok(Self { sealed: seal(&key, self.version, master, entropy)?, ..self })
    }

    /// The id of the master key that it is sealed under.
    #[must_use]
    pub fn master_id(&self) -> String {
        let id = self.sealed.split(|byte| *byte == b':').next().unwrap_or_default();
        String::from_utf8_lossy(id).chars().take(16).collect()
    }

    /// Opens it with one of the master keys.
    pub(super) fn open(&self, masters: &MasterKeys) -> Result<Key, SealError> {
        let damaged = || SealError::DamagedDataKey(self.version);
        let (id, form) = self.parts()?;
        let master = masters.find(id).ok_or_else(|| SealError::WrongKey {
            version: self.version,
            expected: self.master_id(),
            found: format!("{} from {}", masters.ids().join(", "), masters.from()),
        })?;
        let (format, sealed) = form.split_first().ok_or_else(damaged)?;
        let plain = cipher::decrypt(master.key(), &bound_to(*format, self.version, id), sealed);
        plain.and_then(|plain: Zeroizing<Vec<u8>>| cipher::key(&plain)).ok_or_else(damaged)
    }

    /// The id of the master key and what is sealed. The id stands in front in the clear, so that a wrong key can be told
    /// from a damaged row.
    fn parts(&self) -> Result<(&str, &[u8]), SealError> {
        let colon = self.sealed.iter().position(|byte| *byte == b':');
        let (id, rest) = colon.and_then(|colon| self.sealed.split_at_checked(colon)).unzip();
        let id = id.and_then(|id| std::str::from_utf8(id).ok());
        id.zip(rest.and_then(|rest| rest.get(1..))).ok_or(SealError::DamagedDataKey(self.version))
    }
}

fn seal(key: &Key, version: u32, master: &MasterKey, entropy: &dyn Entropy) -> Result<Vec<u8>, SealError> {
    let id = master.id();
    let bound_to = bound_to(WITH_VERSION, version, &id);
    let sealed = cipher::encrypt(master.key(), &bound_to, key.as_slice(), entropy)?;
    Ok([id.as_bytes(), b":", &[WITH_VERSION], &sealed].concat())
}

/// Data keys must not be exchanged, so that their version is bound to them. Older versions of Adelie had only one.
fn bound_to(format: u8, version: u32, master_id: &str) -> Vec<u8> {
    let text = match format {
        WITHOUT_VERSION if version == 1 => format!("data key under {master_id}"),
        _ => format!("data key {version} under {master_id}"),
    };
    [&[format], text.as_bytes()].concat()
}
