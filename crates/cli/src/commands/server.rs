use std::collections::BTreeMap;

use adelie_model::{ServerId, ServerName};
use adelie_store::{MdmServer, NewServer, StoreError};
use serde_json::{Value, json};
use url::Url;

use crate::args::{DefaultProfile, Server};
use crate::context::Context;
use crate::exit::{Exit, wrong};
use crate::words::{count, minute, optional_time, time};

pub async fn run(context: Context, command: Server) -> anyhow::Result<Exit> {
    match command {
        Server::Add { name, base_url, paused } => add(&context, name, &base_url, paused).await,
        Server::List => list(&context).await,
        Server::Show { name } => {
            let server = context.server(&name).await?;
            show(&context, &server).await
        }
        Server::Set { name, defaults } => set(&context, &name, &defaults).await,
        Server::Pause { name } => pause(&context, &name, true).await,
        Server::Resume { name } => pause(&context, &name, false).await,
    }
}

async fn add(context: &Context, name: ServerName, base_url: &Url, paused: bool) -> anyhow::Result<Exit> {
    let base_url = base_url.as_str().trim_end_matches('/').to_owned();
    let new = NewServer { name, base_url, paused };
    let id = match context.store.add_server(&new, context.clock.now()).await {
        Ok(id) => id,
        Err(error @ StoreError::Exists { .. }) => {
            return Err(wrong(error.to_string(), format!("see it with `adelie server show {}`", new.name)));
        }
        Err(error) => return Err(error.into()),
    };
    if context.out.json {
        let server = context.store.server_by_id(id).await?.ok_or_else(|| StoreError::no_server(id))?;
        return show(context, &server).await;
    }
    let state = if paused { "paused" } else { "active" };
    context.out.line(&format!("added MDM server {} ({state})", new.name))?;
    context.out.hint(&format!("next: `adelie token key {} --out {}.pem`", new.name, file_name(&new.name)))?;
    Ok(Exit::Done)
}

/// A name as a file name that needs no quoting in a shell.
fn file_name(name: &ServerName) -> String {
    name.as_str()
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '_' })
        .collect()
}

async fn set(context: &Context, name: &ServerName, defaults: &[DefaultProfile]) -> anyhow::Result<Exit> {
    let server = context.server(name).await?;
    for (index, one) in defaults.iter().enumerate() {
        if defaults[..index].iter().any(|other| other.scope == one.scope) {
            return Err(wrong(
                format!("--default {}=… is given twice; no default was changed", one.scope),
                "give each family once",
            ));
        }
    }
    let wanted: Vec<_> = defaults.iter().map(|one| (one.scope.clone(), one.profile.clone())).collect();
    match context.store.set_defaults(server.id, &wanted).await {
        Ok(()) => {}
        Err(StoreError::Missing { what: "profile", name }) => {
            let known: Vec<_> =
                context.store.profiles().await?.into_iter().map(|profile| profile.name.to_string()).collect();
            let hint = if known.is_empty() {
                format!("there is none yet: add it with `adelie profile new {name} --file FILE`")
            } else {
                format!("the profiles are {}", known.join(", "))
            };
            return Err(wrong(format!("there is no profile {name:?}; no default was changed"), hint));
        }
        Err(error) => return Err(error.into()),
    }
    if context.out.json {
        return show(context, &server).await;
    }
    for (scope, profile) in &wanted {
        match profile {
            Some(profile) => context.out.line(&format!("default for {scope}: {profile}"))?,
            None => context.out.line(&format!("default for {scope}: none"))?,
        }
    }
    context
        .out
        .hint(&format!("devices are decided anew at the next sync; `adelie sync {name}` does it now"))?;
    Ok(Exit::Done)
}

async fn pause(context: &Context, name: &ServerName, paused: bool) -> anyhow::Result<Exit> {
    let server = context.server(name).await?;
    context.store.set_paused(server.id, paused).await?;
    if context.out.json {
        let server = context.server(name).await?;
        return show(context, &server).await;
    }
    let state = if paused { "paused: it is neither synced nor assigned by itself" } else { "active" };
    context.out.line(&format!("MDM server {name} is {state}"))?;
    Ok(Exit::Done)
}

async fn list(context: &Context) -> anyhow::Result<Exit> {
    let mut servers = context.store.servers().await?;
    let mut stuck: BTreeMap<ServerId, Vec<String>> = BTreeMap::new();
    for one in context.store.state_counts(None).await?.iter().filter(|one| one.state.needs_attention()) {
        let text = format!("{} {}", count(one.devices, "device", "devices"), one.state);
        stuck.entry(one.server).or_default().push(text);
    }
    let trouble =
        |server: &MdmServer| trouble(server).or_else(|| stuck.get(&server.id).map(|all| all.join(", ")));
    // Worst first: what needs somebody stands where the eye falls.
    servers.sort_by_key(|server| (trouble(server).is_none(), server.name.clone()));
    if context.out.json {
        for server in &servers {
            context.out.object(&summary(server))?;
        }
        return Ok(Exit::Done);
    }
    if servers.is_empty() {
        context.out.hint("there is no MDM server yet: add one with `adelie server add NAME`")?;
        return Ok(Exit::Done);
    }
    let rows = servers.iter().map(|server| {
        vec![
            server.name.to_string(),
            server.token.state.to_string(),
            minute(server.token.expires_at),
            minute(server.last_sync_at),
            if server.paused { "paused".to_owned() } else { minute(server.next_sync_at) },
            trouble(server).unwrap_or_default(),
        ]
    });
    context.out.table(&["name", "token", "expires", "last sync", "next sync", "trouble"], rows.collect())?;
    Ok(Exit::Done)
}

/// What is wrong with a server, if anything.
pub fn trouble(server: &MdmServer) -> Option<String> {
    use adelie_model::TokenState::{Expiring, None as NoToken, Valid};
    let token = match server.token.state {
        Valid => None,
        NoToken => Some("no server token".to_owned()),
        Expiring => Some("the token expires soon".to_owned()),
        state => Some(format!("token {state}")),
    };
    server.attention.clone().or(token).or_else(|| server.last_error.clone())
}

fn summary(server: &MdmServer) -> Value {
    json!({
        "name": server.name,
        "base_url": server.base_url,
        "paused": server.paused,
        "created_at": time(server.created_at),
        "token": token_object(server),
        "account": server.account,
        "last_sync_at": optional_time(server.last_sync_at),
        "last_full_sync_at": optional_time(server.last_full_at),
        "next_sync_at": optional_time(server.next_sync_at),
        "failures": server.failures,
        "last_error": server.last_error,
        "wait_until": optional_time(server.wait_until),
        "attention": server.attention,
    })
}

/// The token's health as an object.
pub fn token_object(server: &MdmServer) -> Value {
    let token = &server.token;
    json!({
        "state": token.state,
        "detail": token.detail,
        "since": optional_time(token.since),
        "expires_at": optional_time(token.expires_at),
        "remedy": token.state.remedy(),
    })
}

async fn show(context: &Context, server: &MdmServer) -> anyhow::Result<Exit> {
    let defaults = context.store.defaults(server.id).await?;
    let counts = context.store.state_counts(Some(server.id)).await?;
    let states: BTreeMap<&str, u64> = counts.iter().map(|one| (one.state.as_str(), one.devices)).collect();
    if context.out.json {
        let mut object = summary(server);
        object["defaults"] = defaults
            .iter()
            .map(|one| (one.scope.to_string(), Value::from(one.profile.as_str())))
            .collect::<serde_json::Map<_, _>>()
            .into();
        object["devices"] = json!(states);
        context.out.object(&object)?;
        return Ok(Exit::Done);
    }
    let account = server.account.clone().unwrap_or_default();
    let apple = match (&account.server_name, &account.org_name) {
        (Some(name), Some(org)) => format!("{name} of {org}"),
        (name, org) => name.clone().or_else(|| org.clone()).unwrap_or_default(),
    };
    let devices: Vec<_> = states.iter().map(|(state, devices)| format!("{devices} {state}")).collect();
    let defaults: Vec<_> = defaults.iter().map(|one| format!("{}: {}", one.scope, one.profile)).collect();
    let waits = server.wait_until.filter(|until| *until > context.clock.now());
    let next = if server.paused { "paused".to_owned() } else { minute(server.next_sync_at) };
    context.out.facts(&[
        ("name", server.name.to_string()),
        ("apple", apple),
        ("base URL", server.base_url.clone()),
        ("token", server.token.state.to_string()),
        ("token expires", minute(server.token.expires_at)),
        ("last sync", minute(server.last_sync_at)),
        ("last full sync", minute(server.last_full_at)),
        ("next sync", next),
        ("Apple asks to wait until", waits.map(|until| minute(Some(until))).unwrap_or_default()),
        ("defaults", if defaults.is_empty() { "none".to_owned() } else { defaults.join(", ") }),
        ("devices", if devices.is_empty() { "none".to_owned() } else { devices.join(", ") }),
        (
            "failed runs",
            if server.failures == 0 { String::new() } else { count(server.failures.into(), "run", "runs") },
        ),
        ("last error", server.last_error.clone().unwrap_or_default()),
        ("attention", server.attention.clone().unwrap_or_default()),
    ])?;
    if let Some(remedy) = server.token.state.remedy() {
        context.out.hint(&remedy.replace("NAME", server.name.as_str()))?;
    }
    Ok(Exit::Done)
}
