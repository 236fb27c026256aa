//! What is stored, and who may read it. That it holds no secret in plain text is looked at in [`crate::canaries`].

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::harness::{Database, World};

/// Everything that is stored, the key file apart.
pub fn stored(world: &World) -> Vec<u8> {
    match &world.database {
        Database::Sqlite => ["adelie.db", "adelie.db-wal"]
            .iter()
            .flat_map(|name| std::fs::read(world.data_dir().join(name)).unwrap_or_default())
            .collect(),
        Database::Postgres(url) => {
            let dump = Command::new(pg_dump()).args(["--dbname", url]).output().expect("`pg_dump` starts");
            assert!(dump.status.success(), "{}", String::from_utf8_lossy(&dump.stderr));
            // The text as it is, and the bytes of every binary column.
            let text = String::from_utf8_lossy(&dump.stdout).into_owned();
            let binary = text.split_whitespace().filter_map(|word| word.strip_prefix(r"\\x")).flat_map(unhex);
            dump.stdout.iter().copied().chain(binary).collect()
        }
    }
}

/// The program beside the newest server, because an older one refuses.
fn pg_dump() -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let newest = versions.filter_map(|entry| {
        let program = entry.path().join("bin/pg_dump");
        let version: u32 = entry.file_name().to_str()?.parse().ok()?;
        program.is_file().then_some((version, program))
    });
    newest.max().map_or_else(|| PathBuf::from("pg_dump"), |(_, program)| program)
}

pub fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<_> = text.chars().filter_map(|digit| digit.to_digit(16)).collect();
    digits.chunks_exact(2).filter_map(|pair| u8::try_from(pair[0] * 16 + pair[1]).ok()).collect()
}

pub fn holds(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}

pub fn mode(path: &Path) -> u32 {
    path.metadata().unwrap_or_else(|error| panic!("{}: {error}", path.display())).permissions().mode() & 0o777
}

on_both_databases! {
    /// L46: what is on disk is its owner's alone, whatever the umask; and stays so.
    fn files_are_their_owners_alone(database) {
        let world = World::synced(database, 2);
        let dir = world.data_dir();
        assert_eq!(mode(&dir), 0o700);
        for entry in std::fs::read_dir(&dir).expect("the folder").map(|entry| entry.expect("a file").path()) {
            assert_eq!(mode(&entry), 0o600, "{}", entry.display());
        }
        assert_eq!(dir.join("adelie.db").is_file(), !world.database.is_postgres());
    }
}
