use adelie_model::Entropy;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::SealError;
use super::cipher::{self, KEY, Key};

/// The key that everything hangs on. It is never stored in the database.
#[derive(Clone)]
pub struct MasterKey(Key);

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
        Self(cipher::fresh(entropy))
    }

    /// Reads the text of one key.
    ///
    /// # Errors
    /// [`SealError::BadKey`] when it is none.
    pub fn parse(text: &str) -> Result<Self, SealError> {
        let encoded = text.trim().strip_prefix(Self::PREFIX).ok_or(SealError::BadKey)?;
        // Decoded in place of its own size, so that no copy is left behind when a buffer grows.
        let mut bytes = Zeroizing::new([0; KEY + 4]);
        let length = STANDARD.decode_slice(encoded, bytes.as_mut_slice()).map_err(|_| SealError::BadKey)?;
        bytes.get(..length).and_then(cipher::key).map(Self).ok_or(SealError::BadKey)
    }

    /// The text of the key, as a line.
    #[must_use]
    pub fn to_text(&self) -> Zeroizing<String> {
        Zeroizing::new(format!("{}{}\n", Self::PREFIX, STANDARD.encode(self.0.as_slice())))
    }

    /// A short name of the key that gives nothing of it away.
    #[must_use]
    pub fn id(&self) -> String {
        hex::encode(&openssl::sha::sha256(&[b"adelie key id".as_slice(), self.0.as_slice()].concat())[..4])
    }

    pub(super) fn key(&self) -> &Key {
        &self.0
    }
}

/// The master keys at hand, of which the first seals and all of them open.
#[derive(Clone, Debug)]
pub struct MasterKeys {
    keys: Vec<MasterKey>,
    from: String,
}

impl MasterKeys {
    /// Reads one key per line, or several with blanks between them, because not every environment can hold lines. `from`
    /// says for people where the text comes from.
    ///
    /// # Errors
    /// [`SealError::BadKey`] when one of them is no key, or when there is none.
    pub fn parse(text: &str, from: impl Into<String>) -> Result<Self, SealError> {
        let keys = text.split_whitespace().map(MasterKey::parse).collect::<Result<Vec<_>, _>>()?;
        if keys.is_empty() {
            return Err(SealError::BadKey);
        }
        Ok(Self { keys, from: from.into() })
    }

    /// One key.
    #[must_use]
    pub fn one(key: MasterKey, from: impl Into<String>) -> Self {
        Self { keys: vec![key], from: from.into() }
    }

    /// The same with another key that seals from now on. It is not there twice.
    #[must_use]
    pub fn led_by(&self, key: &MasterKey) -> Self {
        let rest = self.keys.iter().filter(|known| known.id() != key.id()).cloned();
        Self { keys: std::iter::once(key.clone()).chain(rest).collect(), from: self.from.clone() }
    }

    /// The one that seals.
    #[must_use]
    pub fn first(&self) -> Option<&MasterKey> {
        self.keys.first()
    }

    /// The one with this id.
    #[must_use]
    pub fn find(&self, id: &str) -> Option<&MasterKey> {
        self.keys.iter().find(|key| key.id() == id)
    }

    /// The ids of all, in their order.
    #[must_use]
    pub fn ids(&self) -> Vec<String> {
        self.keys.iter().map(MasterKey::id).collect()
    }

    /// Where they come from, for people.
    #[must_use]
    pub fn from(&self) -> &str {
        &self.from
    }

    /// All of them as a text, one per line.
    #[must_use]
    pub fn to_text(&self) -> Zeroizing<String> {
        let mut text = Zeroizing::new(String::with_capacity(self.keys.len() * 64));
        self.keys.iter().for_each(|key| text.push_str(&key.to_text()));
        text
    }
}
