use adelie_model::ProfileName;
use adelie_store::configuration::{Change, Document, NewRevision};
use serde_json::json;

use super::revisions;
use crate::context::Context;
use crate::exit::{Exit, wrong};

/// Makes a new revision that says what an earlier one says. Apple knows it already, so that nothing is defined anew.
pub async fn run(context: &Context, name: &ProfileName, to: Option<u32>, note: &str) -> anyhow::Result<Exit> {
    let known = revisions::find(context, name).await?;
    let number = match to {
        Some(number) => number,
        None => known.head.in_force.number.checked_sub(1).filter(|number| *number > 0).ok_or_else(|| {
            wrong(format!("profile {name} has no revision before the one in force"), "give --to N")
        })?,
    };
    let back = known.revision(number)?;
    let note = if note.is_empty() { format!("back to revision {number}") } else { note.to_owned() };
    let secrets = if back.has_secrets { context.store.secrets(back.id).await? } else { None };
    let revision = NewRevision {
        content: back.content.clone(),
        content_hash: back.content_hash.clone(),
        document: back
            .document
            .as_ref()
            .map(|Document { content, hash }| Document { content: content.clone(), hash: hash.clone() }),
        secrets,
        note,
    };
    let seen = Some(known.head.newest);
    let change = Change::Revise { profile: name.clone(), seen, revision, percent: 100 };
    let version = context.store.configure(&[change], None, &context.operator()).await?;
    let now = revisions::find(context, name).await?.head.in_force.number;
    if context.out.json {
        let changed = version != known.configuration.version;
        context
            .out
            .object(&json!({ "name": name, "changed": changed, "back_to": number, "revision": now }))?;
        return Ok(Exit::Done);
    }
    if version == known.configuration.version {
        context.out.line("nothing to do: the revision in force says the same")?;
        return Ok(Exit::Done);
    }
    context
        .out
        .line(&format!("revision {now} of {name} is in force, and says what revision {number} says"))?;
    context.out.hint("a running service decides devices anew within seconds; `adelie sync` does it now")?;
    Ok(Exit::Done)
}
