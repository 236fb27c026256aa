//! Profiles in our form, those of other systems, and the catalogue of panes. None of it needs a database.

use adelie_simulator::Settings;
use serde_json::{Value, json};

use crate::harness::{Database, World, text};

const MACS: &str = r#"
name = "Macs"
platforms = ["macOS 26.1"]
url = "https://mdm.example.org/enroll"
user_affinity = "web"
locked = true
supervising_host_certs = [{ file = "certs/host.pem" }]

[panes]
skip = ["Siri"]
"#;

const PEM: &str = "-----BEGIN CERTIFICATE-----\nMAMC\nAQU=\n-----END CERTIFICATE-----\n";

const PRESTAGE: &str = include_str!("../../crates/profile/samples/jamf-computer-prestage.json");
const INTUNE: &str = include_str!("../../crates/profile/samples/intune-macos.json");

fn world() -> World {
    World::empty(Database::Sqlite, Settings::default())
}

/// The world with a profile and the certificate that it names.
fn with_macs() -> (World, String) {
    let world = world();
    std::fs::create_dir(world.path("certs")).expect("a folder");
    world.write("certs/host.pem", PEM);
    let file = world.write("macs.toml", MACS);
    (world, file)
}

/// Paths of files are relative to the profile, whatever the working directory is.
#[test]
fn our_form_is_valid_and_its_mistakes_are_told() {
    let (world, file) = with_macs();
    let run = world.run(&["profile", "validate", &file]).exits(0);
    assert!(run.stdout.contains("macs.toml: valid\n"), "{run}");

    let bad = world.write("bad.toml", MACS.replace("locked", "lockd").replace("host.pem", "gone.pem"));
    let findings = world.run(&["profile", "validate", &bad, "--json"]).exits(2).objects();
    let fix =
        |path: &str| findings.iter().find(|one| one["path"] == path).map(|one| text(one, "fix").to_owned());
    assert_eq!(fix("lockd").as_deref(), Some("write `locked` if that was meant"));
    assert!(
        fix("supervising_host_certs[0].file").is_some_and(|fix| fix.contains("relative")),
        "{findings:?}"
    );

    let odd = world
        .write("odd.yaml", "name: M\nurl: http://mdm.example.org/\nplatforms: [macOS]\nmulti_user: true\n");
    let warnings = world.run(&["profile", "validate", &odd, "--json"]).exits(0).objects();
    let told: Vec<_> =
        warnings.iter().map(|one| (text(one, "rule"), text(one, "path"), &one["value"])).collect();
    assert_eq!(
        told,
        [
            ("https", "url", &json!("http://mdm.example.org/")),
            ("ignored-by-platform", "multi_user", &json!(true)),
        ]
    );
    assert!(!world.data_dir().exists());
}

/// A password in a file is neither in the findings nor anywhere else that is printed.
#[test]
fn a_password_is_never_printed() {
    let world = world();
    let file = world.write(
        "secret.toml",
        "name = 'M'\nurl = 'https://m.example/'\n[accounts.administrator]\nshort_name = 'Root'\n\
         pasword = 'hunter2'\npassword = { given = 'hunter2\\thunter2' }\n",
    );
    for args in [&["profile", "validate", &file][..], &["profile", "validate", &file, "--json"]] {
        let run = world.run(args).exits(2);
        assert!(!run.stdout.contains("hunter2") && !run.stderr.contains("hunter2"), "{run}");
    }
}

on_both_databases! {
    /// What Apple gets of our form is stored; account settings cannot be, and that is said.
    fn our_form_is_stored(database) {
        let world = World::empty(database, Settings::default());
        let file = world.write("macs.toml", MACS.replace("supervising_host_certs = [{ file = \"certs/host.pem\" }]", ""));
        world.run(&["profile", "new", "macs", "--file", &file]).exits(0);
        let shown = world.object(&["profile", "show", "macs"]);
        assert_eq!(
            shown["content"],
            json!({
                "profile_name": "Macs", "url": "https://mdm.example.org/enroll",
                "configuration_web_url": "https://mdm.example.org/enroll", "await_device_configured": true,
                "is_supervised": true, "is_mdm_removable": false, "skip_setup_items": ["Siri"],
            })
        );
        let accounts = world.write(
            "accounts.toml",
            "name = 'M'\nurl = 'https://m.example/'\n[accounts.administrator]\nshort_name = 'localadmin'\n\
             password = 'generated'\n",
        );
        world.run(&["profile", "new", "m", "--file", &accounts]).exits(0);
        let shown = world.object(&["profile", "show", "m"]);
        assert!(shown["content"]["accounts"].is_null(), "Apple gets none of it: {shown}");
        assert_eq!(shown["document"]["accounts"]["administrator"]["short_name"], "localadmin", "{shown}");
    }
}

/// A prestage becomes a file that is valid once the URL is filled in.
#[test]
fn a_prestage_is_imported() {
    let world = world();
    let file = world.write("prestage.json", PRESTAGE);
    let run = world.run(&["profile", "import", &file]).exits(0);
    assert!(run.stdout.contains("# fill in url: ") && run.stdout.contains("name = \"Macs of IT\""), "{run}");
    assert!(!run.stdout.contains("hunter2") && !run.stderr.contains("hunter2"), "{run}");
    for told in ["no equivalent: defaultPrestage = true", "unknown: skipSetupItems.newKey", "fill in: url"] {
        assert!(run.stderr.contains(told), "{told}\n{run}");
    }
    let filled =
        world.write("macs.toml", format!("url = \"https://mdm.example.org/enroll\"\n{}", run.stdout));
    world.run(&["profile", "validate", &filled]).exits(0);

    let yaml = world.path("macs.yaml");
    let run = world.run(&["profile", "import", &file, "--from", "jamf", "--out", &yaml]).exits(0);
    assert!(run.stdout.is_empty(), "{run}");
    let written = std::fs::read_to_string(&yaml).expect("written");
    assert!(written.contains("name: Macs of IT"), "{written}");
    world
        .run(&["profile", "import", &file, "--out", &yaml])
        .exits(2)
        .complains("already")
        .complains("hint: ");
    assert_eq!(std::fs::read_to_string(&yaml).expect("still there"), written);
    assert!(!world.data_dir().exists());
}

/// A listing becomes a file per profile, or nothing at all.
#[test]
fn a_listing_is_imported_to_a_folder() {
    let world = world();
    let profile: Value = serde_json::from_str(INTUNE).expect("JSON");
    let listing = world.write("all.json", json!({"value": [profile, profile]}).to_string());
    world.run(&["profile", "import", &listing]).exits(2).complains("2 profiles").complains("--out DIR");
    let folder = world.path("profiles");
    world.run(&["profile", "import", &listing, "--format", "yaml", "--out", &folder]).exits(0);
    for name in ["macs.yaml", "macs-2.yaml"] {
        assert!(std::fs::exists(world.path(&format!("profiles/{name}"))).expect("readable"), "{name}");
    }
    std::fs::remove_file(world.path("profiles/macs.yaml")).expect("removed");
    world
        .run(&["profile", "import", &listing, "--format", "yaml", "--out", &folder])
        .exits(2)
        .complains("macs-2");
    assert!(
        !std::fs::exists(world.path("profiles/macs.yaml")).expect("readable"),
        "nothing was half-written"
    );

    let objects = world.run(&["profile", "import", &listing, "--json"]).exits(0).objects();
    assert_eq!(objects.len(), 2);
    assert_eq!(objects[0]["document"]["user_affinity"], "web");
    assert!(objects[0]["notes"].as_array().is_some_and(|notes| !notes.is_empty()));
    for (content, told) in [("[]", "cannot be read as JSON"), ("{\"a\": 1}", "no enrollment profile")] {
        let bad = world.write("bad.json", content);
        world.run(&["profile", "import", &bad]).exits(2).complains(told).complains("hint: ");
    }
    world.run(&["profile", "import", &world.path("gone.json")]).exits(2).complains("cannot be read");
}

#[test]
fn skip_keys_are_listed_by_system_and_by_profile() {
    let (world, file) = with_macs();
    let keys = |args: &[&str]| {
        let args = [&["profile", "skip-keys"], args, &["--json"]].concat();
        world.run(&args).exits(0).objects().iter().map(|one| text(one, "key").to_owned()).collect::<Vec<_>>()
    };
    assert!(keys(&[]).len() > 50);
    let mac = keys(&["--os", "macos", "--version", "26.1"]);
    assert!(
        mac.iter().any(|key| key == "OSShowcase") && !mac.iter().any(|key| key == "Wallpaper"),
        "{mac:?}"
    );
    let uncovered = keys(&["--uncovered-by", &file]);
    assert_eq!(uncovered.len(), mac.len() - 1);
    assert!(!uncovered.iter().any(|key| key == "Siri"));

    let table = world.run(&["profile", "skip-keys", "--os", "macOS"]).exits(0).stdout;
    assert!(table.starts_with("KEY") && table.contains("macOS 14.1 (removed 26.0)"), "{table}");
    assert!(!table.contains("iOS 7.0"), "{table}");
    world.run(&["profile", "skip-keys", "--os", "Windows"]).exits(2);
    world.run(&["profile", "skip-keys", "--version", "26.1"]).exits(2);
    let nowhere = world.write("nowhere.yaml", "name: M\nurl: https://m.example/\n");
    world.run(&["profile", "skip-keys", "--uncovered-by", &nowhere]).exits(2).complains("--os");
    assert!(!world.data_dir().exists());
}

/// The published schema is what the program prints.
#[test]
fn the_schema_is_printed() {
    let world = world();
    let printed = world.run(&["profile", "schema"]).exits(0).stdout;
    let published = include_str!("../../docs/profile.schema.json");
    assert_eq!(printed, published, "run `adelie profile schema > docs/profile.schema.json`");
}
