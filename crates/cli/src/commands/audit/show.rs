use adelie_profile::difference;
use adelie_store::AuditFilter;
use adelie_store::audit::AuditAction;

use super::{facts, object};
use crate::context::Context;
use crate::exit::{Exit, wrong};
use crate::words::time;

/// Shows an entry, with what is otherwise after it.
pub async fn run(context: &Context, number: i64) -> anyhow::Result<Exit> {
    let mut found = context.store.audit_after(&AuditFilter::default(), number - 1, 1).await?;
    let Some(entry) = found.pop().filter(|entry| entry.number == number) else {
        let head = context.store.audit_head().await?;
        let hint = match head.number {
            0 => "the audit is empty: nothing was changed by hand yet".to_owned(),
            last if number > last => format!("the last entry is {last}; `adelie audit list` lists them"),
            _ => "it was deleted: `adelie audit verify` says what is wrong".to_owned(),
        };
        return Err(wrong(format!("there is no entry {number} in the audit"), hint));
    };
    if context.out.json {
        context.out.object(&object(&entry))?;
        return Ok(Exit::Done);
    }
    let about = AuditAction::ALL.iter().find(|known| known.word == entry.action);
    context.out.facts(&[
        ("number", entry.number.to_string()),
        ("time", time(entry.at)),
        ("by", entry.actor.clone()),
        ("action", entry.action.clone()),
        ("that is", about.map(|known| known.about.to_owned()).unwrap_or_default()),
        ("object", entry.object.to_string()),
        ("reason", entry.reason.clone().unwrap_or_default()),
        ("request", entry.request.clone()),
        ("hash", entry.hash.clone()),
    ])?;
    let (before, after) = (facts(entry.before.as_deref()), facts(entry.after.as_deref()));
    match (before, after) {
        (Some(before), Some(after)) => {
            context.out.line("changed:")?;
            for change in difference(&before, &after) {
                context.out.line(&format!("  {change}"))?;
            }
            for (name, value) in after.iter().filter(|(name, value)| before.get(*name) == Some(value)) {
                context.out.line(&format!("  {name}: {value} (as before)"))?;
            }
        }
        (before, after) => {
            for (word, facts) in [("before:", before), ("after:", after)] {
                let Some(facts) = facts else { continue };
                context.out.line(word)?;
                for (name, value) in facts {
                    context.out.line(&format!("  {name}: {value}"))?;
                }
            }
        }
    }
    Ok(Exit::Done)
}
