use std::path::PathBuf;

use adelie_model::{SerialNumber, ServerName};
use clap::{Args, Subcommand};
use uuid::Uuid;

/// One device, where it is.
#[derive(Debug, Args)]
pub struct OneDevice {
    /// Its serial number
    pub serial: SerialNumber,
    /// At this MDM server; only needed when several have the device
    #[arg(long, value_name = "NAME")]
    pub server: Option<ServerName>,
}

#[derive(Debug, Subcommand)]
pub enum ActivationLock {
    /// Lock a device through Apple; the code that unlocks it is kept first
    #[command(
        after_help = "Whoever has the device then needs the code, which `adelie activation-lock code` shows.

Example:
  adelie activation-lock lock C02EXAMPLE01 --message 'Please call +1 555 0100' --reason 'stolen, case 4711' --yes"
    )]
    Lock {
        #[command(flatten)]
        device: OneDevice,
        /// Shown on the locked device
        #[arg(long, value_name = "TEXT")]
        message: Option<String>,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
    /// Show the codes that may unlock a device, the likeliest first; needs --reason
    #[command(after_help = "Example:
  adelie activation-lock code C02EXAMPLE01 --reason 'back from its user'")]
    Code {
        #[command(flatten)]
        device: OneDevice,
    },
    /// List the devices of which codes are kept, newest first, without the codes
    List {
        #[command(flatten)]
        which: WhichKept,
    },
    /// Make a code and its hash for another MDM to lock with; nothing is kept
    #[command(after_help = "With --of it tells the hash of a code that you have.")]
    New {
        /// A code, like 3UM43-PUYVY-QYD1-UVCC-HEHJ-FKA4; `-` reads it from standard input
        #[arg(long = "of", value_name = "CODE")]
        of: Option<String>,
    },
}

#[derive(Debug, Subcommand)]
pub enum Password {
    /// Make a new administrator password for a Mac, keep it, and write the command that sets it
    #[command(
        after_help = "Queue the command in your MDM, then say what became of it with `adelie password settle`.

Example:
  adelie password make C02EXAMPLE01 --guid 3F2504E0-4F89-11D3-9A0C-0305E82C3301 --out C02EXAMPLE01.plist"
    )]
    Make {
        #[command(flatten)]
        device: OneDevice,
        /// The GUID of the administrator: in the Mac's answer to DeviceInformation, under AutoSetupAdminAccounts
        #[arg(long)]
        guid: String,
        /// Where to write the SetAutoAdminPassword command; it must not exist yet
        #[arg(long, value_name = "FILE.plist")]
        out: PathBuf,
    },
    /// Keep what became of a new password: the Mac has acknowledged the command, or refused it
    Settle {
        /// Which one: as `adelie password make` and `list` tell
        id: Uuid,
        /// The Mac refused it, and why; without this it has acknowledged
        #[arg(long, value_name = "WHY")]
        refused: Option<String>,
    },
    /// Show the administrator password of a Mac; needs --reason, and it is to be replaced soon after
    #[command(after_help = "Example:
  adelie password show C02EXAMPLE01 --reason 'ticket 4711: printer driver'")]
    Show {
        #[command(flatten)]
        device: OneDevice,
    },
    /// Have the password of a Mac replaced: it is listed as due from now on
    Rotate {
        #[command(flatten)]
        device: OneDevice,
    },
    /// List the Macs of which passwords are kept, newest first, without the passwords
    List {
        #[command(flatten)]
        which: WhichKept,
        /// Only those that are to be replaced by now
        #[arg(long)]
        due: bool,
    },
}

/// Which kept secrets are listed.
#[derive(Debug, Args)]
pub struct WhichKept {
    /// Of one device
    #[arg(value_name = "SERIAL")]
    pub serial: Option<SerialNumber>,
    /// At one MDM server
    #[arg(long, value_name = "NAME")]
    pub server: Option<ServerName>,
    /// At most so many
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    pub limit: u32,
}
