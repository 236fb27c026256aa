use adelie_model::{DriftMode, ServerName};
use adelie_scheduler::Settings;
use adelie_store::{MdmServer, StoreError, SyncSettings};
use chrono::TimeDelta;

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
    if wanted.nothing() {
        return Err(wrong(
            format!("there is nothing to change at {name}: no setting is named"),
            format!(
                "`adelie server set {name} --default any=PROFILE` gives it a profile; `--help` lists all settings"
            ),
        ));
    }
    // The defaults first: they are what may still turn out to be wrong, and then nothing is changed.
    if !wanted.defaults.is_empty() {
        set_defaults(context, &server, &wanted.defaults).await?;
    }
    let (settings, mut told) = laid_over(server.sync, &context.settings.engine, wanted);
    if settings != server.sync {
        context.store.set_sync_settings(server.id, &settings, &context.operator()).await?;
    }
    warn(context, wanted)?;
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

/// Tells of values that are allowed and seldom meant.
fn warn(context: &Context, wanted: &OwnSettings) -> anyhow::Result<()> {
    let intervals =
        [wanted.delta_interval, wanted.full_interval, wanted.manual_interval, wanted.manual_full_interval];
    if intervals.iter().flatten().filter_map(|one| one.own()).any(|seconds| seconds < APPLES_PACE) {
        context.out.warn("Apple asks for no more than one sync every 15 minutes of each MDM server")?;
    }
    if wanted.removal_percent.and_then(Setting::own) == Some(100) {
        context.out.warn(
            "at 100 % the removal guard is off: a list that is incomplete removes all devices that it does not show",
        )?;
    }
    Ok(())
}

/// The server's settings after the change, and a line about each that was named.
fn laid_over(own: SyncSettings, usual: &Settings, wanted: &OwnSettings) -> (SyncSettings, Vec<String>) {
    let mut after = own;
    let mut told = Vec::new();
    let time = |seconds: u32| span(TimeDelta::seconds(seconds.into()));
    let percent = |percent: u64| format!("{percent} %");
    let days = |days: u32| format!("{days} days");
    let deadline = TimeDelta::seconds(i64::try_from(usual.progress_deadline.as_secs()).unwrap_or(i64::MAX));
    let mut lay = Lay { told: &mut told };
    lay.one(
        "delta interval",
        &mut after.delta_interval_s,
        wanted.delta_interval,
        time,
        &span(usual.delta_interval),
    );
    lay.one(
        "full interval",
        &mut after.full_interval_s,
        wanted.full_interval,
        time,
        &span(usual.full_interval),
    );
    lay.one(
        "manual interval",
        &mut after.manual_interval_s,
        wanted.manual_interval,
        time,
        &span(usual.manual_interval),
    );
    lay.one(
        "manual full interval",
        &mut after.manual_full_interval_s,
        wanted.manual_full_interval,
        time,
        &span(usual.manual_full_interval),
    );
    lay.one(
        "progress deadline",
        &mut after.progress_deadline_s,
        wanted.progress_deadline,
        time,
        &span(deadline),
    );
    lay.one(
        "removals without a word",
        &mut after.removal_percent,
        wanted.removal_percent,
        |own| percent(own.into()),
        &percent(usual.removal_percent),
    );
    lay.one(
        "removed devices are kept",
        &mut after.tombstone_days,
        wanted.tombstone_days,
        days,
        &days(usual.tombstone_days),
    );
    lay.one(
        "drift",
        &mut after.drift,
        wanted.drift,
        |mode| mode.to_string(),
        &DriftMode::default().to_string(),
    );
    (after, told)
}

/// Lays what was named over what is there, and tells it.
struct Lay<'a> {
    told: &'a mut Vec<String>,
}

impl Lay<'_> {
    fn one<T: Copy>(
        &mut self,
        what: &str,
        own: &mut Option<T>,
        wanted: Option<Setting<T>>,
        words: impl Fn(T) -> String,
        usual: &str,
    ) {
        if let Some(setting) = wanted {
            *own = setting.own();
            self.told.push(format!("{what}: {}", own.map_or_else(|| format!("default ({usual})"), words)));
        }
    }
}
