mod history;

use std::sync::Arc;
use std::time::Duration;

use adelie_model::{AssignState, RunOutcome, TokenState};
use adelie_scheduler::{Observer, Progress, Report, Request, WorkError, chain};
use adelie_store::MdmServer;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::args::{Sync, SyncCommand};
use crate::context::Context;
use crate::exit::{Exit, wrong};
use crate::patience::patiently;
use crate::progress::Bar;
use crate::words::{count, minute, time};

pub use history::next;

pub async fn run(context: Context, command: Sync) -> anyhow::Result<Exit> {
    if let Some(SyncCommand::History { name, limit }) = &command.command {
        if command.full || command.force || command.accept_removals || !command.names.is_empty() {
            return Err(wrong(
                "`history` shows past syncs and takes none of what a sync takes",
                "run `adelie sync history NAME`, or `adelie sync NAME -- history` for a server of that name",
            ));
        }
        return history::run(&context, name.as_ref(), *limit).await;
    }
    let servers = chosen(&context, &command).await?;
    let request = Request::Sync {
        // Only a complete list can say who is absent, and whoever accepts removals wants it now.
        full: command.full || command.accept_removals,
        force: command.force || command.accept_removals,
        accept_removals: command.accept_removals,
        by: context.operator(),
    };
    let engine = context.engine().await?;
    // Also told without a service, and when Apple cannot be reached.
    engine.tell_expiry().await?;
    let stop = CancellationToken::new();
    stop_on_signal(stop.clone());
    let mut work = JoinSet::new();
    let mut exit = Exit::Done;
    let mut failure = None;
    let mut servers = servers.into_iter();
    loop {
        while work.len() < context.settings.engine.servers_at_once {
            let Some(server) = servers.next() else { break };
            let (engine, request, stop) = (engine.clone(), request.clone(), stop.clone());
            let bar = Arc::new(Bar::new(server.name.as_str(), context.out.json, None));
            let lease_ttl = context.settings.engine.lease_ttl;
            work.spawn(async move {
                let waiting = |owner, until| bar.notice(Progress::Waiting { owner, until });
                let result =
                    patiently(lease_ttl, &stop, waiting, || engine.work(server.id, &request, &*bar, &stop))
                        .await;
                bar.finish();
                (server, result)
            });
        }
        let Some(done) = work.join_next().await else { break };
        // The work on the other servers goes on to its end, whatever became of telling about this one.
        let told = match done {
            Ok((server, result)) => tell(&context, &server, &result).await,
            Err(error) => Err(error.into()),
        };
        match told {
            Ok(one) => exit = worse(exit, one),
            Err(error) => failure = failure.or(Some(error)),
        }
    }
    deliver(&context, &stop).await?;
    failure.map_or(Ok(exit), Err)
}

/// How long a sync goes on delivering webhooks after its work.
const DELIVERING: Duration = Duration::from_secs(60);

/// Sends what webhooks are due, for installations without a service. What cannot be sent now waits for the next sync.
async fn deliver(context: &Context, stop: &CancellationToken) -> anyhow::Result<()> {
    let (due, _) = context.store.due_webhooks(context.clock.now()).await?;
    if due.is_empty() {
        return Ok(());
    }
    let pump = context.pump().await?;
    tokio::select! {
        () = stop.cancelled() => {}
        drained = pump.drain(DELIVERING) => {
            if drained.failed > 0 {
                let failed = count(drained.failed, "webhook was", "webhooks were");
                context.out.note(&format!("{failed} not received, and {} tried again", if drained.failed == 1 { "is" } else { "are" }))?;
                context.out.hint("`adelie webhook log --failed` shows why")?;
            }
            if drained.cut {
                context.out.note("not all webhooks could be sent in time; the next sync or the service goes on")?;
            }
        }
    }
    Ok(())
}

async fn chosen(context: &Context, command: &Sync) -> anyhow::Result<Vec<MdmServer>> {
    if command.accept_removals && command.names.is_empty() {
        return Err(wrong(
            "--accept-removals needs the name of an MDM server",
            "run `adelie sync NAME --accept-removals` for the server whose removals are right",
        ));
    }
    let mut servers = Vec::new();
    for name in &command.names {
        let server = context.server(name).await?;
        if server.token.state == TokenState::None {
            return Err(wrong(
                format!("MDM server {name} has no server token"),
                format!(
                    "run `adelie token key {name} --out FILE.pem`, upload it to Apple, then `adelie token import {name} FILE.p7m`"
                ),
            ));
        }
        if !servers.iter().any(|known: &MdmServer| known.id == server.id) {
            servers.push(server);
        }
    }
    if command.names.is_empty() {
        let all = context.store.servers().await?;
        let ready = |server: &MdmServer| !server.paused && server.token.state != TokenState::None;
        servers = all.iter().filter(|server| ready(server)).cloned().collect();
        if servers.is_empty() {
            return Err(if all.is_empty() {
                wrong("there is no MDM server yet", "add one with `adelie server add NAME`")
            } else {
                wrong("every MDM server is paused or has no server token", "see `adelie server list`")
            });
        }
    }
    Ok(servers)
}

/// Of two exits the one to report: trouble first, then "not yet".
fn worse(one: Exit, other: Exit) -> Exit {
    let rank = |exit| match exit {
        Exit::Done => 0,
        Exit::TooEarly => 1,
        Exit::Attention => 2,
        Exit::Usage => 3,
    };
    if rank(other) > rank(one) { other } else { one }
}

async fn tell(
    context: &Context,
    server: &MdmServer,
    result: &Result<Report, WorkError>,
) -> anyhow::Result<Exit> {
    let out = context.out;
    let report = match result {
        Ok(report) => report,
        Err(error) => {
            if out.json {
                out.object(&json!({ "server": server.name, "error": chain(error) }))?;
            }
            out.warn(&chain(error))?;
            return Ok(Exit::Attention);
        }
    };
    let states = context.store.state_counts(Some(server.id)).await?;
    let stuck: Vec<_> = states.iter().filter(|one| one.need_attention() > 0).collect();
    let throttled: u64 =
        states.iter().filter(|one| one.state == AssignState::Throttled).map(|one| one.devices).sum();
    let mut problems: Vec<String> = report.sync_error.iter().map(|error| chain(error)).collect();
    problems.extend(report.assigned.refused_profiles.iter().cloned());
    problems.extend(report.assigned.stopped_by.clone());
    // What is wrong since earlier says nothing about this command.
    let new_problems = !problems.is_empty();
    problems.extend(report.attention.clone());
    problems.extend(stuck.iter().map(|one| explain(server, one.state, one.need_attention())));
    // Devices that were due are assigned even if a sync is refused: then the command has done something.
    let idle = report.assigned.assigned == 0 && report.assigned.not_assigned.is_empty();
    if out.json {
        out.object(&object(server, report, &problems))?;
    } else {
        if report.too_early.is_none() || !idle {
            out.line(&sentence(server, report))?;
        }
        for problem in &problems {
            out.warn(problem)?;
        }
        if throttled > 0 {
            out.note(&format!(
                "Apple throttles {}, tried again by itself; see `adelie assign status --server {}`",
                count(throttled, "device", "devices"),
                server.name
            ))?;
        }
        if let Some(error) = &report.sync_error
            && let WorkError::Apple(_, _, apple) = error
        {
            out.hint(apple.remedy())?;
        }
    }
    if let Some((kind, at)) = report.too_early.filter(|_| !out.json) {
        let text = format!("a {kind} sync of {} is allowed again at {}", server.name, minute(Some(at)));
        if idle {
            out.warn(&text)?;
            out.hint("--force syncs now all the same")?;
        } else {
            out.note(&text)?;
        }
    }
    Ok(match report.too_early {
        Some(_) if idle && !new_problems => Exit::TooEarly,
        _ if !problems.is_empty() => Exit::Attention,
        _ => Exit::Done,
    })
}

fn explain(server: &MdmServer, state: AssignState, devices: u64) -> String {
    let devices_text = count(devices, "device", "devices");
    let why = match state {
        AssignState::Unmatched => {
            format!("no default profile: run `adelie server set {} --default any=PROFILE`", server.name)
        }
        _ => format!("see `adelie assign status --server {}`", server.name),
    };
    format!("{devices_text} {state}; {why}")
}

fn sentence(server: &MdmServer, report: &Report) -> String {
    let mut parts = Vec::new();
    if let Some(run) = &report.run {
        let outcome = if run.outcome == RunOutcome::Done { "done" } else { "failed" };
        let counts = run.counts;
        parts.push(format!(
            "{} sync {outcome}: {}, {} added, {} changed, {} removed",
            run.kind,
            count(counts.pages, "page", "pages"),
            counts.added,
            counts.modified,
            counts.removed
        ));
    }
    parts.push(format!("{} assigned", count(report.assigned.assigned, "device", "devices")));
    let mut states: Vec<_> = report.assigned.not_assigned.iter().collect();
    states.sort_by_key(|(state, _)| state.as_str());
    parts.extend(states.into_iter().map(|(state, devices)| format!("{devices} {state}")));
    parts.push(count(report.requests, "request", "requests"));
    format!("{}: {}", server.name, parts.join(", "))
}

fn object(server: &MdmServer, report: &Report, problems: &[String]) -> Value {
    let run = report.run.as_ref().map(history::fields);
    let not_assigned: serde_json::Map<_, _> = report
        .assigned
        .not_assigned
        .iter()
        .map(|(state, devices)| (state.to_string(), json!(devices)))
        .collect();
    json!({
        "server": server.name,
        "sync": run,
        "assigned": report.assigned.assigned,
        "not_assigned": not_assigned,
        "requests": report.requests,
        "allowed_at": report.too_early.map(|(_, at)| time(at)),
        "problems": problems,
    })
}

/// Ctrl-C and SIGTERM end the work at the next safe point; a second one ends the program at once.
pub fn stop_on_signal(stop: CancellationToken) {
    tokio::spawn(async move {
        wait_for_signal().await;
        stop.cancel();
        wait_for_signal().await;
        std::process::exit(130);
    });
}

/// Waits for Ctrl-C or SIGTERM.
pub async fn wait_for_signal() {
    use tokio::signal::unix::{SignalKind, signal};
    match signal(SignalKind::terminate()) {
        Ok(mut terminate) => {
            tokio::select! {
                // Without a handler for Ctrl-C the signal's own default, to end, is as good.
                _ = tokio::signal::ctrl_c() => {}
                _ = terminate.recv() => {}
            }
        }
        Err(_) => {
            let _ = tokio::signal::ctrl_c().await;
        }
    }
}
