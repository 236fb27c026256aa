//! Killed at every step of a renewal: afterwards there is a token that works, and the same command ends well.

use crate::harness::{LAB, World, eventually, text};

/// Runs a command until it stands at a point, and kills it there.
#[track_caller]
fn kill_at(world: &World, point: &str, args: &[&str]) {
    let mut victim = world.start_with(&[("ADELIE_HALT_AT", point)], args);
    let said = format!("halted at {point}\n");
    eventually(&format!("it stands at {point}"), || {
        assert!(
            !victim.has_ended() || victim.log().contains(&said),
            "it never came to {point}:\n{}",
            victim.log()
        );
        victim.log().contains(&said).then_some(())
    });
    victim.kill();
}

fn in_use(world: &World) -> String {
    let tokens = world.objects(&["token", "history", "lab"]);
    let mut current = tokens.iter().filter(|token| token["in_use"] == true);
    let id = text(current.next().expect("one is in use"), "id").to_owned();
    assert!(current.next().is_none(), "{tokens:?}");
    id
}

/// The end of a renewal, as it must come whatever was killed before.
#[track_caller]
fn ends_well(world: &World, file: &str) {
    world.run(&["token", "renew", "lab", file]).exits(0);
    world.run(&["token", "check", "lab"]).exits(0);
    world.run(&["sync", "lab", "--force"]).exits(0);
    world.assert_exact("lab", LAB);
}

on_both_databases! {
    /// L40: killed while the key is made and its certificate written. The token in use is untouched, and the next
    /// run takes up what is there.
    fn while_the_key_is_made(database) {
        let world = World::synced(database, 3);
        for point in ["token.key_made", "token.key_stored", "token.certificate_written"] {
            let before = in_use(&world);
            let certificate = format!("{point}.pem");
            let renew = ["token", "renew", "lab", "--out", &certificate];
            kill_at(&world, point, &renew);
            assert_eq!(in_use(&world), before, "{point}");
            world.run(&["token", "check", "lab"]).exits(0);
            let run = world.run(&renew).exits(1);
            assert_eq!(run.stdout.contains("interrupted renewal"), point != "token.key_made", "{run}");
            let pem = std::fs::read_to_string(world.path(&certificate)).expect("a certificate");
            ends_well(&world, &world.issue("lab", LAB, &pem));
            assert_ne!(in_use(&world), before, "{point}");
        }
        for point in ["token.key_made", "token.key_stored"] {
            let key = ["token", "key", "lab", "--out", "own.pem"];
            kill_at(&world, point, &key);
            assert!(!std::path::Path::new(&world.path("own.pem")).exists(), "{point}: no certificate without its key");
            world.run(&key).exits(0);
            std::fs::remove_file(world.path("own.pem")).expect("gone");
        }
        world.run(&["token", "check", "lab"]).exits(0);
    }

    /// L40: killed between decrypting, proving and switching, and inside the switch: the old token or the new one is
    /// in use, never none and never half of one.
    fn while_the_token_is_switched(database) {
        let world = World::synced(database, 3);
        for point in ["token.decrypted", "token.proven", "token.before_commit", "token.switched"] {
            let before = in_use(&world);
            let file = world.issue("lab", LAB, &world.token_key("lab"));
            kill_at(&world, point, &["token", "renew", "lab", &file]);
            let switched = in_use(&world) != before;
            assert_eq!(switched, point == "token.switched", "{point}");
            ends_well(&world, &file);
            assert_ne!(in_use(&world), before, "{point}");
        }
        let imported = world.objects(&["token", "history", "lab"]).len();
        assert_eq!(imported, 5, "none was imported twice");
    }

    /// L40: the same for a former token that is put back.
    fn while_a_former_token_is_put_back(database) {
        let world = World::synced(database, 3);
        let good = in_use(&world);
        world.apple.add_server("Branch").expect("a new MDM server");
        for point in ["token.proven", "token.before_commit", "token.switched"] {
            let wrong = world.issue("branch", "Branch", &world.token_key("lab"));
            world.run(&["token", "import", "lab", &wrong, "--force"]).exits(0);
            let restore = ["token", "restore", "lab", &good, "--force"];
            kill_at(&world, point, &restore);
            assert_eq!(in_use(&world) == good, point == "token.switched", "{point}");
            world.run(&["token", "check", "lab"]).exits(0);
            world.run(&restore).exits(0);
            assert_eq!(in_use(&world), good, "{point}");
        }
        world.run(&["sync", "lab", "--force"]).exits(0);
        world.assert_exact("lab", LAB);
    }

    /// L40: killed while it waits for the file in a folder; the file that was saved meanwhile is found by the next run.
    fn while_it_waits_for_the_file(database) {
        let world = World::synced(database, 3);
        let before = in_use(&world);
        let folder = world.home.path().join("downloads");
        std::fs::create_dir(&folder).expect("a folder");
        let watch = ["token", "renew", "lab", "--watch", "downloads"];
        let mut waiting = world.start(&watch);
        eventually("it waits", || waiting.log().contains("4. Save the .p7m file").then_some(()));
        waiting.kill();
        assert_eq!(in_use(&world), before);
        let pem = std::fs::read_to_string(world.path("lab.pem")).expect("a certificate");
        let file = world.issue("lab", LAB, &pem);
        std::fs::copy(&file, folder.join("lab.p7m")).expect("a copy");
        for point in ["token.decrypted", "token.proven", "token.before_commit"] {
            kill_at(&world, point, &watch);
            assert_eq!(in_use(&world), before, "{point}");
        }
        world.run(&watch).exits(0);
        assert_ne!(in_use(&world), before);
        ends_well(&world, &file);
    }
}
