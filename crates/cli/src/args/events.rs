use adelie_model::{SerialNumber, ServerName, Timestamp};
use clap::{Args, Subcommand};

use super::values;

#[derive(Debug, Subcommand)]
pub enum Events {
    /// List what happened, newest first
    #[command(after_help = "Examples:
  adelie events list --type 'assignment.*' --since 1d
  adelie events list --serial C02EXAMPLE01
  adelie events list --json --limit 1000 | jq -r .type | sort | uniq -c")]
    List {
        #[command(flatten)]
        which: Which,
        /// At most so many
        #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
        limit: u32,
    },
    /// Print what happens from now on, until Ctrl-C
    Follow {
        #[command(flatten)]
        which: Which,
    },
    /// Show an event with its details, and who has received it
    Show {
        /// Its id, like evt_1f00c0ffee12_42, or only the number
        #[arg(value_name = "ID")]
        id: String,
    },
    /// List the types of events, how serious they are and what they mean
    Types,
    /// Print the JSON Schema of every type
    Schema,
}

/// Which events.
#[derive(Debug, Args)]
pub struct Which {
    /// Only of this type; * stands for any characters
    #[arg(long = "type", value_name = "GLOB", value_delimiter = ',')]
    pub kinds: Vec<String>,
    /// Only at this MDM server
    #[arg(long, value_name = "NAME")]
    pub server: Option<ServerName>,
    /// Only about this device
    #[arg(long, value_name = "SERIAL")]
    pub serial: Option<SerialNumber>,
    /// Only from this moment on: 2026-11-22T08:00:00Z, or how long ago, like 90m or 7d
    #[arg(long, value_name = "TIME", value_parser = values::since)]
    pub since: Option<values::Since>,
}

/// A moment, or a length of time before now.
impl values::Since {
    /// The moment that is meant.
    pub fn moment(self, now: Timestamp) -> Timestamp {
        match self {
            Self::At(moment) => moment,
            Self::Ago(span) => now - span,
        }
    }
}
