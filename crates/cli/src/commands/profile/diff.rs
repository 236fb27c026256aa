use std::path::Path;

use adelie_model::ProfileName;
use adelie_profile::{KeyChange, difference};
use serde_json::{Value, json};

use super::history::document;
use super::{new, revisions};
use crate::context::Context;
use crate::documents;
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
            let before = known.revision(from.unwrap_or(known.head.in_force.number))?.clone();
            let before = documents::open(context, before).await?.document;
            let after = new::read(context, file)?.document;
            let mut changes = difference(before.document(), after.document());
            let kept = after.needs_stored_secrets();
            if !kept && before.secrets() != after.secrets() && !changes.iter().any(is_password) {
                changes.push(another_password());
            }
            changes
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

const PASSWORD: &str = "accounts.administrator.password";

fn is_password(change: &KeyChange) -> bool {
    change.path == PASSWORD
}

/// That a password is another one, of which both documents say only that it is stored.
fn another_password() -> KeyChange {
    let word = |word: &str| Some(Value::from(word));
    KeyChange { path: PASSWORD.to_owned(), before: word("stored"), after: word("another one") }
}
