//! The demonstration.

use crate::harness::{Database, World, eventually};
use adelie_simulator::Settings;

fn world() -> World {
    World::empty(Database::Sqlite, Settings::default())
}

/// It walks the whole way and prints one object with its figures.
#[test]
fn once_with_json() {
    let world = world();
    let run = world.run(&["demo", "--once", "--devices", "500", "--json"]).exits(0);
    let summary = run.object();
    // Five devices are bought per five moved away and released, so that 2 × 5 are added and 2 × 5 leave.
    assert_eq!((&summary["devices"], &summary["assigned"]), (&500.into(), &500.into()), "{summary}");
    assert_eq!((&summary["failed"], &summary["removed"]), (&0.into(), &10.into()), "{summary}");
    for figure in ["pages", "requests"] {
        assert!(summary[figure].as_u64().is_some_and(|figure| figure > 2), "{summary}");
    }
    assert!(summary["seconds"].is_number(), "{summary}");
    assert!(!world.data_dir().exists(), "the data directory of the user is not touched");
}

/// The text tells each step with its figures, and nothing is left behind.
#[test]
fn once_as_text() {
    let world = world();
    let run = world.run(&["demo", "--once", "--devices", "60"]).exits(0);
    for word in ["Apple", "key pair", "valid until", "full sync", "delta sync", "60 devices"] {
        assert!(run.stdout.contains(word), "{word:?} is missing in\n{run}");
    }
    assert!(
        run.stdout.lines().filter(|line| line.contains("  ")).count() >= 5 || run.stdout.lines().count() >= 9,
        "{run}"
    );
    let folder =
        run.stdout.split_whitespace().find(|word| word.contains("adelie-demo-")).expect("its folder");
    assert!(!std::path::Path::new(folder).exists(), "{folder} was left behind");
}

/// Without --once it goes on running, the commands that it prints work, and SIGTERM ends it.
#[test]
fn it_goes_on_running() {
    let world = world();
    let demo = world.start(&["demo", "--devices", "40"]);
    let said = eventually("it says how to go on", || {
        let said = demo.so_far(None).stdout;
        said.contains("Ctrl-C").then_some(said)
    });
    let (_, rest) = said.split_once("ADELIE_DATA_DIR=").expect("the folder");
    let folder = rest.split_whitespace().next().expect("the folder");
    let dir = [("ADELIE_DATA_DIR", folder)];
    let devices = world.run_with(&dir, &["device", "list", "--json"]).exits(0);
    assert!(devices.objects().len() >= 40, "{devices}");
    world.run_with(&dir, &["token", "show", "lab"]).exits(0);
    world.run_with(&dir, &["profile", "show", "macs"]).exits(0);
    world.run_with(&dir, &["sync", "lab", "--force"]).exits(0);
    demo.terminate();
    demo.wait().exits(0);
    assert!(!std::path::Path::new(folder).exists(), "{folder} was left behind");
}
