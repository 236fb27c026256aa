use adelie_model::{ServerName, TokenState};
use adelie_scheduler::{WorkError, chain, token_alerts};
use adelie_store::MdmServer;
use serde_json::json;
use tokio::task::JoinSet;

use super::show;
use crate::context::Context;
use crate::exit::{Exit, wrong};
use crate::health;

/// Asks Apple about tokens now, keeps what it says and shows it.
pub async fn run(context: &Context, names: &[ServerName], all: bool) -> anyhow::Result<Exit> {
    let servers = chosen(context, names, all).await?;
    let engine = context.engine().await?;
    engine.tell_expiry().await?;
    let mut work = JoinSet::new();
    let mut waiting = servers.into_iter();
    let mut checked = Vec::new();
    loop {
        while work.len() < context.settings.engine.servers_at_once {
            let Some(server) = waiting.next() else { break };
            let engine = engine.clone();
            work.spawn(async move {
                let result = match server.token.state {
                    TokenState::None => Err(WorkError::NoToken(server.name.clone())),
                    _ => engine.check_token(server.id).await,
                };
                (server, result)
            });
        }
        let Some(done) = work.join_next().await else { break };
        let (server, result) = done?;
        // As it stands now.
        let server = context.store.server_by_id(server.id).await?.unwrap_or(server);
        checked.push((server, result.err()));
    }
    let now = context.clock.now();
    checked.sort_by_key(|(server, error)| {
        (error.is_none(), server.token.state_at(now).rank(), server.name.clone())
    });
    tell(context, &checked)
}

async fn chosen(context: &Context, names: &[ServerName], all: bool) -> anyhow::Result<Vec<MdmServer>> {
    if names.is_empty() && !all {
        return Err(wrong("no MDM server is named", "name some, or ask about all tokens with --all"));
    }
    let mut servers: Vec<MdmServer> = Vec::new();
    if all {
        servers = context.store.servers().await?;
        servers.retain(|server| server.token.state != TokenState::None);
        if servers.is_empty() {
            return Err(wrong("no MDM server has a server token", "see `adelie server list`"));
        }
    }
    for name in names {
        let server = context.server(name).await?;
        if servers.iter().all(|known| known.id != server.id) {
            servers.push(server);
        }
    }
    Ok(servers)
}

fn tell(context: &Context, checked: &[(MdmServer, Option<WorkError>)]) -> anyhow::Result<Exit> {
    let now = context.clock.now();
    let mut exit = Exit::Done;
    let mut hints = Vec::new();
    let mut rows = Vec::new();
    for (server, error) in checked {
        let alerts = token_alerts(server, now);
        let problems = health::problems(&alerts);
        if error.is_some() || !problems.is_empty() {
            exit = Exit::Attention;
        }
        let error_text = error.as_ref().map(|error| chain(error));
        let damage = error_text.as_ref().filter(|_| matches!(error, Some(WorkError::Sealed(..))));
        if context.out.json {
            let mut object = show::object(context, server, damage, None);
            object["error"] = json!(error_text);
            object["alerts"] = json!(alerts);
            context.out.object(&object)?;
            continue;
        }
        let mut remedies: Vec<String> = alerts.iter().map(|alert| alert.remedy.clone()).collect();
        match error {
            Some(WorkError::Sealed(..)) => remedies.push(super::damage_fix(&server.name)),
            Some(WorkError::Apple(_, _, apple)) if remedies.is_empty() => {
                remedies.push(apple.remedy().to_owned());
            }
            _ => {}
        }
        remedies.retain(|remedy| !hints.contains(remedy));
        hints.extend(remedies);
        let alerts: Vec<_> = alerts.iter().collect();
        let cause = health::line(&alerts).or_else(|| error_text.clone()).unwrap_or_default();
        rows.push(show::row(server, damage, now, cause));
    }
    if !context.out.json {
        context.out.table(&show::COLUMNS, rows)?;
        for hint in hints {
            context.out.hint(&hint)?;
        }
    }
    Ok(exit)
}
