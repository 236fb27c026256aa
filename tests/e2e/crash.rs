//! The program is killed at any moment, and started again. `kill_matrix.rs` has the moments that have a name.

use adelie_simulator::control::FetchProfile;
use adelie_simulator::{Arrival, Command, Departure, Fault, Settings};
use serde_json::Value;

use crate::harness::{World, eventually, these};

const ASSIGN: &str = "/profile/devices";

/// Pages of ten devices, so that there are many moments between them.
fn small_pages(devices: usize) -> Settings {
    let latency = std::time::Duration::from_millis(10);
    Settings { devices, max_limit: 10, latency, ..Settings::default() }
}

/// Starts a command and kills it after the simulated Apple has seen so many more requests; `false` when it
/// came to its end before.
fn kill_after(world: &World, args: &[&str], requests: u64) -> bool {
    let until = world.apple.mark() + requests;
    let mut run = world.start(args);
    let killed = eventually("the moment to kill", || {
        if world.apple.mark() >= until {
            return Some(true);
        }
        run.has_ended().then_some(false)
    });
    run.kill();
    killed
}

/// No device may have been assigned needlessly: what was under way when the program was killed is read back.
#[track_caller]
fn assert_no_needless_assignment(world: &World, most: u32) {
    let twice: Vec<_> =
        world.apple.devices("Lab").into_values().filter(|device| device.assigns > most).collect();
    assert!(twice.is_empty(), "assigned too often: {twice:?}");
}

on_both_databases! {
    /// L1, L16, L23, L29: the first full sync is killed after every few requests; it goes on each time, and in the
    /// end no device is lost, none is unassigned and none was assigned twice.
    fn the_first_sync_is_killed_again_and_again(database) {
        let mut world = World::ready(database, small_pages(150));
        world.set("ADELIE_LEASE_SECONDS", "2");
        let mut kills = 0;
        for requests in [1, 2, 4, 3, 5, 6, 7] {
            kills += u32::from(kill_after(&world, &["sync", "lab", "--force"], requests));
        }
        assert!(kills >= 3, "the kills came too late to test anything");
        world.run(&["sync", "lab", "--force"]).exits(0);
        // What was killed on its way twice in a row waits a minute, which an operator need not.
        let waits = |(serial, device): (String, Value)| (device["assignment"]["state"] == "due").then_some(serial);
        let waiting: Vec<_> = world.table("lab").into_iter().filter_map(waits).collect();
        if !waiting.is_empty() {
            let retry: Vec<_> = ["assign", "retry"].into_iter().chain(waiting.iter().map(String::as_str)).collect();
            world.run(&retry).exits(0);
            world.run(&["sync", "lab", "--force"]).exits(0);
        }
        world.assert_exact("lab", "Lab");
        assert_no_needless_assignment(&world, 1);
    }

    /// The same for delta syncs, with bought, moved and released devices in each, and a restart after each kill.
    fn delta_syncs_are_killed_at_every_moment(database) {
        let mut world = World::synced_with(database, small_pages(60));
        world.set("ADELIE_LEASE_SECONDS", "2");
        world.apple.add_server("Branch").expect("a new MDM server");
        let mut kills = 0;
        for requests in 1..=8 {
            let some = world.apple.some("Lab", 6);
            world.apple.add_devices("Lab", 25).expect("devices");
            world.apple.move_devices("Lab", "Branch", &some[..2], Arrival::Added).expect("a move");
            world.apple.remove_devices("Lab", &some[2..4], Departure::Deleted).expect("a release");
            world.apple.tell(Command::FetchProfile(FetchProfile { choice: these(&some[4..]), silent: false }));
            kills += u32::from(kill_after(&world, &["sync", "lab", "--force"], requests));
            world.run(&["sync", "lab", "--force"]).exits(0);
            world.assert_exact("lab", "Lab");
            assert_no_needless_assignment(&world, 1);
        }
        assert!(kills >= 5, "the kills came too late to test anything");
    }

    /// A full sync that is killed while it removes what is absent removes neither too much nor too little.
    fn a_full_sync_with_removals_is_killed(database) {
        let mut world = World::synced_with(database, small_pages(80));
        world.set("ADELIE_LEASE_SECONDS", "2");
        for requests in [2, 5, 8, 10] {
            let gone = world.apple.some("Lab", 3);
            world.apple.remove_devices("Lab", &gone, Departure::Silent).expect("a release");
            kill_after(&world, &["sync", "lab", "--full", "--force"], requests);
            world.run(&["sync", "lab", "--full", "--force"]).exits(0);
            world.assert_exact("lab", "Lab");
        }
        assert_no_needless_assignment(&world, 1);
    }

    /// L16: the service is killed in the middle and started again; it takes over by itself.
    fn the_service_is_killed_and_started_again(database) {
        let mut world = World::ready(database, small_pages(100));
        world.set("ADELIE_LEASE_SECONDS", "2");
        world.set("ADELIE_DELTA_INTERVAL_SECONDS", "1");
        for requests in [3, 6, 12] {
            world.apple.add_devices("Lab", 20).expect("devices");
            assert!(kill_after(&world, &["serve", "--listen", "127.0.0.1:0"], requests), "the service ended by itself");
        }
        let _service = world.start(&["serve", "--listen", "127.0.0.1:0"]);
        eventually("every device assigned", || world.compare("lab", "Lab").ok());
        assert_no_needless_assignment(&world, 1);
    }

    /// L23: killed while an assignment was on its way that never arrived: it is sent again.
    fn killed_when_an_assignment_had_not_arrived(database) {
        let mut world = World::synced(database, 5);
        world.set("ADELIE_LEASE_SECONDS", "2");
        world.apple.add_devices("Lab", 4).expect("devices");
        world.apple.fault(Fault { path: Some(ASSIGN.to_owned()), delay_ms: 600_000, ..Fault::default() });
        let mut run = world.start(&["sync", "lab", "--force"]);
        eventually("the intent is stored", || {
            (world.objects(&["device", "list", "--state", "sent"]).len() == 4).then_some(())
        });
        run.kill();
        // The intent is stored some time before the request leaves, so that it may not have met its fault yet.
        world.apple.clear_faults();
        world.run(&["sync", "lab", "--force"]).exits(0);
        world.assert_exact("lab", "Lab");
        assert_no_needless_assignment(&world, 1);
    }

    /// SIGTERM ends a sync at a safe point; its lease is given back, and the next sync goes on from there without
    /// force. With a lease of ten minutes one that had to wait for it would never end in the time of this test.
    fn a_sync_is_interrupted(database) {
        let latency = std::time::Duration::from_millis(40);
        let settings = Settings { devices: 400, max_limit: 10, latency, ..Settings::default() };
        let mut world = World::ready(database, settings);
        world.set("ADELIE_LEASE_SECONDS", "600");
        let mark = world.apple.mark();
        let run = world.start(&["sync", "lab"]);
        eventually("it is in the middle", || (world.apple.mark() > mark + 6).then_some(()));
        run.terminate();
        run.wait().exits(1).complains("interrupted");
        assert!((1..400).contains(&world.table("lab").len()), "it should have been in the middle");
        let pages = world.apple.count(0, "POST", "/server/devices");
        world.run(&["sync", "lab"]).exits(0);
        world.assert_exact("lab", "Lab");
        let all = world.apple.count(0, "POST", "/server/devices");
        assert!(all <= 41, "40 pages, of which {pages} came before the interruption, and at most one twice; were {all}");
        assert_no_needless_assignment(&world, 1);
    }

    /// A first start that was killed leaves nothing half-made behind.
    fn the_first_start_is_killed(database) {
        let world = World::empty(database, Settings::default());
        for attempt in 0..12_u64 {
            let mut run = world.start(&["server", "add", "lab", "--base-url", &world.apple.url]);
            // Not a wait for anything: the moments of the kill are spread over the start of the program.
            std::thread::sleep(std::time::Duration::from_millis(attempt * 4));
            run.kill();
        }
        let known = world.objects(&["server", "list"]);
        assert!(known.len() <= 1, "{known:?}");
        assert!(world.has_key_file());
        if known.is_empty() {
            world.run(&["server", "add", "lab", "--base-url", &world.apple.url]).exits(0);
        }
        let file = world.issue("lab", "Lab", &world.token_key("lab"));
        world.run(&["token", "import", "lab", &file]).exits(0);
    }
}
