//! The main job, from nothing to every device assigned.

use std::collections::BTreeSet;

use adelie_simulator::Settings;
use serde_json::Value;

use crate::harness::{World, text};

const MACS: &str = r#"{
  "profile_name": "Macs", "url": "https://mdm.example.org/enroll", "await_device_configured": true,
  "is_supervised": true, "is_mdm_removable": false, "skip_setup_items": ["Siri"]
}"#;
const TABLETS: &str = r#"
profile_name = "Tablets"
url = "https://mdm.example.org/enroll"
is_supervised = true
skip_setup_items = ["Siri", "Restore"]
"#;
const OTHERS: &str = "
profile_name: Others
url: https://mdm.example.org/enroll
skip_setup_items:
  - Siri
";

/// What the object of a device has at least.
const FIELDS: [&str; 12] = [
    "serial_number",
    "server",
    "device_family",
    "model",
    "os",
    "wanted_profile",
    "profile_uuid",
    "profile_status",
    "assignment",
    "first_seen_at",
    "last_seen_at",
    "removed_at",
];

on_both_databases! {
    /// The whole way by the commands of the README, and what a script may rely on.
    fn from_nothing_to_every_device_assigned(database) {
        let world = World::empty(database, Settings { devices: 120, max_limit: 50, ..Settings::default() });
        let apple = &world.apple;
        world.run(&["server", "add", "lab", "--base-url", &apple.url]).exits(0);
        let pem = world.path("lab.pem");
        world.run(&["token", "key", "lab", "--out", &pem]).exits(0);
        let p7m = world.issue("lab", "Lab", &std::fs::read_to_string(&pem).expect("the certificate"));
        assert_eq!(world.object(&["token", "show", "lab"])["state"], "none");
        world.run(&["token", "import", "lab", &p7m]).exits(0);
        let token = world.object(&["token", "show", "lab"]);
        assert_eq!((text(&token, "state"), &token["remedy"]), ("valid", &Value::Null), "{token}");

        for (name, file) in [
            ("macs", world.write("macs.json", MACS)),
            ("tablets", world.write("tablets.toml", TABLETS)),
            ("others", world.write("others.yaml", OTHERS)),
        ] {
            world.run(&["profile", "new", name, "--file", &file]).exits(0);
        }
        let names: BTreeSet<_> =
            world.objects(&["profile", "list"]).iter().map(|profile| text(profile, "name").to_owned()).collect();
        assert_eq!(names, BTreeSet::from(["macs", "tablets", "others"].map(String::from)));
        world
            .run(&[
                "server", "set", "lab", "--default", "mac=macs", "--default", "ipad=tablets", "--default", "any=others",
            ])
            .exits(0);

        let report = world.object(&["sync"]);
        assert_eq!(report["server"], "lab");
        assert_eq!((&report["sync"]["kind"], &report["sync"]["outcome"]), (&"full".into(), &"done".into()), "{report}");
        assert_eq!((&report["sync"]["added"], &report["assigned"]), (&120.into(), &120.into()), "{report}");
        assert_eq!(report["problems"], Value::Array(Vec::new()));

        world.assert_exact("lab", "Lab");
        let uuids = ["macs", "tablets", "others"].map(|profile| world.profile_uuid(profile, "lab"));
        let mut families = BTreeSet::new();
        for device in apple.devices("Lab").values() {
            let wanted = match device.device_family.as_str() {
                "Mac" => &uuids[0],
                "iPad" => &uuids[1],
                _ => &uuids[2],
            };
            assert_eq!(device.profile_uuid.as_ref(), Some(wanted), "{device:?}");
            families.insert(device.device_family.clone());
        }
        assert!(families.len() > 3, "the test needs several families and had {families:?}");
    }

    /// The object of a device has every field that scripts were promised, in the list and alone.
    fn the_object_of_a_device(database) {
        let world = World::synced(database, 3);
        for (serial, device) in world.table("lab") {
            for field in FIELDS {
                assert!(device.get(field).is_some(), "{field} is missing in {device}");
            }
            for field in ["state", "reason", "attempts", "next_attempt_at"] {
                assert!(device["assignment"].get(field).is_some(), "assignment.{field} is missing in {device}");
            }
            assert_eq!((text(&device, "server"), text(&device, "wanted_profile")), ("lab", "standard"));
            assert!(text(&device, "first_seen_at").ends_with('Z'), "{device}");
            assert_eq!(world.device(&serial.to_lowercase()), device, "the same device alone, typed in small letters");
        }
    }

    /// A sync too early is refused with its time. L24: one that is forced assigns nothing that is assigned already.
    fn a_second_sync_waits_or_is_forced(database) {
        let world = World::synced(database, 30);
        let mark = world.apple.mark();
        let early = world.run(&["sync", "lab", "--json"]).exits(3).object();
        assert!(early["sync"].is_null() && text(&early, "allowed_at").ends_with('Z'), "{early}");
        assert_eq!(world.apple.mark(), mark, "a refused sync asks Apple nothing");
        world.run(&["sync", "lab"]).exits(3).complains("allowed again at").complains("hint: ");

        let forced = world.object(&["sync", "lab", "--force"]);
        assert_eq!((&forced["sync"]["kind"], &forced["assigned"]), (&"delta".into(), &0.into()), "{forced}");
        let full = world.object(&["sync", "lab", "--full", "--force"]);
        assert_eq!((&full["sync"]["kind"], &full["assigned"]), (&"full".into(), &0.into()), "{full}");
        assert_eq!(world.apple.count(mark, "POST", "/profile/devices"), 0);
        assert!(world.apple.devices("Lab").values().all(|device| device.assigns == 1));
        world.assert_exact("lab", "Lab");
    }

    /// What the list can be narrowed by, alone and together.
    fn the_device_list_narrows(database) {
        let world = World::synced(database, 60);
        let truth = world.apple.devices("Lab");
        let list = |args: &[&str]| {
            let found = world.objects(&[&["device", "list"], args].concat());
            found.iter().map(|device| text(device, "serial_number").to_owned()).collect::<BTreeSet<_>>()
        };
        let macs: BTreeSet<_> =
            truth.values().filter(|device| device.device_family == "Mac").map(|d| d.serial_number.clone()).collect();
        assert!(!macs.is_empty() && macs.len() < truth.len());
        assert_eq!(list(&["--family", "mac"]), macs);
        assert_eq!(list(&["--family", "Mac", "--server", "lab", "--state", "assigned"]), macs);
        assert_eq!(list(&["--state", "failed"]), BTreeSet::new());
        let one = macs.first().expect("a Mac").clone();
        assert_eq!(list(&["--query", &one[1..].to_lowercase()]), BTreeSet::from([one]));
        assert_eq!(list(&["--limit", "7"]).len(), 7);
        assert_eq!(list(&["--query", "100%_no'such"]), BTreeSet::new());
    }

    /// L25: a changed default re-evaluates the devices that are there; L30: a server can be added paused, and
    /// without a name `sync` leaves it alone.
    fn defaults_may_come_late_and_change(database) {
        let world = World::empty(database, Settings { devices: 20, ..Settings::default() });
        world.run(&["server", "add", "lab", "--base-url", &world.apple.url, "--paused"]).exits(0);
        let file = world.issue("lab", "Lab", &world.token_key("lab"));
        world.run(&["token", "import", "lab", &file]).exits(0);
        world.run(&["sync"]).exits(2).complains("paused");
        world.run(&["server", "resume", "lab"]).exits(0);

        let first = world.run(&["sync", "--json"]).exits(1).object();
        assert!(first["problems"].to_string().contains("20 devices unmatched"), "{first}");
        world.add_profile("one", &crate::harness::STANDARD.replace("Standard", "One"));
        world.add_profile("two", &crate::harness::STANDARD.replace("Standard", "Two"));
        for profile in ["one", "two"] {
            world.run(&["server", "set", "lab", "--default", &format!("any={profile}")]).exits(0);
            assert_eq!(world.object(&["sync", "--force"])["assigned"], 20);
            world.assert_exact("lab", "Lab");
            let uuid = world.profile_uuid(profile, "lab");
            assert!(world.apple.devices("Lab").values().all(|device| device.profile_uuid.as_ref() == Some(&uuid)));
        }
        // Taking the default away takes no profile from a device.
        world.run(&["server", "set", "lab", "--default", "any="]).exits(0);
        let mark = world.apple.mark();
        world.run(&["sync", "--force"]).exits(1).complains("unmatched");
        assert_eq!(world.apple.count(mark, "DELETE", "/profile/devices"), 0);
        assert!(world.apple.devices("Lab").values().all(|device| device.profile_status == "assigned"));
    }
}
