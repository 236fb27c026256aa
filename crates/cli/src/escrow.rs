//! Secrets of devices that are kept for people: keeping, opening and listing them.

use adelie_model::{EscrowId, SerialNumber, ServerId, ServerName, new_uuid};
use adelie_store::seal::ESCROW_SECRET;
use adelie_store::{EscrowFilter, EscrowKind, EscrowState, Escrowed, NewEscrow, Operator};
use anyhow::Context as _;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::args::{OneDevice, WhichKept};
use crate::context::Context;
use crate::exit::{Exit, wrong};
use crate::master_keys::refused;
use crate::operate;
use crate::words::{minute, optional_time, time};

/// So many of one device are looked at; nobody has made more by hand.
const OF_ONE: u32 = 1000;

/// A device at one MDM server.
pub struct Target {
    pub serial: SerialNumber,
    pub server: ServerId,
    pub name: ServerName,
}

/// Where the device is; it must be at one MDM server, or be told at which.
pub async fn target(context: &Context, device: &OneDevice) -> anyhow::Result<Target> {
    let serial = &device.serial;
    let places = operate::places(context, std::slice::from_ref(serial), device.server.as_ref()).await?;
    let known: Vec<_> = places.into_iter().filter_map(|place| place.server).collect();
    match known.as_slice() {
        [(server, name)] => Ok(Target { serial: serial.clone(), server: *server, name: name.clone() }),
        [] => Err(wrong(
            format!("no MDM server here has or had {serial}"),
            "check the serial number, run `adelie sync`, or name the MDM server with --server NAME",
        )),
        several => {
            let names: Vec<_> = several.iter().map(|(_, name)| name.as_str()).collect();
            Err(wrong(
                format!("{serial} is at several MDM servers: {}", names.join(", ")),
                "say which one is meant with --server NAME",
            ))
        }
    }
}

/// Who is at the keyboard and why; the audit has to be able to say it.
pub fn with_reason(context: &Context, doing: &str) -> anyhow::Result<Operator> {
    let by = context.operator();
    if by.reason.is_none() {
        return Err(wrong(
            format!("{doing} needs a reason, which the audit keeps"),
            "give --reason 'why', like --reason 'ticket 4711'",
        ));
    }
    Ok(by)
}

/// Keeps a secret before anybody is told of it.
pub async fn keep(
    context: &Context,
    target: &Target,
    kind: EscrowKind,
    secret: &str,
    by: &Operator,
) -> anyhow::Result<EscrowId> {
    let id = EscrowId(new_uuid(by.now, &*context.entropy));
    let sealed = context.vault().await?.seal(ESCROW_SECRET.at(id.0), secret.as_bytes(), &*context.entropy)?;
    let new = NewEscrow { id, server: target.server, serial: target.serial.clone(), kind, secret: sealed };
    context.store.escrow(&new, by).await?;
    Ok(id)
}

/// Opens a kept secret. The look is to be noted first.
pub async fn open(context: &Context, kept: &Escrowed) -> anyhow::Result<Zeroizing<String>> {
    let keyring = context.keyring().await?;
    let plain = keyring.unseal(ESCROW_SECRET.at(kept.id.0), &kept.secret).await.map_err(refused)?;
    let text = std::str::from_utf8(&plain).ok().context("the kept secret is no text: the row was changed")?;
    Ok(Zeroizing::new(text.to_owned()))
}

/// What is kept of a device, the likeliest to be of use first: what it has, what it may have, what it had.
pub async fn of_device(
    context: &Context,
    device: &OneDevice,
    kind: EscrowKind,
) -> anyhow::Result<Vec<Escrowed>> {
    let server = match &device.server {
        Some(name) => Some(context.server(name).await?.id),
        None => None,
    };
    let filter =
        EscrowFilter { kind: Some(kind), server, serial: Some(device.serial.clone()), to_rotate_by: None };
    let mut kept = context.store.escrowed(&filter, None, OF_ONE).await?;
    // A device that left and was deleted still has its secrets, so that they are found by serial number alone.
    kept.retain(|one| one.state != EscrowState::Refused);
    kept.sort_by_key(|one| match one.state {
        EscrowState::Active => 0,
        EscrowState::Escrowed => 1,
        EscrowState::Replaced => 2,
        EscrowState::Refused => 3,
    });
    Ok(kept)
}

/// Lists what is kept, without the secrets.
pub async fn list(context: &Context, which: &WhichKept, kind: EscrowKind, due: bool) -> anyhow::Result<Exit> {
    let server = match &which.server {
        Some(name) => Some(context.server(name).await?.id),
        None => None,
    };
    let filter = EscrowFilter {
        kind: Some(kind),
        server,
        serial: which.serial.clone(),
        to_rotate_by: due.then(|| context.clock.now()),
    };
    let kept = context.store.escrowed(&filter, None, which.limit).await?;
    if context.out.json {
        for one in &kept {
            context.out.object(&object(one))?;
        }
        return Ok(Exit::Done);
    }
    if kept.is_empty() {
        context.out.note("nothing is kept that matches")?;
        return Ok(Exit::Done);
    }
    let full = kept.len() == which.limit as usize;
    let rows = kept.into_iter().map(|one| {
        vec![
            one.serial.to_string(),
            one.server_name.to_string(),
            one.state.as_str().to_owned(),
            minute(Some(one.created_at)),
            one.created_by,
            minute(one.viewed_at),
            minute(one.rotate_at),
            one.id.to_string(),
            one.detail,
        ]
    });
    let header =
        ["serial number", "server", "state", "made", "by", "last seen", "to be replaced", "id", "detail"];
    context.out.table(&header, rows.collect())?;
    if full {
        context.out.hint(&format!("there may be more than {}: see them with --limit", which.limit))?;
    }
    Ok(Exit::Done)
}

/// A kept secret without the secret.
pub fn object(kept: &Escrowed) -> Value {
    json!({
        "id": kept.id,
        "serial_number": kept.serial,
        "server": kept.server_name,
        "kind": kept.kind.as_str(),
        "state": kept.state.as_str(),
        "detail": kept.detail,
        "created_at": time(kept.created_at),
        "created_by": kept.created_by,
        "since": time(kept.since),
        "viewed_at": optional_time(kept.viewed_at),
        "rotate_at": optional_time(kept.rotate_at),
    })
}
