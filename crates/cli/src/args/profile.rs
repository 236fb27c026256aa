use std::path::PathBuf;

use adelie_model::ProfileName;
use adelie_profile::import::Source;
use adelie_profile::{Format, OsVersion, Target};
use clap::{Args, Subcommand};

#[derive(Debug, Subcommand)]
pub enum Profile {
    /// Add an enrollment profile from a file
    New {
        /// Our name for it
        name: ProfileName,
        /// TOML, YAML or JSON; see docs/profiles.md
        #[arg(long, value_name = "FILE")]
        file: PathBuf,
    },
    /// List enrollment profiles
    List,
    /// Show one enrollment profile
    Show {
        /// Its name
        name: ProfileName,
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
        matches!(self, Self::New { .. } | Self::List | Self::Show { .. })
    }
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
