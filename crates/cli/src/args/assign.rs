use adelie_model::{AssignState, ServerName};
use clap::Subcommand;

use super::{Serials, values};

#[derive(Debug, Subcommand)]
pub enum Assign {
    /// Show how assignments stand, what is wrong and what to do
    #[command(after_help = "It ends with 1 when something needs a person, else with 0.")]
    Status {
        /// Of one MDM server
        #[arg(long, value_name = "NAME")]
        server: Option<ServerName>,
    },
    /// Work on devices now, not when their time has come
    #[command(after_help = "Examples:
  adelie assign retry C02EXAMPLE01
  adelie assign retry --server acme
  adelie assign retry --server acme --state failed")]
    Retry {
        #[command(flatten)]
        devices: Serials,
        /// At one MDM server; without serial numbers all of its devices that did not get their profile
        #[arg(long, value_name = "NAME")]
        server: Option<ServerName>,
        /// Only devices in this state: failed not_accessible drifted held throttled due
        #[arg(long, value_name = "STATE", value_parser = values::state)]
        state: Option<AssignState>,
        /// Also devices that Apple throttles, although that may make Apple throttle them for longer
        #[arg(long)]
        force: bool,
    },
    /// Keep devices from being assigned
    #[command(after_help = "Example:
  adelie assign hold C02EXAMPLE01 --reason \"in repair\"")]
    Hold {
        #[command(flatten)]
        devices: Serials,
        /// At one MDM server only
        #[arg(long, value_name = "NAME")]
        server: Option<ServerName>,
    },
    /// Let devices go that were held
    #[command(after_help = "Example:
  adelie assign unhold C02EXAMPLE01")]
    Unhold {
        #[command(flatten)]
        devices: Serials,
        /// At one MDM server only
        #[arg(long, value_name = "NAME")]
        server: Option<ServerName>,
    },
}
