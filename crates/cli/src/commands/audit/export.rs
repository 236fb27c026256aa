use std::io::Write;
use std::path::Path;

use adelie_store::{AuditEntry, AuditFilter, AuditHead};
use anyhow::Context as _;
use serde_json::json;
use tempfile::NamedTempFile;

use super::PAGE;
use crate::args::Since;
use crate::context::Context;
use crate::exit::{Exit, wrong};
use crate::words::{count, time};

/// Writes entries as JSON Lines, oldest first. A file is whole, or is not there.
pub async fn run(context: &Context, since: Option<Since>, out: Option<&Path>) -> anyhow::Result<Exit> {
    let start = start(context, since).await?;
    let Some(path) = out else {
        let (_, head) = write(context, start, &mut std::io::stdout()).await?;
        context.out.note(&format!("the head is {head}"))?;
        return Ok(Exit::Done);
    };
    if path.exists() {
        return Err(wrong(
            format!("{} is there already", path.display()),
            "name another file, or move that one away",
        ));
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let cannot = || format!("the entries cannot be written to {}", path.display());
    let mut file = NamedTempFile::new_in(folder).map_err(|error| {
        wrong(format!("{}: {error}", cannot()), "check that the folder is there and may be written to")
    })?;
    let mut buffer = std::io::BufWriter::new(file.as_file_mut());
    let (entries, head) = write(context, start, &mut buffer).await.with_context(cannot)?;
    buffer.flush().with_context(cannot)?;
    drop(buffer);
    file.as_file().sync_all().with_context(cannot)?;
    file.persist_noclobber(path).map_err(|error| error.error).with_context(cannot)?;
    if context.out.json {
        context.out.object(&json!({ "file": path, "entries": entries, "head": head.to_string() }))?;
    } else {
        let entries = count(entries, "entry", "entries");
        context.out.line(&format!("wrote {entries} to {}; the head is {head}", path.display()))?;
    }
    Ok(Exit::Done)
}

/// The entry before the first that is to be written.
async fn start(context: &Context, since: Option<Since>) -> anyhow::Result<AuditHead> {
    let Some(since) = since else { return Ok(AuditHead::default()) };
    let filter = AuditFilter { since: Some(since.moment(context.clock.now())), ..AuditFilter::default() };
    // A clock may have been set back; whatever comes behind the first is part of the chain.
    let Some(first) = context.store.audit_after(&filter, 0, 1).await?.pop() else {
        return Ok(context.store.audit_head().await?);
    };
    let before = context.store.audit_before(&AuditFilter::default(), Some(first.number), 1).await?;
    Ok(before.first().map(AuditEntry::head).unwrap_or_default())
}

/// Writes what comes behind `start`; how many entries there are, and the last one.
async fn write(
    context: &Context,
    start: AuditHead,
    out: &mut impl Write,
) -> anyhow::Result<(u64, AuditHead)> {
    let (mut entries, mut end) = (0, start);
    loop {
        let page = context.store.audit_after(&AuditFilter::default(), end.number, PAGE).await?;
        if page.is_empty() {
            out.flush()?;
            return Ok((entries, end));
        }
        for entry in &page {
            writeln!(out, "{}", line(&end.hash, entry))?;
            end = entry.head();
            entries += 1;
        }
    }
}

/// An entry with all that its hash is made of.
fn line(previous: &str, entry: &AuditEntry) -> serde_json::Value {
    json!({
        "number": entry.number,
        "at": time(entry.at),
        "at_ms": entry.at.timestamp_millis(),
        "actor": entry.actor,
        "action": entry.action,
        "kind": entry.object.kind,
        "name": entry.object.name,
        "before": entry.before,
        "after": entry.after,
        "reason": entry.reason,
        "request": entry.request,
        "previous": previous,
        "hash": entry.hash,
    })
}
