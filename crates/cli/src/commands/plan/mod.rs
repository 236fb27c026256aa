//! Profiles, rules, defaults and settings as files: what they would change, and making it so.

mod export;
mod folder;
mod made;
mod show;

use adelie_store::{ConfigurationError, StoreError};

pub use export::run as export;

use self::made::Made;
use crate::args::{Apply, Plan};
use crate::context::Context;
use crate::exit::{Exit, wrong};

/// How `adelie plan` ends when there is a difference, so that scripts can tell.
const DIFFERENCE: Exit = Exit::Usage;

pub async fn plan(context: Context, command: &Plan) -> anyhow::Result<Exit> {
    let made = Made::of(&context, &command.folder, command.devices).await?;
    show::plan(&context, &made)?;
    Ok(if made.changes.is_empty() { Exit::Done } else { DIFFERENCE })
}

pub async fn apply(context: Context, command: &Apply) -> anyhow::Result<Exit> {
    let made = Made::of(&context, &command.folder, false).await?;
    if let Some(wanted) = command.plan.as_ref().filter(|wanted| **wanted != made.name) {
        return Err(wrong(
            format!("the plan is {} now, not {wanted}: nothing was changed", made.name),
            format!("look at it with `adelie plan {}`", command.folder.dir.display()),
        ));
    }
    if made.changes.is_empty() {
        show::plan(&context, &made)?;
        return Ok(Exit::Done);
    }
    if !command.yes || !context.out.json {
        show::plan(&context, &made)?;
    }
    if !command.yes {
        if !show::confirmed()? {
            context.out.note("nothing was changed")?;
            return Ok(Exit::Attention);
        }
        // Somebody may have read for long: what is made is what was shown, or nothing.
        let again = Made::of(&context, &command.folder, false).await?;
        if again.name != made.name {
            return Err(anyhow::anyhow!(
                "the plan has become another one while it was looked at ({} is now {}), so that nothing was changed: \
                 run it again",
                made.name,
                again.name
            ));
        }
    }
    match context.store.configure(&made.changes, Some(made.version), &context.operator()).await {
        Ok(version) => show::applied(&context, &made, version),
        Err(StoreError::Configuration(ConfigurationError::Moved { .. })) => Err(anyhow::anyhow!(
            "somebody has changed something since the plan was made, so that nothing was changed: run it again"
        )),
        Err(error) => Err(error.into()),
    }
}
