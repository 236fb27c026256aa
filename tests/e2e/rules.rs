//! Rules: which devices get which profile at Apple, and what changing rules costs there.

use adelie_simulator::Command;
use adelie_simulator::control::AddServer;

use crate::harness::{World, text};

/// The names of the rules in their order.
fn order(world: &World) -> Vec<String> {
    let rules = world.objects(&["rule", "list"]);
    for (at, rule) in rules.iter().enumerate() {
        assert_eq!(rule["place"], at + 1, "{rule}");
    }
    rules.iter().map(|rule| text(rule, "name").to_owned()).collect()
}

on_both_databases! {
    /// The first rule that matches decides, what no rule matches gets the default, and the order can be changed.
    fn the_first_match_decides(database) {
        let world = World::synced(database, 60);
        let (macs, pads) = (world.apple.family("Lab", "Mac"), world.apple.family("Lab", "iPad"));
        for name in ["Macs", "Studio", "Pads"] {
            world.add_profile_of(name);
        }
        let added = world.run(&["rule", "add", "macs", "--when", "family=mac", "--profile", "Macs"]).exits(0);
        added.complains("adelie sync");
        let sent = world.settle();
        assert_eq!(sent, [(world.profile_uuid("Macs", "lab"), macs.clone())]);

        // Behind a rule that takes the same devices it decides nothing, and nothing is sent.
        let three = macs[..3].to_vec();
        let serial = format!("serial={}", three.join(","));
        world.run(&["rule", "add", "studio", "--when", &serial, "--profile", "Studio"]).exits(0);
        assert_eq!(world.settle(), []);
        world.run(&["rule", "move", "studio", "--before", "macs"]).exits(0);
        assert_eq!(order(&world), ["studio", "macs"]);
        assert_eq!(world.settle(), [(world.profile_uuid("Studio", "lab"), three.clone())]);

        let add = ["rule", "add", "pads", "--when", "family=ipad", "--profile", "Pads", "--before", "macs"];
        world.run(&add).exits(0);
        assert_eq!(order(&world), ["studio", "pads", "macs"]);
        assert_eq!(world.settle(), [(world.profile_uuid("Pads", "lab"), pads.clone())]);

        let again = world.run(&["rule", "move", "studio", "--before", "pads"]).exits(0);
        assert!(again.stdout.contains("nothing to do"), "{again}");
        world.run(&["rule", "move", "studio", "--last"]).exits(0);
        assert_eq!(order(&world), ["pads", "macs", "studio"]);
        assert_eq!(world.settle(), [(world.profile_uuid("Macs", "lab"), three)]);
        assert_eq!(world.have("Macs", "lab", "Lab"), macs);
        assert_eq!(world.have("Pads", "lab", "Lab"), pads);
        assert_eq!(world.have("standard", "lab", "Lab").len(), 60 - macs.len() - pads.len());
    }

    /// All conditions of a rule must hold, and one pattern of each; a fact that is absent can be asked for.
    fn conditions_are_met_all_and_patterns_one(database) {
        let world = World::synced(database, 60);
        let macs = world.apple.family("Lab", "Mac");
        world.add_profile_of("Some");
        let glob = format!("serial={}*,{}", &macs[0][..macs[0].len() - 1], macs[1].to_lowercase());
        let rule = ["rule", "add", "some", "--when", "family=mac,ipad", "--when", &glob, "--profile", "Some"];
        world.run(&rule).exits(0);
        let devices = world.apple.devices("Lab").into_values();
        let stem = &macs[0][..macs[0].len() - 1];
        let wanted: Vec<_> = devices
            .filter(|device| ["Mac", "iPad"].contains(&device.device_family.as_str()))
            .map(|device| device.serial_number)
            .filter(|serial| serial.starts_with(stem) || *serial == macs[1])
            .collect();
        assert!(wanted.len() >= 2 && wanted.len() < 60, "{wanted:?}");
        assert_eq!(world.settle(), [(world.profile_uuid("Some", "lab"), wanted)]);

        let untagged = ["rule", "set", "some", "--when", "tag=", "--when", "family=mac"];
        world.run(&untagged).exits(0);
        world.settle();
        assert_eq!(world.have("Some", "lab", "Lab"), macs);
        world.run(&["device", "tag", &macs[0], "--add", "lab"]).exits(0);
        world.settle();
        assert_eq!(world.have("Some", "lab", "Lab"), macs[1..]);
    }

    /// A rule for one MDM server does nothing to another; its limit can be lifted and moved.
    fn a_rule_for_one_server_leaves_another_alone(database) {
        let world = World::synced(database, 40);
        world.apple.tell(Command::AddServer(AddServer {
            name: "Town".to_owned(), devices: 40, ..AddServer::default()
        }));
        world.onboard("town", "Town");
        world.run(&["server", "set", "town", "--default", "any=standard"]).exits(0);
        world.run(&["sync", "town"]).exits(0);
        world.add_profile_of("Macs");
        let (here, there) = (world.apple.family("Lab", "Mac"), world.apple.family("Town", "Mac"));
        let both = || {
            world.run(&["sync", "lab", "--force"]).exits(0);
            world.run(&["sync", "town", "--force"]).exits(0);
            world.assert_exact("lab", "Lab");
            world.assert_exact("town", "Town");
        };
        let rule = ["rule", "add", "macs", "--when", "family=mac", "--profile", "Macs", "--server", "lab"];
        world.run(&rule).exits(0);
        let mark = world.apple.mark();
        both();
        assert_eq!(world.apple.assignments(mark), [(world.profile_uuid("Macs", "lab"), here.clone())]);
        assert_eq!(world.have("standard", "town", "Town").len(), 40);

        world.run(&["rule", "set", "macs", "--all-servers"]).exits(0);
        let mark = world.apple.mark();
        both();
        assert_eq!(world.apple.assignments(mark), [(world.profile_uuid("Macs", "town"), there.clone())]);
        assert_ne!(world.profile_uuid("Macs", "town"), world.profile_uuid("Macs", "lab"), "each server has its own");

        world.run(&["rule", "set", "macs", "--server", "town"]).exits(0);
        let mark = world.apple.mark();
        both();
        assert_eq!(world.apple.assignments(mark), [(world.profile_uuid("standard", "lab"), here)]);
        assert_eq!(world.have("Macs", "town", "Town"), there);
        assert!(world.have("Macs", "lab", "Lab").is_empty());
    }

    /// L24: what a changed rule does not change for a device costs it nothing: only those that get something else are
    /// sent, once, in one batch for each profile.
    fn a_changed_rule_assigns_only_what_it_changes(database) {
        let world = World::synced(database, 80);
        let (macs, pads) = (world.apple.family("Lab", "Mac"), world.apple.family("Lab", "iPad"));
        world.add_profile_of("One");
        world.add_profile_of("Two");
        world.run(&["rule", "add", "computers", "--when", "family=mac", "--profile", "One"]).exits(0);
        assert_eq!(world.settle().len(), 1);
        let (one, standard) = (world.profile_uuid("One", "lab"), world.profile_uuid("standard", "lab"));

        world.run(&["rule", "set", "computers", "--rename", "machines"]).exits(0);
        assert_eq!(world.settle(), [], "a name is nothing to a device");
        assert_eq!(order(&world), ["machines"]);
        world.run(&["rule", "set", "machines", "--add", "family=ipad"]).exits(0);
        assert_eq!(world.settle(), [(one.clone(), pads.clone())], "the Macs have it already");
        world.run(&["rule", "set", "machines", "--profile", "Two"]).exits(0);
        let mut all = [macs.clone(), pads.clone()].concat();
        all.sort_unstable();
        assert_eq!(world.settle(), [(world.profile_uuid("Two", "lab"), all.clone())]);
        // Another way to say the same.
        world.run(&["rule", "set", "machines", "--when", "family=iPad,MAC"]).exits(0);
        assert_eq!(world.settle(), []);

        world.run(&["rule", "add", "others", "--when", "family=iphone", "--profile", "One"]).exits(0);
        world.settle();
        let mark = world.apple.mark();
        world.run(&["rule", "remove", "machines", "others"]).exits(0);
        assert_eq!(world.apple.mark(), mark, "changing rules asks Apple nothing");
        let phones = world.apple.family("Lab", "iPhone");
        let mut back = [all, phones].concat();
        back.sort_unstable();
        assert_eq!(world.settle(), [(standard, back)]);
        assert_eq!(order(&world), Vec::<String>::new());
        assert_eq!(world.apple.count(0, "POST", "/profile"), 3, "each profile was defined once");
    }

    /// A service that runs follows a rule by itself.
    fn a_running_service_follows_a_rule(database) {
        let world = World::synced(database, 40);
        let macs = world.apple.family("Lab", "Mac");
        world.add_profile_of("Macs");
        let service = world.start(&["serve", "--listen", "127.0.0.1:0"]);
        world.run(&["rule", "add", "macs", "--when", "family=mac", "--profile", "Macs"]).exits(0);
        crate::harness::eventually("the Macs have it at Apple", || {
            let shown = world.object(&["profile", "show", "Macs"]);
            (shown["published"].as_array().is_some_and(|all| !all.is_empty())
                && world.have("Macs", "lab", "Lab") == macs)
                .then_some(())
        });
        drop(service);
    }
}
