//! Tags of ours: given and taken by the hundred, heeded by rules at once, and taken back.

use adelie_simulator::control::AddDevices;
use adelie_simulator::{Command, Departure};
use serde_json::json;

use crate::harness::{World, text};

/// The tags of a device.
fn tags(world: &World, serial: &str) -> Vec<String> {
    serde_json::from_value(world.device(serial)["tags"].clone()).expect("a list of texts")
}

/// The devices with a tag, in order.
fn tagged(world: &World, tag: &str) -> Vec<String> {
    let mut serials: Vec<_> = world
        .objects(&["device", "list", "--tag", tag])
        .iter()
        .map(|device| text(device, "serial_number").to_owned())
        .collect();
    serials.sort_unstable();
    serials
}

on_both_databases! {
    /// Devices are named one by one, in a file, by what a list prints, or by what they are like.
    fn devices_are_tagged_in_every_way(database) {
        let world = World::synced(database, 40);
        let serials = world.apple.some("Lab", 6);
        let (pads, macs) = (world.apple.family("Lab", "iPad"), world.apple.family("Lab", "Mac"));
        let told = world.run(&["device", "tag", &serials[0], &serials[1].to_lowercase(), "--add", "lab", "--add", "new"]);
        assert!(told.exits(0).stdout.contains("tagged"));
        assert_eq!(tags(&world, &serials[1]), ["lab", "new"]);
        let file = world.write("delivery.csv", format!("Asset;Serial Number\r\nA1;{}\r\n", serials[2]));
        world.run(&["device", "tag", "--file", &file, "--add", "lab"]).exits(0);
        assert_eq!(tagged(&world, "lab"), serials[..3]);

        let csv = world.run(&["device", "list", "--family", "ipad", "--csv"]).exits(0).stdout;
        assert!(csv.starts_with("Serial Number,Server,Family,"), "{csv}");
        let piped = world.run_fed(&csv, &["device", "tag", "--file", "-", "--add", "pad", "--json"]).exits(0);
        assert!(piped.objects().iter().all(|one| text(one, "outcome") == "done"), "{piped}");
        assert_eq!(tagged(&world, "pad"), pads);
        world.run(&["device", "tag", "--matching", "--family", "mac", "--add", "computer"]).exits(0);
        assert_eq!(tagged(&world, "computer"), macs);
        let model = text(&world.device(&macs[0]), "model").to_owned();
        let those = world.run(&["device", "tag", "--matching", "--tag", "computer", "--query", &model, "--remove",
            "computer", "--json"]).exits(0).objects();
        assert_eq!(tagged(&world, "computer").len(), macs.len() - those.len());
        assert!(!those.is_empty());

        world.run(&["device", "tag", &serials[0], "--add", "old", "--remove", "new"]).exits(0);
        assert_eq!(tags(&world, &serials[0]).iter().filter(|tag| *tag != "pad" && *tag != "computer").collect::<Vec<_>>(), ["lab", "old"]);
        let again = world.run(&["device", "tag", &serials[0], "--add", "old", "--json"]).exits(0).object();
        assert_eq!(text(&again, "outcome"), "unchanged");
        let table = world.run(&["device", "show", &serials[0]]).exits(0).stdout;
        assert!(table.contains("lab, old"), "{table}");
        let csv = world.run(&["device", "list", "--tag", "old", "--csv"]).exits(0).stdout;
        assert_eq!(csv.lines().count(), 2, "{csv}");
        assert!(csv.contains("old"), "{csv}");
    }

    /// A rule on a tag decides as soon as the tag is there, and as soon as it is gone; nobody else is sent anything.
    fn a_rule_on_a_tag_decides_at_once(database) {
        let world = World::synced(database, 30);
        let some = world.apple.some("Lab", 3);
        world.add_profile_of("Lab");
        world.run(&["rule", "add", "labs", "--when", "tag=lab-*", "--profile", "Lab"]).exits(0);
        assert_eq!(world.settle(), []);
        let mark = world.apple.mark();
        world.run(&["device", "tag", &some[0], &some[1], "--add", "lab-7"]).exits(0);
        let device = world.device(&some[0]);
        assert_eq!((text(&device, "wanted_profile"), text(&device, "wanted_by_rule")), ("Lab", "labs"));
        assert_eq!(text(&world.device(&some[2]), "wanted_profile"), "standard");
        assert_eq!(world.apple.mark(), mark, "a tag asks Apple nothing");
        assert_eq!(world.settle(), [(world.profile_uuid("Lab", "lab"), some[..2].to_vec())]);
        let listed = world.objects(&["device", "list", "--rule", "labs"]);
        assert_eq!(listed.len(), 2);
        assert_eq!(world.objects(&["device", "list", "--profile", "Lab", "--tag", "lab-7"]), listed);
        assert_eq!(world.objects(&["device", "list", "--profile", "standard"]).len(), 28);

        world.run(&["device", "tag", &some[1], "--remove", "lab-7"]).exits(0);
        assert_eq!(text(&world.device(&some[1]), "wanted_profile"), "standard");
        assert_eq!(world.settle(), [(world.profile_uuid("standard", "lab"), some[1..2].to_vec())]);
        let history = world.objects(&["device", "history", &some[1]]);
        let told: Vec<_> = history.iter().filter(|event| event["kind"] == "device.tagged").collect();
        assert!(text(told[0], "text").starts_with("tagged by ") && text(told[0], "text").ends_with(": -lab-7"), "{}", told[0]);
        assert!(text(told[1], "text").ends_with(": +lab-7"), "{}", told[1]);
    }

    /// A device that leaves and comes back has its tags, and what they mean, again.
    fn tags_survive_leaving_and_coming_back(database) {
        let world = World::synced(database, 20);
        let serial = world.apple.some("Lab", 1).remove(0);
        world.add_profile_of("Lab");
        world.run(&["rule", "add", "labs", "--when", "tag=lab", "--profile", "Lab"]).exits(0);
        world.run(&["device", "tag", &serial, "--add", "lab"]).exits(0);
        world.settle();
        world.apple.remove_devices("Lab", std::slice::from_ref(&serial), Departure::Deleted).expect("a release");
        world.run(&["sync", "lab", "--force"]).exits(0);
        assert_eq!((world.state(&serial).as_str(), tags(&world, &serial)), ("removed", vec!["lab".to_owned()]));
        let back = AddDevices { server: Some("Lab".to_owned()), serials: vec![serial.clone()], ..AddDevices::default() };
        world.apple.tell(Command::AddDevices(back));
        assert_eq!(world.settle(), [(world.profile_uuid("Lab", "lab"), vec![serial.clone()])]);
        assert_eq!(tags(&world, &serial), ["lab"]);
    }

    /// Undoing takes back what a change has changed and nothing else: a device that had the tag before keeps it. Then the
    /// change before that; then there is nothing.
    fn a_change_of_tags_is_taken_back_exactly(database) {
        let world = World::synced(database, 30);
        let pads = world.apple.family("Lab", "iPad");
        world.add_profile_of("Lab");
        world.run(&["rule", "add", "labs", "--when", "tag=lab", "--profile", "Lab"]).exits(0);
        world.settle();
        world.run(&["device", "undo"]).exits(2).complains("there is nothing to take back");
        world.run(&["device", "tag", &pads[0], "--add", "lab", "--add", "spare"]).exits(0);
        let all = ["device", "tag", "--matching", "--family", "ipad", "--add", "lab", "--remove", "spare"];
        world.run(&all).exits(0).complains("adelie device undo");
        assert_eq!(tagged(&world, "lab"), pads);
        assert!(tagged(&world, "spare").is_empty());
        // What changes nothing is nothing to be taken back.
        world.run(&["device", "tag", &pads[1], "--add", "lab"]).exits(0);
        world.settle();

        let undone = world.run(&["device", "undo"]).exits(0);
        undone.complains("taken back: ").complains("tagged +lab -spare");
        assert_eq!(tagged(&world, "lab"), pads[..1], "it had the tag before");
        assert_eq!(tags(&world, &pads[0]), ["lab", "spare"]);
        assert_eq!(world.settle(), [(world.profile_uuid("standard", "lab"), pads[1..].to_vec())]);
        world.run(&["device", "undo", "--json"]).exits(0).complains("+lab +spare");
        assert!(tagged(&world, "lab").is_empty() && tagged(&world, "spare").is_empty());
        world.run(&["device", "undo"]).exits(2).complains("there is nothing to take back");
    }

    /// A hold and its end are taken back as well: what was held before stays held, for the reason that it had.
    fn holds_are_taken_back(database) {
        let world = World::synced(database, 10);
        let serials = world.apple.some("Lab", 3);
        let held = |serial: &str| world.device(serial)["hold"].as_str().map(str::to_owned);
        world.run(&["assign", "hold", &serials[0], "--reason", "in repair"]).exits(0);
        let before = held(&serials[0]).expect("held");
        world.run(&["assign", "hold", &serials[0], &serials[1], "--reason", "stolen"]).exits(0);
        world.run(&["device", "undo"]).exits(0);
        assert!(held(&serials[0]).is_some() && held(&serials[1]).is_none());
        world.run(&["device", "undo"]).exits(0);
        assert_eq!(held(&serials[0]), None);

        world.run(&["assign", "hold", &serials[2], "--reason", "in repair"]).exits(0);
        world.run(&["assign", "unhold", &serials[2], &serials[1]]);
        assert_eq!(held(&serials[2]), None);
        world.run(&["device", "undo"]).exits(0);
        assert_eq!(held(&serials[2]), Some(before), "for the reason that it had");
        assert_eq!(held(&serials[1]), None, "it was not held");
    }

    /// What others have done since stays when a change is taken back.
    fn taking_back_leaves_later_changes_alone(database) {
        let world = World::synced(database, 10);
        let serials = world.apple.some("Lab", 4);
        world.run(&[&["device", "tag", "--add", "lab"][..], &serials.iter().map(String::as_str).collect::<Vec<_>>()].concat()).exits(0);
        let running: Vec<_> = ["a", "b", "c", "d"].iter()
            .map(|tag| world.start(&["device", "tag", &serials[0], "--add", tag]))
            .collect();
        for run in running {
            run.wait().exits(0);
        }
        assert_eq!(tags(&world, &serials[0]), ["a", "b", "c", "d", "lab"], "all of them at the same time");
        for _ in 0..4 {
            world.run(&["device", "undo"]).exits(0);
        }
        assert_eq!(tags(&world, &serials[0]), ["lab"]);
        world.run(&["device", "tag", &serials[1], "--add", "mine"]).exits(0);
        world.run(&["device", "undo"]).exits(0);
        world.run(&["device", "undo"]).exits(0);
        assert!(tagged(&world, "lab").is_empty());
    }

    /// Wrong input changes nothing; an unknown device among others is told and holds up nobody.
    fn wrong_input_tags_nothing(database) {
        let world = World::synced(database, 10);
        let serials = world.apple.some("Lab", 2);
        let cases: &[(&[&str], &str)] = &[
            (&["device", "tag", &serials[0]], "--add"),
            (&["device", "tag", "--add", "x"], "no device is named"),
            (&["device", "tag", &serials[0], "--add", "x", "--remove", "x"], "both"),
            (&["device", "tag", "--matching", "--add", "x"], "--matching without another option"),
            (&["device", "tag", "--matching", &serials[0], "--add", "x"], "--matching"),
            (&["device", "tag", "--matching", "--family", "vision", "--query", "nothing like it", "--add", "x"], "no device matches"),
            (&["device", "tag", "--matching", "--server", "nowhere", "--add", "x"], "nowhere"),
            // It would tag a device that is no such device.
            (&["device", "tag", &serials[0], "--family", "vision", "--add", "x"], "--matching"),
            (&["device", "tag", "--family", "mac", "--add", "x"], "--matching"),
        ];
        for (args, says) in cases {
            let run = world.run(args).exits(2);
            assert!(run.stdout.is_empty(), "{run}");
            run.complains(says);
        }
        assert!(tagged(&world, "x").is_empty());
        world.run(&["device", "undo"]).exits(2);
        let mixed = world.run(&["device", "tag", "NOSUCHDEVICE", &serials[0], "--add", "x"]).exits(1);
        assert!(mixed.stdout.contains("NOSUCHDEVICE: unknown here"), "{mixed}");
        assert_eq!(tagged(&world, "x"), serials[..1]);
    }

    /// The life of a device tells who tagged it.
    fn a_tag_is_in_the_history(database) {
        let world = World::synced(database, 3);
        let serial = world.apple.some("Lab", 1).remove(0);
        world.run(&["device", "tag", &serial, "--add", "b", "--add", "a"]).exits(0);
        world.run(&["device", "tag", &serial, "--add", "c", "--remove", "a"]).exits(0);
        let events = world.objects(&["device", "history", &serial]);
        let told: Vec<_> = events.iter().filter(|event| event["kind"] == "device.tagged").collect();
        assert_eq!(told[0]["data"]["tags"], json!(["b", "c"]));
        let by = text(&told[0]["data"], "by").to_owned();
        assert_eq!(text(told[0], "text"), format!("tagged by {by}: +c -a"));
        assert_eq!(text(told[1], "text"), format!("tagged by {by}: +a +b"));
    }
}
