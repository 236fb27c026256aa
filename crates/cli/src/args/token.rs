use std::path::PathBuf;

use adelie_model::ServerName;
use clap::{Args, Subcommand};
use uuid::Uuid;

#[derive(Debug, Subcommand)]
pub enum Token {
    /// Make a fresh key pair and write the certificate to upload to Apple
    Key {
        /// The MDM server
        name: ServerName,
        /// Where to write the certificate; without it, it goes to stdout
        #[arg(long, value_name = "FILE.pem")]
        out: Option<PathBuf>,
    },
    /// Decrypt the server token that Apple gave and use it from now on
    Import {
        /// The MDM server
        name: ServerName,
        /// The file downloaded from Apple
        #[arg(value_name = "FILE.p7m")]
        file: PathBuf,
        /// Import it although it seems to belong to another MDM server or cannot be tried now
        #[arg(long)]
        force: bool,
    },
    /// Renew a server token, step by step; the old one is used until Apple has taken the new one
    #[command(after_help = "Examples:
  adelie token renew acme                              # leads through it, and asks for the file
  adelie token renew acme --watch ~/Downloads          # takes the file when it is there
  adelie token renew acme ~/Downloads/acme_Token.p7m   # the file is there already
  adelie token renew --folder ~/Downloads              # many MDM servers at once

Without a file and without a terminal it makes the certificate, prints the steps and ends with 1.
docs/renewal.md has the procedure on one page.")]
    Renew(Renew),
    /// Show how the token stands, and what to do
    Show {
        /// The MDM server
        name: ServerName,
    },
    /// List the tokens of all MDM servers, worst first
    List,
    /// Ask Apple now whether it takes the token; ends with 1 when somebody has to do something
    #[command(after_help = "Examples:
  adelie token check acme          # after the terms were accepted, say
  adelie token check --all         # for monitoring

It ends with 0 when Apple takes every token and none of them expires within 14 days, else with 1.")]
    Check {
        /// The MDM servers
        #[arg(value_name = "NAME")]
        names: Vec<ServerName>,
        /// Those of all MDM servers that have one
        #[arg(long, conflicts_with = "names")]
        all: bool,
    },
    /// Show the tokens so far: who made and imported them, and what became of them
    History {
        /// The MDM server
        name: ServerName,
    },
    /// Sign the token that answers a device's GetToken, for access management of Managed Apple Accounts
    #[command(after_help = "It is good once: make one for each request.")]
    Jwt {
        /// The MDM server
        name: ServerName,
        /// The TokenServiceType that the device asks for
        #[arg(long, value_name = "TYPE", default_value = adelie_token::ACCESS_MANAGEMENT)]
        service_type: String,
    },
    /// Use a former token again, if Apple still takes it
    Restore {
        /// The MDM server
        name: ServerName,
        /// Its id in `adelie token history`; without it, the one before the present one
        id: Option<Uuid>,
        /// Use it although it is for another MDM server or Apple does not take it
        #[arg(long)]
        force: bool,
    },
}

#[derive(Debug, Args)]
pub struct Renew {
    /// The MDM server
    #[arg(required_unless_present = "folder")]
    pub name: Option<ServerName>,
    /// The file downloaded from Apple
    #[arg(value_name = "FILE.p7m")]
    pub file: Option<PathBuf>,
    /// Renew every MDM server for whose key there is a .p7m file in this folder
    #[arg(long, value_name = "DIR", conflicts_with_all = ["name", "file", "reuse_key", "out", "watch"])]
    pub folder: Option<PathBuf>,
    /// Upload nothing: Apple keeps the certificate of the present key
    #[arg(long, conflicts_with = "file")]
    pub reuse_key: bool,
    /// Where to write the certificate; without it, NAME.pem in the current folder
    #[arg(long, value_name = "FILE.pem", conflicts_with = "file")]
    pub out: Option<PathBuf>,
    /// Wait for the file in this folder instead of asking for it
    #[arg(long, value_name = "DIR", conflicts_with = "file")]
    pub watch: Option<PathBuf>,
    /// Take a token although it seems to belong to another MDM server or cannot be tried now
    #[arg(long)]
    pub force: bool,
}
