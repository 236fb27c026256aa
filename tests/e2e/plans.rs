//! A folder of files as the whole of what is decided: planned, applied, exported.

use std::path::Path;

use adelie_simulator::control::AddDevices;
use adelie_simulator::{Command, Settings};

use crate::harness::{Database, STANDARD, World, files, profile_of, text};

/// `lab` with profiles, rules and settings.
fn decided_world(database: Database) -> World {
    let world = World::synced(database, 40);
    world.add_profile_of("Macs");
    world.add_profile_of("Carts");
    let serials = world.apple.some("Lab", 25);
    let list = world.write("carts.csv", serials.join("\n"));
    world
        .run(&["rule", "add", "carts", "--when", "tag=cart", "--serials", &list, "--profile", "Carts"])
        .exits(0);
    let rule = ["rule", "add", "macs", "--when", "family=mac", "--profile", "Macs", "--server", "lab"];
    world.run(&rule).exits(0);
    let set =
        ["server", "set", "lab", "--default", "ipad=Carts", "--delta-interval", "90m", "--drift", "report"];
    world.run(&set).exits(0);
    world.settle();
    world
}

/// Exports to a new folder.
fn exported(world: &World, name: &str) -> String {
    let folder = world.path(name);
    world.run(&["export", &folder]).exits(0);
    folder
}

/// Changes a file of a folder.
#[track_caller]
fn change(folder: &str, file: &str, from: &str, to: &str) {
    let path = Path::new(folder).join(file);
    let text = std::fs::read_to_string(&path).expect("a file");
    assert!(text.contains(from), "{from} is not in {text}");
    std::fs::write(&path, text.replacen(from, to, 1)).expect("a file");
}

fn put(folder: &str, file: &str, text: &str) {
    let path = Path::new(folder).join(file);
    std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
    std::fs::write(path, text).expect("a file");
}

on_both_databases! {
    /// What is exported is what is decided: planning it finds nothing, nor does another installation after applying it.
    fn an_export_round_trips(database) {
        let other = if database.is_postgres() { Database::postgres().expect("there is one") } else { Database::Sqlite };
        let world = decided_world(database);
        let folder = exported(&world, "ade");
        let names: Vec<_> = files(Path::new(&folder)).into_keys().collect();
        let all = ["lists/carts.csv", "profiles/Carts.toml", "profiles/Macs.toml", "profiles/standard.toml",
            "rules.toml", "servers.toml"];
        assert_eq!(names, all);
        for options in [&[][..], &["--prune"], &["--devices"]] {
            let run = world.run(&[&["plan", &folder], options].concat()).exits(0);
            assert!(run.stdout.contains("nothing to change") && run.stderr.is_empty(), "{run}");
        }
        let plan = world.object(&["plan", &folder]);
        assert_eq!((&plan["changes"], &plan["devices_moved"]), (&serde_json::json!([]), &0.into()), "{plan}");
        world.run(&["export", &folder]).exits(2).complains("has files in it already").complains("--overwrite");
        world.run(&["export", &folder, "--overwrite"]).exits(0);
        assert_eq!(files(Path::new(&folder)), world.decided());

        let second = World::empty(other, Settings { devices: 40, ..Settings::default() });
        second.onboard("lab", "Lab");
        second.run(&["apply", &folder, "--yes"]).exits(0);
        assert_eq!(second.decided(), world.decided());
        second.run(&["plan", &folder, "--prune"]).exits(0);
        second.settle();
        assert_eq!(second.have("Macs", "lab", "Lab"), world.have("Macs", "lab", "Lab"));
        assert_eq!(second.have("Carts", "lab", "Lab"), world.have("Carts", "lab", "Lab"));
    }

    /// A plan says what would change, in objects and devices, ends with 2, and touches nothing; applying it does just
    /// that, once.
    fn a_plan_is_shown_and_made(database) {
        let world = decided_world(database);
        let macs = world.apple.family("Lab", "Mac");
        let (before, mark) = (world.decided(), world.apple.mark());
        let folder = exported(&world, "ade");
        change(&folder, "profiles/Macs.toml", "\"Macs\"", "\"Mac pool\"");
        change(&folder, "servers.toml", "1h 30m", "2h");
        put(&folder, "profiles/Phones.json", &profile_of("Phones"));
        change(&folder, "rules.toml", "[[rule]]", "[[rule]]\nname = \"phones\"\nprofile = \"Phones\"\nwhen = [\"family=iphone\"]\n\n[[rule]]");

        let run = world.run(&["plan", &folder]).exits(2);
        for line in ["add profile Phones", "put revision 2 of profile Macs in force", "add rule phones, which gives Phones",
            "change the settings of lab", "department: \"Macs\" -> \"Mac pool\"", "Macs, revision 1", "Macs, revision 2"] {
            assert!(run.stdout.contains(line), "{line} is missing in {run}");
        }
        assert!(!run.stdout.contains(&macs[0]) && run.stderr.is_empty(), "{run}");
        let plan = world.run(&["plan", &folder, "--json"]).exits(2).object();
        let phones = world.apple.family("Lab", "iPhone");
        assert_eq!(plan["devices_looked_at"], 40, "{plan}");
        assert_eq!(plan["devices_moved"], macs.len() + phones.len(), "{plan}");
        assert_eq!(plan["changes"].as_array().map(Vec::len), Some(4), "{plan}");
        let mut moves: Vec<_> = plan["moves"].as_array().expect("a list").iter()
            .map(|one| (text(&one["to"], "profile"), one["devices"].as_u64().expect("a number"))).collect();
        moves.sort_unstable();
        assert_eq!(moves, [("Macs", macs.len() as u64), ("Phones", phones.len() as u64)]);
        assert_eq!(plan["devices"], serde_json::json!([]), "the list is on demand");
        let listed = world.run(&["plan", &folder, "--devices", "--json"]).exits(2).object();
        let mut serials: Vec<_> =
            listed["devices"].as_array().expect("a list").iter().map(|one| text(one, "serial_number")).collect();
        serials.sort_unstable();
        let mut wanted = [macs.clone(), phones.clone()].concat();
        wanted.sort_unstable();
        assert_eq!(serials, wanted);
        assert!(world.run(&["plan", &folder, "--devices"]).exits(2).stdout.contains(&macs[0]));
        assert_eq!((world.decided(), world.apple.mark()), (before.clone(), mark), "a plan touches nothing");

        // There is nobody to ask.
        let run = world.run(&["apply", &folder]).exits(2).complains("nothing was changed").complains("--yes");
        assert!(run.stdout.contains("add profile Phones"), "it is shown all the same: {run}");
        assert_eq!(world.decided(), before);

        let name = text(&plan, "plan").to_owned();
        world.run(&["apply", &folder, "--yes", "--plan", "000000000000"]).exits(2).complains(&name);
        assert_eq!(world.decided(), before);
        let made = world.run(&["apply", &folder, "--yes", "--plan", &name]).exits(0);
        assert!(made.stdout.contains("made: 4 changes"), "{made}");
        assert_eq!(world.apple.mark(), mark, "the devices follow with the next sync");
        let sent = world.settle();
        assert_eq!(sent.len(), 2, "{sent:?}");
        assert!(sent.contains(&(world.profile_uuid("Macs", "lab"), macs)), "{sent:?}");
        assert!(sent.contains(&(world.profile_uuid("Phones", "lab"), phones)), "{sent:?}");
        assert_eq!(world.apple.count(mark, "POST", "/profile"), 2, "each was defined once");

        let after = world.decided();
        let again = world.run(&["apply", &folder, "--yes"]).exits(0);
        assert!(again.stdout.contains("nothing to change"), "{again}");
        assert_eq!((world.decided(), world.settle()), (after, Vec::new()));
        world.run(&["plan", &folder]).exits(0);
        world.run(&["apply", &folder, "--yes", "--plan", &name]).exits(2);
    }

    /// A roll-out goes on while the folder says what is rolled out, and ends with a plan that says something else.
    fn a_folder_that_is_rolled_out_is_left_to_its_author(database) {
        let world = World::synced(database, 20);
        let folder = exported(&world, "ade");
        world.edit_profile("standard", &profile_of("Library"), &["--percent", "50"]).exits(0);
        let show = ["profile", "show", "standard", "--revision", "2", "--file", "toml"];
        put(&folder, "profiles/standard.toml", &world.run(&show).exits(0).stdout);
        world.run(&["plan", &folder]).exits(0);
        world.run(&["apply", &folder, "--yes"]).exits(0);
        assert_eq!(text(&world.objects(&["profile", "history", "standard"])[0], "standing"), "50 %");
        change(&folder, "profiles/standard.toml", "Library", "Lobby");
        world.run(&["apply", &folder, "--yes"]).exits(0);
        let history = world.objects(&["profile", "history", "standard"]);
        assert_eq!(history.iter().map(|one| text(one, "standing")).collect::<Vec<_>>(), ["in force", "", ""]);
    }

    /// The order of the rules is that of the file.
    fn rules_stand_as_in_the_file(database) {
        let world = decided_world(database);
        let folder = exported(&world, "ade");
        put(&folder, "rules.json", r#"{ "rule": [
            { "name": "macs", "profile": "Macs", "server": "lab", "when": ["family=mac"] },
            { "name": "new", "profile": "Macs", "when": ["tag=new"] },
            { "name": "carts", "profile": "Carts", "when": ["tag=cart"], "serials": "lists/carts.csv" } ] }"#);
        std::fs::remove_file(Path::new(&folder).join("rules.toml")).expect("gone");
        world.run(&["apply", &folder, "--yes"]).exits(0);
        let rules = world.objects(&["rule", "list"]);
        assert_eq!(rules.iter().map(|rule| text(rule, "name")).collect::<Vec<_>>(), ["macs", "new", "carts"]);
        assert_eq!(rules[2]["when"].as_array().map(Vec::len), Some(2), "{}", rules[2]);
        world.run(&["plan", &folder]).exits(0);
    }

    /// What the folder does not name stays, and is said to; with --prune it goes.
    fn what_is_not_named_stays_unless_it_is_pruned(database) {
        let world = decided_world(database);
        let before = world.decided();
        let folder = world.path("ade");
        put(&folder, "profiles/standard.json", STANDARD);
        put(&folder, "rules.toml", "");
        put(&folder, "servers.toml", "[lab.defaults]\nany = \"standard\"\n[lab.settings]\ndelta-interval = \"90m\"\n");
        let run = world.run(&["plan", &folder]).exits(0);
        assert!(run.stdout.contains("nothing to change"), "{run}");
        let run = run.complains("--prune");
        for left in ["profile Carts", "profile Macs", "rule carts", "rule macs", "default ipad=Carts at lab", "settings of lab"] {
            assert!(run.stderr.contains(left), "{left} is missing in {run}");
        }
        let left = world.object(&["plan", &folder])["left_alone"].as_array().map(Vec::len);
        assert_eq!(left, Some(6));
        world.run(&["apply", &folder, "--yes"]).exits(0);
        assert_eq!(world.decided(), before);

        let plan = world.run(&["plan", &folder, "--prune", "--json"]).exits(2).object();
        assert_eq!((plan["changes"].as_array().map(Vec::len), &plan["left_alone"]), (Some(6), &serde_json::json!([])));
        world.run(&["apply", &folder, "--prune", "--yes"]).exits(0);
        let after = world.decided();
        assert_eq!(after.keys().collect::<Vec<_>>(), ["profiles/standard.toml", "rules.toml", "servers.toml"]);
        assert!(!after["servers.toml"].contains("drift") && after["servers.toml"].contains("1h 30m"), "{after:?}");
        world.settle();
        assert_eq!(world.have("standard", "lab", "Lab").len(), 40);
        // What a folder is silent about altogether is not taken away.
        let silent = world.path("silent");
        put(&silent, "profiles/standard.json", STANDARD);
        world.run(&["plan", &silent, "--prune"]).exits(0);
    }

    /// Everything that is wrong with a folder is told at once, with its file, and nothing is changed.
    fn a_bad_folder_changes_nothing(database) {
        let world = decided_world(database);
        let before = world.decided();
        let folder = world.path("bad");
        put(&folder, "profiles/good.json", STANDARD);
        put(&folder, "profiles/bad.json", r#"{ "profile_name": "x", "url": "ftp://x.example", "departement": "IT" }"#);
        put(&folder, "profiles/twice.json", STANDARD);
        put(&folder, "profiles/twice.yaml", "profile_name: x\nurl: https://x.example\n");
        put(&folder, "rule.toml", "");
        put(&folder, "rules.toml", "[[rule]]\nname = \"x\"\nprofile = \"good\"\nwhen = [\"famly=mac\"]\n");
        put(&folder, "servers.toml", "[lab.settings]\ndelta-interval = \"soon\"\n");
        for command in [&["plan"][..], &["apply", "--yes"]] {
            let run = world.run(&[command, &[&folder]].concat()).exits(2);
            assert!(run.stdout.is_empty(), "{run}");
            for problem in ["profiles/bad.json: ", "ftp://", "profiles/twice.yaml: ", "rule.toml: ", "rules.toml: ", "famly",
                "servers.toml: ", "soon", "nothing was changed", "hint: "] {
                assert!(run.stderr.contains(problem), "{problem} is missing in {run}");
            }
        }
        let names = world.path("names");
        put(&names, "profiles/good.json", STANDARD);
        put(&names, "rules.toml", "[[rule]]\nname = \"x\"\nprofile = \"nobody\"\nserver = \"nowhere\"\n\n[[rule]]\nname = \"y\"\nprofile = \"good\"\nserials = \"lists/none.csv\"\n");
        let run = world.run(&["plan", &names]).exits(2);
        assert!(run.stderr.contains("lists/none.csv"), "{run}");
        put(&names, "lists/none.csv", "C02A\n");
        put(&names, "servers.toml", "[elsewhere.defaults]\nany = \"good\"\n[lab.defaults]\nmac = \"nothing\"\n");
        let run = world.run(&["apply", &names, "--yes"]).exits(2);
        for problem in ["no profile nobody", "no MDM server nowhere", "no MDM server elsewhere", "no profile nothing"] {
            assert!(run.stderr.contains(problem), "{problem} is missing in {run}");
        }
        world.run(&["plan", &world.path("nowhere")]).exits(2).complains("nowhere");
        let empty = world.path("empty");
        std::fs::create_dir(&empty).expect("a folder");
        world.run(&["apply", &empty, "--yes", "--prune"]).exits(2).complains("is it the right folder?");
        assert_eq!(world.decided(), before);
    }

    /// A plan that was reviewed is made, or nothing is: not when something was decided since.
    fn an_older_plan_is_refused(database) {
        let world = decided_world(database);
        let folder = exported(&world, "ade");
        change(&folder, "profiles/Macs.toml", "\"Macs\"", "\"Mac pool\"");
        let plan = world.run(&["plan", &folder, "--json"]).exits(2).object();
        let again = world.run(&["plan", &folder, "--json"]).exits(2).object();
        assert_eq!(plan, again, "the same plan has the same name");
        // Something that has nothing to do with it is something else all the same.
        world.run(&["rule", "add", "more", "--when", "tag=x", "--profile", "Carts"]).exits(0);
        let before = world.decided();
        let late = world.run(&["apply", &folder, "--yes", "--plan", text(&plan, "plan")]).exits(2);
        late.complains("nothing was changed").complains("adelie plan");
        assert_eq!(world.decided(), before);
        // So is a device that has come meanwhile and would get something else.
        let plan = world.run(&["plan", &folder, "--json"]).exits(2).object();
        world.apple.tell(Command::AddDevices(AddDevices {
            server: Some("Lab".to_owned()), count: 3, device_family: Some("Mac".to_owned()), ..AddDevices::default()
        }));
        world.run(&["sync", "lab", "--force"]).exits(0);
        world.run(&["apply", &folder, "--yes", "--plan", text(&plan, "plan")]).exits(2);
        assert_eq!(world.decided(), before);
        // Of two at once from the same state, what is made is one of them whole and then the other.
        let name = text(&world.run(&["plan", &folder, "--json"]).exits(2).object(), "plan").to_owned();
        let running: Vec<_> =
            (0..4).map(|_| world.start(&["apply", &folder, "--yes", "--plan", &name])).collect();
        let done = running.into_iter().filter_map(|run| (run.wait().code == Some(0)).then_some(())).count();
        assert_eq!(done, 1, "it is made once");
        let revisions = world.objects(&["profile", "history", "Macs"]);
        assert_eq!(revisions.len(), 2);
    }

    /// An `apply` that is killed at any moment has made all of its plan or nothing. `ADELIE_KILL_SEED` (1) chooses the
    /// moments.
    fn a_killed_apply_is_all_or_nothing(database) {
        let world = decided_world(database);
        let one = exported(&world, "one");
        let two = exported(&world, "two");
        for n in 0..30 {
            put(&two, &format!("profiles/p{n}.json"), &profile_of(&format!("Room {n}")));
        }
        let rules: String = (0..30)
            .map(|n| format!("[[rule]]\nname = \"r{n}\"\nprofile = \"p{n}\"\nwhen = [\"asset-tag={n}\"]\n\n"))
            .collect();
        put(&two, "rules.toml", &rules);
        change(&two, "servers.toml", "1h 30m", "2h");
        let apply = |folder: &str| world.start(&["apply", folder, "--yes", "--prune"]);
        let first = world.decided();
        let began = std::time::Instant::now();
        apply(&two).wait().exits(0);
        let whole = began.elapsed();
        let second = world.decided();
        assert_ne!(first, second);

        let seed = std::env::var("ADELIE_KILL_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1_u64);
        let mut dice = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let mut now = second.clone();
        for round in 0..10 {
            let (folder, wanted) = if now == first { (&two, &second) } else { (&one, &first) };
            let mut run = apply(folder);
            dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            // Late rather than early: it begins with reading, and writes at its end.
            let share = 40 + u32::try_from((dice >> 33) % 60).expect("a small number");
            std::thread::sleep(whole * share / 100);
            run.kill();
            let found = world.decided();
            assert!(found == now || found == *wanted, "round {round} of seed {seed}: neither one nor the other");
            now = found;
        }
        apply(&two).wait().exits(0);
        assert_eq!(world.decided(), second);
    }
}
