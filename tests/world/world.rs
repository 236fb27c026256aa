//! A world: one Apple, one database, three copies of the engine, one clock.

use std::sync::{Arc, LazyLock};

use adelie_dep::Options;
use adelie_model::{
    Clock, Entropy, ProfileName, SeededEntropy, SerialNumber, ServerId, ServerTokenId, Timestamp, TokenKeyId,
    TokenState, new_uuid,
};
use adelie_rules::Scope;
use adelie_scheduler::{Connector, Engine, Settings, WorkError, secrets};
use adelie_simulator::{Simulator, TokenShape};
use adelie_store::seal::StoredDataKey;
use adelie_store::{
    Keyring, MasterKey, MasterKeys, NewServer, NewServerToken, Operator, SealError, Sealed, Store,
    StoreError, StoredKey, Vault,
};
use adelie_store_sqlite::SqliteStore;
use adelie_token::TokenKey;
use chrono::TimeDelta;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

use crate::clock::WorldClock;
use crate::executor::{Executor, Owner, Spawner};
use crate::model::Model;
use crate::network::{Gate, Network};
use crate::operation::{Case, Fate, Then};
use crate::watched_store::WatchedStore;
use crate::wishes::revision;
use crate::witness::Witness;

pub const COPIES: usize = 3;
/// The MDM servers as Apple names them; ours are numbered alike.
pub const APPLE_NAMES: [&str; 2] = ["Lab", "Annex"];
/// Steps after which a world that has not come to rest is taken for one that never does.
const MOST_STEPS: u32 = 200_000;
/// Answers after which it is taken for one that asks Apple for ever.
const MOST_ANSWERS: u32 = 2_000;

/// Making one takes a while, and nothing depends on which it is.
static KEY: LazyLock<TokenKey> = LazyLock::new(|| TokenKey::generate("world", start()).expect("a token key"));
/// A database with its schema and nothing in it.
static EMPTY: LazyLock<Vec<u8>> = LazyLock::new(empty_database);

pub struct World {
    pub clock: WorldClock,
    pub apple: Simulator,
    pub network: Arc<Network>,
    pub witness: Arc<Witness>,
    /// The store as an operator uses it: without faults.
    pub store: Arc<dyn Store>,
    pub copies: Vec<Copy>,
    pub executor: Executor,
    pub spawner: Spawner,
    pub model: Model,
    pub runtime: Arc<Runtime>,
    vault: Arc<Vault>,
    /// Whether assignments of a first import leave before their pages are stored.
    sends_first: bool,
    starts: u64,
    /// The number of the newest revision of all profiles; no two of them say the same.
    pub revisions: u32,
    _folder: TempDir,
}

pub struct Copy {
    pub engine: Engine,
    pub stop: CancellationToken,
    pub store: Arc<WatchedStore>,
    handle: Arc<dyn Store>,
}

/// The moment at which every world begins: with milliseconds, because real moments have them.
pub fn start() -> Timestamp {
    Timestamp::UNIX_EPOCH + TimeDelta::milliseconds(1_770_000_000_789)
}

/// Our number of one of the two MDM servers.
pub fn server_id(server: usize) -> ServerId {
    ServerId(i64::try_from(server).expect("a small number") + 1)
}

pub fn profile_name(number: u8) -> ProfileName {
    format!("profile-{number}").parse().expect("a good name")
}

impl World {
    pub fn new(case: &Case) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let runtime = Arc::new(runtime);
        let clock = WorldClock::new(start());
        let settings = adelie_simulator::Settings {
            devices: case.devices[0].into(),
            server_name: APPLE_NAMES[0].to_owned(),
            max_limit: case.page.into(),
            own_changes_in_sync: case.own_changes,
            page_cache_mib: 1,
            log_size: 50,
            ..adelie_simulator::Settings::default()
        };
        let apple = Simulator::new(settings, Arc::new(clock.clone()));
        apple.add_server(APPLE_NAMES[1]).expect("the name is free");
        if case.devices[1] > 0 {
            apple.add_devices(APPLE_NAMES[1], case.devices[1].into()).expect("the MDM server is there");
        }
        let witness = Witness::new(clock.clone(), apple.clone());
        let executor = Executor::default();
        let spawner = executor.spawner();
        let network = Network::new(apple.clone(), clock.clone(), spawner.clone(), Arc::clone(&witness));
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("world.db");
        std::fs::write(&path, &*EMPTY).expect("a database");
        // Two processes on one file: the first has a copy and the operator in it, the second has two copies.
        let handles: [Arc<dyn Store>; 2] = std::array::from_fn(|_| {
            let opening = SqliteStore::open_unsafe_fast(&path, Arc::new(clock.clone()));
            let store: Arc<dyn Store> = Arc::new(runtime.block_on(opening).expect("the database opens"));
            store
        });
        let entropy = SeededEntropy::new(1);
        let vault = Arc::new(vault(&entropy).expect("a vault"));
        let mut world = Self {
            store: Arc::clone(&handles[0]),
            copies: Vec::new(),
            model: Model::default(),
            sends_first: case.page.is_multiple_of(2),
            starts: 0,
            revisions: 1,
            clock,
            apple,
            network,
            witness,
            executor,
            spawner,
            runtime: Arc::clone(&runtime),
            vault,
            _folder: folder,
        };
        world.furnish(case, &entropy).expect("an empty database takes it");
        for copy in 0..COPIES {
            let started = world.start_copy(copy, Arc::clone(&handles[copy.min(1)]));
            world.copies.push(started);
        }
        world.model.note_all(&world.apple);
        for (server, known) in world.model.known.iter().enumerate() {
            known.iter().for_each(|serial| world.witness.arrives(server, serial));
        }
        world
    }

    /// Two MDM servers with tokens, and two profiles.
    fn furnish(&self, case: &Case, entropy: &dyn Entropy) -> Result<(), StoreError> {
        let now = self.clock.now();
        self.block_on(async {
            for (server, (name, host)) in
                [("one", "one.example"), ("two", "two.example")].into_iter().enumerate()
            {
                let base_url = format!("http://{host}");
                let new = NewServer { name: name.parse().expect("a good name"), base_url, paused: false };
                let id = self.store.add_server(&new, &Operator::new("kim", now)).await?;
                assert_eq!(id, server_id(server), "the numbers of an empty database begin at 1");
                let file = self
                    .apple
                    .issue_token(APPLE_NAMES[server], &KEY.certificate_pem(), TokenShape::default())
                    .expect("a good certificate");
                let (_, token) =
                    adelie_token::decrypt(&file, std::slice::from_ref(&*KEY)).expect("our own key");
                let key = TokenKeyId(new_uuid(now, entropy));
                let stored = StoredKey {
                    id: key,
                    server: id,
                    certificate: KEY.certificate_der().to_vec(),
                    private_key: Sealed(vec![0]),
                    created_at: now,
                };
                self.store.add_token_key(&stored, &self.operator()).await?;
                let token_id = ServerTokenId(new_uuid(now, entropy));
                let new = NewServerToken {
                    id: token_id,
                    server: id,
                    key,
                    consumer_key: token.consumer_key.clone(),
                    secrets: secrets::seal_token(&self.vault, token_id, &token, entropy).expect("a seal"),
                    expires_at: token.expires_at,
                    account: None,
                };
                self.store.import_token(&new, &TokenState::Valid.into(), &self.operator()).await?;
            }
            for number in 0..2 {
                let name = profile_name(number);
                self.store.add_profile(&name, revision(&name, number.into()), &self.operator()).await?;
            }
            for (server, default) in case.defaults.iter().enumerate() {
                if let Some(number) = default {
                    let defaults = [(Scope::Any, Some(profile_name(*number % 2)))];
                    self.store.set_defaults(server_id(server), &defaults, &self.operator()).await?;
                }
            }
            Ok(())
        })
    }

    fn start_copy(&mut self, copy: Owner, handle: Arc<dyn Store>) -> Copy {
        self.starts += 1;
        let store = Arc::new(WatchedStore::new(
            Arc::clone(&handle),
            Arc::clone(&self.runtime),
            Arc::clone(&self.witness),
            copy,
        ));
        let entropy: Arc<dyn Entropy> = Arc::new(SeededEntropy::new(self.starts));
        let clock: Arc<dyn Clock> = Arc::new(self.clock.clone());
        let shared: Arc<dyn Store> = store.clone();
        let connector = Connector::new(
            Arc::clone(&shared),
            Arc::new(Keyring::new(self.vault.clone(), (*self.vault).clone())),
            Options::default(),
            Arc::clone(&clock),
            Arc::clone(&entropy),
        )
        .with_transport(Arc::new(Gate { copy, network: Arc::clone(&self.network) }));
        let owner = format!("copy {copy}, start {}", self.starts);
        // Few pages wait in a world where each request takes its turn.
        let sends_first_from = if self.sends_first { 1 } else { Settings::default().sends_first_from };
        let settings = Settings { sends_first_from, ..Settings::default() };
        let engine = Engine::new(shared, Arc::new(connector), clock, entropy, settings, &owner);
        Copy { engine, stop: CancellationToken::new(), store, handle }
    }

    pub fn block_on<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.block_on(work)
    }

    pub fn operator(&self) -> Operator {
        Operator::new("kim", self.clock.now())
    }

    /// A copy dies at once and another process takes its place.
    pub fn crash(&mut self, copy: Owner) {
        self.executor.crash(copy);
        self.replace(copy);
    }

    /// A copy is told to end; what it does goes on to its next safe point, and another process takes its place.
    pub fn quit(&mut self, copy: Owner) {
        self.copies[copy].stop.cancel();
        self.replace(copy);
    }

    fn replace(&mut self, copy: Owner) {
        self.witness.crashed(copy);
        let handle = Arc::clone(&self.copies[copy].handle);
        self.copies[copy] = self.start_copy(copy, handle);
    }

    /// A copy looks for work, as its heartbeat makes it.
    pub fn wake(&mut self, copy: Owner) {
        let Copy { engine, stop, .. } = &self.copies[copy];
        let (engine, stop, spawner) = (engine.clone(), stop.clone(), self.spawner.clone());
        let witness = Arc::clone(&self.witness);
        self.spawner.spawn(copy, async move {
            // A store that does not answer is asked again at the next heartbeat.
            for lease in engine.claim(8).await.unwrap_or_default() {
                let (engine, stop, witness) = (engine.clone(), stop.clone(), Arc::clone(&witness));
                spawner.spawn(copy, async move {
                    if let Err(error @ WorkError::Defect(_)) = engine.work_claimed(lease, &stop).await {
                        witness.violation(format!("copy {copy}: {error}"));
                    }
                });
            }
        });
    }

    pub fn wake_all(&mut self) {
        (0..COPIES).for_each(|copy| self.wake(copy));
    }

    /// Lets everybody go on as far as a move says.
    pub fn go_on(&mut self, then: Then) {
        match then {
            Then::Nothing => {}
            Then::Steps(steps) => {
                for _ in 0..steps {
                    if !self.step() {
                        break;
                    }
                }
            }
            Then::Rest => self.rest(),
            Then::Answers(answers) => self.flow(answers.into()),
            Then::Flow => self.flow(MOST_ANSWERS),
        }
    }

    /// Until everybody waits for an answer or for time.
    pub fn rest(&mut self) {
        for _ in 0..MOST_STEPS {
            if !self.step() {
                return;
            }
        }
        self.witness.violation("the copies do not come to rest".to_owned());
    }

    /// Until everybody has done what there is to do, or so many answers have come.
    pub fn flow(&mut self, answers: u32) {
        for _ in 0..answers {
            self.rest();
            if self.network.waiting() == 0 || self.witness.first_violation().is_some() {
                return;
            }
            self.network.decide(0, Fate::Deliver);
        }
        self.rest();
        if answers == MOST_ANSWERS {
            self.witness.violation("the copies ask Apple for ever".to_owned());
        }
    }

    fn step(&mut self) -> bool {
        let stepped = self.executor.step();
        for copy in 0..COPIES {
            if self.copies[copy].store.is_torn() {
                self.crash(copy);
            } else if self.copies[copy].store.was_late() {
                self.executor.stop(copy);
            }
        }
        stepped
    }

    /// Time passes from alarm to alarm. What is on its way for too long is lost, unless `flowing`: then it arrives.
    pub fn pass(&mut self, by: TimeDelta, flowing: bool) {
        let end = self.clock.now() + by;
        loop {
            let next = self.clock.next_alarm(end);
            let step = if flowing || self.network.waiting() == 0 {
                next
            } else {
                next.min(self.clock.now() + TimeDelta::seconds(20))
            };
            self.clock.move_to(step);
            if flowing {
                self.flow(MOST_ANSWERS);
            } else {
                self.network.lose_late();
                self.rest();
            }
            if step >= end || self.witness.first_violation().is_some() {
                return;
            }
        }
    }
}

fn vault(entropy: &dyn Entropy) -> Result<Vault, SealError> {
    let master = MasterKey::generate(entropy);
    let stored = StoredDataKey::first(&master, entropy, start())?;
    Vault::open(&MasterKeys::one(master, "a test"), &[stored])
}

fn empty_database() -> Vec<u8> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("empty.db");
    runtime.block_on(async {
        let clock = Arc::new(WorldClock::new(start()));
        SqliteStore::open(&path, clock).await.expect("a new database").close().await;
    });
    std::fs::read(&path).expect("the new database")
}

/// A serial number of Apple's in our words.
pub fn serial(text: &str) -> SerialNumber {
    SerialNumber::from_apple(text.to_owned())
}
