//! Secrets at rest (design, section 6). A master key, kept in a file outside the database, seals the
//! database's data key; the data key seals each secret with AES-256-GCM. The associated data names the
//! table, column and row, so that a sealed value copied to another place does not open there.

use openssl::symm::{Cipher, decrypt_aead, encrypt_aead};
use zeroize::Zeroizing;

use adelie_model::Entropy;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

const KEY: usize = 32;
const NONCE: usize = 12;
const TAG: usize = 16;
/// The first byte of everything sealed: version of the format and of the data key.
const VERSION: u8 = 1;

/// Why something could not be sealed or opened.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// The key text is not what a key file holds.
    #[error("this is no master key: a key file holds one line `adelie-key-1:` and 44 characters of base64")]
    BadKey,
    /// The database was sealed under another master key (field lesson L61).
    #[error(
        "the database was sealed under master key {expected} and the key at hand is {found}: \
         put the key file back that belongs to this database, or restore both from the same backup"
    )]
    WrongKey {
        /// The id of the key that the database expects.
        expected: String,
        /// The id of the key at hand.
        found: String,
    },
    /// A sealed value does not open: it was changed, or belongs to another row.
    #[error(
        "the sealed value of {0} does not open: the row was changed or copied from elsewhere; restore it from a backup"
    )]
    Tampered(String),
    /// OpenSSL failed.
    #[error("sealing failed")]
    Crypto(#[from] openssl::error::ErrorStack),
}

/// A secret in the only form that a store sees: version, nonce, ciphertext and tag.
#[derive(Clone, PartialEq, Eq)]
pub struct Sealed(pub Vec<u8>);

impl std::fmt::Debug for Sealed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Sealed({} bytes)", self.0.len())
    }
}

/// The key that everything hangs on. It is never stored in the database.
#[derive(Clone)]
pub struct MasterKey(Zeroizing<[u8; KEY]>);

impl std::fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "MasterKey({})", self.id())
    }
}

impl MasterKey {
    const PREFIX: &str = "adelie-key-1:";

    /// Makes a fresh key.
    #[must_use]
    pub fn generate(entropy: &dyn Entropy) -> Self {
        let mut key = Zeroizing::new([0; KEY]);
        entropy.fill(key.as_mut_slice());
        Self(key)
    }

    /// Reads the content of a key file.
    ///
    /// # Errors
    /// [`SealError::BadKey`] when it is none.
    pub fn parse(text: &str) -> Result<Self, SealError> {
        let encoded = text.trim().strip_prefix(Self::PREFIX).ok_or(SealError::BadKey)?;
        let bytes = Zeroizing::new(STANDARD.decode(encoded).map_err(|_| SealError::BadKey)?);
        let key = <[u8; KEY]>::try_from(bytes.as_slice()).map_err(|_| SealError::BadKey)?;
        Ok(Self(Zeroizing::new(key)))
    }

    /// The content of a key file.
    #[must_use]
    pub fn to_text(&self) -> Zeroizing<String> {
        Zeroizing::new(format!("{}{}\n", Self::PREFIX, STANDARD.encode(self.0.as_slice())))
    }

    /// A short name of the key that gives nothing of it away.
    #[must_use]
    pub fn id(&self) -> String {
        hex::encode(&openssl::sha::sha256(&[b"adelie key id".as_slice(), self.0.as_slice()].concat())[..4])
    }
}

/// Seals and opens the secrets of one database.
pub struct Vault {
    data_key: Zeroizing<[u8; KEY]>,
}

impl std::fmt::Debug for Vault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Vault")
    }
}

impl Vault {
    /// Makes a data key for a new database and returns it sealed, to be stored.
    ///
    /// # Errors
    /// [`SealError::Crypto`] when OpenSSL fails.
    pub fn create(master: &MasterKey, entropy: &dyn Entropy) -> Result<Vec<u8>, SealError> {
        let mut data_key = Zeroizing::new([0; KEY]);
        entropy.fill(data_key.as_mut_slice());
        let id = master.id();
        let sealed = seal(&master.0, &format!("data key under {id}"), data_key.as_slice(), entropy)?;
        // The id stands in front in the clear, so that a wrong key can be told from a damaged row.
        Ok([id.as_bytes(), b":", &sealed].concat())
    }

    /// Opens the data key of a database.
    ///
    /// # Errors
    /// [`SealError::WrongKey`] names both keys when the master key is not the one that sealed it.
    pub fn open(master: &MasterKey, stored: &[u8]) -> Result<Self, SealError> {
        let damaged = || SealError::Tampered("the data key".to_owned());
        let colon = stored.iter().position(|byte| *byte == b':').ok_or_else(damaged)?;
        let expected = String::from_utf8_lossy(&stored[..colon]).into_owned();
        let found = master.id();
        if expected != found {
            return Err(SealError::WrongKey { expected, found });
        }
        let plain = unseal(&master.0, &format!("data key under {found}"), &stored[colon + 1..])
            .ok_or_else(damaged)?;
        let data_key = <[u8; KEY]>::try_from(plain.as_slice()).map_err(|_| damaged())?;
        Ok(Self { data_key: Zeroizing::new(data_key) })
    }

    /// Seals a secret for one place, like `token_keys.private_key/<id>`.
    ///
    /// # Errors
    /// [`SealError::Crypto`] when OpenSSL fails.
    pub fn seal(&self, place: &str, plain: &[u8], entropy: &dyn Entropy) -> Result<Sealed, SealError> {
        Ok(Sealed(seal(&self.data_key, place, plain, entropy)?))
    }

    /// Opens a secret of that place.
    ///
    /// # Errors
    /// [`SealError::Tampered`] when it was sealed for another place, under another key, or was changed.
    pub fn unseal(&self, place: &str, sealed: &Sealed) -> Result<Zeroizing<Vec<u8>>, SealError> {
        unseal(&self.data_key, place, &sealed.0).ok_or_else(|| SealError::Tampered(place.to_owned()))
    }
}

fn seal(key: &[u8; KEY], place: &str, plain: &[u8], entropy: &dyn Entropy) -> Result<Vec<u8>, SealError> {
    let mut nonce = [0; NONCE];
    entropy.fill(&mut nonce);
    let mut tag = [0; TAG];
    let ciphertext =
        encrypt_aead(Cipher::aes_256_gcm(), key, Some(&nonce), &associated(place), plain, &mut tag)?;
    Ok([&[VERSION], nonce.as_slice(), &ciphertext, &tag].concat())
}

fn unseal(key: &[u8; KEY], place: &str, sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let (version, rest) = sealed.split_first()?;
    if *version != VERSION || rest.len() < NONCE + TAG {
        return None;
    }
    let (nonce, rest) = rest.split_at(NONCE);
    let (ciphertext, tag) = rest.split_at(rest.len() - TAG);
    decrypt_aead(Cipher::aes_256_gcm(), key, Some(nonce), &associated(place), ciphertext, tag)
        .ok()
        .map(Zeroizing::new)
}

fn associated(place: &str) -> Vec<u8> {
    [&[VERSION], place.as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use adelie_model::SeededEntropy;

    use super::*;

    fn vault() -> (MasterKey, Vault, SeededEntropy) {
        let entropy = SeededEntropy::new(1);
        let master = MasterKey::generate(&entropy);
        let stored = Vault::create(&master, &entropy).expect("sealed");
        let vault = Vault::open(&master, &stored).expect("opens");
        (master, vault, entropy)
    }

    #[test]
    fn a_sealed_value_opens_in_its_place_only() {
        let (_, vault, entropy) = vault();
        let sealed = vault.seal("token_keys.private_key/1", b"secret", &entropy).expect("sealed");
        assert!(!sealed.0.windows(6).any(|window| window == b"secret"));
        assert_eq!(vault.unseal("token_keys.private_key/1", &sealed).expect("opens").as_slice(), b"secret");
        assert!(matches!(vault.unseal("token_keys.private_key/2", &sealed), Err(SealError::Tampered(_))));
        let mut changed = sealed;
        if let Some(last) = changed.0.last_mut() {
            *last ^= 1;
        }
        assert!(vault.unseal("token_keys.private_key/1", &changed).is_err());
    }

    /// L61: a wrong key is named, with the one expected.
    #[test]
    fn a_wrong_master_key_is_named() {
        let entropy = SeededEntropy::new(2);
        let right = MasterKey::generate(&entropy);
        let wrong = MasterKey::generate(&entropy);
        let stored = Vault::create(&right, &entropy).expect("sealed");
        let error = Vault::open(&wrong, &stored).expect_err("another key").to_string();
        assert!(error.contains(&right.id()) && error.contains(&wrong.id()), "{error}");
        assert!(matches!(Vault::open(&right, b"nonsense"), Err(SealError::Tampered(_))));
    }

    #[test]
    fn a_key_file_is_read_back_and_nonsense_is_refused() {
        let (master, ..) = vault();
        let again = MasterKey::parse(&master.to_text()).expect("reads");
        assert_eq!(again.id(), master.id());
        assert!(!format!("{master:?}").contains(&master.to_text()[13..20]));
        for bad in ["", "hello", "adelie-key-1:short", "adelie-key-2:AAAA"] {
            assert!(matches!(MasterKey::parse(bad), Err(SealError::BadKey)), "{bad}");
        }
    }
}
