//! Devices that leave without a word, and listings that cannot be believed.

use adelie_simulator::control::AddDevices;
use adelie_simulator::{Arrival, Command, Departure, Fault};

use crate::harness::{World, text};

const LIST: &str = "/server/devices";

on_both_databases! {
    /// L7: devices that the sync never reports are found by a full one.
    fn a_full_sync_finds_what_the_delta_withholds(database) {
        let world = World::synced(database, 5);
        world.apple.tell(Command::AddDevices(AddDevices {
            server: Some("Lab".to_owned()),
            serials: vec!["HIDDEN1".to_owned(), "HIDDEN2".to_owned()],
            arrival: Arrival::Silent,
            ..AddDevices::default()
        }));
        world.run(&["sync", "lab", "--force"]).exits(0);
        assert_eq!(world.table("lab").len(), 5, "withheld");
        world.run(&["sync", "lab", "--full", "--force"]).exits(0);
        assert_eq!(world.table("lab").len(), 7);
        world.assert_exact("lab", "Lab");
    }

    /// L8: a device that was released in the portal without an event is found by a full sync, and kept as removed.
    fn a_silent_release_is_found(database) {
        let world = World::synced(database, 40);
        let gone = world.apple.some("Lab", 3);
        world.apple.remove_devices("Lab", &gone, Departure::Silent).expect("a release");
        let delta = world.object(&["sync", "lab", "--force"]);
        assert_eq!(delta["sync"]["removed"], 0, "{delta}");
        let full = world.object(&["sync", "lab", "--full", "--force"]);
        assert_eq!(full["sync"]["removed"], 3, "{full}");
        world.assert_exact("lab", "Lab");
        for serial in &gone {
            assert_eq!(world.state(serial), "removed");
        }
    }

    /// L9: a listing without half of the devices removes none until somebody says so.
    fn half_of_the_devices_missing_needs_a_word(database) {
        let world = World::synced(database, 40);
        let gone = world.apple.some("Lab", 20);
        world.apple.remove_devices("Lab", &gone, Departure::Silent).expect("a release");
        let kept = world.run(&["sync", "lab", "--full", "--force", "--json"]).exits(1).object();
        assert_eq!(kept["sync"]["removed"], 0, "{kept}");
        assert!(kept["problems"].to_string().contains("--accept-removals"), "{kept}");
        assert!(world.table("lab").values().all(|device| device["removed_at"].is_null()));
        let listed = &world.objects(&["server", "list"])[0];
        assert!(text(listed, "attention").contains("20 of 40"), "{listed}");
        // A delta does not make it forgotten.
        world.run(&["sync", "lab", "--force"]).exits(1).complains("20 of 40");
        world.run(&["doctor"]).exits(1);

        world.run(&["sync", "--force", "--full", "--accept-removals"]).exits(2).complains("name");
        let full = world.object(&["sync", "lab", "--full", "--force", "--accept-removals"]);
        assert_eq!(full["sync"]["removed"], 20, "{full}");
        assert!(world.object(&["server", "show", "lab"])["attention"].is_null());
        world.assert_exact("lab", "Lab");
        world.run(&["doctor"]).exits(0);
    }

    /// L9: a 200 with an empty body, with something that is no list, or with half a body is not an empty fleet.
    /// Each try of one run meets another of them.
    fn an_answer_that_is_no_list_removes_nothing(database) {
        let world = World::synced(database, 30);
        let at = |fault: Fault| world.apple.fault(Fault { path: Some(LIST.to_owned()), ..fault });
        at(Fault { empty: true, ..Fault::default() });
        at(Fault { status: Some(200), body: Some("{}".to_owned()), ..Fault::default() });
        at(Fault { status: Some(200), body: Some("<html>a proxy</html>".to_owned()), ..Fault::default() });
        at(Fault { truncate_to: Some(300), times: Some(0), ..Fault::default() });
        let mark = world.apple.mark();
        world.run(&["sync", "lab", "--full", "--force"]).exits(1).complains("hint: ");
        assert!((4..8).contains(&world.apple.count(mark, "POST", LIST)), "{:#?}", world.apple.since(mark));
        let table = world.table("lab");
        assert!(table.len() == 30 && table.values().all(|device| device["removed_at"].is_null()));
        world.apple.clear_faults();
        world.run(&["sync", "lab", "--full", "--force"]).exits(0);
        world.assert_exact("lab", "Lab");
    }

    /// L9: a list that is complete and empty needs somebody's word.
    fn an_empty_list_removes_nothing(database) {
        let world = World::synced(database, 4);
        let all = world.apple.some("Lab", 4);
        world.apple.remove_devices("Lab", &all, Departure::Silent).expect("a release");
        world.run(&["sync", "lab", "--full", "--force"]).exits(1).complains("--accept-removals");
        assert!(world.table("lab").values().all(|device| device["removed_at"].is_null()));
        world.run(&["sync", "lab", "--full", "--force", "--accept-removals"]).exits(0);
        world.assert_exact("lab", "Lab");
    }

    /// A page that breaks off in the middle is asked for again; nothing of it counts.
    fn half_a_page_is_asked_for_again(database) {
        let world = World::synced(database, 30);
        world.apple.fault(Fault {
            path: Some(LIST.to_owned()),
            truncate_to: Some(700),
            ..Fault::default()
        });
        world.run(&["sync", "lab", "--full", "--force"]).exits(0);
        world.assert_exact("lab", "Lab");
    }
}
