//! The service.

use adelie_simulator::{Settings, TokenSwitch};
use serde_json::Value;

use crate::harness::{Background, STANDARD, World, eventually, get};

const SERVE: [&str; 3] = ["serve", "--listen", "127.0.0.1:0"];

/// The address that a service listens on, from its log.
fn address(service: &Background) -> String {
    eventually("the service listens", || {
        let log = service.so_far(None).stderr;
        let (_, rest) = log.split_once("listen=")?;
        let address = rest.split_whitespace().next()?;
        // The line may have been read while it was written.
        rest.contains('\n').then(|| format!("http://{address}"))
    })
}

fn readyz(base: &str) -> Value {
    let (status, body) = get(&format!("{base}/readyz"));
    assert_eq!(status, 200, "{body}");
    serde_json::from_str(&body).expect("JSON")
}

on_both_databases! {
    /// It picks up MDM servers that are added while it runs, syncs and assigns by itself, and tells of its health.
    fn it_works_by_itself(database) {
        let mut world = World::empty(database, Settings { devices: 30, ..Settings::default() });
        world.set("ADELIE_DELTA_INTERVAL_SECONDS", "1");
        let service = world.start(&SERVE);
        let base = address(&service);
        assert_eq!(get(&format!("{base}/healthz")), (200, "ok\n".to_owned()));
        assert_eq!(readyz(&base)["servers"], 0);

        world.add_profile("standard", STANDARD);
        world.run(&["server", "add", "lab", "--base-url", &world.apple.url, "--paused"]).exits(0);
        world.run(&["server", "set", "lab", "--default", "any=standard"]).exits(0);
        let file = world.issue("lab", "Lab", &world.token_key("lab"));
        world.run(&["token", "import", "lab", &file]).exits(0);
        world.run(&["server", "resume", "lab"]).exits(0);
        eventually("the first sync", || world.compare("lab", "Lab").ok());
        world.apple.add_devices("Lab", 5).expect("devices");
        eventually("a delta sync", || world.compare("lab", "Lab").ok());
        assert!(world.apple.devices("Lab").values().all(|device| device.assigns == 1));
        assert_eq!(readyz(&base), serde_json::json!({ "ready": true, "servers": 1, "troubles": {} }));
        service.terminate();
        service.wait().exits(0);
    }

    /// L25: a default that is set while it runs reaches the devices that are there.
    fn it_follows_a_new_default(database) {
        let mut world = World::synced(database, 10);
        world.set("ADELIE_DELTA_INTERVAL_SECONDS", "3600");
        let _service = world.start(&SERVE);
        world.add_profile("other", &STANDARD.replace("Standard", "Other"));
        world.run(&["server", "set", "lab", "--default", "any=other"]).exits(0);
        eventually("the new profile", || {
            let devices = world.apple.devices("Lab");
            devices.values().all(|device| device.assigns == 2).then_some(())
        });
        eventually("the table", || world.compare("lab", "Lab").ok());
    }

    /// A paused MDM server is left alone by the service and synced when it is named.
    fn it_leaves_a_paused_server_alone(database) {
        let mut world = World::ready(database, Settings { devices: 5, ..Settings::default() });
        world.set("ADELIE_DELTA_INTERVAL_SECONDS", "1");
        world.apple.add_server("Branch").expect("a new MDM server");
        world.apple.add_devices("Branch", 3).expect("devices");
        world.onboard("branch", "Branch");
        world.run(&["server", "set", "branch", "--default", "any=standard"]).exits(0);
        world.run(&["server", "pause", "lab"]).exits(0);
        let mark = world.apple.mark();
        let _service = world.start(&SERVE);
        eventually("the other server", || world.compare("branch", "Branch").ok());
        let lab = world.apple.since(mark).into_iter().filter(|r| r.server.as_deref() == Some("Lab")).count();
        assert_eq!(lab, 0);
        world.run(&["sync", "lab"]).exits(0);
        world.assert_exact("lab", "Lab");
    }

    /// L42: it starts with a token that Apple refuses, says so, and works for the others; the good token that is
    /// imported later is used without a restart.
    fn a_bad_token_does_not_stop_it(database) {
        let mut world = World::ready(database, Settings { devices: 5, ..Settings::default() });
        world.set("ADELIE_DELTA_INTERVAL_SECONDS", "1");
        world.apple.add_server("Branch").expect("a new MDM server");
        world.apple.add_devices("Branch", 3).expect("devices");
        world.onboard("branch", "Branch");
        world.run(&["server", "set", "branch", "--default", "any=standard"]).exits(0);
        world.apple.token("Lab", TokenSwitch::Rejected);
        let service = world.start(&SERVE);
        let base = address(&service);
        eventually("the other server", || world.compare("branch", "Branch").ok());
        eventually("the trouble is told", || {
            readyz(&base)["troubles"]["lab"].as_str().filter(|trouble| trouble.contains("rejected")).map(drop)
        });
        world.apple.token("Lab", TokenSwitch::Live);
        let file = world.issue("lab", "Lab", &world.token_key("lab"));
        world.run(&["token", "import", "lab", &file]).exits(0);
        eventually("the repaired server", || world.compare("lab", "Lab").ok());
    }

    /// SIGTERM ends it at a safe point, with exit code 0, and its lease is given back: with a lease of ten
    /// minutes a sync that had to wait for it would never end in the time of this test.
    fn sigterm_ends_it_and_gives_the_lease_back(database) {
        let latency = std::time::Duration::from_millis(40);
        let settings = Settings { devices: 400, max_limit: 10, latency, ..Settings::default() };
        let mut world = World::ready(database, settings);
        world.set("ADELIE_LEASE_SECONDS", "600");
        let mark = world.apple.mark();
        let service = world.start(&SERVE);
        eventually("it is in the middle of a sync", || (world.apple.mark() > mark + 6).then_some(()));
        service.terminate();
        let run = service.wait().exits(0);
        assert!(run.stderr.contains("Adelie ends"), "{run}");
        let half = world.table("lab").len();
        assert!((1..400).contains(&half), "it should have been in the middle, and had {half} devices");
        world.run(&["sync", "lab"]).exits(0);
        world.assert_exact("lab", "Lab");
        assert!(world.apple.devices("Lab").values().all(|device| device.assigns == 1));
    }

    /// A second service on the same address says so and ends.
    fn a_second_one_on_the_same_address(database) {
        let world = World::empty(database, Settings::default());
        let first = world.start(&SERVE);
        let taken = address(&first).trim_start_matches("http://").to_owned();
        let run = world.run(&["serve", "--listen", &taken]).exits(2);
        assert!(run.stderr.contains(&taken) && run.stderr.contains("--listen"), "{run}");
        assert_eq!(get(&format!("http://{taken}/healthz")).0, 200, "the first one is not disturbed");
        let run = world.run(&["serve", "--listen", "8080"]).exits(2);
        assert!(run.stderr.contains("an IP address and a port, like 127.0.0.1:8080"), "{run}");
    }
}
