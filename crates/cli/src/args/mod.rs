//! The command line: names, help texts and nothing else.

use std::net::SocketAddr;
use std::path::PathBuf;

use adelie_store::audit::without_secrets;
use clap::error::{ContextKind, ContextValue};
use clap::{Args as ClapArgs, Parser, Subcommand};

mod assign;
mod audit;
mod backup;
mod device;
mod escrow;
mod events;
mod key;
mod plan;
mod profile;
mod rule;
mod server;
mod sync;
mod token;
mod values;
mod webhook;

pub use assign::Assign;
pub use audit::{Audit, AuditWhich};
pub use backup::{Backup, Restore};
pub use device::{Device, Matching, Serials};
pub use escrow::{ActivationLock, OneDevice, Password, WhichKept};
pub use events::{Events, Which};
pub use key::Key;
pub use plan::{Apply, Export, Folder, Plan};
pub use profile::{Import, Profile, SkipKeys, Step};
pub use rule::{Conditions, Facts, Patch, Rule};
pub use server::{OwnSettings, Server, UrlChange};
pub use sync::{Sync, SyncCommand};
pub use token::{Renew, Token};
pub use values::{DefaultProfile, Setting, Since};
pub use webhook::{AddWebhook, Format, Signing, Webhook};

/// Adelie holds the server tokens of Apple Automated Device Enrollment, keeps an exact copy of the devices
/// that Apple has given each MDM server, and sees to it that every device has its enrollment profile.
#[derive(Debug, Parser)]
#[command(name = "adelie", version, max_term_width = 100, propagate_version = true)]
pub struct Args {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

/// Settings of every command. A flag wins over the environment, which wins over the configuration file.
#[derive(Clone, Debug, Default, ClapArgs)]
pub struct Global {
    /// Where the key file is, and the database unless --database names another
    #[arg(
        long,
        env = "ADELIE_DATA_DIR",
        hide_env_values = true,
        global = true,
        value_name = "DIR",
        help_heading = "Global options"
    )]
    pub data_dir: Option<PathBuf>,
    /// sqlite:PATH or postgres://USER@HOST/NAME
    #[arg(
        long,
        env = "ADELIE_DATABASE_URL",
        hide_env_values = true,
        global = true,
        value_name = "URL",
        help_heading = "Global options"
    )]
    pub database: Option<String>,
    /// Configuration file (default: adelie.toml in the data directory, if there is one)
    #[arg(
        long,
        env = "ADELIE_CONFIG",
        hide_env_values = true,
        global = true,
        value_name = "FILE",
        help_heading = "Global options"
    )]
    pub config: Option<PathBuf>,
    /// Print JSON: one object, or one object per line for lists
    #[arg(long, global = true, help_heading = "Global options")]
    pub json: bool,
    /// Why, for those who look later: kept in the audit with every change that the command makes
    #[arg(
        long,
        env = "ADELIE_REASON",
        hide_env_values = true,
        global = true,
        value_name = "TEXT",
        value_parser = values::reason,
        help_heading = "Global options"
    )]
    pub reason: Option<String>,
    /// What to log to stderr, like `info` or `adelie_dep=debug`
    #[arg(
        long,
        env = "ADELIE_LOG",
        hide_env_values = true,
        global = true,
        value_name = "FILTER",
        help_heading = "Global options"
    )]
    pub log: Option<String>,
}

impl Args {
    /// Reads the command line, or says what is wrong with it and ends the program.
    pub fn read() -> Self {
        Self::try_parse().unwrap_or_else(|mut error| {
            // The list of subcommands has the hidden ones in it, too.
            if let Some(ContextValue::Strings(mut known)) = error.remove(ContextKind::ValidSubcommand) {
                known.retain(|name| name != "help-markdown");
                error.insert(ContextKind::ValidSubcommand, ContextValue::Strings(known));
            }
            // A URL that is refused may have a password in it.
            if let Some(ContextValue::String(value)) = error.remove(ContextKind::InvalidValue) {
                error.insert(ContextKind::InvalidValue, ContextValue::String(without_secrets(&value)));
            }
            error.exit()
        })
    }
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// MDM servers: add, list, show, set, pause, resume
    #[command(subcommand)]
    Server(Server),
    /// Server tokens: make a key, import Apple's .p7m, show
    #[command(subcommand)]
    Token(Token),
    /// Sync with Apple, then assign what is due, then exit; history of syncs
    Sync(Sync),
    /// Devices: list, show, explain, history, ready, refresh, tag, undo, delete
    #[command(subcommand)]
    Device(Device),
    /// Assignments: status, retry, hold, unhold
    #[command(subcommand)]
    Assign(Assign),
    /// Administrator passwords of Macs: make, show, rotate, list
    #[command(subcommand)]
    Password(Password),
    /// Activation lock: lock a device through Apple, show the code that unlocks it
    #[command(subcommand)]
    ActivationLock(ActivationLock),
    /// Enrollment profiles: new, edit, history, diff, rollback, rollout, validate, import
    #[command(subcommand)]
    Profile(Profile),
    /// Rules: which devices get which profile
    #[command(subcommand)]
    Rule(Rule),
    /// Show what a folder of profiles, rules and settings would change
    Plan(Plan),
    /// Make what a folder of profiles, rules and settings says
    Apply(Apply),
    /// Write profiles, rules and settings to a folder
    Export(Export),
    /// Show who changed what of profiles, rules, defaults and settings, newest first
    Changes {
        /// At most so many
        #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
        limit: u32,
    },
    /// Audit: who did what by hand, and whether nothing of that was changed
    #[command(subcommand)]
    Audit(Audit),
    /// Events: list, follow, show, types, schema
    #[command(subcommand)]
    Events(Events),
    /// Webhooks: endpoints, their deliveries, replay, a receiver for trying out
    #[command(subcommand)]
    Webhook(Webhook),
    /// Keys that seal the secrets of the database: show, make, rotate
    #[command(subcommand)]
    Key(Key),
    /// Write everything that is stored to a file, while everything goes on working
    #[command(after_help = backup::BACKUP)]
    Backup(Backup),
    /// Fill an empty database from a backup, or check one
    #[command(after_help = backup::RESTORE)]
    Restore(Restore),
    /// Run the service: sync, assign and deliver by itself
    Serve(Serve),
    /// Check the installation and say what is wrong and what to do
    Doctor(Doctor),
    /// Run a simulated Apple to try things against
    Simulator(Box<Simulator>),
    /// The whole way in one command: simulator, service and sample data
    Demo(Demo),
    /// Print the completion script of a shell
    Completions {
        /// Which shell
        shell: clap_complete::Shell,
    },
    /// Print this reference as Markdown
    #[command(hide = true)]
    HelpMarkdown,
}

/// What `adelie doctor` looks at; the order is that of its output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Check {
    /// Who may read the data directory
    DataDir,
    /// Whether the master key fits the database, and what is sealed under which data key
    Key,
    /// Server tokens: whether they open, what Apple says of them, when they expire, and the clock
    Tokens,
    /// MDM servers: syncs, devices
    Servers,
    /// Rules that do nothing
    Rules,
    /// Profiles that Apple shows otherwise
    Profiles,
    /// Endpoints of webhooks
    Webhooks,
    /// The end of the audit
    Audit,
}

#[derive(Debug, ClapArgs)]
pub struct Doctor {
    /// Look only at this; can be given several times
    #[arg(long, value_name = "NAME")]
    pub check: Vec<Check>,
}

#[derive(Debug, ClapArgs)]
pub struct Serve {
    /// Address of the health endpoints
    #[arg(
        long,
        env = "ADELIE_LISTEN",
        hide_env_values = true,
        default_value = "127.0.0.1:8080",
        value_name = "ADDRESS",
        value_parser = values::address
    )]
    pub listen: SocketAddr,
}

#[derive(Debug, ClapArgs)]
pub struct Simulator {
    /// Where it listens
    #[arg(long, default_value = "127.0.0.1:8081", value_name = "ADDRESS", value_parser = values::address)]
    pub listen: SocketAddr,
    /// Devices at the first MDM server (default: 1000)
    #[arg(long, value_name = "N")]
    pub devices: Option<usize>,
    /// Makes the devices; the same seed makes the same devices
    #[arg(long, value_name = "S")]
    pub seed: Option<u64>,
    /// Settings and steps from a file; see docs/simulator.md
    #[arg(long, value_name = "FILE")]
    pub scenario: Option<PathBuf>,
    /// Answer every request so many milliseconds later
    #[arg(long, value_name = "MS")]
    pub latency_ms: Option<u64>,
}

#[derive(Clone, Debug, ClapArgs)]
pub struct Demo {
    /// End after the walk
    #[arg(long)]
    pub once: bool,
    /// Devices that Apple has at the start
    #[arg(long, default_value_t = 5000, value_name = "N", value_parser = clap::value_parser!(u32).range(10..=1_000_000))]
    pub devices: u32,
}
