use adelie_model::ServerName;
use clap::{Args, Subcommand};

#[derive(Debug, Args)]
#[command(
    disable_help_subcommand = true,
    after_help = "An MDM server of the name `history` is synced with `adelie sync -- history`."
)]
pub struct Sync {
    /// The MDM servers; without a name all that are not paused
    #[arg(value_name = "NAME")]
    pub names: Vec<ServerName>,
    /// Fetch the whole list, not only what has changed
    #[arg(long)]
    pub full: bool,
    /// Sync although the policy's interval has not passed yet
    #[arg(long)]
    pub force: bool,
    /// Fetch the whole list now, and remove the devices that it does not show, however many they are
    #[arg(long)]
    pub accept_removals: bool,
    #[command(subcommand)]
    pub command: Option<SyncCommand>,
}

#[derive(Debug, Subcommand)]
pub enum SyncCommand {
    /// Show past syncs, newest first, and when the next one is due
    #[command(after_help = "Examples:
  adelie sync history
  adelie sync history acme --limit 5")]
    History {
        /// Of one MDM server
        name: Option<ServerName>,
        /// At most so many; a table shows 20 unless told otherwise, JSON shows all
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
        limit: Option<u64>,
    },
}
