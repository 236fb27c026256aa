mod beta_tokens;
mod enrollment_url;
mod set;
mod show;

use adelie_model::{ServerName, Timestamp};
use adelie_scheduler::{Alert, Severity};
use adelie_store::{MdmServer, NewServer, StoreError};
use serde_json::{Value, json};
use url::Url;

use crate::args::Server;
use crate::commands::token;
use crate::context::Context;
use crate::exit::{Exit, wrong};
use crate::health;
use crate::words::{for_server, minute, optional_time, time};

pub async fn run(context: Context, command: Server) -> anyhow::Result<Exit> {
    match command {
        Server::Add { name, base_url, paused } => add(&context, name, &base_url, paused).await,
        Server::List => list(&context).await,
        Server::Show { name } => {
            let server = context.server(&name).await?;
            show::run(&context, &server).await
        }
        Server::Set { name, settings } => set::run(&context, &name, &settings).await,
        Server::BetaTokens { name } => beta_tokens::run(&context, &name).await,
        Server::EnrollmentUrl { name, change } => enrollment_url::run(&context, &name, &change).await,
        Server::Pause { name } => pause(&context, &name, true).await,
        Server::Resume { name } => pause(&context, &name, false).await,
    }
}

async fn add(context: &Context, name: ServerName, base_url: &Url, paused: bool) -> anyhow::Result<Exit> {
    let base_url = base_url.as_str().trim_end_matches('/').to_owned();
    let new = NewServer { name, base_url, paused };
    let id = match context.store.add_server(&new, &context.operator()).await {
        Ok(id) => id,
        Err(error @ StoreError::Exists { .. }) => {
            return Err(wrong(error.to_string(), format!("see it with `adelie server show {}`", new.name)));
        }
        Err(error) => return Err(error.into()),
    };
    if context.out.json {
        let server = context.store.server_by_id(id).await?.ok_or_else(|| StoreError::no_server(id))?;
        return show::run(context, &server).await;
    }
    let state = if paused { "paused" } else { "active" };
    context.out.line(&format!("added MDM server {} ({state})", new.name))?;
    context.out.hint(&format!("next: `adelie token key {} --out {}.pem`", new.name, file_name(&new.name)))?;
    if paused {
        // A device that is switched on before it has a profile does not enroll (field lesson L30).
        context.out.hint(&format!(
            "before `adelie server resume {0}`, give it a profile: `adelie server set {0} --default any=PROFILE`",
            new.name
        ))?;
    }
    Ok(Exit::Done)
}

/// A name as a file name that needs no quoting in a shell.
pub fn file_name(name: &ServerName) -> String {
    name.as_str()
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '_' })
        .collect()
}

async fn pause(context: &Context, name: &ServerName, paused: bool) -> anyhow::Result<Exit> {
    let server = context.server(name).await?;
    context.store.set_paused(server.id, paused, &context.operator()).await?;
    if context.out.json {
        let server = context.server(name).await?;
        return show::run(context, &server).await;
    }
    let state = if paused { "paused: it is neither synced nor assigned by itself" } else { "active" };
    context.out.line(&format!("MDM server {name} is {state}"))?;
    Ok(Exit::Done)
}

async fn list(context: &Context) -> anyhow::Result<Exit> {
    let counts = context.store.state_counts(None).await?;
    let servers = context.store.servers().await?;
    let damages = token::damages(context, &servers).await?;
    let mut servers: Vec<_> = servers
        .into_iter()
        .map(|server| {
            let damage = damages.get(&server.id);
            let mut alerts = health::of(context, &server, &counts);
            alerts.splice(0..0, damage.map(|damage| token::damage_alert(&server.name, damage)));
            (server, damage, alerts)
        })
        .collect();
    // Worst first: what needs somebody stands where the eye falls.
    let worst =
        |alerts: &[Alert]| alerts.first().map_or(2, |alert| u8::from(alert.severity == Severity::Notice));
    let now = context.clock.now();
    servers.sort_by_key(|(server, damage, alerts)| {
        (worst(alerts), damage.is_none(), server.token.state_at(now).rank(), server.name.clone())
    });
    if context.out.json {
        for (server, damage, alerts) in &servers {
            context.out.object(&summary(server, *damage, alerts, now))?;
        }
        return Ok(Exit::Done);
    }
    if servers.is_empty() {
        context.out.hint("there is no MDM server yet: add one with `adelie server add NAME`")?;
        return Ok(Exit::Done);
    }
    let rows = servers.iter().map(|(server, damage, alerts)| {
        vec![
            server.name.to_string(),
            token::state_word(server, *damage, now),
            minute(server.token.expires_at),
            minute(server.last_sync_at),
            if server.paused { "paused".to_owned() } else { minute(server.next_sync_at) },
            health::first(alerts),
        ]
    });
    context.out.table(&["name", "token", "expires", "last sync", "next sync", "trouble"], rows.collect())?;
    if servers.iter().any(|(_, _, alerts)| !alerts.is_empty()) {
        context.out.hint("`adelie server show NAME` says what to do")?;
    }
    Ok(Exit::Done)
}

fn summary(server: &MdmServer, damage: Option<&String>, alerts: &[Alert], now: Timestamp) -> Value {
    json!({
        "name": server.name,
        "base_url": server.base_url,
        "paused": server.paused,
        "created_at": time(server.created_at),
        "token": token_object(server, damage, now),
        "account": server.account,
        "last_sync_at": optional_time(server.last_sync_at),
        "last_full_sync_at": optional_time(server.last_full_at),
        "next_sync_at": optional_time(server.next_sync_at),
        "failures": server.failures,
        "last_error": server.last_error,
        "wait_until": optional_time(server.wait_until),
        "attention": server.attention,
        "setbacks": server.setbacks,
        "alerts": alerts,
    })
}

/// The token's health as an object.
pub fn token_object(server: &MdmServer, damage: Option<&String>, now: Timestamp) -> Value {
    let (token_state, name) = (&server.token, &server.name);
    let state = token_state.state_at(now);
    let remedy = damage.map(|_| token::damage_fix(name));
    let next_check_at = if state.is_bad() { token_state.next_check_at } else { server.next_sync_at };
    json!({
        "state": token::state_word(server, damage, now),
        "detail": damage.or(token_state.detail.as_ref()),
        "since": optional_time(token_state.since),
        "expires_at": optional_time(token_state.expires_at),
        "days_left": token_state.days_left(now),
        "next_check_at": optional_time(next_check_at),
        "clock_skew_seconds": token_state.clock_skew.map(|skew| skew.num_seconds()),
        "remedy": remedy.or_else(|| state.remedy().map(|remedy| for_server(remedy, name))),
    })
}
