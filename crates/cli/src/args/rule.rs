use std::path::PathBuf;

use adelie_model::{DeviceFamily, ProfileName, RuleName, SerialNumber, ServerName, Tag};
use adelie_rules::Condition;
use clap::{Args, Subcommand};

use super::values;

#[derive(Debug, Subcommand)]
pub enum Rule {
    /// Add a rule
    #[command(
        after_help = "Several --when must all hold; the patterns in one are alternatives. In a pattern * stands for any
characters and ? for one. Fields: serial family model os color description asset-tag assigned-by
assigned-date server tag. FIELD= without a pattern holds for devices without that fact.

Examples:
  adelie rule add labs --when family=mac --when tag=lab --profile Lab
  adelie rule add new-ipads --when family=ipad --when 'assigned-date=>=2026-08-01' --profile Pupils --before labs
  adelie rule add carts --serials carts.csv --profile Shared --server school"
    )]
    Add {
        /// Our name for it
        name: RuleName,
        #[command(flatten)]
        conditions: Conditions,
        /// The profile that it gives
        #[arg(long, value_name = "PROFILE")]
        profile: ProfileName,
        /// Only devices at this MDM server
        #[arg(long, value_name = "NAME")]
        server: Option<ServerName>,
        /// Put it before this rule; otherwise it goes to the end
        #[arg(long, value_name = "RULE")]
        before: Option<RuleName>,
    },
    /// List the rules in their order, how many devices each decides, and what is wrong with them
    List,
    /// Show a rule with all its conditions
    Show {
        /// Its name
        name: RuleName,
    },
    /// Change a rule where it stands
    #[command(
        after_help = "--add and --remove change single patterns, so that two people who do so do not undo each other's work.

Examples:
  adelie rule set carts --add serial=C02EXAMPLE07 --remove serial=C02EXAMPLE01
  adelie rule set carts --add-serials delivery.csv
  adelie rule set labs --profile Lab2 --all-servers"
    )]
    Set {
        /// Its name
        name: RuleName,
        #[command(flatten)]
        patch: Box<Patch>,
    },
    /// Move a rule: the first that matches decides
    Move {
        /// Its name
        name: RuleName,
        /// The rule that it is to stand before
        #[arg(long, value_name = "RULE", required_unless_present = "last")]
        before: Option<RuleName>,
        /// To the end
        #[arg(long, conflicts_with = "before")]
        last: bool,
    },
    /// Remove rules
    Remove {
        /// Their names
        #[arg(required = true, value_name = "NAME")]
        names: Vec<RuleName>,
    },
    /// Say which rule decides for a device, and why each one before it does not; also for one that is not here yet
    #[command(after_help = "What is given with an option is taken in place of what is stored of the device.

Examples:
  adelie rule test C02EXAMPLE01
  adelie rule test C02NEW --server school --family mac --tag lab")]
    Test {
        /// Its serial number
        serial: SerialNumber,
        #[command(flatten)]
        facts: Box<Facts>,
    },
}

/// What devices a rule is for.
#[derive(Debug, Args)]
pub struct Conditions {
    /// A condition; may be given several times
    #[arg(long, value_name = "FIELD=PATTERN[,PATTERN…]")]
    pub when: Vec<Condition>,
    /// Serial numbers from a CSV file, as one more condition; `-` is standard input
    #[arg(long, value_name = "CSV")]
    pub serials: Option<PathBuf>,
}

/// What becomes otherwise in a rule.
#[derive(Debug, Args)]
pub struct Patch {
    /// Its new name
    #[arg(long, value_name = "NAME")]
    pub rename: Option<RuleName>,
    /// These conditions in place of all it has
    #[arg(long, value_name = "FIELD=PATTERN[,PATTERN…]")]
    pub when: Vec<Condition>,
    /// No condition at all, so that it takes every device
    #[arg(long, conflicts_with_all = ["when", "add", "add_serials", "remove", "remove_serials"])]
    pub always: bool,
    /// Patterns to add to its condition on that field
    #[arg(long, value_name = "FIELD=PATTERN[,PATTERN…]", conflicts_with = "when")]
    pub add: Vec<Condition>,
    /// Serial numbers to add, from a CSV file; `-` is standard input
    #[arg(long, value_name = "CSV", conflicts_with = "when")]
    pub add_serials: Option<PathBuf>,
    /// Patterns to take from its condition on that field
    #[arg(long, value_name = "FIELD=PATTERN[,PATTERN…]", conflicts_with = "when")]
    pub remove: Vec<Condition>,
    /// Serial numbers to take away, from a CSV file; `-` is standard input
    #[arg(long, value_name = "CSV", conflicts_with = "when")]
    pub remove_serials: Option<PathBuf>,
    /// The profile that it gives
    #[arg(long, value_name = "PROFILE")]
    pub profile: Option<ProfileName>,
    /// Only devices at this MDM server
    #[arg(long, value_name = "NAME")]
    pub server: Option<ServerName>,
    /// Devices at all MDM servers
    #[arg(long, conflicts_with = "server")]
    pub all_servers: bool,
}

/// What a device is like.
#[derive(Debug, Args)]
pub struct Facts {
    /// At this MDM server
    #[arg(long, value_name = "NAME")]
    pub server: Option<ServerName>,
    /// Of this family: mac iphone ipad ipod appletv vision
    #[arg(long, value_name = "FAMILY", value_parser = values::family)]
    pub family: Option<DeviceFamily>,
    /// The name of its model
    #[arg(long, value_name = "TEXT")]
    pub model: Option<String>,
    /// Its operating system
    #[arg(long, value_name = "TEXT")]
    pub os: Option<String>,
    /// Its colour
    #[arg(long, value_name = "TEXT")]
    pub color: Option<String>,
    /// Apple's description
    #[arg(long, value_name = "TEXT")]
    pub description: Option<String>,
    /// Its asset tag
    #[arg(long, value_name = "TEXT")]
    pub asset_tag: Option<String>,
    /// Who gave it to the MDM server
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    pub assigned_by: Option<String>,
    /// The day on which it was given to the MDM server
    #[arg(long, value_name = "YYYY-MM-DD", value_parser = values::day)]
    pub assigned_date: Option<adelie_model::Timestamp>,
    /// A tag of ours; may be given several times
    #[arg(long, value_name = "TAG")]
    pub tag: Vec<Tag>,
}
