use std::path::PathBuf;

use adelie_model::{AssignState, DeviceFamily, SerialNumber, ServerName};
use clap::{Args, Subcommand};

use super::values;

/// Devices by serial number.
#[derive(Debug, Args)]
pub struct Serials {
    /// Serial numbers
    #[arg(value_name = "SERIAL")]
    pub serials: Vec<SerialNumber>,
    /// Serial numbers from a CSV file: its column `Serial Number`, or its only one; `-` is standard input
    #[arg(long, value_name = "CSV")]
    pub file: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub enum Device {
    /// List devices
    List {
        /// Of one MDM server
        #[arg(long, value_name = "NAME")]
        server: Option<ServerName>,
        /// Of one family: mac iphone ipad ipod appletv vision
        #[arg(long, value_name = "FAMILY", value_parser = values::family)]
        family: Option<DeviceFamily>,
        /// In one state: unmatched held due sent assigned pushed throttled failed not_accessible drifted removed
        #[arg(long, value_name = "STATE", value_parser = values::state)]
        state: Option<AssignState>,
        /// Whose serial number, model, description, asset tag or colour contains this
        #[arg(long, value_name = "TEXT")]
        query: Option<String>,
        /// At most so many; a table shows 100 unless told otherwise, JSON shows all
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
        limit: Option<u64>,
    },
    /// Show one device
    Show {
        /// Its serial number
        serial: SerialNumber,
    },
    /// Say why a device gets the profile it gets, rule by rule, and how far that has come
    #[command(after_help = "Example:
  adelie device explain C02EXAMPLE01")]
    Explain {
        /// Its serial number
        serial: SerialNumber,
    },
    /// Show what happened to a device, newest first
    #[command(after_help = "Example:
  adelie device history C02EXAMPLE01 --limit 10")]
    History {
        /// Its serial number
        serial: SerialNumber,
        /// At one MDM server
        #[arg(long, value_name = "NAME")]
        server: Option<ServerName>,
        /// At most so many; a table shows 50 unless told otherwise, JSON shows all
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
        limit: Option<u64>,
    },
    /// Ask Apple whether devices would get the wanted profile if they were switched on now
    #[command(after_help = "Examples:
  adelie device ready C02EXAMPLE01
  adelie device ready --file delivery.csv

It ends with 0 only if all of them are ready.")]
    Ready {
        #[command(flatten)]
        devices: Serials,
    },
    /// Ask Apple what it shows for devices, and store it; also brings in devices that no sync has told of
    #[command(after_help = "Examples:
  adelie device refresh C02EXAMPLE01
  adelie device refresh C02EXAMPLE02 --server acme")]
    Refresh {
        #[command(flatten)]
        devices: Serials,
        /// Ask at this MDM server; otherwise at those that have or had the device
        #[arg(long, value_name = "NAME")]
        server: Option<ServerName>,
    },
    /// Put devices away as if they had left; a full sync brings back what Apple still lists
    #[command(after_help = "Example:
  adelie device delete C02EXAMPLE01")]
    Delete {
        #[command(flatten)]
        devices: Serials,
        /// At one MDM server only
        #[arg(long, value_name = "NAME")]
        server: Option<ServerName>,
    },
}
