use std::path::PathBuf;

use clap::Args;

pub const BACKUP: &str =
    "The backup has all that is in the database, as it was at one moment, and restores into SQLite and
PostgreSQL alike. Secrets stay sealed in it; the master key that opens them is in no backup: keep
a copy of it somewhere else. What is in it besides is not secret to whoever has the file: serial
numbers, names, profiles, the audit.

FILE is there when all of it is on the disk, for its owner's eyes only, or not at all.

Examples:
  adelie backup /var/backups/adelie/monday.backup --force
  adelie backup - | ssh safe.example.org 'cat > adelie.backup'";

pub const RESTORE: &str =
    "The database must be empty: a new SQLite file, or a new PostgreSQL database. All of the backup is
loaded, or nothing. The master key that it names must be at hand: put your copy of it where
`adelie key show` looks, before you restore.

Stop the old installation before the restored one syncs, or two of them assign the same devices.

Examples:
  adelie restore monday.backup --check
  adelie restore monday.backup --data-dir /var/lib/adelie
  adelie restore monday.backup --database postgres://adelie@db.example.org/adelie";

#[derive(Debug, Args)]
pub struct Backup {
    /// Where to write it; - is stdout
    pub file: PathBuf,
    /// Put it in the place of a file that is there
    #[arg(long)]
    pub force: bool,
}

#[derive(Debug, Args)]
pub struct Restore {
    /// The backup; - is stdin
    pub file: PathBuf,
    /// Load nothing: read all of it, say what is in it, and whether it is whole and its master key is at hand
    #[arg(long)]
    pub check: bool,
}
