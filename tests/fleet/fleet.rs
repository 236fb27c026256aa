//! The installation: a simulated Apple in this process, one PostgreSQL, copies of the engine, one clock for all.

use std::sync::Arc;

use adelie_dep::Options;
use adelie_model::{
    AssignState, Clock, Entropy, ManualClock, ProfileName, SeededEntropy, ServerTokenId, Timestamp,
    TokenKeyId, TokenState, new_uuid,
};
use adelie_rules::Scope;
use adelie_scheduler::secrets::seal_token;
use adelie_scheduler::{Connector, Engine, Settings};
use adelie_simulator::control::AddServer;
use adelie_simulator::{Command, InProcess, Simulator, TokenShape};
use adelie_store::configuration::NewRevision;
use adelie_store::seal::{StoredDataKey, TOKEN_PRIVATE_KEY};
use adelie_store::{
    Keyring, MasterKey, MasterKeys, NewServer, NewServerToken, Operator, Store, StoredKey, Vault,
};
use adelie_store_postgres::PostgresStore;
use adelie_token::TokenKey;
use anyhow::Context as _;
use serde_json::json;

/// Everything that lives through the simulated day.
pub struct Fleet {
    pub clock: ManualClock,
    pub copies: Vec<Engine>,
    store: Arc<dyn Store>,
    devices: u64,
}

impl Fleet {
    /// Adds the servers with tokens and a default; nothing is synced yet.
    pub async fn new(url: &str, servers: u32, devices: u32, copies: u32) -> anyhow::Result<Self> {
        let start: Timestamp = "2026-03-02T00:00:00Z".parse().context("a moment")?;
        let clock = ManualClock::new(start);
        let entropy: Arc<dyn Entropy> = Arc::new(SeededEntropy::new(1));
        let settings = adelie_simulator::Settings {
            devices: 0,
            own_changes_in_sync: true,
            // What a request left behind is of no interest here, and would grow all day.
            log_size: 1,
            ..adelie_simulator::Settings::default()
        };
        let simulator = Simulator::new(settings, Arc::new(clock.clone()));
        let store: Arc<dyn Store> = Arc::new(PostgresStore::connect(url).await?);
        let master = MasterKey::generate(&*entropy);
        let data_keys = [StoredDataKey::first(&master, &*entropy, clock.now())?];
        anyhow::ensure!(
            store.change_data_keys(&[], &data_keys, None).await?,
            "the database is not a new one"
        );
        let vault = Arc::new(Vault::open(&MasterKeys::one(master, "the fleet"), &data_keys)?);
        let keyring = Arc::new(Keyring::new(vault.clone(), (*vault).clone()));
        // One key pair for all: making 10,000 of them would take longer than the day.
        let key = TokenKey::generate("fleet", clock.now())?;
        let operator = Operator::new("bench", clock.now());
        let profile = json!({ "profile_name": "Standard", "url": "https://mdm.example.org/enroll" });
        let revision = NewRevision {
            content: profile.as_object().cloned().unwrap_or_default(),
            content_hash: "standard".to_owned(),
            ..NewRevision::default()
        };
        let profile: ProfileName = "Standard".parse()?;
        store.add_profile(&profile, revision, &operator).await?;
        for number in 0..servers {
            let name = format!("tenant-{number:05}");
            let new = AddServer { name: name.clone(), devices: devices as usize, ..AddServer::default() };
            simulator.perform(Command::AddServer(new))?;
            let file = simulator.issue_token(&name, &key.certificate_pem(), TokenShape::default())?;
            let (_, token) = adelie_token::decrypt(&file, std::slice::from_ref(&key))?;
            let new =
                NewServer { name: name.parse()?, base_url: "http://127.0.0.1:1".to_owned(), paused: false };
            let server = store.add_server(&new, &operator.at(clock.now())).await?;
            let key_id = TokenKeyId(new_uuid(clock.now(), &*entropy));
            let stored = StoredKey {
                id: key_id,
                server,
                certificate: key.certificate_der().to_vec(),
                private_key: vault.seal(TOKEN_PRIVATE_KEY.at(key_id.0), &key.private_key_der(), &*entropy)?,
                created_at: clock.now(),
            };
            store.add_token_key(&stored, &operator).await?;
            let id = ServerTokenId(new_uuid(clock.now(), &*entropy));
            let secrets = seal_token(&vault, id, &token, &*entropy)?;
            let (consumer_key, expires_at) = (token.consumer_key.clone(), token.expires_at);
            let new =
                NewServerToken { id, server, key: key_id, consumer_key, secrets, expires_at, account: None };
            store.import_token(&new, &TokenState::Valid.into(), &operator).await?;
            store.set_defaults(server, &[(Scope::Any, Some(profile.clone()))], &operator).await?;
        }
        let mut engines = Vec::new();
        for copy in 0..copies {
            let store: Arc<dyn Store> = Arc::new(PostgresStore::connect(url).await?);
            let clock: Arc<dyn Clock> = Arc::new(clock.clone());
            let entropy: Arc<dyn Entropy> = Arc::new(SeededEntropy::new(100 + u64::from(copy)));
            let connector = Connector::new(
                Arc::clone(&store),
                Arc::clone(&keyring),
                Options::default(),
                Arc::clone(&clock),
                Arc::clone(&entropy),
            )
            .with_transport(Arc::new(InProcess::new(simulator.clone())));
            let owner = format!("copy {copy}");
            engines.push(Engine::new(
                store,
                Arc::new(connector),
                clock,
                entropy,
                Settings::default(),
                &owner,
            ));
        }
        Ok(Self { clock, copies: engines, store, devices: u64::from(servers) * u64::from(devices) })
    }

    /// Fails unless every device has its profile.
    pub async fn check_assigned(&self) -> anyhow::Result<()> {
        let counts = self.store.state_counts(None).await?;
        let assigned = counts.iter().filter(|one| one.state == AssignState::Assigned);
        let assigned: u64 = assigned.map(|one| one.devices).sum();
        anyhow::ensure!(assigned == self.devices, "{assigned} of {} devices are assigned", self.devices);
        Ok(())
    }
}
