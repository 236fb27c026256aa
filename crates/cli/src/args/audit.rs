use std::path::PathBuf;

use adelie_store::AuditHead;
use clap::{Args, Subcommand};
use uuid::Uuid;

use super::values;

#[derive(Debug, Subcommand)]
pub enum Audit {
    /// List who did what, newest first
    #[command(after_help = "Examples:
  adelie audit list --since 7d --actor kim
  adelie audit list --action 'device.*' --object C02EXAMPLE01
  adelie audit list --object server:school --json")]
    List {
        #[command(flatten)]
        which: AuditWhich,
        /// At most so many
        #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
        limit: u32,
    },
    /// Show an entry, with what it changed
    Show {
        /// Its number
        #[arg(value_name = "NUMBER", value_parser = clap::value_parser!(i64).range(1..))]
        number: i64,
    },
    /// Check that no entry was changed, deleted or put in
    #[command(
        after_help = "It prints the head: the number and the hash of the last entry. Keep it where nobody who can
write to the database can write, and give it to the next check: then not even one who calculates
all hashes anew remains unseen. It ends with 1 when something does not fit.

Examples:
  adelie audit verify
  adelie audit verify --head 42:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
    )]
    Verify {
        /// A head that was printed earlier
        #[arg(long, value_name = "NUMBER:HASH", value_parser = values::audit_head)]
        head: Option<AuditHead>,
    },
    /// Write entries as JSON Lines, oldest first, with all that is needed to check them elsewhere
    #[command(after_help = "docs/audit.md has a program of ten lines that checks what is written.

Example:
  adelie audit export --since 2026-01-01 --out audit.jsonl")]
    Export {
        /// Only from this moment on: 2026-11-22T08:00:00Z, or how long ago, like 90m or 7d
        #[arg(long, value_name = "TIME", value_parser = values::since)]
        since: Option<values::Since>,
        /// Where to write it; without it, it goes to stdout
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
}

/// Which entries.
#[derive(Debug, Args)]
pub struct AuditWhich {
    /// Only from this moment on: 2026-11-22T08:00:00Z, or how long ago, like 90m or 7d
    #[arg(long, value_name = "TIME", value_parser = values::since)]
    pub since: Option<values::Since>,
    /// Only by this person
    #[arg(long, value_name = "NAME")]
    pub actor: Option<String>,
    /// Only such actions; * stands for any characters
    #[arg(long = "action", value_name = "GLOB", value_delimiter = ',')]
    pub actions: Vec<String>,
    /// Only about this: a name or serial number, like school; with its kind, like server:school; or a kind, like server:
    #[arg(long, value_name = "OBJECT")]
    pub object: Option<String>,
    /// Only of one run of a command, as `adelie audit show` tells it
    #[arg(long, value_name = "UUID")]
    pub request: Option<Uuid>,
}
