mod command;
mod diff;
mod edit;
mod history;
mod import;
mod list;
mod new;
mod revisions;
mod rollback;
mod rollout;
mod show;
mod skip_keys;
mod validate;

use adelie_profile::EnrollmentProfile;
use adelie_store::Revision;
use serde_json::json;

use crate::args::Profile;
use crate::context::Context;
use crate::exit::Exit;
use crate::output::Output;
use crate::settings::Settings;
use crate::words::time;

pub async fn run(settings: Settings, out: Output, command: Profile) -> anyhow::Result<Exit> {
    match command {
        Profile::Validate { files } => validate::run(out, &files),
        Profile::Import(import) => import::run(out, &import),
        Profile::SkipKeys(asked) => skip_keys::run(out, &asked),
        Profile::Schema => schema(out),
        stored => with_store(&Context::open(settings).await?, stored).await,
    }
}

async fn with_store(context: &Context, command: Profile) -> anyhow::Result<Exit> {
    match command {
        Profile::New { name, file, note } => new::run(context, &name, &file, &note).await,
        Profile::List => list::run(context).await,
        Profile::Show { name, revision, file } => show::run(context, &name, revision, file).await,
        Profile::Edit { name, file, note, percent, if_revision } => {
            edit::run(context, &name, file.as_deref(), &edit::How { note, percent, if_revision }).await
        }
        Profile::History { name } => history::run(context, &name).await,
        Profile::Diff { name, from, to, file } => diff::run(context, &name, from, to, file.as_deref()).await,
        Profile::Rollback { name, to, note } => rollback::run(context, &name, to, &note).await,
        Profile::Rollout { name, step } => rollout::run(context, name, &step).await,
        Profile::Remove { name } => rollout::remove(context, name).await,
        Profile::Command { name, serial, user, full_name, device_name, only, password_out } => {
            let who = command::Who { serial, user, full_name, device_name };
            command::run(context, &name, &who, only.as_deref(), password_out.as_deref()).await
        }
        // These need no store.
        Profile::Validate { .. } | Profile::Import(_) | Profile::SkipKeys(_) | Profile::Schema => {
            Ok(Exit::Done)
        }
    }
}

fn schema(out: Output) -> anyhow::Result<Exit> {
    out.line(&serde_json::to_string_pretty(&adelie_profile::schema())?)?;
    Ok(Exit::Done)
}

/// A stored profile as JSON has it.
fn object(revision: &Revision) -> serde_json::Value {
    let profile = EnrollmentProfile::from_stored(revision.content.clone());
    json!({
        "name": revision.name,
        "revision": revision.number,
        "created_at": time(revision.created_at),
        "author": revision.author,
        "note": revision.note,
        "content_hash": revision.content_hash,
        "await_device_configured": profile.awaits_configuration(),
        "skip_setup_items": profile.skip_setup_items().collect::<Vec<_>>(),
        "content": revision.content,
        "document": revision.document.as_ref().map(|document| &document.content),
    })
}
