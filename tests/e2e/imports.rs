//! First imports whose pages come faster than they can be stored: assignments leave before the pages are stored.

use adelie_simulator::{Fault, Settings};

use crate::harness::{World, eventually};

const ASSIGN: &str = "/profile/devices";
const SYNC: [&str; 3] = ["sync", "lab", "--force"];

/// Many small pages from an Apple that answers at once.
fn many_pages() -> Settings {
    Settings { devices: 2000, max_limit: 50, ..Settings::default() }
}

/// Answers to assignments come so late.
fn slow(answer_delay_ms: u64) -> Fault {
    Fault { path: Some(ASSIGN.to_owned()), times: Some(0), answer_delay_ms, ..Fault::default() }
}

fn intents(world: &World) -> Vec<String> {
    world.ledger().column("-- intents\nSELECT CAST(id AS text) FROM intents")
}

#[track_caller]
fn assert_each_was_assigned_once(world: &World) {
    world.assert_exact("lab", "Lab");
    let not_once: Vec<_> =
        world.apple.devices("Lab").into_values().filter(|device| device.assigns != 1).collect();
    assert!(not_once.is_empty(), "not assigned once: {not_once:?}");
    assert!(intents(world).is_empty());
}

on_both_databases! {
    /// L1, L29: killed when assignments had taken effect and nothing of their pages was stored. Apple is asked about
    /// them before the pages are fetched again.
    fn killed_before_pages_with_assignments_are_stored(database) {
        let mut world = World::ready(database, many_pages());
        world.set("ADELIE_LEASE_SECONDS", "2");
        world.apple.fault(slow(600_000));
        let mut run = world.start(&SYNC);
        eventually("an assignment of pages that are not stored takes effect", || {
            let assigned = world.apple.devices("Lab").into_values().filter(|device| device.assigns > 0);
            (assigned.count() > 0 && !intents(&world).is_empty()).then_some(())
        });
        run.kill();
        let (mark, in_doubt) = (world.apple.mark(), world.in_doubt());
        world.apple.clear_faults();
        world.run(&SYNC).exits(0);
        assert_each_was_assigned_once(&world);
        let asked = world.apple.count(mark, "POST", "/devices");
        assert_eq!(asked, in_doubt.len().div_ceil(1000), "what is in doubt is asked for at once");
    }

    /// No page waits for an Apple that is slow to assign; an answer that comes after its page was stored counts.
    fn answers_that_come_late_are_stored(database) {
        let world = World::ready(database, many_pages());
        world.apple.fault(slow(900));
        let run = world.start(&["sync", "lab", "--force", "--json"]);
        eventually("assignments of pages that are not stored", || (!intents(&world).is_empty()).then_some(()));
        let run = run.wait().exits(0);
        assert_eq!(run.object()["assigned"], 2000, "{run}");
        assert_each_was_assigned_once(&world);
    }

    /// L17: an Apple that is slow to assign holds up no page, and does not get more and more requests because of that.
    fn a_slow_apple_gets_few_requests_at_once(database) {
        let settings = Settings { devices: 4000, max_limit: 25, ..Settings::default() };
        let mut world = World::ready(database, settings);
        world.set("ADELIE_LEASE_SECONDS", "2");
        let mark = world.apple.mark();
        world.apple.fault(slow(600_000));
        let mut run = world.start(&SYNC);
        eventually("all devices are stored", || {
            (world.ledger().column("-- devices\nSELECT serial FROM devices").len() == 4000).then_some(())
        });
        run.kill();
        assert_eq!(world.apple.count(mark, "POST", ASSIGN), 3, "so many wait for their answers at once");
        world.apple.clear_faults();
        world.set("ADELIE_LEASE_SECONDS", "20");
        world.run(&SYNC).exits(0);
        assert_each_was_assigned_once(&world);
    }

    /// L20, L21, L29: what Apple says of single devices is stored with their pages, and what comes without a clear
    /// answer is read back, all with the rest going on.
    fn trouble_with_some_keeps_the_others_going(database) {
        let world = World::ready(database, many_pages());
        let serials: Vec<_> = world.apple.some("Lab", 60);
        let (throttled, failed) = serials.split_at(30);
        world.apple.throttle(throttled, Some(7200));
        // Some of them may be in the request that is cut.
        world.apple.fail(failed, 2);
        world.apple.fault(Fault { path: Some(ASSIGN.to_owned()), skip: 3, cut: true, effect: true, ..Fault::default() });
        world.run(&SYNC).exits(1).complains("devices failed");
        for (serials, state) in [(throttled, "throttled"), (failed, "failed")] {
            let states: Vec<_> = serials.iter().map(|serial| world.state(serial)).collect();
            assert!(states.iter().all(|one| one == state), "{states:?} are not all {state}");
        }
        assert_eq!(world.objects(&["device", "list", "--state", "assigned"]).len(), 1940);
        assert!(world.apple.devices("Lab").into_values().all(|device| device.assigns <= 1));
    }

    /// L17: when Apple asks to be left alone in the middle, what has not left is due again at once when it may go on.
    fn an_import_goes_on_after_apples_pause(database) {
        let world = World::ready(database, many_pages());
        world.apple.fault(Fault {
            path: Some(ASSIGN.to_owned()), skip: 3, status: Some(503), retry_after_seconds: Some(2), ..Fault::default()
        });
        world.run(&SYNC);
        eventually("Apple may be asked again", || {
            world.run(&SYNC);
            world.compare("lab", "Lab").ok()
        });
        assert_each_was_assigned_once(&world);
    }
}
