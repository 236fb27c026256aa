use std::collections::BTreeMap;

use adelie_model::Entropy;
use zeroize::Zeroizing;

use super::cipher::{self, Key};
use super::sealed::{WITH_VERSION, WITHOUT_VERSION};
use super::{MasterKeys, Place, SealError, Sealed, StoredDataKey};

/// Seals and opens the secrets of one database, with the data keys that it had at one moment.
#[derive(Clone)]
pub struct Vault {
    newest: u32,
    keys: BTreeMap<u32, Key>,
}

impl std::fmt::Debug for Vault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Vault({})", self.known())
    }
}

impl Vault {
    /// Opens all data keys of a database.
    ///
    /// # Errors
    /// [`SealError::WrongKey`] names the master key that is missing, [`SealError::DamagedDataKey`] a row that was changed.
    pub fn open(masters: &MasterKeys, stored: &[StoredDataKey]) -> Result<Self, SealError> {
        let keys = stored.iter().map(|key| Ok((key.version, key.open(masters)?)));
        let keys = keys.collect::<Result<BTreeMap<_, _>, SealError>>()?;
        let newest = keys.keys().next_back().copied().ok_or(SealError::DamagedDataKey(1))?;
        Ok(Self { newest, keys })
    }

    /// The version of the data key that seals.
    #[must_use]
    pub fn newest(&self) -> u32 {
        self.newest
    }

    /// Whether the data key of this value is there.
    #[must_use]
    pub fn knows(&self, sealed: &Sealed) -> bool {
        sealed.key_version().is_none_or(|version| self.keys.contains_key(&version))
    }

    /// Seals a secret for its place, under the newest data key.
    ///
    /// # Errors
    /// [`SealError::Crypto`] when OpenSSL fails.
    pub fn seal(&self, place: Place, plain: &[u8], entropy: &dyn Entropy) -> Result<Sealed, SealError> {
        let key = self.keys.get(&self.newest).ok_or(SealError::DamagedDataKey(self.newest))?;
        let head = Sealed::head(self.newest);
        let sealed = cipher::encrypt(key, &bound_to(&head, place), plain, entropy)?;
        Ok(Sealed([head.as_slice(), &sealed].concat()))
    }

    /// Opens a secret of that place.
    ///
    /// # Errors
    /// - [`SealError::UnknownDataKey`] when its data key is not here;
    /// - [`SealError::Tampered`] when it was sealed for another place, or was changed.
    pub fn unseal(&self, place: Place, sealed: &Sealed) -> Result<Zeroizing<Vec<u8>>, SealError> {
        let version = sealed.key_version().ok_or(SealError::Tampered(place))?;
        let key = self.keys.get(&version).ok_or_else(|| SealError::UnknownDataKey {
            place,
            version,
            known: self.known(),
        })?;
        let head = match sealed.0.first() {
            Some(&WITH_VERSION) => Sealed::HEAD,
            Some(&WITHOUT_VERSION) => 1,
            _ => return Err(SealError::Tampered(place)),
        };
        let opened = sealed.0.split_at_checked(head);
        let opened = opened.and_then(|(head, rest)| cipher::decrypt(key, &bound_to(head, place), rest));
        opened.ok_or(SealError::Tampered(place))
    }

    /// The versions that there are, for people.
    fn known(&self) -> String {
        self.keys.keys().map(u32::to_string).collect::<Vec<_>>().join(", ")
    }
}

/// Format and version of the data key as they stand in front, and the place.
fn bound_to(head: &[u8], place: Place) -> Vec<u8> {
    [head, place.to_string().as_bytes()].concat()
}
