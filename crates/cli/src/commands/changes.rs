use serde_json::json;

use crate::context::Context;
use crate::exit::Exit;
use crate::words::{minute, time};

/// Shows what people have changed of profiles, rules, defaults and settings, newest first (field lesson L32).
pub async fn run(context: Context, limit: u32) -> anyhow::Result<Exit> {
    let changes = context.store.changes(limit).await?;
    let mut rows = Vec::new();
    for change in &changes {
        if context.out.json {
            context.out.object(&json!({
                "version": change.version, "at": time(change.at), "by": change.by, "changes": change.changes,
            }))?;
            continue;
        }
        for (at, line) in change.changes.iter().enumerate() {
            let first = at == 0;
            let once = |text: String| if first { text } else { String::new() };
            rows.push(vec![
                once(change.version.to_string()),
                once(minute(Some(change.at))),
                once(change.by.clone()),
                line.clone(),
            ]);
        }
    }
    if context.out.json {
        return Ok(Exit::Done);
    }
    if rows.is_empty() {
        context.out.note("nothing has been changed yet")?;
    } else {
        context.out.table(&["version", "time", "by", "what"], rows)?;
    }
    Ok(Exit::Done)
}
