use std::path::PathBuf;

use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub enum Key {
    /// Show which master keys are at hand, which data keys the database has, and what they seal
    Show,
    /// Make a master key and write it to a new file
    #[command(after_help = "Example:
  adelie key make new.key")]
    Make {
        /// Where to write it; a file that is there is never overwritten
        file: PathBuf,
    },
    /// Seal all secrets under a fresh data key, while everything goes on working
    #[command(
        after_help = "A rotation that was interrupted goes on. Master keys come from the place that `adelie key show`
names; docs/keys.md says how to exchange them on several machines.

Examples:
  adelie key rotate
  adelie key make new.key && adelie key rotate --to new.key"
    )]
    Rotate {
        /// Seal the data keys under the master key in this file from now on
        #[arg(long, value_name = "FILE")]
        to: Option<PathBuf>,
    },
}
