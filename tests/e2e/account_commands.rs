//! The MDM commands that make the accounts of a profile, and where its passwords are: nowhere in plain text.

use std::path::Path;

use openssl::base64::decode_block;
use openssl::hash::MessageDigest;
use openssl::pkcs5::pbkdf2_hmac;

use crate::harness::{Database, World, text};
use crate::secrets::{holds, mode, stored};

const GIVEN: &str = "canary-Horse7-battery";

/// A profile with accounts; `password` as it stands in TOML.
fn staff(password: &str, department: &str) -> String {
    format!(
        r#"name = "Staff"
url = "https://mdm.example.org/enroll"
user_affinity = "web"
platforms = ["macOS 26.1"]
department = "{department}"

[accounts.primary]
type = "standard"
full_name = "{{{{username}}}}"
account_name = "{{{{partialupn}}}}"

[accounts.administrator]
short_name = "localadmin"
hidden = true
password = {password}
"#
    )
}

/// `lab` with a device and a profile with accounts.
fn world_of(database: Database, password: &str) -> (World, String) {
    let world = World::synced(database, 6);
    let file = world.write("staff.toml", staff(password, "IT"));
    world.run(&["profile", "new", "staff", "--file", &file]).exits(0);
    let serial = world.apple.some("Lab", 1).remove(0);
    (world, serial)
}

fn command<'a>(serial: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let who = ["--user", "Robin@example.org", "--full-name", "Robin Example"];
    [&["profile", "command", "staff", "--serial", serial][..], &who, more].concat()
}

/// What stands behind a key in a property list, in the next element.
fn value<'p>(plist: &'p str, key: &str) -> &'p str {
    let (_, rest) =
        plist.split_once(&format!("<key>{key}</key>")).unwrap_or_else(|| panic!("{key}: {plist}"));
    let (_, rest) = rest.split_once('>').expect("an element");
    rest.split_once('<').expect("its end").0.trim()
}

fn data(plist: &str, key: &str) -> Vec<u8> {
    let text: String = value(plist, key).split_whitespace().collect();
    decode_block(&text).expect("base64")
}

/// Whether the administrator of an `AccountConfiguration` signs in with a password.
fn opens(plist: &str, password: &str) -> bool {
    let hash = String::from_utf8(data(plist, "passwordHash")).expect("a property list in XML");
    let (entropy, salt) = (data(&hash, "entropy"), data(&hash, "salt"));
    let iterations = value(&hash, "iterations").parse().expect("a number");
    let mut computed = vec![0; entropy.len()];
    pbkdf2_hmac(password.as_bytes(), &salt, iterations, MessageDigest::sha512(), &mut computed)
        .expect("a hash");
    assert!(entropy.len() == 128 && salt.len() == 32, "{} and {}", entropy.len(), salt.len());
    computed == entropy
}

on_both_databases! {
    /// Both commands for a device, with its variables; one of them alone; as JSON.
    fn commands_for_a_device(database) {
        let (world, serial) = world_of(database, &format!("{{ given = \"{GIVEN}\" }}"));
        let run = world.run(&command(&serial, &[])).exits(0);
        assert_eq!(run.stdout.matches("<?xml").count(), 2, "{run}");
        let (accounts, configured) = (run.stdout.find("AccountConfiguration"), run.stdout.find("DeviceConfigured"));
        assert!(accounts.is_some() && accounts < configured, "{run}");
        assert_eq!(value(&run.stdout, "PrimaryAccountFullName"), "Robin Example");
        assert_eq!(value(&run.stdout, "PrimaryAccountUserName"), "robin");
        assert_eq!(value(&run.stdout, "shortName"), "localadmin");
        assert!(opens(&run.stdout, GIVEN) && !opens(&run.stdout, "canary-Horse7-batterY"));
        let one = world.run(&command(&serial, &["--only", "DeviceConfigured", "--json"])).exits(0).object();
        assert_eq!(text(&one, "request_type"), "DeviceConfigured");
        assert!(text(&one, "plist").contains(text(&one, "command_uuid")), "{one}");
        let other = world.run(&command(&serial, &["--only", "AccountConfiguration"])).exits(0).stdout;
        assert!(!other.contains("DeviceConfigured"), "{other}");
        assert_ne!(value(&other, "passwordHash"), value(&run.stdout, "passwordHash"), "each has its own salt");

        let missing = world.run(&["profile", "command", "staff", "--serial", &serial, "--full-name", "Robin"]).exits(2);
        assert!(missing.stdout.is_empty(), "{missing}");
        missing.complains("primary.account_name").complains("hint: give --user");
        let missing = world.run(&["profile", "command", "staff", "--serial", &serial, "--user", "robin@example.org"]);
        missing.exits(2).complains("primary.full_name").complains("hint: give --full-name");
        world.run(&["profile", "command", "nothing", "--serial", &serial]).exits(2).complains("the profiles are");
        // The device has another profile, and perhaps will have this one.
        run.complains("is to have profile standard");
        world.run(&command(&serial, &["--only", "EraseDevice"])).exits(2);
        world.run(&["profile", "command", "standard", "--serial", &serial, "--only", "AccountConfiguration"])
            .exits(2).complains("has no account settings");
    }

    /// A generated password is in the file that was asked for, readable by its owner alone, and nowhere else.
    fn a_generated_password_is_in_its_file_only(database) {
        let (world, serial) = world_of(database, "\"generated\"");
        let run = world.run(&command(&serial, &[])).exits(2);
        assert!(run.stdout.is_empty(), "{run}");
        run.complains("--password-out");
        let file = world.path("password");
        // A command that is not made leaves no password behind, so that it can be tried again.
        let args = ["profile", "command", "staff", "--serial", &serial, "--password-out", &file];
        world.run(&args).exits(2).complains("--full-name");
        assert!(!Path::new(&file).exists(), "a password of no command");

        let run = world.run(&command(&serial, &["--password-out", &file, "--json"])).exits(0);
        let password = std::fs::read_to_string(&file).expect("a password").trim_end().to_owned();
        assert_eq!((mode(Path::new(&file)), password.len()), (0o600, 20));
        assert!(opens(text(&run.objects()[0], "plist"), &password), "{run}");
        let shown = world.run(&["profile", "show", "staff"]).exits(0);
        let as_json = world.run(&["profile", "show", "staff", "--json"]).exits(0);
        let as_file = world.run(&["profile", "show", "staff", "--file", "toml"]).exits(0);
        assert!(as_file.stdout.contains("password = \"generated\""), "{as_file}");
        for quiet in [&run, &shown, &as_json, &as_file] {
            assert!(!quiet.to_string().contains(&password), "{quiet}");
        }
        assert!(!holds(&stored(&world), password.as_bytes()), "the password is in the database");

        let again = world.run(&command(&serial, &["--password-out", &file])).exits(2);
        assert!(again.stdout.is_empty(), "{again}");
        again.complains(&file);
        assert_eq!(std::fs::read_to_string(&file).expect("a password").trim_end(), password, "never overwritten");
        let nowhere = world.path("no such folder/password");
        world.run(&command(&serial, &["--password-out", &nowhere])).exits(2).complains("no such folder");
    }

    /// A password that is given is sealed: not in the database, not in what is shown, not in an export, which keeps it
    /// all the same.
    fn a_given_password_is_sealed_and_kept(database) {
        let (world, serial) = world_of(database, &format!("{{ given = \"{GIVEN}\" }}"));
        assert!(holds(&stored(&world), b"localadmin"), "one sees in the database what is not sealed");
        let quiet = |what: &str| {
            assert!(!holds(&stored(&world), GIVEN.as_bytes()), "the password is in the database after {what}");
        };
        quiet("profile new");
        let shown = world.run(&["profile", "show", "staff", "--file", "toml"]).exits(0).stdout;
        assert!(shown.contains("password = \"stored\"") && !shown.contains(GIVEN), "{shown}");
        for args in [&["profile", "show", "staff"][..], &["profile", "show", "staff", "--json"], &["profile", "history", "staff", "--json"], &["profile", "list", "--json"]] {
            let run = world.run(args).exits(0);
            assert!(!run.to_string().contains(GIVEN), "{run}");
        }
        let opens_still = |password: &str| {
            let run = world.run(&command(&serial, &["--only", "AccountConfiguration"])).exits(0);
            assert!(opens(&run.stdout, password), "another password than {password}");
        };

        // What was shown can be changed and given back.
        let file = world.write("again.toml", &shown);
        let same = world.object(&["profile", "edit", "staff", "--file", &file]);
        assert_eq!(same["changed"], false, "{same}");
        let file = world.write("again.toml", shown.replace("\"IT\"", "\"Library\""));
        world.run(&["profile", "edit", "staff", "--file", &file]).exits(0);
        opens_still(GIVEN);
        quiet("profile edit");
        world.run(&["profile", "rollback", "staff"]).exits(0);
        opens_still(GIVEN);

        let folder = world.path("ade");
        world.run(&["export", &folder]).exits(0);
        let texts = crate::harness::files(Path::new(&folder));
        assert!(texts["profiles/staff.toml"].contains("password = \"stored\""), "{texts:?}");
        assert!(texts.values().all(|text| !text.contains(GIVEN)), "{texts:?}");
        world.run(&["plan", &folder]).exits(0);
        let changed = texts["profiles/staff.toml"].replace("\"IT\"", "\"Lobby\"");
        std::fs::write(Path::new(&folder).join("profiles/staff.toml"), &changed).expect("a file");
        world.run(&["apply", &folder, "--yes"]).exits(0);
        opens_still(GIVEN);
        quiet("apply");

        // Another password, and nothing else, is another revision, and one is told so without being told which.
        let other = "canary-Cow8-stapler";
        let given = changed.replace("\"stored\"", &format!("{{ given = \"{other}\" }}"));
        std::fs::write(Path::new(&folder).join("profiles/staff.toml"), given).expect("a file");
        let plan = world.run(&["plan", &folder]).exits(2);
        assert!(plan.stdout.contains("a password") && !plan.to_string().contains(other), "{plan}");
        let file = Path::new(&folder).join("profiles/staff.toml").display().to_string();
        let diff = world.run(&["profile", "diff", "staff", "--file", &file]).exits(2);
        assert!(diff.stdout.contains("password") && !diff.to_string().contains(other), "{diff}");
        world.run(&["apply", &folder, "--yes"]).exits(0);
        opens_still(other);
        let again = world.run(&["apply", &folder, "--yes"]).exits(0);
        assert!(again.stdout.contains("nothing to change"), "the same password is no change: {again}");
        assert!(!holds(&stored(&world), other.as_bytes()), "the new password is in the database");

        // Nobody else has one that is stored.
        let elsewhere = world.write("elsewhere.toml", &shown);
        let run = world.run(&["profile", "new", "elsewhere", "--file", &elsewhere]).exits(2);
        run.complains("hint: ");
        world.run(&["profile", "validate", &elsewhere]);
        std::fs::copy(&elsewhere, Path::new(&folder).join("profiles/elsewhere.toml")).expect("a copy");
        world.run(&["plan", &folder]).exits(2).complains("profiles/elsewhere.toml: ");
    }

    /// A device that has a staged revision gets the accounts of that one.
    fn a_device_of_a_roll_out_gets_its_own_accounts(database) {
        let (world, _) = world_of(database, "\"generated\"");
        world.run(&["server", "set", "lab", "--default", "any=staff"]).exits(0);
        world.settle();
        let file = world.write("staff.toml", staff("\"generated\"", "IT").replace("localadmin", "helpdesk"));
        world.run(&["profile", "edit", "staff", "--file", &file, "--percent", "50"]).exits(0);
        world.settle();
        let mut names = std::collections::BTreeSet::new();
        for (serial, device) in world.table("lab") {
            let out = world.path(&serial);
            let run = world.run(&command(&serial, &["--password-out", &out, "--only", "AccountConfiguration"])).exits(0);
            let name = value(&run.stdout, "shortName").to_owned();
            let wanted = if device["wanted_revision"] == 2 { "helpdesk" } else { "localadmin" };
            assert_eq!(name, wanted, "{device}");
            names.insert(name);
        }
        assert_eq!(names.len(), 2, "both revisions are out there");
    }
}
