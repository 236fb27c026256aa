//! What the tests of the pump stand in: a store in memory, a clock, endpoints and receivers.

use std::sync::Arc;
use std::time::Duration;

use adelie_model::{Clock, Entropy, SeededEntropy, Timestamp, WebhookId, WebhookSecretId};
use adelie_store::seal::StoredDataKey;
use adelie_store::{
    DeliveryOutcome, Keyring, MasterKey, MasterKeys, SealedSecret, Vault, Webhook, WebhookFormat,
    WebhookState,
};
use adelie_webhook::{Pump, PumpSettings, PumpTools, Secret, Sender, SenderOptions, seal_secret};
use async_trait::async_trait;
use chrono::DateTime;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::receiver::{Manner, Receiver};
use crate::store::FakeStore;

/// Goes like the real one, from another moment on.
pub struct TestClock(Instant);

#[async_trait]
impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        DateTime::from_timestamp(1_800_000_000, 0).expect("a moment") + self.0.elapsed()
    }

    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}

pub struct World {
    pub store: Arc<FakeStore>,
    pub clock: Arc<TestClock>,
    pub vault: Arc<Vault>,
    pub keyring: Arc<Keyring>,
    pub entropy: Arc<SeededEntropy>,
    pub deadline: Duration,
    pub settings: PumpSettings,
}

impl World {
    pub fn new() -> Self {
        let entropy = SeededEntropy::new(1);
        let master = MasterKey::generate(&entropy);
        let clock = Arc::new(TestClock(Instant::now()));
        let stored = StoredDataKey::first(&master, &entropy, clock.now()).expect("a data key");
        let vault = Vault::open(&MasterKeys::one(master, "a test"), &[stored]).expect("opens");
        let vault = Arc::new(vault);
        Self {
            store: Arc::default(),
            clock,
            keyring: Arc::new(Keyring::new(vault.clone(), (*vault).clone())),
            vault,
            entropy: Arc::new(entropy),
            deadline: Duration::from_secs(3),
            settings: PumpSettings::default(),
        }
    }

    pub fn pump(&self) -> Pump {
        let allowed = "127.0.0.0/8".parse().expect("networks");
        let options = SenderOptions { deadline: self.deadline, allowed, ..SenderOptions::default() };
        Pump::new(PumpTools {
            store: Arc::clone(&self.store) as _,
            sender: Sender::new(&options).expect("a sender"),
            keyring: Arc::clone(&self.keyring),
            clock: Arc::clone(&self.clock) as _,
            entropy: Arc::clone(&self.entropy) as _,
            settings: self.settings.clone(),
        })
    }

    /// Runs the pump until what is returned is cancelled and waited for.
    pub fn start(&self) -> (CancellationToken, tokio::task::JoinHandle<()>) {
        let stop = CancellationToken::new();
        let (pump, own) = (self.pump(), stop.clone());
        (stop, tokio::spawn(async move { pump.run(own).await }))
    }

    pub fn sealed(&self, secret: &Secret, number: u128, valid_until: Option<Timestamp>) -> SealedSecret {
        let id = WebhookSecretId(Uuid::from_u128(number));
        let secret = seal_secret(&self.vault, id, secret, &*self.entropy).expect("sealed");
        SealedSecret { id, secret, valid_until }
    }

    /// Adds an endpoint that posts to this URL, and returns its secret.
    pub fn endpoint(&self, id: i64, url: &str, concurrency: u32) -> Secret {
        let secret = Secret::generate(&*self.entropy as &dyn Entropy).expect("a secret");
        let webhook = Webhook {
            id: WebhookId(id),
            url: url.to_owned(),
            events: vec!["*".into()],
            servers: Vec::new(),
            format: WebhookFormat::Standard,
            thin: false,
            ordered: false,
            concurrency,
            secrets: vec![self.sealed(&secret, id.unsigned_abs().into(), None)],
            state: WebhookState::Active,
            reason: String::new(),
            since: self.clock.now(),
            created_at: self.clock.now(),
            failing_since: None,
            last_delivered_at: None,
            wait_until: None,
        };
        self.store.state().webhooks.insert(webhook.id, webhook);
        secret
    }

    pub fn commit(&self, webhook: i64, count: usize) {
        self.store.commit(webhook, count, self.clock.now());
    }

    pub fn change(&self, webhook: i64, change: impl FnOnce(&mut Webhook)) {
        change(self.store.state().webhooks.get_mut(&WebhookId(webhook)).expect("an endpoint"));
    }

    pub fn delivered(&self, webhook: i64) -> usize {
        self.store.count(webhook, DeliveryOutcome::Delivered)
    }
}

pub async fn until(what: &str, limit: Duration, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + limit;
    while !holds() {
        assert!(Instant::now() < end, "{what}: not within {limit:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

pub fn say(head: &str) -> Manner {
    Manner::Say(format!("HTTP/1.1 {head}\r\ncontent-length: 0\r\n\r\n"))
}

pub async fn ok() -> Receiver {
    Receiver::start("127.0.0.1:0", say("200 OK")).await
}

pub async fn hanging() -> Receiver {
    Receiver::start("127.0.0.1:0", Manner::SayAndHang(String::new())).await
}

pub const SOON: Duration = Duration::from_secs(10);
