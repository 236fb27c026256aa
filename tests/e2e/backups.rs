//! Backups: everything comes back, into either database; nothing else passes for one; and a kill leaves the old state.

mod kills;
mod moves;
mod refusals;

use std::fs;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};

use crate::harness::{Database, Run, World};

/// The text of a master key file.
fn key_of(world: &World) -> String {
    fs::read_to_string(world.data_dir().join("master.key")).expect("the key file")
}

/// Goes to a new data directory with a copy of this key, and to a database.
fn start_anew(world: &mut World, data: &str, database: Database, key: &str) {
    world.go_to(data, database);
    let folder = world.data_dir();
    fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder).expect("a folder");
    let file = folder.join("master.key");
    fs::write(&file, key).expect("the key file");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("its mode");
}

/// A fresh database of the same kind.
fn another(database: &Database) -> Database {
    match database {
        Database::Sqlite => Database::Sqlite,
        Database::Postgres(_) => Database::postgres().expect("there is one"),
    }
}

/// Makes a backup and gives its path.
fn backup(world: &World, name: &str) -> String {
    let file = world.path(name);
    world.run(&["backup", &file]).exits(0);
    file
}

/// Everything that people see of devices.
fn devices(world: &World) -> Run {
    world.run(&["device", "list", "--json"]).exits(0)
}
