//! What commands stand on: settings, store, vault, clock.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use adelie_dep::{Client, HttpTransport, Options, Transport};
use adelie_model::{Clock, Entropy, ServerName, ServerToken, new_uuid};
use adelie_scheduler::{Connector, Engine};
use adelie_store::seal::StoredDataKey;
use adelie_store::{Keyring, MdmServer, Operator, Store, Vault};
use adelie_store_postgres::PostgresStore;
use adelie_store_sqlite::SqliteStore;
use adelie_webhook::{Pump, PumpSettings, PumpTools, Sender, SenderOptions};
use anyhow::Context as _;
use tokio::sync::OnceCell;
use uuid::Uuid;

use crate::exit::wrong;
use crate::key_file;
use crate::master_keys::{Place, Source, refused};
use crate::operator;
use crate::output::Output;
use crate::real::{SystemClock, SystemEntropy};
use crate::settings::{Database, Settings};

/// Everything a command works with.
#[derive(Clone)]
pub struct Context {
    pub settings: Arc<Settings>,
    pub store: Arc<dyn Store>,
    pub clock: Arc<dyn Clock>,
    pub entropy: Arc<dyn Entropy>,
    pub out: Output,
    /// This run of the program, in the audit.
    request: Uuid,
    keyring: Arc<OnceCell<Arc<Keyring>>>,
    /// The ways to Apple on which tokens are tried, by base URL.
    ways: Arc<Mutex<HashMap<String, Arc<dyn Transport>>>>,
}

impl Context {
    /// Opens the database, and on its first start makes the data directory, the database and the key file.
    pub async fn open(settings: Settings) -> anyhow::Result<Self> {
        let context = Self::open_as_it_is(settings).await?;
        context.first_start().await?;
        Ok(context)
    }

    /// Opens the database, or makes one without a data key: for those who bring one.
    pub async fn open_as_it_is(settings: Settings) -> anyhow::Result<Self> {
        key_file::make_data_dir(&settings.data_dir)?;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let store: Arc<dyn Store> = match &settings.database {
            Database::Sqlite(path) => Arc::new(SqliteStore::open(path, Arc::clone(&clock)).await?),
            Database::Postgres(url) => Arc::new(PostgresStore::connect(url).await?),
        };
        let out = Output { json: settings.json, quiet: settings.quiet };
        let entropy: Arc<dyn Entropy> = Arc::new(SystemEntropy);
        let request = new_uuid(clock.now(), &*entropy);
        let (keyring, ways) = (Arc::default(), Arc::default());
        Ok(Self { settings: Arc::new(settings), store, clock, entropy, out, request, keyring, ways })
    }

    /// A new database gets its data key, sealed under the master key that is at hand. Only where there is none, a key file is
    /// made.
    async fn first_start(&self) -> anyhow::Result<()> {
        if !self.store.data_keys().await?.is_empty() {
            return Ok(());
        }
        let place = Place::in_use(&self.settings);
        let masters = match place.read().map_err(refused)? {
            Some(masters) => masters,
            None => {
                let path = key_file::path(&self.settings.data_dir);
                let masters = key_file::create(&path, &*self.entropy)?;
                self.out.note(&format!(
                    "made the key file {} (key {}): keep a copy in a safe place, apart from the database",
                    path.display(),
                    masters.ids().join(", ")
                ))?;
                masters
            }
        };
        let first = masters.first().context("there is no master key")?;
        let first = StoredDataKey::first(first, &*self.entropy, self.clock.now())?;
        // When another process was first, its data key counts.
        self.store.change_data_keys(&[], &[first], None).await?;
        Ok(())
    }

    /// What opens the secrets for as long as the process lives.
    pub async fn keyring(&self) -> anyhow::Result<Arc<Keyring>> {
        let open = || async {
            let source = Source { store: self.store.clone(), place: Place::in_use(&self.settings) };
            Keyring::open(Arc::new(source)).await.map(Arc::new)
        };
        self.keyring.get_or_try_init(open).await.cloned().map_err(refused)
    }

    /// What seals secrets now.
    pub async fn vault(&self) -> anyhow::Result<Arc<Vault>> {
        self.keyring().await?.vault().await.map_err(refused)
    }

    /// The clients of Apple's service.
    pub async fn connector(&self) -> anyhow::Result<Arc<Connector>> {
        Ok(Arc::new(self.new_connector().await?))
    }

    async fn new_connector(&self) -> anyhow::Result<Connector> {
        Ok(Connector::new(
            Arc::clone(&self.store),
            self.keyring().await?,
            self.settings.apple.clone(),
            Arc::clone(&self.clock),
            Arc::clone(&self.entropy),
        ))
    }

    /// The client of a token that is to be tried. All of those at one base URL share its connections, because reading the
    /// certificates that TLS trusts takes longer than asking Apple.
    pub async fn trial_client(&self, server: &MdmServer, token: ServerToken) -> anyhow::Result<Client> {
        let known = self.lock_ways().get(&server.base_url).cloned();
        let way = match known {
            Some(way) => way,
            None => {
                let base_url = server.base_url.parse()?;
                let way: Arc<dyn Transport> =
                    Arc::new(HttpTransport::new(&Options { base_url, ..self.settings.apple.clone() })?);
                self.lock_ways().insert(server.base_url.clone(), Arc::clone(&way));
                way
            }
        };
        let connector = self.new_connector().await?.with_transport(way);
        Ok(connector.client_with(server, token)?)
    }

    fn lock_ways(&self) -> MutexGuard<'_, HashMap<String, Arc<dyn Transport>>> {
        self.ways.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The reconciler, under an owner's name of its own.
    pub async fn engine(&self) -> anyhow::Result<Engine> {
        let owner = new_uuid(self.clock.now(), &*self.entropy).to_string();
        Ok(Engine::new(
            Arc::clone(&self.store),
            self.connector().await?,
            Arc::clone(&self.clock),
            Arc::clone(&self.entropy),
            self.settings.engine.clone(),
            &owner,
        ))
    }

    /// What delivers webhooks.
    pub async fn pump(&self) -> anyhow::Result<Pump> {
        let settings = &self.settings.webhook;
        let roots = match &settings.ca_file {
            Some(file) => vec![std::fs::read(file).map_err(|error| {
                wrong(
                    format!("the certificates in {} cannot be read: {error}", file.display()),
                    "check `ca_file` under `[webhook]` in adelie.toml, or ADELIE_WEBHOOK_CA_FILE",
                )
            })?],
            None => Vec::new(),
        };
        let sender = Sender::new(&SenderOptions {
            deadline: settings.timeout,
            allowed: settings.allow_networks.clone(),
            roots,
            ..SenderOptions::default()
        })?;
        Ok(Pump::new(PumpTools {
            store: self.store.clone(),
            sender,
            keyring: self.keyring().await?,
            clock: Arc::clone(&self.clock),
            entropy: Arc::clone(&self.entropy),
            settings: PumpSettings {
                at_once: settings.posts_at_once,
                // A claim must outlast its post.
                claim: settings.timeout * 2 + Duration::from_secs(5),
                ladder: settings.ladder.clone(),
                keep: Duration::from_secs(u64::from(settings.keep_days) * 86_400),
                ..PumpSettings::default()
            },
        }))
    }

    /// Who does what is done now, and why.
    pub fn operator(&self) -> Operator {
        Operator::new(operator::name(), self.clock.now())
            .because(self.settings.reason.clone())
            .in_request(self.request)
    }

    /// Why it is done, in their words; empty when they give no reason.
    pub fn reason(&self) -> String {
        self.settings.reason.clone().unwrap_or_default()
    }

    /// The MDM server of this name, which must exist.
    pub async fn server(&self, name: &ServerName) -> anyhow::Result<MdmServer> {
        match self.store.server(name).await? {
            Some(server) => Ok(server),
            None => Err(no_server(name, &self.store.servers().await?)),
        }
    }
}

fn no_server(name: &ServerName, known: &[MdmServer]) -> anyhow::Error {
    let hint = if known.is_empty() {
        format!("there is none yet: add it with `adelie server add {name}`")
    } else {
        let names: Vec<_> = known.iter().take(10).map(|server| server.name.as_str()).collect();
        let more = if known.len() > names.len() { ", …" } else { "" };
        format!("the MDM servers are {}{more}; add one with `adelie server add NAME`", names.join(", "))
    };
    wrong(format!("there is no MDM server {name:?}", name = name.as_str()), hint)
}
