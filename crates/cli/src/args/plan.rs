use std::path::PathBuf;

use clap::Args;

/// What a folder would change.
#[derive(Debug, Args)]
#[command(
    after_help = "The folder holds profiles/NAME.toml, rules.toml and servers.toml (or .yaml, .json); `adelie export DIR`
writes one. Nothing is touched. It ends with 2 when there is a difference, else with 0.

Examples:
  adelie plan ade/
  adelie plan ade/ --prune --devices"
)]
pub struct Plan {
    #[command(flatten)]
    pub folder: Folder,
    /// Also list every device that would get something else
    #[arg(long)]
    pub devices: bool,
}

/// Makes what is decided what a folder says.
#[derive(Debug, Args)]
#[command(
    after_help = "It shows the plan and asks before it makes it, all of it or nothing. If anything has changed since the plan
was shown, nothing is made.

Examples:
  adelie apply ade/
  adelie apply ade/ --yes
  adelie apply ade/ --yes --plan 3f9c2a71d0b4     (the plan that was reviewed, or nothing)"
)]
pub struct Apply {
    #[command(flatten)]
    pub folder: Folder,
    /// Do not ask
    #[arg(long)]
    pub yes: bool,
    /// Only if it is still this plan, as `adelie plan` has named it
    #[arg(long, value_name = "PLAN")]
    pub plan: Option<String>,
}

/// A folder of files.
#[derive(Debug, Args)]
pub struct Folder {
    /// The folder
    #[arg(value_name = "DIR")]
    pub dir: PathBuf,
    /// Also take away what the folder does not name: profiles, rules, and defaults and settings of the MDM servers in it
    #[arg(long)]
    pub prune: bool,
}

/// Writes what is decided to a folder.
#[derive(Debug, Args)]
#[command(after_help = "Passwords are not written: `password = \"stored\"` keeps the one that is stored.

Example:
  adelie export ade/")]
pub struct Export {
    /// The folder; made if it is not there
    #[arg(value_name = "DIR")]
    pub dir: PathBuf,
    /// Write over the files that are in it
    #[arg(long)]
    pub overwrite: bool,
}
