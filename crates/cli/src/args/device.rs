use std::path::PathBuf;

use adelie_model::{AssignState, DeviceFamily, ProfileName, RuleName, SerialNumber, ServerName, Tag};
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

/// Which devices.
#[derive(Debug, Args)]
pub struct Matching {
    /// At one MDM server
    #[arg(long, value_name = "NAME")]
    pub server: Option<ServerName>,
    /// Of one family: mac iphone ipad ipod appletv vision
    #[arg(long, value_name = "FAMILY", value_parser = values::family)]
    pub family: Option<DeviceFamily>,
    /// In one state: unmatched held due sent assigned pushed throttled failed not_accessible drifted removed
    #[arg(long, value_name = "STATE", value_parser = values::state)]
    pub state: Option<AssignState>,
    /// With this tag of ours
    #[arg(long, value_name = "TAG")]
    pub tag: Option<Tag>,
    /// Whose profile this rule gives
    #[arg(long, value_name = "RULE")]
    pub rule: Option<RuleName>,
    /// Which are to have this profile
    #[arg(long, value_name = "PROFILE")]
    pub profile: Option<ProfileName>,
    /// Whose serial number, model, description, asset tag or colour contains this
    #[arg(long, value_name = "TEXT")]
    pub query: Option<String>,
}

impl Matching {
    /// Whether no option is given, so that every device matches.
    pub fn everything(&self) -> bool {
        let Self { server, family, state, tag, rule, profile, query } = self;
        server.is_none()
            && family.is_none()
            && state.is_none()
            && tag.is_none()
            && rule.is_none()
            && profile.is_none()
            && query.is_none()
    }
}

#[derive(Debug, Subcommand)]
pub enum Device {
    /// List devices
    #[command(after_help = "Examples:
  adelie device list --state failed
  adelie device list --family mac --query Air --csv > airs.csv
  adelie device list --rule labs --csv | adelie device tag --file - --add lab")]
    List {
        #[command(flatten)]
        matching: Box<Matching>,
        /// At most so many; a table shows 100 unless told otherwise, JSON and CSV show all
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
        limit: Option<u64>,
        /// Print CSV, which every `--file` takes
        #[arg(long, conflicts_with = "json")]
        csv: bool,
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
    /// Give devices tags of ours, or take them away: rules and lists find devices by them
    #[command(
        after_help = "Devices are named by serial number, in a file, or all that match. `adelie device undo` takes it back.

Examples:
  adelie device tag C02EXAMPLE01 C02EXAMPLE02 --add lab
  adelie device tag --file delivery.csv --add lab --remove spare
  adelie device tag --matching --family ipad --query 9th --add old"
    )]
    Tag {
        #[command(flatten)]
        devices: Serials,
        /// All devices that match the options below
        #[arg(long, conflicts_with_all = ["serials", "file"])]
        matching: bool,
        #[command(flatten)]
        filter: Box<Matching>,
        /// A tag to give them; may be given several times
        #[arg(long, value_name = "TAG", required_unless_present = "remove")]
        add: Vec<Tag>,
        /// A tag to take away; may be given several times
        #[arg(long, value_name = "TAG")]
        remove: Vec<Tag>,
    },
    /// Take back the last change of tags, hold or unhold that was not taken back yet
    Undo,
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
