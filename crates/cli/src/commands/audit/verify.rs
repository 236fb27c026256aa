use adelie_store::audit::{AuditBreak, Verifier};
use adelie_store::{AuditFilter, AuditHead};
use serde_json::json;

use super::PAGE;
use crate::context::Context;
use crate::exit::Exit;
use crate::progress;
use crate::words::count;

/// Walks the whole chain, and says where it is broken.
pub async fn run(context: &Context, kept: Option<AuditHead>) -> anyhow::Result<Exit> {
    let mut verifier = Verifier::from(AuditHead::default());
    if let Some(kept) = kept {
        verifier = verifier.past(kept);
    }
    let all = context.store.audit_head().await?.number;
    let bar = progress::counted("audit", context.out.json, u64::try_from(all).unwrap_or_default());
    let found = walk(context, &mut verifier, |number| bar.set_position(number)).await;
    bar.finish_and_clear();
    let found = found?;
    let end = verifier.end();
    if context.out.json {
        let problem = found.as_ref().err().map(ToString::to_string);
        let head = found.is_ok().then(|| end.to_string());
        context.out.object(
            &json!({ "good": found.is_ok(), "good_until": end.number, "head": head, "problem": problem }),
        )?;
    }
    match found {
        Ok(()) => {
            if !context.out.json {
                let entries =
                    count(u64::try_from(end.number).unwrap_or_default(), "entry fits", "entries fit");
                context.out.line(&entries)?;
                context.out.line(&format!("head: {end}"))?;
                context.out.hint(&format!(
                    "keep the head where nobody who can write to the database can write, and check against it: \
                     `adelie audit verify --head {end}`"
                ))?;
            }
            Ok(Exit::Done)
        }
        Err(broken) => {
            if !context.out.json {
                context.out.warn(&format!("the audit is broken: {broken}"))?;
                context.out.hint(
                    "keep a copy of the database as it is, and find out who could write to it past Adelie; a backup or \
                     an export shows what stood there",
                )?;
            }
            Ok(Exit::Attention)
        }
    }
}

/// Looks at the last entries only, and says how many fit.
pub async fn verify_end(context: &Context) -> anyhow::Result<Result<u64, AuditBreak>> {
    let head = context.store.audit_head().await?;
    let start = head.number.saturating_sub(i64::from(PAGE)).max(0);
    let anchor = match start {
        0 => AuditHead::default(),
        start => {
            let anchor = context.store.audit_after(&AuditFilter::default(), start - 1, 1).await?;
            match anchor.first() {
                Some(entry) if entry.number == start => entry.head(),
                found => {
                    let found = found.map_or(head.number, |entry| entry.number);
                    return Ok(Err(AuditBreak::Missing { expected: start, found }));
                }
            }
        }
    };
    let mut verifier = Verifier::from(anchor);
    let found = walk(context, &mut verifier, |_| {}).await?;
    Ok(found.map(|()| (verifier.end().number - start).unsigned_abs()))
}

/// Takes all entries from where the verifier stands, and compares the end with the head. Entries that are written meanwhile
/// are taken, too.
async fn walk(
    context: &Context,
    verifier: &mut Verifier,
    notice: impl Fn(u64),
) -> anyhow::Result<Result<(), AuditBreak>> {
    loop {
        // Before the entries: what it counts has been committed with it.
        let head = context.store.audit_head().await?;
        let page = context.store.audit_after(&AuditFilter::default(), verifier.end().number, PAGE).await?;
        if page.is_empty() {
            return Ok(verifier.finish(&head));
        }
        for entry in &page {
            if let Err(broken) = verifier.take(entry) {
                return Ok(Err(broken));
            }
        }
        notice(verifier.end().number.unsigned_abs());
    }
}
