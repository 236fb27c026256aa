use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use adelie_dep::{Client, Options, Transport};
use adelie_model::{Clock, Entropy, ServerId, ServerTokenId};
use adelie_store::{Keyring, MdmServer, SealError, Store};
use url::Url;

use crate::WorkError;
use crate::secrets::open_token;

/// Clients of Apple's service, one per server token, so that everything this process asks with a token goes
/// through one session and one limiter.
pub struct Connector {
    store: Arc<dyn Store>,
    keyring: Arc<Keyring>,
    options: Options,
    /// Another way to Apple than the network.
    transport: Option<Arc<dyn Transport>>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    open: Mutex<HashMap<ServerId, (ServerTokenId, String, Client)>>,
}

impl Connector {
    /// A connector with nothing open. The base URL in `options` is replaced by each server's own.
    #[must_use]
    pub fn new(
        store: Arc<dyn Store>,
        keyring: Arc<Keyring>,
        options: Options,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Self {
        Self { store, keyring, options, transport: None, clock, entropy, open: Mutex::default() }
    }

    /// The same with another way to Apple than the network, for the clients of all MDM servers.
    #[must_use]
    pub fn with_transport(self, transport: Arc<dyn Transport>) -> Self {
        Self { transport: Some(transport), ..self }
    }

    /// The client of an MDM server, made when its token or its base URL is new.
    ///
    /// # Errors
    /// [`WorkError::NoToken`], [`WorkError::Sealed`], [`WorkError::Client`].
    pub async fn client(&self, server: &MdmServer) -> Result<Client, WorkError> {
        self.client_of_token(server).await.map(|(_, client)| client)
    }

    /// The client of an MDM server, and which of its tokens it uses.
    pub(crate) async fn client_of_token(
        &self,
        server: &MdmServer,
    ) -> Result<(ServerTokenId, Client), WorkError> {
        let stored = self
            .store
            .current_token(server.id)
            .await?
            .ok_or_else(|| WorkError::NoToken(server.name.clone()))?;
        if let Some((token, url, client)) = self.lock().get(&server.id)
            && (*token, url.as_str()) == (stored.token.id, server.base_url.as_str())
        {
            return Ok((*token, client.clone()));
        }
        let token = open_token(&self.keyring, &stored).await.map_err(|error| match error {
            SealError::Store(error) => WorkError::Store(error),
            error => WorkError::Sealed(server.name.clone(), error),
        })?;
        let client = self.client_with(server, token)?;
        self.lock().insert(server.id, (stored.token.id, server.base_url.clone(), client.clone()));
        Ok((stored.token.id, client))
    }

    /// A client with a token that is not stored (yet): to try it before it is.
    ///
    /// # Errors
    /// [`WorkError::Client`] when the base URL is of no use.
    pub fn client_with(
        &self,
        server: &MdmServer,
        token: adelie_model::ServerToken,
    ) -> Result<Client, WorkError> {
        let fail = |error| WorkError::Client(server.name.clone(), error);
        let base_url = Url::parse(&server.base_url).map_err(|error| {
            fail(adelie_dep::Error::Setting { setting: "base_url", source: Some(error.into()) })
        })?;
        let options = Options { base_url, ..self.options.clone() };
        let (clock, entropy) = (Arc::clone(&self.clock), Arc::clone(&self.entropy));
        match &self.transport {
            Some(transport) => {
                Client::with_transport(token, options, Arc::clone(transport), clock, entropy).map_err(fail)
            }
            None => Client::new(token, options, clock, entropy).map_err(fail),
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<ServerId, (ServerTokenId, String, Client)>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
