use adelie_model::EscrowId;
use adelie_store::{EscrowFilter, EscrowKind, EscrowState};
use chrono::TimeDelta;
use serde_json::json;
use uuid::Uuid;

use crate::context::Context;
use crate::exit::{Exit, wrong};
use crate::words::{minute, optional_time};

/// Keeps what became of a new password.
pub async fn run(context: &Context, id: Uuid, refused: Option<&str>) -> anyhow::Result<Exit> {
    let by = context.operator();
    let (state, detail) = match refused {
        Some(why) => (EscrowState::Refused, why),
        None => (EscrowState::Active, ""),
    };
    let days = context.settings.passwords.rotate_days;
    let rotate_at =
        (state == EscrowState::Active && days > 0).then(|| by.now + TimeDelta::days(i64::from(days)));
    let told = is_password(context, id).await?
        && context.store.settle_escrow(EscrowId(id), state, detail, rotate_at, &by).await?;
    if !told {
        return Err(wrong(
            format!("there is no password {id} whose fate is still to be told"),
            "see them with `adelie password list`",
        ));
    }
    if context.out.json {
        context
            .out
            .object(&json!({ "id": id, "state": state.as_str(), "rotate_at": optional_time(rotate_at) }))?;
        return Ok(Exit::Done);
    }
    let until = rotate_at.map(|at| format!("; it is to be replaced on {}", minute(Some(at))));
    let what = match state {
        EscrowState::Active => "is the one that the Mac has",
        _ => "was refused, and the Mac keeps the one before",
    };
    context.out.line(&format!("password {id} {what}{}", until.unwrap_or_default()))?;
    Ok(Exit::Done)
}

/// Whether it is a password that has this id: bypass codes have theirs, and Apple tells what became of them.
async fn is_password(context: &Context, id: Uuid) -> anyhow::Result<bool> {
    let filter = EscrowFilter { kind: Some(EscrowKind::AdminPassword), ..EscrowFilter::default() };
    let Some(next) = id.as_u128().checked_add(1) else { return Ok(false) };
    let found = context.store.escrowed(&filter, Some(EscrowId(Uuid::from_u128(next))), 1).await?;
    Ok(found.first().is_some_and(|found| found.id.0 == id))
}
