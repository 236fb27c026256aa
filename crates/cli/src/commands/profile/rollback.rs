use adelie_model::ProfileName;
use adelie_store::configuration::{Change, Document, NewRevision};
use serde_json::json;

use super::revisions::{self, Known};
use crate::commands::rule::named;
use crate::context::Context;
use crate::exit::{Exit, wrong};

/// Makes a new revision that says what an earlier one says. Apple knows it already, so that nothing is defined anew.
pub async fn run(context: &Context, name: &ProfileName, to: Option<u32>, note: &str) -> anyhow::Result<Exit> {
    let known = revisions::find(context, name).await?;
    let number = match to {
        Some(number) => number,
        None => before(&known)?,
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
    let version = match context.store.configure(&[change], None, &context.operator()).await {
        Ok(version) => version,
        Err(error) => return Err(named(error, &known.configuration)),
    };
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

/// The revision that was in force before the one that is. One whose roll-out was aborted never was.
fn before(known: &Known) -> anyhow::Result<u32> {
    let others = known.revisions.iter().filter(|revision| revision.id != known.head.in_force.id);
    let last = others.filter_map(|revision| Some((revision.in_force_at?, revision.number))).max();
    last.map(|(_, number)| number).ok_or_else(|| {
        let name = &known.head.name;
        let hint = match &known.head.staged {
            Some(_) => format!("`adelie profile rollout {name} --abort` takes back what is being rolled out"),
            None => format!("`adelie profile history {name}` shows its revisions; name one with --to N"),
        };
        wrong(format!("no other revision of profile {name} was ever in force"), hint)
    })
}
