use adelie_dep::endpoints::activation_lock::{LockResult, Request};
use adelie_model::halt;
use adelie_scheduler::chain;
use adelie_store::{EscrowKind, EscrowState};
use adelie_token::BypassCode;
use serde_json::json;

use crate::args::OneDevice;
use crate::confirm::confirmed;
use crate::context::Context;
use crate::escrow;
use crate::exit::{Exit, wrong};

/// Longer than any lost screen shows.
const LONGEST_MESSAGE: usize = 500;

/// Locks a device. The code is kept before Apple hears of it, so that no device is ever locked with a code that nobody
/// has.
pub async fn run(
    context: &Context,
    device: &OneDevice,
    message: Option<String>,
    yes: bool,
) -> anyhow::Result<Exit> {
    if let Some(text) = &message
        && (text.trim().is_empty()
            || text.chars().count() > LONGEST_MESSAGE
            || text.chars().any(char::is_control))
    {
        return Err(wrong(
            format!("--message must have 1 to {LONGEST_MESSAGE} characters in one line"),
            "shorten it, or leave it out",
        ));
    }
    let target = escrow::target(context, device).await?;
    let question =
        format!("lock {} at {}? whoever has it then needs the code to use it", target.serial, target.name);
    if !yes && !confirmed(&question, "give --yes")? {
        context.out.note("nothing was locked")?;
        return Ok(Exit::Attention);
    }
    let by = context.operator();
    let server = context.server(&target.name).await?;
    // Whatever is wrong with the token is found before a code is kept for nothing.
    let client = context.connector().await?.client(&server).await?;
    let code = BypassCode::generate(&*context.entropy);
    let request = Request {
        device: target.serial.clone(),
        escrow_key: Some(code.escrow_key()?),
        lost_message: message,
    };
    let id = escrow::keep(context, &target, EscrowKind::BypassCode, &code.text(), &by).await?;
    halt::point("activation_lock.escrowed");
    let (state, detail) = match client.send(&request).await {
        Ok(response) => outcome(&response.response_status),
        Err(error) if error.may_have_taken_effect() => (
            EscrowState::Escrowed,
            format!(
                "Apple's answer was not seen, so that the device may be locked with this code: {}",
                chain(&error)
            ),
        ),
        Err(error) => (EscrowState::Refused, chain(&error)),
    };
    halt::point("activation_lock.answered");
    context.store.settle_escrow(id, state, &detail, None, &by).await?;
    let command = format!("adelie activation-lock code {}", target.serial);
    if context.out.json {
        context.out.object(&json!({
            "id": id,
            "serial_number": target.serial,
            "server": target.name,
            "state": state.as_str(),
            "detail": detail,
        }))?;
    } else if state == EscrowState::Active {
        context.out.line(&format!("{} is locked", target.serial))?;
        context.out.hint(&format!("the code is kept: `{command} --reason WHY` shows it"))?;
    } else {
        let not = if state == EscrowState::Refused { "was not locked" } else { "may be locked" };
        context.out.warn(&format!("{} {not}: {detail}", target.serial))?;
        if state == EscrowState::Escrowed {
            context.out.hint(&format!("the code is kept: `{command} --reason WHY` shows it"))?;
        }
    }
    Ok(if state == EscrowState::Active { Exit::Done } else { Exit::Attention })
}

fn outcome(result: &LockResult) -> (EscrowState, String) {
    let refused = |why: &str| (EscrowState::Refused, why.to_owned());
    match result {
        LockResult::Success => (EscrowState::Active, String::new()),
        LockResult::NotAccessible => refused(
            "Apple says that it is not a device of this MDM server: look in the portal where it belongs",
        ),
        LockResult::OrgNotSupported => {
            refused("Apple does not let this organization lock devices: ask Apple for the new program")
        }
        LockResult::DeviceNotSupported => refused("devices of this type cannot be locked"),
        LockResult::DeviceAlreadyLocked => refused(
            "it is locked already, by somebody else or with an earlier code: see whether one is kept with \
             `adelie activation-lock code`",
        ),
        // Should the device be locked all the same, this is its code.
        LockResult::Failed => (
            EscrowState::Escrowed,
            "Apple has failed: try again, and if it stays so, ask Apple's support".to_owned(),
        ),
        other => (
            EscrowState::Escrowed,
            format!("Apple gave an answer that Adelie does not know: {}", other.as_str()),
        ),
    }
}
