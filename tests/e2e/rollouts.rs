//! Staged roll-outs: a new revision goes to some devices first.

use std::collections::BTreeSet;

use adelie_simulator::Settings;

use crate::harness::{Database, World, profile_of, text};

const DEVICES: usize = 300;

/// `lab` with devices whose assignments the log keeps whole.
fn large(database: Database) -> World {
    World::synced_with(
        database,
        Settings { devices: DEVICES, log_body_bytes: 1 << 20, ..Settings::default() },
    )
}

/// The devices that are to have a revision of the standard profile and have it at Apple.
fn with_revision(world: &World, number: u64) -> BTreeSet<String> {
    let table = world.table("lab");
    let those = table.into_iter().filter(|(_, device)| device["wanted_revision"] == number);
    those
        .map(|(serial, device)| {
            assert_eq!(text(&device["assignment"], "state"), "assigned", "{device}");
            serial
        })
        .collect()
}

fn sorted(devices: &BTreeSet<String>) -> Vec<String> {
    devices.iter().cloned().collect()
}

fn step(world: &World, options: &[&str]) {
    world.run(&[&["profile", "rollout", "standard"], options].concat()).exits(0);
}

on_both_databases! {
    /// 20 %, a pause during which nobody joins and nobody leaves, further, more, and all.
    fn a_revision_goes_out_by_and_by(database) {
        let world = large(database);
        let first = world.profile_uuid("standard", "lab");
        let begun = world.edit_profile("standard", &profile_of("Library"), &["--percent", "20", "--json"]).exits(0);
        let begun = begun.object();
        let numbers = (&begun["revision"], &begun["in_force"], &begun["percent"]);
        assert_eq!(numbers, (&2.into(), &1.into(), &20.into()), "{begun}");
        let sent = world.settle();
        let few = with_revision(&world, 2);
        // Binomial: four standard deviations are 28 devices.
        assert!((32..=88).contains(&few.len()), "{} of {DEVICES} are 20 %", few.len());
        assert_eq!(sent.len(), 1);
        assert_eq!(sent[0].1, sorted(&few), "the others were left alone");
        let second = sent[0].0.clone();
        assert_ne!(second, first);
        assert_eq!(with_revision(&world, 1).len(), DEVICES - few.len());
        let told = world.run(&["profile", "show", "standard"]).exits(0).stdout;
        assert!(told.contains("revision 2 to 20 %"), "{told}");
        let one = sorted(&few).remove(0);
        let told = world.object(&["device", "explain", &one]);
        assert_eq!(told["revision"], 2, "{told}");
        assert!(text(&told, "because").contains("among the 20 % that get revision 2"), "{told}");
        assert_eq!(world.settle(), [], "it is always the same devices");

        step(&world, &["--pause"]);
        assert_eq!(world.settle(), [], "those that have it keep it");
        let new = world.apple.add_devices("Lab", 60).expect("devices");
        let sent = world.settle();
        let mut newcomers = new.clone();
        newcomers.sort_unstable();
        assert_eq!(sent, [(first.clone(), newcomers)], "nobody gets it in a pause");
        assert_eq!(with_revision(&world, 2), few);
        step(&world, &["--pause"]);

        step(&world, &["--continue"]);
        let sent = world.settle();
        let after = with_revision(&world, 2);
        let joined: BTreeSet<_> = after.difference(&few).cloned().collect();
        assert!(!joined.is_empty() && joined.iter().all(|serial| new.contains(serial)), "{joined:?}");
        assert_eq!(sent, [(second.clone(), sorted(&joined))]);

        step(&world, &["--percent", "60"]);
        let sent = world.settle();
        let many = with_revision(&world, 2);
        assert!(many.is_superset(&after) && many.len() > 2 * after.len(), "{} of 360 are 60 %", many.len());
        assert_eq!(sent, [(second.clone(), many.difference(&after).cloned().collect::<Vec<_>>())]);
        // Fewer than before takes it away again from those beyond.
        step(&world, &["--percent", "20"]);
        assert_eq!(world.settle(), [(first, many.difference(&after).cloned().collect::<Vec<_>>())]);
        assert_eq!(with_revision(&world, 2), after);

        step(&world, &["--percent", "100"]);
        world.settle();
        assert_eq!(with_revision(&world, 2).len(), DEVICES + 60);
        assert_eq!(world.have("standard", "lab", "Lab").len(), DEVICES + 60);
        assert_eq!(world.apple.count(0, "POST", "/profile"), 2, "each revision was defined once");
        let done = world.run(&["profile", "rollout", "standard", "--percent", "50"]).exits(2);
        done.complains("no revision of profile standard is being rolled out");
    }

    /// Aborting takes it back from those that have it, and from nobody else.
    fn an_aborted_roll_out_is_taken_back(database) {
        let world = large(database);
        let first = world.profile_uuid("standard", "lab");
        world.edit_profile("standard", &profile_of("Library"), &["--percent", "30"]).exits(0);
        world.settle();
        let some = with_revision(&world, 2);
        assert!(!some.is_empty());
        step(&world, &["--abort"]);
        assert_eq!(world.settle(), [(first.clone(), sorted(&some))]);
        assert_eq!(world.have("standard", "lab", "Lab").len(), DEVICES);
        assert_eq!(world.apple.count(0, "POST", "/profile"), 2);
        world.run(&["profile", "rollout", "standard", "--abort"]).exits(2).complains("being rolled out");
        // The revision is kept, and going to it defines nothing.
        world.run(&["profile", "rollback", "standard", "--to", "2"]).exits(0);
        world.settle();
        assert_eq!(world.apple.count(0, "POST", "/profile"), 2);
        assert_eq!(with_revision(&world, 3).len(), DEVICES);
    }

    /// Wrong steps change nothing.
    fn wrong_steps_change_nothing(database) {
        let world = World::synced(database, 3);
        world.edit_profile("standard", &profile_of("Library"), &["--percent", "50"]).exits(0);
        let before = world.objects(&["profile", "history", "standard"]);
        for args in [&["--percent", "0"][..], &["--percent", "101"], &["--pause", "--abort"], &["--continue", "--percent", "3"], &[]] {
            world.run(&[&["profile", "rollout", "standard"], args].concat()).exits(2);
        }
        world.run(&["profile", "rollout", "nothing", "--pause"]).exits(2).complains("the profiles are standard");
        world.edit_profile("standard", &profile_of("Lobby"), &["--percent", "0"]).exits(2);
        assert_eq!(world.objects(&["profile", "history", "standard"]), before);
        let again = world.run(&["profile", "rollout", "standard", "--continue"]).exits(0).stdout;
        assert!(again.contains("nothing to do"), "{again}");
    }
}
