use adelie_store::{EscrowKind, EscrowState};
use chrono::TimeDelta;

use crate::args::OneDevice;
use crate::context::Context;
use crate::escrow;
use crate::exit::{Exit, wrong};
use crate::words::minute;

/// Shows the passwords that may open a Mac. Who has seen one is noted first, and it is to be replaced soon after.
pub async fn run(context: &Context, device: &OneDevice) -> anyhow::Result<Exit> {
    let by = escrow::with_reason(context, "a look at an administrator password")?;
    let mut kept = escrow::of_device(context, device, EscrowKind::AdminPassword).await?;
    // What came before the one that the Mac has is of no use.
    kept.retain(|one| one.state != EscrowState::Replaced);
    if kept.is_empty() {
        return Err(wrong(
            format!("no administrator password of {} is kept", device.serial),
            "see what is kept with `adelie password list`",
        ));
    }
    let rotate_at = by.now + TimeDelta::hours(i64::from(context.settings.passwords.rotate_after_view_hours));
    let mut rows = Vec::new();
    for one in &kept {
        context.store.view_escrow(one.id, Some(rotate_at), &by).await?;
        let password = escrow::open(context, one).await?;
        let until = one.rotate_at.map_or(rotate_at, |before| before.min(rotate_at));
        if context.out.json {
            let mut object = escrow::object(one);
            object["password"] = password.as_str().into();
            object["rotate_at"] = crate::words::time(until).into();
            context.out.object(&object)?;
        } else {
            rows.push(vec![
                password.as_str().to_owned(),
                one.server_name.to_string(),
                minute(Some(one.created_at)),
                minute(Some(until)),
                meaning(one.state).to_owned(),
            ]);
        }
    }
    if !context.out.json {
        context.out.table(&["password", "server", "made", "to be replaced", "state"], rows)?;
    }
    Ok(Exit::Done)
}

fn meaning(state: EscrowState) -> &'static str {
    match state {
        EscrowState::Active => "the Mac has it",
        EscrowState::Escrowed => "the Mac may have it: nobody has told what became of it",
        EscrowState::Refused | EscrowState::Replaced => "the Mac does not have it",
    }
}
