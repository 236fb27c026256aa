use std::path::Path;

use adelie_model::ProfileName;
use adelie_profile::difference;
use serde_json::json;

use super::history::document;
use super::{new, revisions};
use crate::context::Context;
use crate::exit::{Exit, wrong};

/// How it ends when there is a difference, so that scripts can tell.
const DIFFERENCE: Exit = Exit::Usage;

pub async fn run(
    context: &Context,
    name: &ProfileName,
    from: Option<u32>,
    to: Option<u32>,
    file: Option<&Path>,
) -> anyhow::Result<Exit> {
    let known = revisions::find(context, name).await?;
    let changes = match file {
        Some(file) => {
            let before = known.revision(from.unwrap_or(known.head.in_force.number))?;
            difference(document(before), new::read(context, file)?.document.document())
        }
        None => {
            let to = known.revision(to.unwrap_or(known.head.newest))?;
            if from.is_none() && to.number == 1 {
                return Err(wrong(
                    format!("profile {name} has one revision, and nothing before it"),
                    format!("`adelie profile diff {name} --file FILE` compares it with a file"),
                ));
            }
            let from = known.revision(from.unwrap_or(to.number - 1))?;
            difference(document(from), document(to))
        }
    };
    if context.out.json {
        context.out.object(&json!({ "name": name, "difference": changes }))?;
    } else if changes.is_empty() {
        context.out.line("no difference")?;
    } else {
        for change in &changes {
            context.out.line(&change.to_string())?;
        }
    }
    Ok(if changes.is_empty() { Exit::Done } else { DIFFERENCE })
}
