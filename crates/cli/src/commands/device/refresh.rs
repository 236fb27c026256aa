use std::collections::BTreeMap;

use adelie_model::{ProfileUuid, SerialNumber, ServerId, ServerName};
use adelie_scheduler::{Shown, WorkError, chain};
use adelie_store::DeviceView;
use adelie_store::audit::device_refreshed;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::args::Serials;
use crate::commands::sync::stop_on_signal;
use crate::context::Context;
use crate::exit::{Exit, wrong};
use crate::operate::{self, Place};
use crate::patience::patiently;
use crate::serials;
use crate::words::for_server;

/// Names of profiles by what Apple calls them, for each MDM server.
pub type Names = BTreeMap<(ServerId, String), String>;

/// Asks Apple what it shows for devices, stores it and tells it.
pub async fn run(context: &Context, devices: &Serials, server: Option<&ServerName>) -> anyhow::Result<Exit> {
    let serials = serials::required(devices)?;
    let by_server = grouped(context, &serials, server).await?;
    let engine = context.engine().await?;
    let stop = CancellationToken::new();
    stop_on_signal(stop.clone());
    let mut exit = Exit::Done;
    let (mut rows, mut failures) = (Vec::new(), Vec::new());
    for ((id, name), serials) in by_server {
        let waiting = |owner, until: adelie_model::Timestamp| {
            tracing::warn!(server = %name, owner, %until, "another copy works on it; waiting for it");
        };
        let lease_ttl = context.settings.engine.lease_ttl;
        let entries: Vec<_> = serials.iter().map(|serial| device_refreshed(&name, serial)).collect();
        context.store.note(&entries, &context.operator()).await?;
        let asked = patiently(lease_ttl, &stop, waiting, || engine.refresh(id, &serials, true)).await;
        let shown = match asked {
            Ok(shown) => shown,
            Err(WorkError::Store(error)) => return Err(error.into()),
            Err(error) => {
                for serial in &serials {
                    if context.out.json {
                        let error = chain(&error);
                        context.out.object(
                            &json!({ "serial": serial, "server": name, "shown": "error", "error": error }),
                        )?;
                    }
                }
                failures.push(chain(&error));
                exit = Exit::Attention;
                continue;
            }
        };
        let names = profile_names(context).await?;
        let found = context.store.find(&serials).await?;
        for (serial, shown) in serials.iter().zip(&shown) {
            if !matches!(shown, Shown::Device(_)) {
                exit = Exit::Attention;
            }
            let view = found.get(serial).into_iter().flatten().find(|view| view.device.server == id);
            let told = Told { serial, server: &name, shown, view, names: &names, id };
            if context.out.json {
                context.out.object(&told.object())?;
            } else {
                rows.push(told.row());
            }
        }
    }
    if !rows.is_empty() {
        context.out.table(&["serial number", "server", "at apple", "profile", "state", "reason"], rows)?;
    }
    for failure in failures {
        context.out.warn(&failure)?;
    }
    Ok(exit)
}

/// Which MDM server is asked about which devices. One that nobody here knows can only be at one that is named, or at
/// the only one.
async fn grouped(
    context: &Context,
    serials: &[SerialNumber],
    server: Option<&ServerName>,
) -> anyhow::Result<BTreeMap<(ServerId, ServerName), Vec<SerialNumber>>> {
    let mut groups: BTreeMap<(ServerId, ServerName), Vec<SerialNumber>> = BTreeMap::new();
    let mut only = None;
    for Place { serial, server } in operate::places(context, serials, server).await? {
        let at = match (server, &only) {
            (Some(at), _) => at,
            (None, Some(only)) => Clone::clone(only),
            (None, None) => {
                let servers = context.store.servers().await?;
                let [one] = servers.as_slice() else {
                    return Err(nowhere(&serial, servers.is_empty()));
                };
                only.insert((one.id, one.name.clone())).clone()
            }
        };
        groups.entry(at).or_default().push(serial);
    }
    Ok(groups)
}

fn nowhere(serial: &SerialNumber, no_server: bool) -> anyhow::Error {
    if no_server {
        return wrong("there is no MDM server yet", "add one with `adelie server add NAME`");
    }
    wrong(
        format!(
            "no MDM server here has or had {serial}, so that it is not known where to ask; nothing was asked"
        ),
        "say at which MDM server it is to be looked for, with --server NAME",
    )
}

/// Our names of the profiles that Apple shows.
pub async fn profile_names(context: &Context) -> anyhow::Result<Names> {
    let mut names = BTreeMap::new();
    for profile in context.store.profiles().await? {
        for published in context.store.published(profile.profile).await? {
            if let Some(ProfileUuid(uuid)) = published.profile_uuid {
                names.insert((published.server, uuid), profile.name.to_string());
            }
        }
    }
    Ok(names)
}

/// What Apple shows for one device, and what became of it here.
struct Told<'a> {
    serial: &'a SerialNumber,
    server: &'a ServerName,
    shown: &'a Shown,
    view: Option<&'a DeviceView>,
    names: &'a Names,
    id: ServerId,
}

impl Told<'_> {
    fn profile(&self) -> Option<(String, Option<&String>)> {
        let Shown::Device(record) = self.shown else { return None };
        let uuid = record.actual.profile_uuid.as_ref()?.as_str().to_owned();
        let name = self.names.get(&(self.id, uuid.clone()));
        Some((uuid, name))
    }

    fn row(&self) -> Vec<String> {
        let shown = match self.shown {
            Shown::Device(record) => {
                record.actual.profile_status.as_ref().map_or("no status", |status| status.as_str()).to_owned()
            }
            Shown::NotOurs(_) => "not at this server".to_owned(),
            Shown::Unclear(_) => "no answer".to_owned(),
        };
        let profile = self.profile().map(|(uuid, name)| name.cloned().unwrap_or(uuid));
        let (state, reason) = self.view.map_or(("-", ""), |view| {
            let (state, reason) = view.state();
            (state.as_str(), reason)
        });
        vec![
            self.serial.to_string(),
            self.server.to_string(),
            shown,
            profile.unwrap_or_else(|| "-".to_owned()),
            state.to_owned(),
            for_server(reason, self.server),
        ]
    }

    fn object(&self) -> serde_json::Value {
        let profile = self.profile();
        let status = match self.shown {
            Shown::Device(record) => record.actual.profile_status.as_ref().map(|status| status.as_str()),
            Shown::NotOurs(_) | Shown::Unclear(_) => None,
        };
        let shown = match self.shown {
            Shown::Device(_) => "device",
            Shown::NotOurs(_) => "not_at_this_server",
            Shown::Unclear(_) => "no_answer",
        };
        json!({
            "serial": self.serial,
            "server": self.server,
            "shown": shown,
            "profile_status": status,
            "profile_uuid": profile.as_ref().map(|(uuid, _)| uuid),
            "profile": profile.as_ref().and_then(|(_, name)| *name),
            "state": self.view.map(|view| view.state().0),
            "reason": self.view.map(|view| for_server(view.state().1, self.server)),
        })
    }
}
