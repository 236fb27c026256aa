use std::net::SocketAddr;

use adelie_model::ServerName;
use clap::{Args, Subcommand, ValueEnum};

use super::values;

#[derive(Debug, Subcommand)]
pub enum Webhook {
    /// Add an endpoint; its secret is made for you and shown once
    #[command(
        after_help = "Patterns: device.*, assignment.failed, *; `adelie events types` lists the types. Without --event it
receives all of them.

Examples:
  adelie webhook add https://hooks.example.com/adelie
  adelie webhook add https://hooks.example.com/adelie --event 'device.*' --event 'assignment.*' --server school
  adelie webhook add https://old.example.com/dep --format nanodep"
    )]
    Add(Box<AddWebhook>),
    /// List endpoints, how they stand and what waits for them
    List,
    /// Show an endpoint, with what is wrong and what to do
    Show {
        #[command(flatten)]
        endpoint: Endpoint,
    },
    /// Send nothing until it is resumed; what happens meanwhile waits
    Pause {
        #[command(flatten)]
        endpoint: Endpoint,
    },
    /// Send again, all that has waited too
    Resume {
        #[command(flatten)]
        endpoint: Endpoint,
    },
    /// Remove an endpoint, and what waits for it
    Remove {
        #[command(flatten)]
        endpoint: Endpoint,
    },
    /// Send a test event now and show what came of it
    Test {
        #[command(flatten)]
        endpoint: Endpoint,
    },
    /// Make a new secret; the old one signs beside it for a day
    Rotate {
        #[command(flatten)]
        endpoint: Endpoint,
        /// How long both sign: 0s ends the old one at once
        #[arg(long, value_name = "TIME", value_parser = values::overlap, default_value = "1d")]
        overlap: std::time::Duration,
    },
    /// List deliveries, newest first; with a number show one with its requests and answers
    Log {
        /// The number of a delivery
        #[arg(value_name = "DELIVERY", conflicts_with_all = ["failed", "endpoint", "event"])]
        delivery: Option<i64>,
        /// Only those that failed: that are tried again, or were given up
        #[arg(long)]
        failed: bool,
        /// Only of this endpoint: its number or URL
        #[arg(long, value_name = "ENDPOINT")]
        endpoint: Option<String>,
        /// Only of this event: its id
        #[arg(long, value_name = "ID")]
        event: Option<String>,
        /// At most so many
        #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
        limit: u32,
    },
    /// Send again: one delivery, all that failed, or all of a time range
    #[command(after_help = "Events keep their ids, so that a receiver knows what it has seen.

Examples:
  adelie webhook replay 4711
  adelie webhook replay --failed
  adelie webhook replay --endpoint 1 --since 2026-11-21T00:00:00Z --until 2026-11-22T00:00:00Z")]
    Replay {
        /// The number of a delivery
        #[arg(value_name = "DELIVERY", conflicts_with_all = ["failed", "since"])]
        delivery: Option<i64>,
        /// Those that are tried again or were given up
        #[arg(long, conflicts_with = "since")]
        failed: bool,
        /// Of this endpoint: its number or URL
        #[arg(long, value_name = "ENDPOINT", conflicts_with = "delivery")]
        endpoint: Option<String>,
        /// All events from this moment on that the endpoint subscribes to
        #[arg(long, value_name = "TIME", value_parser = values::since, requires = "endpoint")]
        since: Option<values::Since>,
        /// Before this moment; otherwise until now
        #[arg(long, value_name = "TIME", value_parser = values::since, requires = "since")]
        until: Option<values::Since>,
    },
    /// Receive webhooks here, verify and print them: for trying things out
    Listen {
        /// Where it listens
        #[arg(long, default_value = "127.0.0.1:8090", value_name = "ADDRESS", value_parser = values::address)]
        listen: SocketAddr,
        /// The secret (whsec_…) or public key (whpk_…); without it nothing is verified
        #[arg(long, env = "ADELIE_WEBHOOK_SECRET", hide_env_values = true, value_name = "SECRET")]
        secret: Option<String>,
        /// Answer with this status
        #[arg(long, default_value_t = 204, value_name = "STATUS", value_parser = clap::value_parser!(u16).range(200..=599))]
        status: u16,
    },
}

#[derive(Debug, Args)]
pub struct AddWebhook {
    /// Where events are posted to
    pub url: String,
    /// Types of events that it receives; may be given several times
    #[arg(long = "event", value_name = "GLOB", value_delimiter = ',')]
    pub events: Vec<String>,
    /// Only events of these MDM servers; may be given several times
    #[arg(long = "server", value_name = "NAME")]
    pub servers: Vec<ServerName>,
    /// How events are written
    #[arg(long, value_enum, default_value_t = Format::Standard)]
    pub format: Format,
    /// Without details: only which devices an event is about
    #[arg(long)]
    pub thin: bool,
    /// The events of a device arrive in their order: a failed one keeps later ones waiting
    #[arg(long)]
    pub ordered: bool,
    /// How signatures are made
    #[arg(long, value_enum, default_value_t = Signing::Hmac)]
    pub signing: Signing,
    /// How many posts may be under way at once
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=256))]
    pub concurrency: u32,
    /// Use this secret (whsec_… or whsk_…) from a file, not a new one; - is stdin
    #[arg(long, value_name = "FILE")]
    pub secret_file: Option<std::path::PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Standard Webhooks
    Standard,
    /// CloudEvents 1.0.2, structured
    Cloudevents,
    /// What nanodep's syncer posts of each page
    Nanodep,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Signing {
    /// A shared secret (v1, HMAC-SHA256)
    Hmac,
    /// A key pair (v1a, ed25519); the receiver needs only the public key
    Ed25519,
}

/// An endpoint.
#[derive(Debug, Args)]
pub struct Endpoint {
    /// Its number or URL
    #[arg(value_name = "ENDPOINT")]
    pub endpoint: String,
}
