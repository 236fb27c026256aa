//! Bypass codes and administrator passwords: kept before anybody is told of them, sealed, and shown with a reason only.

use std::path::Path;

use adelie_simulator::Fault;
use serde_json::Value;

use crate::harness::{Background, World, eventually, text};
use crate::secrets::{holds, mode, stored};

const LOCK: &str = "/device/activationlock";
const REASON: [&str; 2] = ["--reason", "ticket 4711"];

/// The codes of a device as somebody sees who has a reason.
fn codes(world: &World, serial: &str) -> Vec<Value> {
    world.objects(&[&["activation-lock", "code", serial][..], &REASON].concat())
}

fn lock(world: &World, serial: &str, code: i32) -> Value {
    world.run(&["activation-lock", "lock", serial, "--yes", "--json"]).exits(code).object()
}

fn on_lock(fault: Fault) -> Fault {
    Fault { path: Some(LOCK.to_owned()), ..fault }
}

/// Runs the program until it stands still at a point, and kills it there.
fn kill_at(world: &World, point: &str, args: &[&str]) {
    let mut victim: Background = world.start_with(&[("ADELIE_HALT_AT", point)], args);
    let said = format!("halted at {point}\n");
    eventually("a halt", || victim.log().contains(&said).then_some(()));
    victim.kill();
}

on_both_databases! {
    /// Apple gets the hash of the code that is kept; the code is shown to whoever gives a reason, and nowhere else.
    fn a_device_is_locked_and_the_code_is_kept(database) {
        let world = World::synced(database, 20);
        let mac = world.apple.family("Lab", "Mac").remove(0);
        let asked = world.run(&["activation-lock", "lock", &mac]).exits(2);
        assert!(asked.stderr.contains("nobody to ask") && asked.stderr.contains("--yes"), "{asked}");
        let mark = world.apple.mark();
        let told = lock(&world, &mac, 0);
        assert_eq!((text(&told, "state"), text(&told, "serial_number")), ("active", mac.as_str()));
        assert_eq!(world.apple.count(mark, "POST", LOCK), 1);

        let refused = world.run(&["activation-lock", "code", &mac]).exits(2);
        assert!(refused.stderr.contains("needs a reason") && refused.stdout.is_empty(), "{refused}");
        let shown = codes(&world, &mac);
        let [one] = shown.as_slice() else { panic!("one code: {shown:?}") };
        let code = text(one, "code").to_owned();
        assert_eq!(code.len(), 31);
        let listed = world.run(&["activation-lock", "list"]).exits(0);
        assert!(listed.stdout.contains(&mac) && !listed.stdout.contains(&code), "{listed}");
        assert!(world.objects(&["activation-lock", "list"])[0]["viewed_at"].is_string());
        let bytes = stored(&world);
        assert!(!holds(&bytes, code.as_bytes()), "the code is not sealed");
        let hash = world.object(&["activation-lock", "new", "--of", &code]);
        let hash = text(&hash, "escrow_key");
        assert!(!holds(&bytes, hash.as_bytes()), "the hash is stored");
        assert_eq!(world.apple.mentions(mark, LOCK, hash), 1, "Apple has the hash of another code");

        // Apple refuses to lock it once more; what is kept stays, and nothing is offered that was never used.
        let again = lock(&world, &mac, 1);
        assert_eq!(text(&again, "state"), "refused");
        assert_eq!(codes(&world, &mac).len(), 1);
        world.run(&["activation-lock", "code", "NOSUCHSERIAL", "--reason", "x"]).exits(2).complains("no bypass code");
        world.run(&["activation-lock", "lock", "NOSUCHSERIAL", "--yes"]).exits(2).complains("no MDM server here");
    }

    /// When Apple's answer is lost, or the program is killed, the device may be locked: the code is there.
    fn a_code_outlives_whatever_happens_while_the_device_is_locked(database) {
        let world = World::synced(database, 20);
        let macs = world.apple.family("Lab", "Mac");
        world.apple.fault(on_lock(Fault { effect: true, cut: true, ..Fault::default() }));
        let told = lock(&world, &macs[0], 1);
        assert_eq!(text(&told, "state"), "escrowed");
        let first = text(&codes(&world, &macs[0])[0], "code").to_owned();
        // It was locked indeed, and the next try says so without losing the code.
        assert_eq!(text(&lock(&world, &macs[0], 1), "state"), "refused");
        assert_eq!(text(&codes(&world, &macs[0])[0], "code"), first);

        world.apple.clear_faults();
        kill_at(&world, "activation_lock.escrowed", &["activation-lock", "lock", &macs[1], "--yes"]);
        assert_eq!(text(&codes(&world, &macs[1])[0], "state"), "escrowed");
        kill_at(&world, "activation_lock.answered", &["activation-lock", "lock", &macs[2], "--yes"]);
        assert_eq!(text(&codes(&world, &macs[2])[0], "state"), "escrowed");
        assert_eq!(text(&lock(&world, &macs[2], 1), "state"), "refused", "Apple has locked it before");
        assert_eq!(codes(&world, &macs[2]).len(), 1);
    }

    /// A password is kept before the command that sets it is written; a look at it brings its end nearer; another takes
    /// its place once the Mac has it.
    fn a_password_is_kept_shown_and_replaced(database) {
        let world = World::synced(database, 20);
        let mac = world.apple.family("Lab", "Mac").remove(0);
        let make = |out: &str| {
            world.run(&["password", "make", &mac, "--guid", "GUID-1", "--out", out, "--json"])
        };
        let plist = world.path("first.plist");
        let first = make(&plist).exits(0).object();
        assert_eq!(mode(Path::new(&plist)), 0o600);
        let command = std::fs::read_to_string(&plist).expect("a command");
        assert!(command.contains("SetAutoAdminPassword") && command.contains("GUID-1"), "{command}");
        assert!(command.contains(text(&first, "command_uuid")));
        make(&plist).exits(2).complains("choose another file");
        assert_eq!(world.objects(&["password", "list"]).len(), 1, "nothing is kept for nothing");

        let show = || world.objects(&[&["password", "show", &mac][..], &REASON].concat());
        world.run(&["password", "show", &mac]).exits(2).complains("needs a reason");
        let id = text(&first, "id").to_owned();
        world.run(&["password", "settle", &id]).exits(0);
        let before = world.objects(&["password", "list"]);
        let shown = show();
        let password = text(&shown[0], "password").to_owned();
        assert!(password.len() >= 15, "{password}");
        assert!(text(&shown[0], "rotate_at") < text(&before[0], "rotate_at"), "{shown:?} {before:?}");
        assert!(!holds(&stored(&world), password.as_bytes()), "the password is not sealed");
        assert!(!command.contains(&password));

        assert!(world.objects(&["password", "list", "--due"]).is_empty());
        world.run(&["password", "rotate", &mac]).exits(0).complains("password make");
        assert_eq!(world.objects(&["password", "list", "--due"]).len(), 1);
        let second = make(&world.path("second.plist")).exits(0).object();
        assert_eq!(show().len(), 2, "until its fate is known, either may be the one");
        world.run(&["password", "settle", text(&second, "id")]).exits(0);
        let now = show();
        assert_eq!((now.len(), text(&now[0], "id")), (1, text(&second, "id")));
        assert_ne!(text(&now[0], "password"), password);
        world.run(&["password", "settle", &id]).exits(2).complains("password list");
        let locked = lock(&world, &mac, 0);
        world.run(&["password", "settle", text(&locked, "id")]).exits(2).complains("no password");
        assert_eq!(text(&codes(&world, &mac)[0], "state"), "active", "a bypass code is no password");

        // What a killed run leaves is kept as well.
        kill_at(&world, "password.escrowed",
            &["password", "make", &mac, "--guid", "GUID-1", "--out", &world.path("third.plist")]);
        assert_eq!(show().len(), 2);
        let third = world.objects(&["password", "list"]);
        let third = third.iter().find(|one| text(one, "state") == "escrowed").expect("the third");
        world.run(&["password", "settle", text(third, "id"), "--refused", "never sent"]).exits(0);
        assert_eq!(show().len(), 1);
    }

    /// What else a token is good for: signing for access management, beta programs, account-driven enrollment.
    fn the_other_uses_of_a_token(database) {
        let world = World::synced(database, 5);
        let jwt = world.object(&["token", "jwt", "lab"]);
        assert_eq!(text(&jwt, "jwt").split('.').count(), 3);
        let plain = world.run(&["token", "jwt", "lab"]).exits(0).stdout;
        assert_ne!(plain.trim(), text(&jwt, "jwt"), "each is good once");
        world.run(&["token", "jwt", "lab", "--service-type", "com.example"]).exits(2).complains("com.apple.maid");

        let programs = world.objects(&["server", "beta-tokens", "lab"]);
        assert!(programs.len() > 1 && !text(&programs[0], "token").is_empty(), "{programs:?}");

        let url = |args: &[&str]| {
            let object = world.object(&[&["server", "enrollment-url", "lab"][..], args].concat());
            object["mdm_service_discovery_url"].as_str().map(str::to_owned)
        };
        assert_eq!(url(&[]), None);
        let address = "https://mdm.example.org/enroll";
        assert_eq!(url(&["--set", address]).as_deref(), Some(address));
        assert_eq!(url(&[]).as_deref(), Some(address));
        world.run(&["server", "enrollment-url", "lab", "--set", "http://mdm.example.org"]).exits(2).complains("https");
        assert_eq!(url(&["--remove"]), None);
    }
}

/// A code is made, or read, without any database.
#[test]
fn a_code_for_another_mdm_is_made_without_a_database() {
    let home = tempfile::tempdir().expect("a folder");
    let run = |args: &[&str]| Background::start(home.path(), &[], args).wait();
    let made = run(&["activation-lock", "new", "--json"]).exits(0).object();
    let again = run(&["activation-lock", "new", "--of", text(&made, "code"), "--json"]).exits(0).object();
    assert_eq!(made, again);
    run(&["activation-lock", "new", "--of", "3UM43-PUYVY"]).exits(2).complains("26 letters and digits");
    assert!(
        std::fs::read_dir(home.path())
            .expect("a folder")
            .all(|entry| { entry.is_ok_and(|entry| !entry.file_name().to_string_lossy().contains("data")) })
    );
}
