//! Several copies of the program on one database.
//!
//! The take-overs print how long they took, because no test asserts a duration: `cargo test -p adelie --test e2e copies
//! -- --nocapture`.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::time::{Duration, Instant};

use adelie_simulator::Settings;

use crate::harness::{Background, Database, World, eventually};

const SERVE: [&str; 3] = ["serve", "--listen", "127.0.0.1:0"];

/// How long it took until Apple was asked again after the end of the copy that was at work.
fn take_over(database: Database, how: &str, end: impl FnOnce(&mut Background)) {
    let on = if database.is_postgres() { "PostgreSQL" } else { "SQLite" };
    let settings =
        Settings { devices: 400, max_limit: 10, latency: Duration::from_millis(40), ..Settings::default() };
    // With the lease of an installation that has set nothing.
    let world = World::ready(database, settings);
    let mut first = world.start(&SERVE);
    eventually("it is in the middle of a sync", || {
        (world.apple.count(0, "POST", "/server/devices") > 3).then_some(())
    });
    let _second = world.start(&SERVE);
    let half = world.ledger().column("-- holder\nSELECT lease_owner FROM mdm_servers");
    end(&mut first);
    let began = Instant::now();
    eventually("the first one has ended", || first.has_ended().then_some(()));
    let mark = world.apple.mark();
    eventually("the second one asks Apple", || (world.apple.mark() > mark).then_some(()));
    let line = format!("taken over {:.1} s after {how} on {on}\n", began.elapsed().as_secs_f64());
    // Not by `eprintln!`, which a test captures.
    std::io::stderr().write_all(line.as_bytes()).expect("stderr");
    let now = world.ledger().column("-- holder\nSELECT lease_owner FROM mdm_servers");
    assert_ne!(half, now, "another copy has the lease");
    eventually("every device assigned", || world.compare("lab", "Lab").ok());
    assert!(world.apple.devices("Lab").values().all(|device| device.assigns == 1));
}

/// Fails unless the runs of every MDM server came one after the other, each to its own end.
fn assert_one_at_a_time(world: &World) {
    let runs = world.ledger().rows(
        "-- runs
         SELECT CAST(server_id AS text), outcome, CAST(epoch AS text), CAST(earlier.started_at < before AS text)
         FROM (SELECT server_id, outcome, epoch, id, started_at,
                      max(finished_at) OVER (PARTITION BY server_id ORDER BY id ROWS BETWEEN UNBOUNDED PRECEDING
                                             AND 1 PRECEDING) AS before
               FROM sync_runs) AS earlier
         WHERE outcome <> 'running' ORDER BY earlier.server_id, id",
    );
    assert!(!runs.is_empty());
    for run in &runs {
        assert_eq!(run[1], "done", "{run:?} of {runs:?}");
        assert!(
            !matches!(run[3].as_str(), "1" | "t" | "true"),
            "{run:?} began before another had ended: {runs:?}"
        );
    }
    let epochs: Vec<(i64, i64)> = runs.iter().map(|run| (number(&run[0]), number(&run[2]))).collect();
    assert!(epochs.is_sorted(), "epochs never go down: {epochs:?}");
}

fn number(text: &str) -> i64 {
    text.parse().unwrap_or_else(|error| panic!("{text:?}: {error}"))
}

/// L18: three services share twelve MDM servers without a leader: each copy works on some of them, no two at once on
/// the same, and nothing is listed or assigned twice.
#[test]
fn three_services_spread_the_work() {
    let Some(database) = Database::postgres() else { return };
    let settings =
        Settings { devices: 40, max_limit: 10, latency: Duration::from_millis(20), ..Settings::default() };
    let mut world = World::ready(database, settings);
    world.set("ADELIE_DELTA_INTERVAL_SECONDS", "2");
    let mut names = vec![("lab".to_owned(), "Lab".to_owned())];
    for number in 2..=12 {
        let (name, at_apple) = (format!("server{number}"), format!("Server {number}"));
        world.apple.add_server(&at_apple).expect("a new MDM server");
        world.apple.add_devices(&at_apple, 40).expect("devices");
        world.onboard(&name, &at_apple);
        world.run(&["server", "set", &name, "--default", "any=standard"]).exits(0);
        names.push((name, at_apple));
    }
    let services = [(); 3].map(|()| world.start(&SERVE));
    for (name, at_apple) in &names {
        eventually("every device assigned", || world.compare(name, at_apple).ok());
    }
    let worked_on = |service: &Background| -> BTreeSet<String> {
        let log = service.log();
        let ended = log.lines().filter(|line| line.contains("sync ended"));
        ended
            .filter_map(|line| Some(line.split_once("server=")?.1.split_whitespace().next()?.to_owned()))
            .collect()
    };
    eventually("each copy works on several", || {
        services.iter().all(|one| worked_on(one).len() >= 2).then_some(())
    });
    // While they work: a run that is asked to end fails.
    assert_one_at_a_time(&world);
    for service in services {
        service.terminate();
        service.wait().exits(0);
    }
    for (_, at_apple) in &names {
        assert!(world.apple.devices(at_apple).values().all(|device| device.assigns == 1), "{at_apple}");
        let listed = |request: &adelie_simulator::LoggedRequest| {
            request.path == "/server/devices" && request.server.as_ref() == Some(at_apple)
        };
        assert_eq!(world.apple.since(0).into_iter().filter(listed).count(), 4, "{at_apple} is listed once");
    }
}

on_both_databases! {
    /// L16: what a killed copy was working on is taken over when its lease has run out.
    fn taken_over_after_a_kill(database) {
        take_over(database, "SIGKILL", Background::kill);
    }

    /// L16: what a copy was working on that was asked to end is taken over at once.
    fn taken_over_after_a_clean_stop(database) {
        take_over(database, "SIGTERM", |first| first.terminate());
    }

    /// L18: two services and a command on one database share the work: no device is assigned twice, and no two of
    /// them list the same MDM server at once.
    fn two_services_share_the_work(database) {
        let latency = Duration::from_millis(15);
        let settings = Settings { devices: 300, max_limit: 20, latency, ..Settings::default() };
        let mut world = World::ready(database, settings);
        world.set("ADELIE_DELTA_INTERVAL_SECONDS", "1");
        let _services = [(); 2].map(|()| world.start(&SERVE));
        let command = world.start(&["sync", "lab", "--force"]);
        eventually("every device assigned", || world.compare("lab", "Lab").ok());
        let run = command.wait();
        assert!(matches!(run.code, Some(0 | 1)), "{run}");
        world.apple.add_devices("Lab", 100).expect("devices");
        eventually("the new devices", || world.compare("lab", "Lab").ok());
        assert!(world.apple.devices("Lab").values().all(|device| device.assigns == 1));
        let listings = world.apple.requests().into_iter().filter(|request| request.path == "/server/devices").count();
        assert_eq!(listings, 15, "300 devices in pages of 20, listed once");
    }

    /// Two commands at the same moment: one waits for the other, neither fails, nothing is done twice.
    fn two_syncs_at_once(database) {
        let latency = Duration::from_millis(15);
        let settings = Settings { devices: 200, max_limit: 20, latency, ..Settings::default() };
        let world = World::ready(database, settings);
        let runs = [(); 2].map(|()| world.start(&["sync", "lab", "--force"])).map(Background::wait);
        for run in runs {
            run.exits(0);
        }
        world.assert_exact("lab", "Lab");
        assert!(world.apple.devices("Lab").values().all(|device| device.assigns == 1));
    }

    /// The first start of several processes at once makes one database and one key.
    fn several_first_starts_at_once(database) {
        let world = World::empty(database, Settings::default());
        let names = ["a", "b", "c", "d"];
        let runs = names.map(|name| world.start(&["server", "add", name, "--base-url", &world.apple.url]));
        for run in runs.map(Background::wait) {
            run.exits(0);
        }
        assert_eq!(world.objects(&["server", "list"]).len(), names.len());
        let file = world.issue("a", "Lab", &world.token_key("a"));
        world.run(&["token", "import", "a", &file]).exits(0);
    }

    /// Commands work while the service does, also while it is in the middle of a sync.
    fn commands_work_beside_the_service(database) {
        let latency = Duration::from_millis(20);
        let settings = Settings { devices: 300, max_limit: 10, latency, ..Settings::default() };
        let world = World::ready(database, settings);
        let _service = world.start(&SERVE);
        eventually("it syncs", || world.apple.requests().iter().any(|r| r.path == "/server/devices").then_some(()));
        for number in 0..5 {
            world.run(&["server", "add", &format!("extra {number}"), "--base-url", &world.apple.url]).exits(0);
            world.run(&["device", "list"]).exits(0);
        }
        world.add_profile("other", &crate::harness::STANDARD.replace("Standard", "Other"));
        assert_eq!(world.objects(&["server", "list"]).len(), 6);
        eventually("every device assigned", || world.compare("lab", "Lab").ok());
    }
}
