use adelie_model::{DriftMode, ServerName};
use clap::{Args, Subcommand};
use url::Url;

use super::values::{self, DefaultProfile, Setting};

#[derive(Debug, Subcommand)]
pub enum Server {
    /// Add an MDM server
    Add {
        /// Our name for it
        name: ServerName,
        /// Where Apple answers for it
        #[arg(long, value_name = "URL", default_value = adelie_dep::client::DEFAULT_BASE_URL, value_parser = values::base_url)]
        base_url: Url,
        /// Do not sync or assign by itself until `adelie server resume`
        #[arg(long)]
        paused: bool,
    },
    /// List MDM servers, those with trouble first
    List,
    /// Show one MDM server: its health, what is wrong with it and what to do
    Show {
        /// Its name
        name: ServerName,
    },
    /// Change settings of an MDM server
    #[command(
        override_usage = "adelie server set [OPTIONS] <NAME>",
        after_help = "Each of them but --default takes `default` to go back to what all MDM servers have.

Examples:
  adelie server set acme --default mac=Staff --default any=Standard
  adelie server set acme --delta-interval 30m --drift report
  adelie server set acme --delta-interval default"
    )]
    Set {
        /// Its name
        name: ServerName,
        #[command(flatten)]
        settings: Box<OwnSettings>,
    },
    /// Ask Apple for the tokens that enroll devices in beta programs
    BetaTokens {
        /// Its name
        name: ServerName,
    },
    /// Show, set or take away where account-driven enrollment finds the MDM service
    #[command(after_help = "Example:
  adelie server enrollment-url acme --set https://mdm.example.org/enroll")]
    EnrollmentUrl {
        /// Its name
        name: ServerName,
        #[command(flatten)]
        change: UrlChange,
    },
    /// Neither sync nor assign by itself
    Pause {
        /// Its name
        name: ServerName,
    },
    /// Sync and assign by itself again
    Resume {
        /// Its name
        name: ServerName,
    },
}

/// What is done about the address of account-driven enrollment; without an option it is shown.
#[derive(Debug, Args)]
pub struct UrlChange {
    /// The https address of the service discovery file
    #[arg(long, value_name = "URL", conflicts_with = "remove")]
    pub set: Option<Url>,
    /// Take the address away
    #[arg(long)]
    pub remove: bool,
}

/// What one MDM server has of its own. `default` goes back to what all of them have.
#[derive(Debug, Args)]
pub struct OwnSettings {
    /// Default profile of a device family (mac iphone ipad ipod appletv vision any); an empty PROFILE takes it away
    #[arg(long = "default", value_name = "FAMILY=PROFILE", value_parser = values::default_profile)]
    pub defaults: Vec<DefaultProfile>,
    /// Between delta syncs, like 90s 15m 12h 7d
    #[arg(long, value_name = "TIME", allow_hyphen_values = true, value_parser = values::interval)]
    pub delta_interval: Option<Setting<u32>>,
    /// Between full syncs
    #[arg(long, value_name = "TIME", allow_hyphen_values = true, value_parser = values::interval)]
    pub full_interval: Option<Setting<u32>>,
    /// At least so long between syncs that somebody asks for
    #[arg(long, value_name = "TIME", allow_hyphen_values = true, value_parser = values::interval)]
    pub manual_interval: Option<Setting<u32>>,
    /// At least so long between full syncs that somebody asks for
    #[arg(long, value_name = "TIME", allow_hyphen_values = true, value_parser = values::interval)]
    pub manual_full_interval: Option<Setting<u32>>,
    /// End a sync in which nothing has moved for so long
    #[arg(long, value_name = "TIME", allow_hyphen_values = true, value_parser = values::interval)]
    pub progress_deadline: Option<Setting<u32>>,
    /// Devices that a full sync may remove without somebody's word
    #[arg(long, value_name = "PERCENT", allow_hyphen_values = true, value_parser = values::percent)]
    pub removal_percent: Option<Setting<u32>>,
    /// Days until a device that has left is deleted
    #[arg(long, value_name = "DAYS", allow_hyphen_values = true, value_parser = values::days)]
    pub tombstone_days: Option<Setting<u32>>,
    /// What to do when Apple shows another profile without our doing: `repair` or `report`
    #[arg(long, value_name = "MODE", value_parser = values::drift)]
    pub drift: Option<Setting<DriftMode>>,
}

impl OwnSettings {
    /// Whether nothing is named that is to be changed.
    pub fn nothing(&self) -> bool {
        let Self {
            defaults,
            delta_interval,
            full_interval,
            manual_interval,
            manual_full_interval,
            progress_deadline,
            removal_percent,
            tombstone_days,
            drift,
        } = self;
        let times = [delta_interval, full_interval, manual_interval, manual_full_interval, progress_deadline];
        let numbers = [removal_percent, tombstone_days];
        defaults.is_empty() && drift.is_none() && times.into_iter().chain(numbers).all(Option::is_none)
    }
}
