//! The life of a server token: its key, its import, its yearly renewal, how it stands, and the way back.

mod check;
mod folder;
mod import;
mod jwt;
mod key;
mod renew;
mod restore;
mod show;
mod watch;

use std::collections::BTreeMap;

use adelie_model::{ServerId, ServerName, Timestamp};
use adelie_scheduler::{Alert, Severity, secrets};
use adelie_store::{Keyring, MdmServer};

/// The state of a token whose row does not open. No store has it: it is seen when the row is opened.
pub const DAMAGED: &str = "damaged";

pub use self::import::import_bytes;
pub use self::key::make_key;
use crate::args::Token;
use crate::context::Context;
use crate::exit::Exit;

pub async fn run(context: Context, command: Token) -> anyhow::Result<Exit> {
    match command {
        Token::Key { name, out } => key::run(&context, &name, out.as_deref()).await,
        Token::Import { name, file, force } => import::run(&context, &name, &file, force).await,
        Token::Renew(command) => renew::run(&context, &command).await,
        Token::Show { name } => show::one(&context, &name).await,
        Token::List => show::list(&context).await,
        Token::Check { names, all } => check::run(&context, &names, all).await,
        Token::History { name } => show::history(&context, &name).await,
        Token::Jwt { name, service_type } => jwt::run(&context, &name, &service_type).await,
        Token::Restore { name, id, force } => restore::run(&context, &name, id, force).await,
    }
}

/// Why the stored token of an MDM server is of no use, if it is not: its row does not open (field lesson L42).
pub async fn damage(
    context: &Context,
    keyring: Option<&Keyring>,
    server: &MdmServer,
) -> anyhow::Result<Option<String>> {
    let (Some(keyring), Some(stored)) = (keyring, context.store.current_token(server.id).await?) else {
        return Ok(None);
    };
    let opened = secrets::open_token(keyring, &stored).await;
    Ok(opened.err().map(|error| format!("the stored server token cannot be opened: {error}")))
}

/// The MDM servers whose stored tokens do not open, each with why. Without the master key nothing is known of any.
pub async fn damages(context: &Context, servers: &[MdmServer]) -> anyhow::Result<BTreeMap<ServerId, String>> {
    let keyring = context.keyring().await.ok();
    let mut damages = BTreeMap::new();
    for server in servers {
        if let Some(damage) = damage(context, keyring.as_deref(), server).await? {
            damages.insert(server.id, damage);
        }
    }
    Ok(damages)
}

/// A damaged token as what is wrong with its MDM server.
pub fn damage_alert(name: &ServerName, damage: &str) -> Alert {
    Alert {
        code: "token_damaged",
        severity: Severity::Problem,
        text: damage.to_owned(),
        remedy: damage_fix(name),
        devices: None,
    }
}

/// The word for how the token of an MDM server stands.
pub fn state_word(server: &MdmServer, damage: Option<&String>, now: Timestamp) -> String {
    damage.map_or_else(|| server.token.state_at(now).to_string(), |_| DAMAGED.to_owned())
}

/// What to do about a token that does not open.
pub fn damage_fix(name: &ServerName) -> String {
    format!("restore the database from a backup, or get a new token with `adelie token renew {name}`")
}
