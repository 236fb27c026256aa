mod file;
mod import;
mod list;
mod new;
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
        Profile::New { name, file } => new::run(&Context::open(settings).await?, name, &file).await,
        Profile::List => list::run(&Context::open(settings).await?).await,
        Profile::Show { name } => show::run(&Context::open(settings).await?, &name).await,
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
        "content_hash": revision.content_hash,
        "await_device_configured": profile.awaits_configuration(),
        "skip_setup_items": profile.skip_setup_items().collect::<Vec<_>>(),
        "content": revision.content,
    })
}
