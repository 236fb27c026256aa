//! Revisions of profiles: made, published, compared, taken back and removed.

use adelie_simulator::{Fault, Settings};
use serde_json::json;

use crate::harness::{STANDARD, World, profile_of, text};

const DEFINE: &str = "/profile";

/// In our form, with things that Apple never sees.
fn ours(description: &str, department: &str) -> String {
    format!(
        r#"{{ "name": "Ours", "description": "{description}", "url": "https://mdm.example.org/enroll",
            "department": "{department}" }}"#
    )
}

/// The numbers of the revisions of a profile and how they stand, newest first.
fn history(world: &World, profile: &str) -> Vec<(u64, String)> {
    let revisions = world.objects(&["profile", "history", profile]);
    let number = |revision: &serde_json::Value| revision["revision"].as_u64().expect("a number");
    revisions.iter().map(|revision| (number(revision), text(revision, "standing").to_owned())).collect()
}

on_both_databases! {
    /// A changed profile is a new revision: defined once, given to every device of the old one in one batch, and the old
    /// one stays in the history. The same file again is no change.
    fn a_changed_profile_is_a_revision(database) {
        let world = World::synced(database, 30);
        let all = world.apple.some("Lab", 30);
        let mark = world.apple.mark();
        let note = ["--note", "for the library"];
        let told = world.edit_profile("standard", &profile_of("Library"), &note).exits(0);
        assert!(told.stdout.contains("department: not set -> \"Library\""), "{told}");
        assert!(told.stdout.contains("revision 2 of standard is in force"), "{told}");
        assert_eq!(world.apple.mark(), mark, "a revision alone asks Apple nothing");
        assert_eq!(world.settle(), [(world.profile_uuid("standard", "lab"), all.clone())]);
        assert_eq!(world.apple.count(mark, "POST", DEFINE), 1);
        assert_eq!(world.apple.count(mark, "GET", DEFINE), 1, "it is read back");
        assert!(world.table("lab").values().all(|device| device["wanted_revision"] == 2));

        let again = world.edit_profile("standard", &profile_of("Library"), &["--json"]).exits(0).object();
        assert_eq!((&again["changed"], &again["revision"]), (&false.into(), &2.into()), "{again}");
        assert_eq!(world.settle(), []);
        let revisions = world.objects(&["profile", "history", "standard"]);
        assert_eq!(history(&world, "standard"), [(2, "in force".to_owned()), (1, String::new())]);
        assert_eq!(text(&revisions[0], "note"), "for the library");
        assert_eq!(revisions[0]["difference"], json!(["department: not set -> \"Library\""]));
        assert!(revisions.iter().all(|revision| !text(revision, "author").is_empty()), "{revisions:?}");
        assert_eq!(revisions[1]["content"], serde_json::from_str::<serde_json::Value>(STANDARD).expect("JSON"));
        let old = world.object(&["profile", "show", "standard", "--revision", "1"]);
        assert!(old["content"]["department"].is_null(), "{old}");
        world.run(&["profile", "show", "standard", "--revision", "3"]).exits(2).complains("it has 1 to 2");
        let file = world.run(&["profile", "show", "standard", "--file", "toml"]).exits(0).stdout;
        let file = world.write("again.toml", file);
        world.run(&["profile", "diff", "standard", "--file", &file]).exits(0);
    }

    /// What Apple never sees is a revision here, and nothing there.
    fn what_apple_never_sees_costs_nothing(database) {
        let world = World::synced(database, 10);
        let file = world.write("ours.json", ours("one", "IT"));
        world.run(&["profile", "new", "ours", "--file", &file]).exits(0);
        world.run(&["server", "set", "lab", "--default", "any=ours"]).exits(0);
        world.settle();
        let (mark, uuid) = (world.apple.mark(), world.profile_uuid("ours", "lab"));
        let edited = world.edit_profile("ours", &ours("two", "IT"), &["--json"]).exits(0).object();
        assert_eq!((&edited["changed"], &edited["revision"]), (&true.into(), &2.into()), "{edited}");
        assert_eq!(world.settle(), [], "the devices have it already");
        assert_eq!(world.apple.count(mark, "POST", DEFINE), 0);
        assert_eq!(world.profile_uuid("ours", "lab"), uuid);
        assert!(world.table("lab").values().all(|device| device["wanted_revision"] == 2));
    }

    /// Going back makes a revision that says what the earlier one says; Apple knows it already.
    fn rolling_back_defines_nothing(database) {
        let world = World::synced(database, 20);
        let all = world.apple.some("Lab", 20);
        let first = world.profile_uuid("standard", "lab");
        world.run(&["profile", "rollback", "standard"]).exits(2).complains("was ever in force");
        world.edit_profile("standard", &profile_of("Library"), &[]).exits(0);
        world.settle();
        let (mark, second) = (world.apple.mark(), world.profile_uuid("standard", "lab"));
        assert_ne!(first, second);
        let told = world.run(&["profile", "rollback", "standard", "--note", "too early"]).exits(0).stdout;
        assert!(told.contains("revision 3 of standard is in force, and says what revision 1 says"), "{told}");
        assert_eq!(world.settle(), [(first.clone(), all.clone())]);
        assert_eq!(world.apple.count(mark, "POST", DEFINE), 0, "Apple has it already");
        assert_eq!(world.profile_uuid("standard", "lab"), first);
        assert_eq!(history(&world, "standard").len(), 3);
        assert_eq!(text(&world.objects(&["profile", "history", "standard"])[0], "note"), "too early");

        let again = world.object(&["profile", "rollback", "standard", "--to", "1"]);
        assert_eq!(again["changed"], false, "{again}");
        world.run(&["profile", "rollback", "standard", "--to", "9"]).exits(2).complains("it has 1 to 3");
        world.run(&["profile", "rollback", "standard", "--to", "2"]).exits(0);
        assert_eq!(world.settle(), [(second, all)]);
        assert_eq!(world.apple.count(mark, "POST", DEFINE), 0);
    }

    /// What was given up in the middle of its roll-out was never in force.
    fn an_aborted_revision_is_not_gone_back_to(database) {
        let world = World::synced(database, 5);
        world.edit_profile("standard", &profile_of("Library"), &["--percent", "10"]).exits(0);
        world.run(&["profile", "rollback", "standard"]).exits(2).complains("--abort");
        world.run(&["profile", "rollout", "standard", "--abort"]).exits(0);
        world.edit_profile("standard", &profile_of("Lobby"), &[]).exits(0);
        let told = world.run(&["profile", "rollback", "standard"]).exits(0).stdout;
        assert!(told.contains("revision 4 of standard is in force, and says what revision 1 says"), "{told}");
    }

    /// A change that is taken back before anybody got it was none, as far as Apple and the devices are concerned.
    fn a_change_that_nobody_got_costs_nothing(database) {
        let world = World::synced(database, 10);
        let (mark, uuid) = (world.apple.mark(), world.profile_uuid("standard", "lab"));
        world.edit_profile("standard", &profile_of("Library"), &[]).exits(0);
        world.run(&["profile", "rollback", "standard"]).exits(0);
        assert_eq!(world.profile_uuid("standard", "lab"), uuid, "it is known at once");
        assert_eq!(world.settle(), []);
        assert_eq!(world.apple.count(mark, "POST", DEFINE), 0);
        assert!(world.table("lab").values().all(|device| device["wanted_revision"] == 3));
    }

    /// A change that was made from an older revision than the newest is refused; of two at once one is.
    fn a_stale_change_is_refused(database) {
        let world = World::synced(database, 5);
        world.edit_profile("standard", &profile_of("Library"), &["--if-revision", "1"]).exits(0);
        let before = world.decided();
        let late = world.edit_profile("standard", &profile_of("Lobby"), &["--if-revision", "1"]).exits(2);
        late.complains("revision 2 by now").complains("adelie profile diff standard");
        assert_eq!(world.decided(), before);

        let files: Vec<_> =
            (0..4).map(|n| world.write(&format!("{n}.json"), profile_of(&format!("Room {n}")))).collect();
        let running: Vec<_> = files
            .iter()
            .map(|file| world.start(&["profile", "edit", "standard", "--file", file, "--if-revision", "2"]))
            .collect();
        let mut codes: Vec<_> = running.into_iter().map(|run| run.wait().code).collect();
        codes.sort_unstable();
        assert_eq!(codes, [Some(0), Some(2), Some(2), Some(2)]);
        assert_eq!(history(&world, "standard")[0].0, 3);
    }

    /// Two profiles that say the same are one to Apple.
    fn equal_profiles_are_defined_once(database) {
        let world = World::ready(database, Settings { devices: 40, ..Settings::default() });
        world.add_profile("twin", STANDARD);
        world.run(&["server", "set", "lab", "--default", "mac=twin"]).exits(0);
        world.settle();
        assert_eq!(world.apple.count(0, "POST", DEFINE), 1);
        assert_eq!(world.profile_uuid("twin", "lab"), world.profile_uuid("standard", "lab"));
        // From one to the other is no way for a device.
        world.run(&["server", "set", "lab", "--default", "ipad=twin"]).exits(0);
        assert_eq!(world.settle(), []);
    }

    /// How `profile diff` ends tells scripts whether there is a difference.
    fn differences_are_told(database) {
        let world = World::synced(database, 2);
        let (same, other) = (world.write("same.json", STANDARD), world.write("other.json", profile_of("Library")));
        world.run(&["profile", "diff", "standard"]).exits(2).complains("one revision");
        world.run(&["profile", "diff", "standard", "--file", &same]).exits(0);
        let told = world.run(&["profile", "diff", "standard", "--file", &other]).exits(2);
        assert!(told.stdout.contains("department: not set -> \"Library\"") && told.stderr.is_empty(), "{told}");
        world.edit_profile("standard", &profile_of("Library"), &[]).exits(0);
        world.run(&["profile", "rollback", "standard"]).exits(0);
        let told = world.run(&["profile", "diff", "standard", "--json"]).exits(2).object();
        assert_eq!(told["difference"], json!([{ "path": "department", "before": "Library", "after": null }]));
        let none = world.run(&["profile", "diff", "standard", "--from", "1", "--to", "3"]).exits(0);
        assert!(none.stdout.contains("no difference"), "{none}");
        world.run(&["profile", "diff", "standard", "--from", "7"]).exits(2).complains("it has 1 to 3");
        world.run(&["profile", "diff", "nothing"]).exits(2).complains("the profiles are standard");
    }

    /// A profile that is given by a rule or a default stays; one that is not given goes, and comes back with its history.
    fn a_profile_is_removed_and_comes_back(database) {
        let world = World::synced(database, 20);
        world.add_profile_of("Macs");
        world.edit_profile("Macs", &profile_of("Mac pool"), &[]).exits(0);
        world.run(&["rule", "add", "macs", "--when", "family=mac", "--profile", "Macs"]).exits(0);
        world.run(&["server", "set", "lab", "--default", "ipad=Macs"]).exits(0);
        world.settle();
        let uuid = world.profile_uuid("Macs", "lab");
        let refused = world.run(&["profile", "remove", "Macs"]).exits(2);
        refused.complains("rule macs").complains("MDM server lab").complains("nothing was changed");
        world.run(&["rule", "remove", "macs"]).exits(0);
        world.run(&["profile", "remove", "Macs"]).exits(2).complains("MDM server lab");
        world.run(&["server", "set", "lab", "--default", "ipad="]).exits(0);
        world.run(&["profile", "remove", "Macs"]).exits(0);
        world.run(&["profile", "show", "Macs"]).exits(2).complains("the profiles are standard");
        world.run(&["profile", "history", "Macs"]).exits(2);
        assert_eq!(world.objects(&["profile", "list"]).len(), 1);
        assert!(!world.decided().contains_key("profiles/Macs.toml"));
        world.settle();

        let mark = world.apple.mark();
        world.add_profile("Macs", &profile_of("Mac pool"));
        let numbers: Vec<_> = history(&world, "Macs").into_iter().map(|(number, _)| number).collect();
        assert_eq!(numbers, [3, 2, 1]);
        world.run(&["server", "set", "lab", "--default", "ipad=Macs"]).exits(0);
        world.settle();
        assert_eq!(world.apple.count(mark, "POST", DEFINE), 0, "Apple knows it from before");
        assert_eq!(world.profile_uuid("Macs", "lab"), uuid);
    }

    /// What Apple shows otherwise than it was sent is told, wherever the profile is shown, and holds nothing up.
    fn what_apple_shows_otherwise_is_told(database) {
        let world = World::ready(database, Settings { devices: 5, ..Settings::default() });
        let body = STANDARD.replace("\"Siri\", ", "");
        world.apple.fault(Fault {
            method: Some("GET".to_owned()), path: Some(DEFINE.to_owned()), status: Some(200), body: Some(body),
            ..Fault::default()
        });
        world.settle();
        let shown = world.object(&["profile", "show", "standard"]);
        assert!(text(&shown["published"][0], "differs").contains("skip_setup_items"), "{shown}");
        let told = world.run(&["profile", "show", "standard"]).exits(0).stdout;
        assert!(told.contains("skip_setup_items than was sent"), "{told}");
        // It is the same profile at Apple when one comes back to it.
        world.edit_profile("standard", &profile_of("Library"), &[]).exits(0);
        world.settle();
        world.run(&["profile", "rollback", "standard"]).exits(0);
        world.settle();
        let shown = world.object(&["profile", "show", "standard"]);
        assert!(text(&shown["published"][0], "differs").contains("skip_setup_items"), "{shown}");
    }

    /// That a profile cannot be read back is no reason not to use it.
    fn a_profile_that_cannot_be_read_back_is_used(database) {
        let world = World::ready(database, Settings { devices: 5, ..Settings::default() });
        world.apple.fault(Fault {
            method: Some("GET".to_owned()), path: Some(DEFINE.to_owned()), status: Some(500), times: Some(0),
            ..Fault::default()
        });
        world.settle();
        let shown = world.object(&["profile", "show", "standard"]);
        assert!(shown["published"][0]["differs"].is_null() && shown["published"][0]["error"].is_null(), "{shown}");
        assert_eq!(world.apple.count(0, "POST", DEFINE), 1);
    }
}
