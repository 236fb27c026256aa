//! Who did what by hand, and whether that is still what was written.

mod export;
mod list;
mod show;
mod verify;

use adelie_store::audit::{AuditAction, KINDS};
use adelie_store::{AuditEntry, AuditFilter};
use serde_json::{Map, Value, json};

use crate::args::{Audit, AuditWhich};
use crate::context::Context;
use crate::exit::{Exit, as_wrong, wrong};
use crate::words::time;

pub use verify::verify_end;

/// Entries per query.
const PAGE: u32 = 1000;

pub async fn run(context: Context, command: Audit) -> anyhow::Result<Exit> {
    match command {
        Audit::List { which, limit } => list::run(&context, &which, limit).await,
        Audit::Show { number } => show::run(&context, number).await,
        Audit::Verify { head } => verify::run(&context, head).await,
        Audit::Export { since, out } => export::run(&context, since, out.as_deref()).await,
    }
}

/// What the options mean for the store.
fn filter(context: &Context, which: &AuditWhich) -> anyhow::Result<AuditFilter> {
    which.actions.iter().try_for_each(|pattern| known_pattern(pattern))?;
    let (kind, object) = match which.object.as_deref() {
        None => (None, None),
        Some(text) => match text.split_once(':').filter(|(kind, _)| KINDS.contains(kind)) {
            Some((kind, name)) => {
                (Some(kind.to_owned()), Some(name.to_owned()).filter(|name| !name.is_empty()))
            }
            None => (None, Some(text.to_owned())),
        },
    };
    let since = which.since.map(|since| since.moment(context.clock.now()));
    let (actor, actions) = (which.actor.clone(), which.actions.clone());
    Ok(AuditFilter { actor, actions, kind, object, since, request: which.request })
}

fn known_pattern(text: &str) -> anyhow::Result<()> {
    let pattern: adelie_webhook::EventPattern =
        text.parse().map_err(|error: adelie_webhook::PatternError| as_wrong(&error))?;
    if AuditAction::ALL.iter().any(|known| pattern.matches(known.word)) {
        return Ok(());
    }
    Err(wrong(format!("no action matches {text:?}"), "docs/audit.md lists the actions, like `server.*`"))
}

/// An entry as JSON has it.
fn object(entry: &AuditEntry) -> Value {
    json!({
        "number": entry.number,
        "at": time(entry.at),
        "actor": entry.actor,
        "action": entry.action,
        "object": { "kind": entry.object.kind, "name": entry.object.name },
        "before": facts(entry.before.as_deref()),
        "after": facts(entry.after.as_deref()),
        "reason": entry.reason,
        "request": entry.request,
        "hash": entry.hash,
    })
}

/// What an entry says of before or after. What is no JSON object, because somebody has changed it, is shown as it is.
fn facts(text: Option<&str>) -> Option<Map<String, Value>> {
    text.map(|text| {
        serde_json::from_str(text).unwrap_or_else(|_| {
            let damaged = Value::from(text);
            [("damaged".to_owned(), damaged)].into_iter().collect()
        })
    })
}
