mod remedy;
mod retry;
mod status;

use std::collections::{BTreeMap, BTreeSet};

use adelie_model::{SerialNumber, ServerName};
use adelie_store::page::{Action, Outcome};
use adelie_store::{Reverse, Undo};

use crate::args::{Assign, Serials};
use crate::context::Context;
use crate::exit::Exit;
use crate::operate::{self, Done, Place};
use crate::serials;

pub use remedy::{Case, remedy};

pub async fn run(context: Context, command: Assign) -> anyhow::Result<Exit> {
    match command {
        Assign::Status { server } => status::run(&context, server.as_ref()).await,
        Assign::Retry { devices, server, state, force } => {
            retry::run(&context, &devices, server.as_ref(), state, force).await
        }
        Assign::Hold { devices, server } => hold(&context, &devices, server.as_ref()).await,
        Assign::Unhold { devices, server } => {
            let serials = serials::required(&devices)?;
            let places = operate::places(&context, &serials, server.as_ref()).await?;
            let holds = holds(&context, &serials, &places).await?;
            let mut by_reason: BTreeMap<String, Vec<&Place>> = BTreeMap::new();
            for (hold, place) in holds.iter().zip(&places) {
                if let Some(hold) = hold {
                    let reason = hold.split_once(": ").map_or("", |(_, reason)| reason);
                    by_reason.entry(reason.to_owned()).or_default().push(place);
                }
            }
            let again = |(reason, places): (String, Vec<&Place>)| {
                operate::undo(places.into_iter(), &Reverse::Hold { reason })
            };
            let undo: Vec<Undo> = by_reason.into_iter().flat_map(again).collect();
            operate::keep_undo(&context, "let go", undo).await?;
            let done = operate::at(&context, places, &Action::Unhold).await?;
            let exit = operate::tell(&context, &done, "let go")?;
            sent_soon(&context, changed(&done))?;
            Ok(exit)
        }
    }
}

/// Holds devices. A reason that somebody gave is replaced by another reason only, and not by none.
async fn hold(context: &Context, devices: &Serials, server: Option<&ServerName>) -> anyhow::Result<Exit> {
    let reason = context.reason();
    let serials = serials::required(devices)?;
    let places = operate::places(context, &serials, server).await?;
    let holds = holds(context, &serials, &places).await?;
    let free = |hold: &Option<String>| hold.is_none() || !reason.is_empty();
    let wanted: Vec<_> =
        places.iter().zip(&holds).filter(|(_, hold)| free(hold)).map(|(place, _)| place.clone()).collect();
    // What was held for another reason stays held.
    let was_free = places.iter().zip(&holds).filter(|(_, hold)| hold.is_none()).map(|(place, _)| place);
    operate::keep_undo(context, "held", operate::undo(was_free, &Reverse::Unhold)).await?;
    let mut operated =
        operate::at(context, wanted, &Action::Hold { reason: reason.clone() }).await?.into_iter();
    let mut done = Vec::with_capacity(places.len());
    for (place, hold) in places.into_iter().zip(holds) {
        if !free(&hold) {
            done.push(Done { place, outcome: Outcome::Unchanged("it is held already"), remark: None });
        } else if let Some(one) = operated.next() {
            done.push(Done { remark: hold.map(|hold| format!("in place of \"{hold}\"")), ..one });
        }
    }
    operate::tell(context, &done, "held")
}

/// Why each of these devices is held, if it is.
async fn holds(
    context: &Context,
    serials: &[SerialNumber],
    places: &[Place],
) -> anyhow::Result<Vec<Option<String>>> {
    let found = context.store.find(serials).await?;
    let hold = |place: &Place| {
        let here = found.get(&place.serial).into_iter().flatten().find(|view| {
            view.device.removed_at.is_none()
                && place.server.as_ref().is_some_and(|(id, _)| *id == view.device.server)
        });
        here.and_then(|view| view.device.hold.clone())
    };
    Ok(places.iter().map(hold).collect())
}

/// The MDM servers at which something was changed.
fn changed(done: &[Done]) -> BTreeSet<&ServerName> {
    let done = done.iter().filter(|done| done.outcome == Outcome::Done);
    done.filter_map(|done| done.place.server.as_ref().map(|(_, name)| name)).collect()
}

/// Who sends what is due now at these MDM servers.
fn sent_soon(context: &Context, servers: BTreeSet<&ServerName>) -> anyhow::Result<()> {
    if context.out.json || servers.is_empty() {
        return Ok(());
    }
    let names: Vec<_> = servers.into_iter().map(ServerName::as_str).collect();
    context.out.hint(&format!(
        "a running service sends what is due within seconds; `adelie sync {}` does it now",
        names.join(" ")
    ))
}
