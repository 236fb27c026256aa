use std::io::Write as _;
use std::sync::Arc;
use std::time::Instant;

use adelie_model::{Clock as _, Entropy as _, SeededEntropy, TokenKeyId};
use adelie_store::seal::{TOKEN_PRIVATE_KEY, Vault};
use adelie_store::{MasterKeys, Operator, Store, StoredKey};
use adelie_store_postgres::PostgresStore;
use adelie_store_sqlite::SqliteStore;
use uuid::Uuid;

use super::installation::Installation;
use crate::harness::{Database, RUNTIME, RealClock, World, eventually};

const SECRETS: u64 = 10_000;
/// A private key of RSA-2048 has about so many bytes.
const BYTES: usize = 1218;
const SERVERS: [&str; 4] = ["one", "two", "three", "four"];

/// Adds token keys until there are so many secrets.
async fn fill(world: &World) {
    let clock = Arc::new(RealClock);
    let store: Arc<dyn Store> = match &world.database {
        Database::Sqlite => {
            let path = world.data_dir().join("adelie.db");
            Arc::new(SqliteStore::open_unsafe_fast(&path, clock).await.expect("the database"))
        }
        Database::Postgres(url) => Arc::new(PostgresStore::connect(url).await.expect("the database")),
    };
    let text = std::fs::read_to_string(world.data_dir().join("master.key")).expect("the key file");
    let masters = MasterKeys::parse(&text, "the test").expect("a key");
    let vault = Vault::open(&masters, &store.data_keys().await.expect("data keys")).expect("they open");
    // Not to the one for which a token is imported, because that opens all its keys.
    let servers = store.servers().await.expect("servers");
    let server = servers.iter().find(|server| server.name.as_str() == SERVERS[0]).expect("it was added").id;
    let entropy = SeededEntropy::new(1);
    let mut secret = vec![0; BYTES];
    for number in 0..SECRETS {
        entropy.fill(&mut secret);
        let id = TokenKeyId(Uuid::from_u128(number.into()));
        let private_key = vault.seal(TOKEN_PRIVATE_KEY.at(id.0), &secret, &entropy).expect("sealed");
        let key = StoredKey { id, server, certificate: Vec::new(), private_key, created_at: RealClock.now() };
        store.add_token_key(&key, &Operator::new("the test", RealClock.now())).await.expect("stored");
    }
}

fn measured(database: Database) {
    let on = if database.is_postgres() { "PostgreSQL" } else { "SQLite" };
    let mut installation = Installation::new(database);
    installation.world.set("ADELIE_DELTA_INTERVAL_SECONDS", "1");
    let installation = installation;
    let world = &installation.world;
    for server in SERVERS {
        world.apple.add_server(server).expect("a new MDM server");
        world.onboard(server, server);
    }
    RUNTIME.block_on(fill(world));
    let ledger = world.ledger();
    let runs = |outcome: &str| {
        let runs = format!("-- runs\nSELECT CAST(count(*) AS text) FROM sync_runs WHERE outcome {outcome}");
        ledger.column(&runs)[0].parse::<u64>().expect("a number")
    };
    let _services = [(); 2].map(|()| world.start(&["serve", "--listen", "127.0.0.1:0"]));
    let idle = runs("= 'done'");
    eventually("syncs go on", || (runs("= 'done'") > idle + 20).then_some(()));

    let (before, began) = (runs("= 'done'"), Instant::now());
    let done = installation.rotate(&["--json"]).exits(0).object();
    let (took, after) = (began.elapsed(), runs("= 'done'"));
    let line = format!(
        "{} secrets sealed anew in {took:.1?} on {on}, {} syncs meanwhile\n",
        done["sealed"],
        after - before
    );
    // Not by `eprintln!`, which a test captures.
    std::io::stderr().write_all(line.as_bytes()).expect("stderr");
    assert!(done["sealed"].as_u64().expect("a number") > SECRETS, "{done}");
    assert_eq!(runs("NOT IN ('done', 'running')"), 0, "a sync failed");
    installation.delivers();
}

#[test]
#[ignore = "a measurement, for docs/keys.md: cargo test -p adelie --test e2e ten_thousand -- --ignored --nocapture"]
fn on_sqlite() {
    measured(Database::Sqlite);
}

#[test]
#[ignore = "a measurement, for docs/keys.md: cargo test -p adelie --test e2e ten_thousand -- --ignored --nocapture"]
fn on_postgres() {
    if let Some(database) = Database::postgres() {
        measured(database);
    }
}
