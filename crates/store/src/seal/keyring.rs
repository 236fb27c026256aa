use std::sync::{Arc, PoisonError, RwLock};

use async_trait::async_trait;
use tokio::sync::Mutex;
use zeroize::Zeroizing;

use super::{Place, SealError, Sealed, Vault};

/// What knows the data keys of a database and the master keys that open them.
#[async_trait]
pub trait VaultSource: Send + Sync {
    /// The vault as the database has it now. The master keys are looked for after the data keys were read, because whoever
    /// changes them puts the new master key in its place first.
    async fn read(&self) -> Result<Vault, SealError>;
}

/// What never changes, for tests.
#[async_trait]
impl VaultSource for Vault {
    async fn read(&self) -> Result<Vault, SealError> {
        Ok(self.clone())
    }
}

/// Seals and opens the secrets of a database for as long as a process lives: data keys that were made meanwhile are read
/// when the first value under one of them is met.
pub struct Keyring {
    source: Arc<dyn VaultSource>,
    current: RwLock<Arc<Vault>>,
    /// Whoever reads the data keys holds it, so that many who meet a new one at once read once.
    reading: Mutex<()>,
}

impl std::fmt::Debug for Keyring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Keyring({:?})", self.current())
    }
}

impl Keyring {
    /// Reads the data keys.
    ///
    /// # Errors
    /// Those of the source; [`SealError::WrongKey`] when a master key is missing.
    pub async fn open(source: Arc<dyn VaultSource>) -> Result<Self, SealError> {
        let vault = source.read().await?;
        Ok(Self::new(source, vault))
    }

    /// A keyring that begins with what was read already.
    #[must_use]
    pub fn new(source: Arc<dyn VaultSource>, vault: Vault) -> Self {
        Self { source, current: RwLock::new(Arc::new(vault)), reading: Mutex::default() }
    }

    /// Opens a secret of that place.
    ///
    /// # Errors
    /// [`SealError`]. What is sealed under data keys that are known goes on opening, whatever becomes of the source.
    pub async fn unseal(&self, place: Place, sealed: &Sealed) -> Result<Zeroizing<Vec<u8>>, SealError> {
        let known = self.current();
        if known.knows(sealed)
            && let Ok(opened) = known.unseal(place, sealed)
        {
            return Ok(opened);
        }
        let _turn = self.reading.lock().await;
        // Somebody else may have read them while this one waited.
        let known = self.current();
        let refused = match known.unseal(place, sealed) {
            Ok(opened) => return Ok(opened),
            Err(refused) => refused,
        };
        // A restored backup brings other data keys under the same numbers into a database that was empty before.
        match self.read().await {
            Ok(vault) => vault.unseal(place, sealed),
            Err(_) if known.knows(sealed) => Err(refused),
            Err(error) => Err(error),
        }
    }

    /// What seals, with the data keys that the database has at this moment: nothing must be sealed under one that was
    /// taken out of use meanwhile. Take it anew for every command or request.
    ///
    /// # Errors
    /// Those of the source.
    pub async fn vault(&self) -> Result<Arc<Vault>, SealError> {
        let _turn = self.reading.lock().await;
        self.read().await
    }

    async fn read(&self) -> Result<Arc<Vault>, SealError> {
        let vault = Arc::new(self.source.read().await?);
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&vault);
        Ok(vault)
    }

    fn current(&self) -> Arc<Vault> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }
}
