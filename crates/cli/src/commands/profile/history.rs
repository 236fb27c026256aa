use adelie_model::ProfileName;
use adelie_profile::difference;
use adelie_store::Revision;
use serde_json::{Map, Value, json};

use super::{object, revisions};
use crate::context::Context;
use crate::exit::Exit;
use crate::words::minute;

/// Changes of a revision that a table names.
const SHOWN: usize = 3;

pub async fn run(context: &Context, name: &ProfileName) -> anyhow::Result<Exit> {
    let known = revisions::find(context, name).await?;
    let mut rows = Vec::with_capacity(known.revisions.len());
    for (at, revision) in known.revisions.iter().enumerate() {
        let changes: Vec<String> = known
            .revisions
            .get(at + 1)
            .map(|before| {
                difference(document(before), document(revision)).iter().map(ToString::to_string).collect()
            })
            .unwrap_or_default();
        if context.out.json {
            let mut object = object(revision);
            object["standing"] = json!(known.standing(revision));
            object["difference"] = json!(changes);
            context.out.object(&object)?;
            continue;
        }
        let more = changes.len().saturating_sub(SHOWN);
        let mut what = changes.into_iter().take(SHOWN).collect::<Vec<_>>().join(", ");
        if more > 0 {
            what.push_str(&format!(" and {more} more"));
        }
        if !revision.note.is_empty() {
            what = if what.is_empty() { revision.note.clone() } else { format!("{}: {what}", revision.note) };
        }
        rows.push(vec![
            revision.number.to_string(),
            minute(Some(revision.created_at)),
            revision.author.clone(),
            known.standing(revision),
            what,
        ]);
    }
    if !context.out.json {
        context.out.table(&["revision", "made", "by", "standing", "what is otherwise"], rows)?;
    }
    Ok(Exit::Done)
}

/// What a revision says, as its author wrote it.
pub fn document(revision: &Revision) -> &Map<String, Value> {
    revision.document.as_ref().map_or(&revision.content, |document| &document.content)
}
