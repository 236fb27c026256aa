//! What is told about rules: why a device gets its profile, which rules do nothing, and what was wrong with the input.

use adelie_simulator::Departure;

use crate::harness::{World, text};

/// Two rules for Macs: some by serial number, then all.
fn world_with_rules(database: crate::harness::Database) -> (World, Vec<String>) {
    let world = World::synced(database, 40);
    let macs = world.apple.family("Lab", "Mac");
    world.add_profile_of("Studio");
    world.add_profile_of("Macs");
    let serial = format!("serial={}", macs[..2].join(","));
    world.run(&["rule", "add", "studio", "--when", &serial, "--profile", "Studio"]).exits(0);
    world.run(&["rule", "add", "macs", "--when", "family=mac", "--profile", "Macs"]).exits(0);
    world.settle();
    (world, macs)
}

on_both_databases! {
    /// `rule test` says what every rule says of a device that is here, of one that would be otherwise, and of one that
    /// is to come; it changes nothing.
    fn a_rule_is_tested(database) {
        let (world, macs) = world_with_rules(database);
        let before = world.decided();
        let told = world.run(&["rule", "test", &macs[0]]).exits(0).stdout;
        assert!(told.contains("gets Studio, revision 1: rule \"studio\""), "{told}");
        assert!(told.contains("not looked at"), "{told}");
        let told = world.object(&["rule", "test", &macs[2]]);
        assert_eq!((text(&told, "profile"), text(&told, "because")), ("Macs", "rule \"macs\""), "{told}");
        assert_eq!((text(&told["rules"][0], "outcome"), text(&told["rules"][1], "outcome")), ("not_met", "matched"));
        assert_eq!(text(&told["rules"][0], "field"), "serial");

        let told = world.object(&["rule", "test", &macs[2], "--family", "ipad"]);
        assert_eq!((text(&told, "profile"), text(&told, "because")), ("standard", "default for any family"), "{told}");
        assert_eq!(told["rules"][1]["has"], serde_json::json!(["iPad"]), "{told}");
        assert_eq!(text(&world.device(&macs[2]), "device_family"), "Mac", "nothing is stored of it");

        let run = world.run(&["rule", "test", "NEWCOMER1", "--family", "mac"]).exits(0);
        assert!(run.stdout.contains("gets Macs, revision 1"), "{run}");
        run.complains("nothing is stored of NEWCOMER1 at lab");
        world.run(&["server", "add", "town", "--base-url", &world.apple.url]).exits(0);
        world.run(&["rule", "test", "NEWCOMER1", "--family", "mac"]).exits(2).complains("--server NAME");
        let told = world.object(&["rule", "test", "NEWCOMER1", "--server", "town"]);
        assert!(told["profile"].is_null() && text(&told, "because").contains("server set town"), "{told}");
        world.run(&["rule", "test", "NEWCOMER1", "--server", "nowhere"]).exits(2).complains("nowhere");
        let mut after = world.decided();
        // The new MDM server apart.
        after.insert("servers.toml".to_owned(), before["servers.toml"].clone());
        assert_eq!(after, before);
    }

    /// `device explain` says the same of a device that is here, and how far it has got.
    fn a_device_is_explained(database) {
        let (world, macs) = world_with_rules(database);
        let told = world.run(&["device", "explain", &macs[0]]).exits(0).stdout;
        for line in ["-> ", "gets Studio, revision 1: rule \"studio\"", "Apple shows it: assigned"] {
            assert!(told.contains(line), "{line} is missing in {told}");
        }
        let told = world.object(&["device", "explain", &macs[2]]);
        assert_eq!((text(&told, "profile"), text(&told, "state"), text(&told, "server")), ("Macs", "assigned", "lab"));
        assert_eq!((&told["revision"], &told["hold"]), (&1.into(), &serde_json::Value::Null), "{told}");
        assert_eq!(told["rules"].as_array().map(Vec::len), Some(2), "{told}");

        assert_eq!(told["pending"], false, "{told}");
        world.run(&["rule", "set", "macs", "--profile", "Studio"]).exits(0);
        // What Apple shows is still the old one, and must not be taken for the new one.
        let told = world.run(&["device", "explain", &macs[2]]).exits(0).stdout;
        assert!(told.contains("gets Studio, revision 1") && told.contains("was to have Macs, revision 1"), "{told}");
        assert!(!told.contains("Apple shows it"), "{told}");
        assert_eq!(world.object(&["device", "explain", &macs[2]])["pending"], true);
        world.run(&["assign", "hold", &macs[2], "--reason", "in repair"]).exits(0);
        let told = world.run(&["device", "explain", &macs[2]]).exits(0).stdout;
        assert!(told.contains("in repair") && told.contains("adelie assign unhold"), "{told}");
        let pads = world.apple.family("Lab", "iPad");
        let told = world.object(&["device", "explain", &pads[0]]);
        assert_eq!((text(&told, "profile"), text(&told, "because")), ("standard", "default for any family"), "{told}");

        world.apple.remove_devices("Lab", &macs[3..4], Departure::Deleted).expect("a release");
        world.run(&["sync", "lab", "--force"]).exits(0);
        let told = world.run(&["device", "explain", &macs[3]]).exits(0).stdout;
        assert!(told.contains("it left lab"), "{told}");
        world.run(&["device", "explain", "NEWCOMER1"]).exits(2).complains("adelie rule test NEWCOMER1");
    }

    /// How many devices each rule decides; those that have left do not count.
    fn hits_are_counted(database) {
        let (world, macs) = world_with_rules(database);
        let hits = |world: &World| {
            let rules = world.objects(&["rule", "list"]);
            rules.iter().map(|rule| rule["devices"].as_u64().expect("a number")).collect::<Vec<_>>()
        };
        assert_eq!(hits(&world), [2, macs.len() as u64 - 2]);
        world.apple.remove_devices("Lab", &macs[..1], Departure::Deleted).expect("a release");
        world.run(&["sync", "lab", "--force"]).exits(0);
        assert_eq!(hits(&world), [1, macs.len() as u64 - 2]);
        world.run(&["rule", "move", "studio", "--last"]).exits(0);
        world.settle();
        assert_eq!(hits(&world), [macs.len() as u64 - 1, 0]);
        let listed = world.objects(&["device", "list", "--rule", "macs"]);
        assert_eq!(listed.iter().filter(|device| device["removed_at"].is_null()).count(), macs.len() - 1);
    }

    /// A rule that another one hides, and one that no device can match, are pointed out: when they come about, and in the
    /// list.
    fn rules_that_do_nothing_are_pointed_out(database) {
        let (world, _) = world_with_rules(database);
        let none = world.run(&["rule", "list"]).exits(0);
        assert!(!none.stderr.contains("warning"), "{none}");
        let hidden = ["rule", "add", "airs", "--when", "family=mac", "--when", "model=*Air*", "--profile", "Studio"];
        world.run(&hidden).exits(0).complains("airs").complains("matched by rule \"macs\"");
        let never = ["rule", "add", "never", "--when", "family=mac", "--when", "family=ipad", "--profile", "Studio"];
        let told = world.run(&never).exits(0);
        assert!(!told.stderr.contains("airs"), "what was told before is not told again: {told}");
        told.complains("never");
        let rules = world.objects(&["rule", "list"]);
        let kinds: Vec<_> = rules.iter().map(|rule| rule["findings"][0]["kind"].as_str()).collect();
        assert_eq!(kinds, [None, None, Some("shadowed"), Some("never_matches")]);
        assert!(!text(&rules[2]["findings"][0], "fix").is_empty(), "{}", rules[2]);
        world.run(&["rule", "list"]).exits(0).complains("move it before rule \"macs\"");
        world.run(&["rule", "show", "airs"]).exits(0).complains("macs");

        world.run(&["rule", "add", "all", "--profile", "Studio", "--before", "studio"]).exits(0).complains("all");
        world.run(&["rule", "remove", "all", "never"]).exits(0);
        world.run(&["rule", "move", "airs", "--before", "macs"]).exits(0);
        let none = world.run(&["rule", "list"]).exits(0);
        assert!(!none.stderr.contains("warning"), "{none}");
    }

    /// Wrong input ends with 2, says what would do, and changes nothing.
    fn wrong_input_changes_nothing(database) {
        let (world, macs) = world_with_rules(database);
        let before = world.decided();
        let (last, both) = (format!("serial={}", macs[0]), format!("serial={}", macs[..2].join(",")));
        let cases: &[(&[&str], &str)] = &[
            (&["rule", "add", "x", "--when", "famly=mac", "--profile", "Macs"], "famly"),
            (&["rule", "add", "x", "--when", "family", "--profile", "Macs"], "FIELD=PATTERN"),
            (&["rule", "add", "x", "--when", "assigned-date=soon", "--profile", "Macs"], "soon"),
            (&["rule", "add", "x", "--when", "family=mac"], "--profile"),
            (&["rule", "add", "x", "--when", "family=mac", "--profile", "Mac"], "the profiles are Macs, Studio, standard"),
            (&["rule", "add", "x", "--profile", "Macs", "--server", "nowhere"], "nowhere"),
            (&["rule", "add", "x", "--profile", "Macs", "--before", "nobody"], "the rules are studio, macs"),
            (&["rule", "add", "macs", "--when", "family=mac", "--profile", "Macs"], "adelie rule show macs"),
            (&["rule", "set", "nobody", "--profile", "Macs"], "the rules are studio, macs"),
            (&["rule", "set", "macs"], "adelie rule set --help"),
            (&["rule", "set", "macs", "--profile", "Mac"], "the profiles are"),
            (&["rule", "set", "macs", "--rename", "studio"], "studio"),
            (&["rule", "set", "macs", "--server", "lab", "--all-servers"], "--all-servers"),
            (&["rule", "set", "studio", "--remove", &both], "last pattern"),
            (&["rule", "set", "studio", "--remove", "serial=NOTTHERE"], "NOTTHERE"),
            (&["rule", "set", "studio", "--when", "family=mac", "--add", &last], "--add"),
            (&["rule", "set", "studio", "--add", "serial="], "without serial"),
            (&["rule", "move", "macs"], "--before"),
            (&["rule", "move", "macs", "--before", "nobody"], "the rules are studio, macs"),
            (&["rule", "move", "nobody", "--last"], "the rules are"),
            (&["rule", "remove", "macs", "nobody"], "the rules are"),
            (&["rule", "remove"], "NAME"),
            (&["rule", "show", "nobody"], "the rules are"),
            (&["rule", "test", &macs[0], "--family", "toaster"], "toaster"),
            (&["device", "list", "--rule", "nobody"], "the rules are"),
            (&["device", "list", "--profile", "nobody"], "the profiles are"),
        ];
        for (args, says) in cases {
            let run = world.run(args).exits(2);
            assert!(run.stdout.is_empty() && run.stderr.starts_with("error: "), "{run}");
            run.complains(says);
        }
        assert_eq!(world.decided(), before);
    }
}
