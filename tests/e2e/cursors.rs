//! Cursors that do not move or are lost.

use adelie_simulator::control::{CursorFate, SpoilCursors};
use adelie_simulator::{Command, Fault, SameCursor, Settings};
use serde_json::Value;

use crate::harness::{Apple, World};

const FETCH: &str = "/server/devices";
const SYNC: &str = "/devices/sync";

fn spoil(apple: &Apple, state: CursorFate) {
    apple.tell(Command::SpoilCursors(SpoilCursors { server: None, state }));
}

fn refuse(path: &str, code: &str) -> Fault {
    Fault { path: Some(path.to_owned()), status: Some(400), body: Some(code.to_owned()), ..Fault::default() }
}

/// How often a full listing was begun.
fn listings(apple: &Apple, mark: u64) -> usize {
    let began = |body: &str| serde_json::from_str::<Value>(body).is_ok_and(|body| body["cursor"].is_null());
    apple.since(mark).iter().filter(|request| request.path == FETCH && began(&request.body)).count()
}

on_both_databases! {
    /// L2: a cursor that does not move ends the sync after one page; after several such syncs the whole list is
    /// fetched.
    fn the_same_cursor_again(database) {
        let world = World::synced(database, 20);
        for kind in [SameCursor::WithDevices, SameCursor::WithoutDevices, SameCursor::WithDevices] {
            world.apple.fault(Fault {
                path: Some(SYNC.to_owned()),
                same_cursor: Some(kind),
                times: Some(0),
                ..Fault::default()
            });
            let mark = world.apple.mark();
            world.run(&["sync", "lab", "--force"]).exits(1).complains("cursor");
            assert_eq!(world.apple.count(mark, "POST", SYNC), 1, "one page, then the next cycle");
            world.apple.clear_faults();
        }
        world.apple.add_devices("Lab", 3).expect("devices");
        let mark = world.apple.mark();
        let way_out = world.object(&["sync", "lab", "--force"]);
        assert_eq!(way_out["sync"]["kind"], "full", "{way_out}");
        assert_eq!(listings(&world.apple, mark), 1);
        world.assert_exact("lab", "Lab");
        assert_eq!(world.object(&["sync", "lab", "--force"])["sync"]["kind"], "delta");
    }

    /// L2: devices on a page with the same cursor are not lost, and the next good sync goes on.
    fn the_same_cursor_once(database) {
        let world = World::synced(database, 5);
        world.apple.add_devices("Lab", 4).expect("devices");
        let same_cursor = Some(SameCursor::WithDevices);
        world.apple.fault(Fault { path: Some(SYNC.to_owned()), same_cursor, ..Fault::default() });
        world.run(&["sync", "lab", "--force"]).exits(1);
        world.assert_exact("lab", "Lab");
        world.run(&["sync", "lab", "--force"]).exits(0);
        world.assert_exact("lab", "Lab");
        assert!(world.apple.devices("Lab").values().all(|device| device.assigns == 1));
    }

    /// L3: an expired or unknown cursor leads to one full sync, whatever the policy says about full syncs.
    fn a_lost_cursor_leads_to_one_full_sync(database) {
        let world = World::synced(database, 12);
        for fate in [CursorFate::Expired, CursorFate::Invalid] {
            spoil(&world.apple, fate);
            world.apple.add_devices("Lab", 2).expect("devices");
            let mark = world.apple.mark();
            let report = world.object(&["sync", "lab", "--force"]);
            assert_eq!((&report["sync"]["kind"], &report["sync"]["trigger"]), (&"full".into(), &"recovery".into()));
            assert_eq!((listings(&world.apple, mark), world.apple.count(mark, "POST", SYNC)), (1, 2), "{fate:?}");
            world.assert_exact("lab", "Lab");
        }
        assert!(world.apple.devices("Lab").values().all(|device| device.assigns == 1));
    }

    /// L3: when Apple refuses every cursor there is one full listing per run and no loop.
    fn a_cursor_that_is_always_lost(database) {
        let world = World::synced(database, 12);
        for code in ["EXPIRED_CURSOR", "INVALID_CURSOR"] {
            world.apple.fault(Fault { times: Some(0), ..refuse(SYNC, code) });
            let mark = world.apple.mark();
            world.run(&["sync", "lab", "--force"]).exits(1);
            assert_eq!(listings(&world.apple, mark), 1, "{code}");
            assert!(world.apple.count(mark, "POST", SYNC) <= 2, "{code}");
            world.apple.clear_faults();
        }
        world.run(&["sync", "lab", "--force"]).exits(0);
        world.assert_exact("lab", "Lab");
    }

    /// L3: a listing that was finished before goes on with the sync; nothing that is missing then is removed.
    fn an_exhausted_cursor_goes_on_with_the_sync(database) {
        let settings = Settings { devices: 30, max_limit: 10, ..Settings::default() };
        let world = World::synced_with(database, settings);
        world.apple.fault(Fault { skip: 1, ..refuse(FETCH, "EXHAUSTED_CURSOR") });
        let mark = world.apple.mark();
        world.run(&["sync", "lab", "--full", "--force"]);
        assert_eq!(listings(&world.apple, mark), 1);
        assert_eq!(world.apple.count(mark, "POST", FETCH), 2);
        assert!(world.apple.count(mark, "POST", SYNC) >= 1);
        let table = world.table("lab");
        assert!(table.len() == 30 && table.values().all(|device| device["removed_at"].is_null()));
        world.run(&["sync", "lab", "--full", "--force"]).exits(0);
        world.assert_exact("lab", "Lab");
    }
}
