use adelie_model::ServerName;
use adelie_store::{MdmServer, StoreError, SyncSettings};

use super::show;
use crate::args::{DefaultProfile, OwnSettings, Setting};
use crate::context::Context;
use crate::exit::{Exit, wrong};
use crate::words::span;

/// Apple asks for no more than one sync in so many seconds (design, section 4).
const APPLES_PACE: u32 = 15 * 60;

/// Changes default profiles and settings of one MDM server.
pub async fn run(context: &Context, name: &ServerName, wanted: &OwnSettings) -> anyhow::Result<Exit> {
    let server = context.server(name).await?;
    // The defaults first: they are what may still turn out to be wrong, and then nothing is changed.
    if !wanted.defaults.is_empty() {
        set_defaults(context, &server, &wanted.defaults).await?;
    }
    let (settings, mut told) = laid_over(server.sync, wanted);
    if settings != server.sync {
        context.store.set_sync_settings(server.id, &settings, &context.operator()).await?;
    }
    if settings.delta_interval_s.is_some_and(|seconds| seconds < APPLES_PACE)
        && wanted.delta_interval.is_some()
    {
        context.out.warn("Apple asks for no more than one sync every 15 minutes of each MDM server")?;
    }
    if context.out.json {
        return show::run(context, &context.server(name).await?).await;
    }
    for one in &wanted.defaults {
        let profile = one.profile.as_ref().map_or("none", |profile| profile.as_str());
        told.insert(0, format!("default for {}: {profile}", one.scope));
    }
    for line in told {
        context.out.line(&line)?;
    }
    if !wanted.defaults.is_empty() {
        context.out.hint(&format!(
            "a running service decides devices anew within seconds; `adelie sync {name}` does it now"
        ))?;
    }
    Ok(Exit::Done)
}

async fn set_defaults(
    context: &Context,
    server: &MdmServer,
    defaults: &[DefaultProfile],
) -> anyhow::Result<()> {
    for (index, one) in defaults.iter().enumerate() {
        if defaults[..index].iter().any(|other| other.scope == one.scope) {
            return Err(wrong(
                format!("--default {}=… is given twice; no default was changed", one.scope),
                "give each family once",
            ));
        }
    }
    let wanted: Vec<_> = defaults.iter().map(|one| (one.scope.clone(), one.profile.clone())).collect();
    match context.store.set_defaults(server.id, &wanted, &context.operator()).await {
        Ok(()) => Ok(()),
        Err(StoreError::Missing { what: "profile", name }) => {
            let known: Vec<_> =
                context.store.profiles().await?.into_iter().map(|profile| profile.name.to_string()).collect();
            let hint = if known.is_empty() {
                format!("there is none yet: add it with `adelie profile new {name} --file FILE`")
            } else {
                format!("the profiles are {}", known.join(", "))
            };
            Err(wrong(format!("there is no profile {name:?}; no default was changed"), hint))
        }
        Err(error) => Err(error.into()),
    }
}

/// The server's settings after the change, and a line about each that was named.
fn laid_over(own: SyncSettings, wanted: &OwnSettings) -> (SyncSettings, Vec<String>) {
    let mut after = own;
    let mut told = Vec::new();
    let time = |seconds: u32| span(chrono::TimeDelta::seconds(seconds.into()));
    lay("delta interval", &mut after.delta_interval_s, wanted.delta_interval, time, &mut told);
    lay("full interval", &mut after.full_interval_s, wanted.full_interval, time, &mut told);
    lay("manual interval", &mut after.manual_interval_s, wanted.manual_interval, time, &mut told);
    lay(
        "manual full interval",
        &mut after.manual_full_interval_s,
        wanted.manual_full_interval,
        time,
        &mut told,
    );
    lay("progress deadline", &mut after.progress_deadline_s, wanted.progress_deadline, time, &mut told);
    lay(
        "removals without a word",
        &mut after.removal_percent,
        wanted.removal_percent,
        |p| format!("{p} %"),
        &mut told,
    );
    lay(
        "removed devices are kept",
        &mut after.tombstone_days,
        wanted.tombstone_days,
        |d| format!("{d} days"),
        &mut told,
    );
    lay("drift", &mut after.drift, wanted.drift, |mode| mode.to_string(), &mut told);
    (after, told)
}

fn lay<T: Copy>(
    what: &str,
    own: &mut Option<T>,
    wanted: Option<Setting<T>>,
    words: impl Fn(T) -> String,
    told: &mut Vec<String>,
) {
    if let Some(setting) = wanted {
        *own = setting.own();
        told.push(format!("{what}: {}", own.map_or_else(|| "the default".to_owned(), words)));
    }
}
