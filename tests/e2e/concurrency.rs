//! Several copies on one database.

use adelie_simulator::Settings;

use crate::harness::{World, eventually};

on_both_databases! {
    /// L18: two services and a command on one database share the work: no device is assigned twice, and no two of
    /// them list the same MDM server at once.
    fn two_services_share_the_work(database) {
        let latency = std::time::Duration::from_millis(15);
        let settings = Settings { devices: 300, max_limit: 20, latency, ..Settings::default() };
        let mut world = World::ready(database, settings);
        world.set("ADELIE_DELTA_INTERVAL_SECONDS", "1");
        let _services = [(); 2].map(|()| world.start(&["serve", "--listen", "127.0.0.1:0"]));
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
        let latency = std::time::Duration::from_millis(15);
        let settings = Settings { devices: 200, max_limit: 20, latency, ..Settings::default() };
        let world = World::ready(database, settings);
        let runs = [(); 2].map(|()| world.start(&["sync", "lab", "--force"])).map(crate::harness::Background::wait);
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
        for run in runs.map(crate::harness::Background::wait) {
            run.exits(0);
        }
        assert_eq!(world.objects(&["server", "list"]).len(), names.len());
        let file = world.issue("a", "Lab", &world.token_key("a"));
        world.run(&["token", "import", "a", &file]).exits(0);
    }

    /// Commands work while the service does, also while it is in the middle of a sync.
    fn commands_work_beside_the_service(database) {
        let latency = std::time::Duration::from_millis(20);
        let settings = Settings { devices: 300, max_limit: 10, latency, ..Settings::default() };
        let world = World::ready(database, settings);
        let _service = world.start(&["serve", "--listen", "127.0.0.1:0"]);
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
