use std::collections::HashMap;

use adelie_model::{RunOutcome, ServerId, ServerName, SyncRun, Timestamp};
use adelie_store::MdmServer;
use serde_json::{Value, json};

use crate::context::Context;
use crate::exit::Exit;
use crate::words::{minute, optional_time, span, time};

/// Runs per query.
const PAGE: u64 = 1000;
/// Rows of a table unless told otherwise.
const SHOWN: u64 = 20;
/// MDM servers whose next sync is told.
const NEXT: usize = 20;

/// Shows past syncs, newest first (field lesson L62).
pub async fn run(context: &Context, name: Option<&ServerName>, limit: Option<u64>) -> anyhow::Result<Exit> {
    let servers = match name {
        Some(name) => vec![context.server(name).await?],
        None => context.store.servers().await?,
    };
    let only = name.and(servers.first()).map(|server| server.id);
    let servers: HashMap<ServerId, MdmServer> =
        servers.into_iter().map(|server| (server.id, server)).collect();
    let now = context.clock.now();
    let mut left = limit.unwrap_or(if context.out.json { u64::MAX } else { SHOWN });
    let (mut before, mut rows) = (None, Vec::new());
    while left > 0 {
        let size = PAGE.min(left.saturating_add(1));
        let page = context.store.runs(only, before, u32::try_from(size)?).await?;
        let whole = page.len() as u64 == size;
        for run in page.iter().take(usize::try_from(left.min(PAGE))?) {
            // A server that was added a moment ago is not among those that were read before.
            let Some(server) = servers.get(&run.server) else { continue };
            if context.out.json {
                context.out.object(&object(server, run, now))?;
            } else {
                rows.push(row(server, run, now));
            }
        }
        let more = page.len() as u64 > left;
        left = left.saturating_sub(page.len() as u64);
        if left == 0 && more && limit.is_none() {
            context.out.note(&format!("there are more than these {SHOWN}: use --limit or --json"))?;
        }
        match page.last() {
            Some(last) if whole => before = Some(last.id),
            _ => break,
        }
    }
    if context.out.json {
        return Ok(Exit::Done);
    }
    if rows.is_empty() {
        context.out.note("there has been no sync yet")?;
    } else {
        context.out.table(
            &[
                "started", "server", "kind", "trigger", "outcome", "duration", "pages", "added", "changed",
                "removed", "error",
            ],
            rows,
        )?;
    }
    let mut servers: Vec<_> = servers.values().collect();
    servers.sort_by_key(|server| &server.name);
    for server in servers.iter().take(NEXT) {
        context.out.line(&format!("next sync of {}: {}", server.name, next(server, now)))?;
    }
    if servers.len() > NEXT {
        context.out.note("`adelie server list` shows the next sync of every MDM server")?;
    }
    Ok(Exit::Done)
}

/// When a server is synced next by the service, in words.
pub fn next(server: &MdmServer, now: Timestamp) -> String {
    use adelie_model::TokenState;
    let waits = server.wait_until.filter(|until| *until > now);
    match (server.next_sync_at, waits) {
        _ if server.paused => "not by itself, because it is paused".to_owned(),
        _ if server.token.state == TokenState::None => "once it has a server token".to_owned(),
        (next, Some(until)) if next.is_none_or(|next| next < until) => {
            format!("{}, when Apple may be asked again", minute(Some(until)))
        }
        (Some(next), _) if next > now => minute(Some(next)),
        _ => "now, as soon as `adelie serve` runs".to_owned(),
    }
}

/// How a run stands: one whose process is gone has been interrupted, and the next goes on from its last page.
fn outcome(server: &MdmServer, run: &SyncRun, now: Timestamp) -> &'static str {
    let worked_on = server.worked_on.as_ref().is_some_and(|(_, until)| *until > now);
    match run.outcome {
        RunOutcome::Running if !worked_on => "interrupted",
        outcome => outcome.as_str(),
    }
}

fn duration(run: &SyncRun, outcome: &str, now: Timestamp) -> Option<chrono::TimeDelta> {
    match run.finished_at {
        Some(end) => Some(end - run.started_at),
        None => (outcome == RunOutcome::Running.as_str()).then(|| now - run.started_at),
    }
}

fn row(server: &MdmServer, run: &SyncRun, now: Timestamp) -> Vec<String> {
    let outcome = outcome(server, run, now);
    let trigger = match &run.requested_by {
        Some(by) => format!("{} by {by}", run.trigger),
        None => run.trigger.to_string(),
    };
    let counts = run.counts;
    vec![
        minute(Some(run.started_at)),
        server.name.to_string(),
        run.kind.to_string(),
        trigger,
        outcome.to_owned(),
        duration(run, outcome, now).map_or_else(|| "-".to_owned(), span),
        counts.pages.to_string(),
        counts.added.to_string(),
        counts.modified.to_string(),
        counts.removed.to_string(),
        run.error.clone().unwrap_or_default(),
    ]
}

fn object(server: &MdmServer, run: &SyncRun, now: Timestamp) -> Value {
    let outcome = outcome(server, run, now);
    let mut object = fields(run);
    object["id"] = json!(run.id);
    object["server"] = json!(server.name);
    object["outcome"] = json!(outcome);
    object["duration_ms"] = json!(duration(run, outcome, now).map(|span| span.num_milliseconds()));
    object
}

/// What is told of a run wherever it is shown.
pub fn fields(run: &SyncRun) -> Value {
    json!({
        "kind": run.kind,
        "trigger": run.trigger,
        "requested_by": run.requested_by,
        "outcome": run.outcome,
        "started_at": time(run.started_at),
        "finished_at": optional_time(run.finished_at),
        "pages": run.counts.pages,
        "records": run.counts.records,
        "added": run.counts.added,
        "modified": run.counts.modified,
        "removed": run.counts.removed,
        "error": run.error,
    })
}
