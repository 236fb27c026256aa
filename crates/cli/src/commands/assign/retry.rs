use std::collections::BTreeSet;

use adelie_model::{AssignState, SerialNumber, ServerName};
use adelie_store::page::Action;
use adelie_store::{DeviceFilter, DevicePosition, MdmServer};

use super::{changed, sent_soon};
use crate::args::Serials;
use crate::context::Context;
use crate::exit::{Exit, wrong};
use crate::operate::{self, BATCH, Done, Place};
use crate::serials;
use crate::words::count;

/// Makes devices due now: those that are named, or those of a server that did not get their profile.
pub async fn run(
    context: &Context,
    devices: &Serials,
    server: Option<&ServerName>,
    state: Option<AssignState>,
    force: bool,
) -> anyhow::Result<Exit> {
    let serials = serials::named(devices)?;
    let action = Action::Retry { throttled_too: force };
    let (done, profiles) = match (serials.is_empty(), server) {
        (false, _) if state.is_some() => {
            return Err(wrong(
                "serial numbers and --state do not go together",
                "name the devices, or use --server NAME --state STATE for all in a state",
            ));
        }
        (false, _) => named(context, &serials, server, &action).await?,
        (true, Some(name)) => {
            let states = states(state, force)?;
            all_of(context, &context.server(name).await?, &states, &action).await?
        }
        (true, None) => {
            return Err(wrong(
                "nothing is named that is to be tried again",
                "give serial numbers, --file CSV, or --server NAME for all of its devices without their profile",
            ));
        }
    };
    if profiles > 0 {
        let what = count(profiles, "profile that Apple refused is", "profiles that Apple refused are");
        context.out.note(&format!("{what} tried again, with the devices that wait for it"))?;
    } else if done.is_empty() {
        context.out.note("no device waits to be tried again")?;
        return Ok(Exit::Done);
    }
    let exit = if done.is_empty() { Exit::Done } else { operate::tell(context, &done, "due now")? };
    let mut servers = changed(&done);
    if profiles > 0 {
        // A profile that is tried again is so at the server that was named, or at those of the devices.
        servers.extend(done.iter().filter_map(|done| done.place.server.as_ref().map(|(_, name)| name)));
        servers.extend(server);
    }
    sent_soon(context, servers)?;
    Ok(exit)
}

/// The states whose devices wait for something else than their turn.
fn states(state: Option<AssignState>, force: bool) -> anyhow::Result<Vec<AssignState>> {
    use AssignState::{Drifted, Due, Failed, Held, NotAccessible, Throttled};
    match state {
        None if force => Ok(vec![Failed, NotAccessible, Drifted, Throttled]),
        None => Ok(vec![Failed, NotAccessible, Drifted]),
        Some(Throttled) if !force => Err(wrong(
            "Apple throttles these devices, and asking earlier may make that longer",
            "they are tried again by themselves; --force asks all the same",
        )),
        Some(state @ (Failed | NotAccessible | Drifted | Throttled | Due | Held)) => Ok(vec![state]),
        Some(state) => Err(wrong(
            format!("devices that are {state} are not tried again"),
            "the states are failed, not_accessible, drifted, held, due, and with --force throttled",
        )),
    }
}

async fn named(
    context: &Context,
    serials: &[SerialNumber],
    server: Option<&ServerName>,
    action: &Action,
) -> anyhow::Result<(Vec<Done>, u64)> {
    let places = operate::places(context, serials, server).await?;
    // A device that waits for a profile which Apple has refused is tried again with the profile.
    let mut refused = BTreeSet::new();
    let found = context.store.find(serials).await?;
    for place in &places {
        let Some((server, _)) = &place.server else { continue };
        let mut views = found.get(&place.serial).into_iter().flatten();
        if views.any(|view| view.device.server == *server && view.profile_error.is_some()) {
            refused.insert(*server);
        }
    }
    let done = operate::at(context, places, action).await?;
    let mut profiles = 0;
    for server in refused {
        profiles += context.store.retry_profiles(server, &context.operator()).await?;
    }
    Ok((done, profiles))
}

async fn all_of(
    context: &Context,
    server: &MdmServer,
    states: &[AssignState],
    action: &Action,
) -> anyhow::Result<(Vec<Done>, u64)> {
    let mut done = Vec::new();
    for state in states {
        let filter = DeviceFilter { server: Some(server.id), state: Some(*state), ..DeviceFilter::default() };
        let mut after: Option<DevicePosition> = None;
        loop {
            let page = context.store.devices(&filter, after.as_ref(), u32::try_from(BATCH)?).await?;
            let Some(last) = page.last() else { break };
            after = Some(DevicePosition { server: server.id, serial: last.device.serial.clone() });
            let places = page
                .into_iter()
                // An operator's own hold is let go by name only.
                .filter(|view| view.device.hold.is_none())
                .map(|view| Place {
                    serial: view.device.serial,
                    server: Some((server.id, server.name.clone())),
                })
                .collect();
            done.extend(operate::at(context, places, action).await?);
        }
    }
    // Devices of refused profiles are shown as held, and wait for the profile alone.
    let profiles = context.store.retry_profiles(server.id, &context.operator()).await?;
    Ok((done, profiles))
}
