use super::{PAGE, filter, object};
use crate::args::AuditWhich;
use crate::context::Context;
use crate::exit::Exit;
use crate::words::minute;

/// Lists entries, newest first.
pub async fn run(context: &Context, which: &AuditWhich, limit: u32) -> anyhow::Result<Exit> {
    let filter = filter(context, which)?;
    let mut rows = Vec::new();
    let mut left = limit;
    let mut before = None;
    while left > 0 {
        let page = context.store.audit_before(&filter, before, left.min(PAGE)).await?;
        let Some(last) = page.last() else { break };
        before = Some(last.number);
        left -= u32::try_from(page.len()).unwrap_or(left).min(left);
        for entry in &page {
            if context.out.json {
                context.out.object(&object(entry))?;
                continue;
            }
            rows.push(vec![
                entry.number.to_string(),
                minute(Some(entry.at)),
                entry.actor.clone(),
                entry.action.clone(),
                entry.object.to_string(),
                entry.reason.clone().unwrap_or_default(),
            ]);
        }
    }
    if context.out.json {
        return Ok(Exit::Done);
    }
    if rows.is_empty() {
        context.out.note("nothing of that was done by hand yet")?;
        return Ok(Exit::Done);
    }
    context.out.table(&["number", "time", "by", "action", "object", "reason"], rows)?;
    if left == 0 {
        context.out.note(&format!("there may be more than these {limit}: use --limit"))?;
    }
    Ok(Exit::Done)
}
