use adelie_model::{ServerName, Timestamp};
use adelie_scheduler::token_alerts;
use adelie_store::{Account, MdmServer, StoredToken};
use serde_json::{Value, json};

use crate::commands::server::token_object;
use crate::context::Context;
use crate::exit::Exit;
use crate::health;
use crate::words::{count, for_server, minute, optional_time, time};

/// The columns of a table of tokens.
pub const COLUMNS: [&str; 6] = ["server", "token", "expires", "left", "next check", "trouble"];

/// Shows how one token stands.
pub async fn one(context: &Context, name: &ServerName) -> anyhow::Result<Exit> {
    let server = context.server(name).await?;
    let now = context.clock.now();
    let current = context.store.current_token(server.id).await?;
    let keys = context.store.token_keys(server.id).await?;
    let keyring = context.keyring().await.ok();
    let damage = super::damage(context, keyring.as_deref(), &server).await?;
    let consumer_key = current.as_ref().map(|token| token.token.consumer_key.as_str());
    let imported_at = current.as_ref().map(|token| token.imported_at);
    let imported_by = current.as_ref().and_then(|token| token.imported_by.clone());
    if context.out.json {
        let mut object = object(context, &server, damage.as_ref(), consumer_key);
        object["imported_at"] = json!(optional_time(imported_at));
        object["imported_by"] = json!(imported_by);
        object["damage"] = json!(damage);
        object["keys"] = keys
            .iter()
            .map(|key| json!({ "key_id": key.id, "created_at": time(key.created_at) }))
            .collect::<Vec<_>>()
            .into();
        context.out.object(&object)?;
        return Ok(Exit::Done);
    }
    let account = server.account.clone().unwrap_or_default();
    let state = server.token.state_at(now);
    let expires = match server.token.days_left(now) {
        Some(days) => format!("{} ({})", minute(server.token.expires_at), left(days)),
        None => minute(server.token.expires_at),
    };
    let clock = server.token.clock_skew.map(|skew| {
        let way = if skew.num_seconds() > 0 { "behind" } else { "ahead of" };
        format!("{} seconds {way} Apple's", skew.num_seconds().abs())
    });
    context.out.facts(&[
        ("server", name.to_string()),
        ("token", super::state_word(&server, damage.as_ref(), now)),
        ("cause", damage.clone().or_else(|| server.token.detail.clone()).unwrap_or_default()),
        ("since", minute(server.token.since)),
        ("next check", next_check(&server, now)),
        ("expires", expires),
        ("imported", minute(imported_at)),
        ("imported by", imported_by.unwrap_or_default()),
        ("made by", account.admin_id.clone().unwrap_or_default()),
        ("at Apple", account.server_name.clone().unwrap_or_default()),
        ("organization", account.org_name.clone().unwrap_or_default()),
        ("contact", contact(&account)),
        ("server UUID", account.server_uuid.unwrap_or_default()),
        ("consumer key", consumer_key.unwrap_or_default().to_owned()),
        ("token keys", keys.len().to_string()),
        ("clock", clock.unwrap_or_default()),
    ])?;
    if damage.is_some() {
        context.out.hint(&super::damage_fix(name))?;
    }
    if let Some(remedy) = state.remedy() {
        context.out.hint(&for_server(remedy, name))?;
    }
    if let Some(alert) = token_alerts(&server, now).iter().find(|alert| alert.code == "clock_skew") {
        context.out.hint(&alert.remedy)?;
    }
    Ok(Exit::Done)
}

/// Lists the tokens of all MDM servers, worst first.
pub async fn list(context: &Context) -> anyhow::Result<Exit> {
    let now = context.clock.now();
    let mut servers = context.store.servers().await?;
    let damages = super::damages(context, &servers).await?;
    servers.sort_by_key(|server| {
        let whole = !damages.contains_key(&server.id);
        (whole, server.token.state_at(now).rank(), server.token.expires_at, server.name.clone())
    });
    if context.out.json {
        for server in &servers {
            context.out.object(&object(context, server, damages.get(&server.id), None))?;
        }
        return Ok(Exit::Done);
    }
    if servers.is_empty() {
        context.out.hint("there is no MDM server yet: add one with `adelie server add NAME`")?;
        return Ok(Exit::Done);
    }
    let mut troubled = false;
    let rows = servers.iter().map(|server| {
        let damage = damages.get(&server.id);
        let mut alerts = token_alerts(server, now);
        alerts.splice(0..0, damage.map(|damage| super::damage_alert(&server.name, damage)));
        troubled |= !alerts.is_empty();
        row(server, damage, now, health::first(&alerts))
    });
    let rows = rows.collect();
    context.out.table(&COLUMNS, rows)?;
    if troubled {
        context
            .out
            .hint("`adelie token show NAME` says what to do; `adelie token check NAME` asks Apple now")?;
    }
    Ok(Exit::Done)
}

/// Lists the tokens that an MDM server has had.
pub async fn history(context: &Context, name: &ServerName) -> anyhow::Result<Exit> {
    let server = context.server(name).await?;
    let tokens = context.store.tokens(server.id).await?;
    if context.out.json {
        for token in &tokens {
            context.out.object(&past(token))?;
        }
        return Ok(Exit::Done);
    }
    if tokens.is_empty() {
        context.out.hint(&format!(
            "there is none yet: `adelie token key {name} --out FILE.pem` is the first step"
        ))?;
        return Ok(Exit::Done);
    }
    let rows = tokens.iter().map(|token| {
        let made_by = token.token.account.as_ref().and_then(|account| account.admin_id.clone());
        vec![
            token.token.id.to_string(),
            minute(Some(token.imported_at)),
            token.imported_by.clone().unwrap_or_else(|| "-".to_owned()),
            made_by.unwrap_or_else(|| "-".to_owned()),
            minute(Some(token.token.expires_at)),
            token.token.key.to_string(),
            became(token),
        ]
    });
    let columns = ["id", "imported", "by", "made by", "expires", "key", "use"];
    context.out.table(&columns, rows.collect())?;
    Ok(Exit::Done)
}

/// What became of a token.
fn became(token: &StoredToken) -> String {
    let mut text = match (token.is_current, token.replaced_at) {
        (true, _) => "in use".to_owned(),
        (false, Some(at)) => format!("replaced {}", minute(Some(at))),
        (false, None) => "replaced".to_owned(),
    };
    if let Some((at, by)) = &token.restored {
        text += &format!("; restored {} by {by}", minute(Some(*at)));
    }
    text
}

fn past(token: &StoredToken) -> Value {
    json!({
        "id": token.token.id,
        "imported_at": time(token.imported_at),
        "imported_by": token.imported_by,
        "account": token.token.account,
        "expires_at": time(token.token.expires_at),
        "key_id": token.token.key,
        "consumer_key": token.token.consumer_key,
        "in_use": token.is_current,
        "replaced_at": optional_time(token.replaced_at),
        "restored_at": optional_time(token.restored.as_ref().map(|(at, _)| *at)),
        "restored_by": token.restored.as_ref().map(|(_, by)| by),
    })
}

/// A token as an object.
pub fn object(
    context: &Context,
    server: &MdmServer,
    damage: Option<&String>,
    consumer_key: Option<&str>,
) -> Value {
    let mut object = token_object(server, damage, context.clock.now());
    object["server"] = json!(server.name);
    object["consumer_key"] = json!(consumer_key);
    object["account"] = json!(server.account);
    object
}

/// A token as a row of a table with [`COLUMNS`].
pub fn row(server: &MdmServer, damage: Option<&String>, now: Timestamp, trouble: String) -> Vec<String> {
    vec![
        server.name.to_string(),
        super::state_word(server, damage, now),
        minute(server.token.expires_at),
        server.token.days_left(now).map_or_else(|| "-".to_owned(), left),
        next_check(server, now),
        trouble,
    ]
}

/// How the organization behind an account is reached.
pub fn contact(account: &Account) -> String {
    let known = [&account.org_email, &account.org_phone];
    known.into_iter().flatten().map(String::as_str).collect::<Vec<_>>().join(", ")
}

/// When Apple is asked next by itself: by a sync, or by a question about a token that it refuses.
fn next_check(server: &MdmServer, now: Timestamp) -> String {
    if server.paused || server.token.expires_at.is_none() {
        return "-".to_owned();
    }
    let next =
        if server.token.state_at(now).is_bad() { server.token.next_check_at } else { server.next_sync_at };
    match next.filter(|at| *at > now) {
        Some(at) => minute(Some(at)),
        None => "now".to_owned(),
    }
}

/// Days left, as people read them.
fn left(days: i64) -> String {
    let text = count(days.unsigned_abs(), "day", "days");
    if days < 0 { format!("{text} ago") } else { text }
}
