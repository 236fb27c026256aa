use std::path::PathBuf;

use adelie_model::{ProfileName, SerialNumber};
use adelie_profile::import::Source;
use adelie_profile::{Format, OsVersion, Target};
use clap::{Args, Subcommand};

use super::values;

#[derive(Debug, Subcommand)]
pub enum Profile {
    /// Add an enrollment profile from a file
    New {
        /// Our name for it
        name: ProfileName,
        /// TOML, YAML or JSON; see docs/profiles.md
        #[arg(long, value_name = "FILE")]
        file: PathBuf,
        /// What it is about, for those who look later
        #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true, value_parser = values::note)]
        note: String,
    },
    /// List enrollment profiles
    List,
    /// Show one enrollment profile: what Apple gets, where it is published, who gets it
    Show {
        /// Its name
        name: ProfileName,
        /// One revision; otherwise the one in force
        #[arg(long, value_name = "N")]
        revision: Option<u32>,
        /// Print it as a profile file instead: toml yaml json
        #[arg(long, value_name = "FORMAT", value_parser = format)]
        file: Option<Format>,
    },
    /// Make a new revision of a profile, from a file or in your editor
    #[command(
        after_help = "Without --file, $VISUAL or $EDITOR opens the profile, and its new revision is checked when you save and leave.

Examples:
  adelie profile edit Staff --file staff.toml --note \"no Siri pane\"
  adelie profile edit Staff --file staff.toml --percent 10
  adelie profile edit Staff"
    )]
    Edit {
        /// Its name
        name: ProfileName,
        /// TOML, YAML or JSON; see docs/profiles.md
        #[arg(long, value_name = "FILE")]
        file: Option<PathBuf>,
        /// What is otherwise, for those who look later
        #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true, value_parser = values::note)]
        note: String,
        /// Give it to so many percent of the devices at first; `adelie profile rollout` goes on
        #[arg(long, value_name = "PERCENT", default_value_t = 100, hide_default_value = true, value_parser = clap::value_parser!(u8).range(1..=100))]
        percent: u8,
        /// Only if this is still its newest revision
        #[arg(long, value_name = "N")]
        if_revision: Option<u32>,
    },
    /// Show the revisions of a profile: who made them, when, and what was otherwise
    History {
        /// Its name
        name: ProfileName,
    },
    /// Show what is otherwise between two revisions of a profile, or between it and a file
    #[command(after_help = "Examples:
  adelie profile diff Staff                    (the newest revision and the one before)
  adelie profile diff Staff --from 3 --to 5
  adelie profile diff Staff --file staff.toml

It ends with 2 when there is a difference, else with 0.")]
    Diff {
        /// Its name
        name: ProfileName,
        /// The earlier revision
        #[arg(long, value_name = "N")]
        from: Option<u32>,
        /// The later revision
        #[arg(long, value_name = "N", conflicts_with = "file")]
        to: Option<u32>,
        /// Compare with a file
        #[arg(long, value_name = "FILE")]
        file: Option<PathBuf>,
    },
    /// Go back to an earlier revision; that makes a new one which says the same
    Rollback {
        /// Its name
        name: ProfileName,
        /// The revision to go back to; otherwise the one that was in force before
        #[arg(long, value_name = "N")]
        to: Option<u32>,
        /// Why, for those who look later
        #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true, value_parser = values::note)]
        note: String,
    },
    /// Go on with a revision that some devices have already, or stop it
    #[command(after_help = "The devices are chosen by their serial numbers, always the same ones.

Examples:
  adelie profile rollout Staff --percent 50
  adelie profile rollout Staff --pause
  adelie profile rollout Staff --abort")]
    Rollout {
        /// Its name
        name: ProfileName,
        #[command(flatten)]
        step: Step,
    },
    /// Remove a profile that no rule and no default gives; its revisions are kept
    Remove {
        /// Its name
        name: ProfileName,
    },
    /// Print the MDM commands that make the accounts of a profile on a Mac, for your MDM server
    #[command(
        after_help = "AccountConfiguration first, then DeviceConfigured when everything else is installed: as property lists, one
after the other. A password that is generated for the device is written to --password-out before anything is
printed, because nothing else keeps it.

Example:
  adelie profile command Staff --serial C02EXAMPLE01 --user robin@example.org --full-name \"Robin Example\""
    )]
    Command {
        /// Its name
        name: ProfileName,
        /// The device
        #[arg(long, value_name = "SERIAL")]
        serial: SerialNumber,
        /// Who signs in on it, like robin@example.org
        #[arg(long, value_name = "NAME")]
        user: Option<String>,
        /// The name of that person
        #[arg(long, value_name = "TEXT")]
        full_name: Option<String>,
        /// The name that the device is to have
        #[arg(long, value_name = "TEXT")]
        device_name: Option<String>,
        /// Only this command: AccountConfiguration or DeviceConfigured
        #[arg(long, value_name = "COMMAND", value_parser = ["AccountConfiguration", "DeviceConfigured"])]
        only: Option<String>,
        /// Where to write the generated password of the administrator
        #[arg(long, value_name = "FILE")]
        password_out: Option<PathBuf>,
    },
    /// Check files without storing anything
    Validate {
        /// TOML, YAML or JSON files
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
    },
    /// Make a file of a profile of Jamf Pro, of Intune or in Apple's keys
    #[command(after_help = "Examples:
  adelie profile import prestage.json > macs.toml
  adelie profile import all-profiles.json --from intune --format yaml --out profiles/")]
    Import(Import),
    /// List the panes of Setup Assistant that a profile can hide
    #[command(
        disable_version_flag = true,
        after_help = "Examples:
  adelie profile skip-keys --os macOS --version 26.1
  adelie profile skip-keys --os macOS --version 26.1 --uncovered-by macs.toml"
    )]
    SkipKeys(SkipKeys),
    /// Print the JSON Schema of profile files, for editors
    Schema,
}

impl Profile {
    /// Whether the command works on a database. Those about files work anywhere.
    pub fn stores(&self) -> bool {
        !matches!(self, Self::Validate { .. } | Self::Import(_) | Self::SkipKeys(_) | Self::Schema)
    }
}

/// A step of a roll-out.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub struct Step {
    /// Give it to so many percent of the devices; 100 puts it in force
    #[arg(long, value_name = "PERCENT", value_parser = clap::value_parser!(u8).range(1..=100))]
    pub percent: Option<u8>,
    /// Give it to no further device for now
    #[arg(long)]
    pub pause: bool,
    /// Go on after a pause
    #[arg(long = "continue")]
    pub go_on: bool,
    /// Take it back from all devices
    #[arg(long)]
    pub abort: bool,
}

#[derive(Debug, Args)]
pub struct Import {
    /// JSON of one profile or of a listing, as the API of the other system gives it
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Whose it is: jamf intune apple; told from its fields unless given
    #[arg(long, value_name = "SYSTEM", value_parser = source)]
    pub from: Option<Source>,
    /// Format to write: toml yaml json; that of --out FILE, or toml
    #[arg(long, value_name = "FORMAT", value_parser = format)]
    pub format: Option<Format>,
    /// File to write, or folder for a file per profile; nothing is overwritten
    #[arg(long, value_name = "FILE|DIR")]
    pub out: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct SkipKeys {
    /// Of one platform: iOS iPadOS macOS tvOS visionOS
    #[arg(long, value_name = "OS", value_parser = platform)]
    pub os: Option<Target>,
    /// That this version of the platform knows
    #[arg(long, value_name = "VERSION", requires = "os")]
    pub version: Option<OsVersion>,
    /// About which this profile says nothing; without --os, of the platforms of the profile
    #[arg(long, value_name = "FILE")]
    pub uncovered_by: Option<PathBuf>,
}

fn source(text: &str) -> Result<Source, String> {
    match text {
        "jamf" => Ok(Source::Jamf),
        "intune" => Ok(Source::Intune),
        "apple" => Ok(Source::Apple),
        _ => Err("it must be jamf, intune or apple".to_owned()),
    }
}

fn format(text: &str) -> Result<Format, String> {
    match text {
        "toml" => Ok(Format::Toml),
        "yaml" => Ok(Format::Yaml),
        "json" => Ok(Format::Json),
        _ => Err("it must be toml, yaml or json".to_owned()),
    }
}

/// The version has an option of its own.
fn platform(text: &str) -> Result<Target, String> {
    match Target::parse(text) {
        Ok(target) if target.version().is_none() => Ok(target),
        _ => {
            Err("it must be iOS, iPadOS, macOS, tvOS or visionOS; give the version with --version".to_owned())
        }
    }
}
