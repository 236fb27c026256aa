//! Profile files with mistakes.

use adelie_simulator::Settings;

use crate::harness::{Database, STANDARD, World, text};

const BAD: &str = r#"{
  "profile_name": "",
  "url": "ftp://mdm.example.org/enroll",
  "is_mdm_removable": false,
  "is_supervised": "yes",
  "await_device_configured": 1,
  "skip_setup_items": ["Siri", "Sirri", 7],
  "departement": "IT"
}"#;

/// Every mistake is told at once, one JSON object each, with file, place, rule and fix; no database is needed.
#[test]
fn all_findings_at_once() {
    let world = World::empty(Database::Sqlite, Settings::default());
    let file = world.write("bad.json", BAD);
    let run = world.run(&["profile", "validate", &file, "--json"]).exits(2);
    let findings = run.objects();
    let paths: Vec<_> = findings.iter().map(|finding| text(finding, "path").to_owned()).collect();
    for wanted in [
        "profile_name",
        "url",
        "is_supervised",
        "await_device_configured",
        "skip_setup_items[2]",
        "departement",
    ] {
        assert!(paths.iter().any(|path| path == wanted), "{wanted} is missing in {paths:?}\n{run}");
    }
    for finding in &findings {
        for field in ["severity", "rule", "message", "fix"] {
            assert!(!text(finding, field).is_empty(), "{field} is missing in {finding}");
        }
        assert_eq!(text(finding, "file"), file);
    }
    let as_text = world.run(&["profile", "validate", &file]).exits(2);
    assert!(as_text.stdout.contains("not valid") && as_text.stdout.contains("departement"), "{as_text}");
    assert!(!world.data_dir().exists(), "validation needs no database and makes none");
}

/// A mistake of syntax is told with its line and column, in every format.
#[test]
fn mistakes_of_syntax_have_a_place() {
    let world = World::empty(Database::Sqlite, Settings::default());
    for (name, content) in [
        ("a.json", "{\n  \"profile_name\": \"A\",\n  \"url\" \"https://x.example\"\n}"),
        ("a.toml", "profile_name = \"A\"\nurl = https://x.example\n"),
        ("a.yaml", "profile_name: A\nurl: \"https://x.example\n"),
        ("list.json", "[1, 2]"),
        ("empty.toml", ""),
        ("latin.json", ""),
    ] {
        let file = world.write(name, content);
        if name == "latin.json" {
            std::fs::write(&file, b"{\"profile_name\": \"B\xfcro\"}").expect("a file");
        }
        let run = world.run(&["profile", "validate", &file, "--json"]).exits(2);
        if name.starts_with("a.") {
            let finding = run.objects().remove(0);
            assert!(finding["position"]["line"].as_u64().is_some_and(|line| line >= 2), "{run}");
        }
    }
}

/// Several files: each is told of, and one bad file makes the exit code.
#[test]
fn several_files() {
    let world = World::empty(Database::Sqlite, Settings::default());
    let (good, bad) = (world.write("good.json", STANDARD), world.write("bad.json", BAD));
    let run = world.run(&["profile", "validate", &good, &bad]).exits(2);
    assert!(run.stdout.contains("good.json: valid") && run.stdout.contains("bad.json: not valid"), "{run}");
    world.run(&["profile", "validate", &good]).exits(0);
    assert!(world.run(&["profile", "validate", &good, "--json"]).exits(0).stdout.is_empty());
}

on_both_databases! {
    /// A bad file is not stored; the good one of the same name is then taken; a second one is refused.
    fn a_bad_file_is_not_stored(database) {
        let world = World::empty(database, Settings::default());
        let (bad, good) = (world.write("bad.json", BAD), world.write("good.json", STANDARD));
        let run = world.run(&["profile", "new", "standard", "--file", &bad]).exits(2);
        run.complains("departement").complains("hint: ");
        assert!(world.objects(&["profile", "list"]).is_empty());
        world.run(&["profile", "new", "standard", "--file", &good]).exits(0);
        world.run(&["profile", "new", "standard", "--file", &good]).exits(2).complains("already exists");
        assert_eq!(world.objects(&["profile", "list"]).len(), 1);
        let shown = world.object(&["profile", "show", "standard"]);
        assert_eq!(shown["content"], serde_json::from_str::<serde_json::Value>(STANDARD).expect("JSON"));
    }
}
