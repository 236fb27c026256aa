use adelie_store::StoredEvent;

use super::{HEADER, Telling, filter};
use crate::args::Which;
use crate::context::Context;
use crate::exit::Exit;
use crate::happened::Profiles;

/// Events per query.
const PAGE: u32 = 1000;

/// Lists events, newest first.
pub async fn run(context: &Context, which: &Which, limit: u32) -> anyhow::Result<Exit> {
    let filter = filter(context, which).await?;
    let telling = Telling::new(context).await?;
    let mut rows = Vec::new();
    let mut left = limit;
    let mut before = None;
    while left > 0 {
        let page: Vec<StoredEvent> = context.store.events_before(&filter, before, left.min(PAGE)).await?;
        let Some(last) = page.last() else { break };
        before = Some(last.id);
        left -= u32::try_from(page.len()).unwrap_or(left).min(left);
        let profiles = Profiles::of(context, &page).await?;
        for event in &page {
            if context.out.json {
                context.out.object(&telling.object(event, &profiles))?;
            } else {
                rows.push(telling.row(event, &profiles));
            }
        }
    }
    if context.out.json {
        return Ok(Exit::Done);
    }
    if rows.is_empty() {
        context.out.note("nothing of that has happened yet")?;
        return Ok(Exit::Done);
    }
    let all_shown = rows.len() < limit as usize;
    context.out.table(&HEADER, rows)?;
    if !all_shown {
        context.out.note(&format!("there may be more than these {limit}: use --limit"))?;
    }
    Ok(Exit::Done)
}
