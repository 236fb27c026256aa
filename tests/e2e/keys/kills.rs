use super::installation::Installation;
use crate::harness::eventually;

/// Where a rotation to another master key is killed.
const POINTS: [&str; 10] = [
    "key.before_rename",
    "key.both_in_file",
    "key.before_change",
    "key.changed",
    "key.before_batch",
    "key.before_commit",
    "key.after_batch:2",
    "key.sealed",
    "key.completed",
    "key.alone",
];

on_both_databases! {
    /// A rotation to another master key is killed at every line where something could be lost. Everything opens, for a
    /// command and for a service that ran all the time; and the same command goes on and comes to its end.
    fn a_killed_rotation(database) {
        let installation = Installation::new(database);
        let world = &installation.world;
        let service = world.start(&["serve", "--listen", "127.0.0.1:0"]);
        for point in POINTS {
            let name = point.split(':').next().expect("a name");
            let (new, id) = installation.make_key(&format!("{name}.new"));
            let mut victim = world.start_with(&[("ADELIE_HALT_AT", point)], &["key", "rotate", "--to", &new]);
            let said = format!("halted at {name}\n");
            eventually("a halt", || {
                assert!(!victim.has_ended(), "it never came to {point}:\n{}", victim.so_far(None));
                victim.log().contains(&said).then_some(())
            });
            // Nobody else exchanges master keys meanwhile. A file that is locked as a whole must be let go first.
            if name == "key.sealed" {
                installation.rotate(&["--to", &new]).exits(2).complains("right now");
            }
            victim.kill();
            installation.opens();
            installation.rotate(&["--to", &new]).exits(0);
            assert!(installation.masters().iter().all(|master| *master == id), "{point}: {}", installation.shown());
            assert_eq!(std::fs::read(installation.key_file()).expect("a file"), std::fs::read(&new).expect("a file"));
            let secrets = installation.secrets();
            let (newest, _) = secrets.last_key_value().expect("a data key");
            assert!(secrets.iter().all(|(version, count)| version == newest || *count == 0), "{point}: {secrets:?}");
        }
        installation.delivers();
        let left: Vec<_> = std::fs::read_dir(world.data_dir()).expect("a folder").flatten().collect();
        let left: Vec<_> = left.iter().map(|entry| entry.file_name().display().to_string()).collect();
        assert!(!left.iter().any(|name| name.starts_with("master.key.")), "a draft was left behind: {left:?}");
        let log = service.log();
        assert!(!log.contains("cannot be opened") && !log.contains("panicked"), "{log}");
    }
}
