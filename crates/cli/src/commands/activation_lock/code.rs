use adelie_store::{EscrowKind, EscrowState};

use crate::args::OneDevice;
use crate::context::Context;
use crate::escrow;
use crate::exit::{Exit, wrong};
use crate::words::minute;

/// Shows the codes that may unlock a device. Which one does cannot always be known (protocol section 10.1).
pub async fn run(context: &Context, device: &OneDevice) -> anyhow::Result<Exit> {
    let by = escrow::with_reason(context, "a look at a bypass code")?;
    let kept = escrow::of_device(context, device, EscrowKind::BypassCode).await?;
    if kept.is_empty() {
        return Err(wrong(
            format!("no bypass code of {} is kept", device.serial),
            "Adelie knows the codes of devices that it has locked itself: see `adelie activation-lock list`",
        ));
    }
    let mut rows = Vec::new();
    for one in &kept {
        context.store.view_escrow(one.id, None, &by).await?;
        let code = escrow::open(context, one).await?;
        if context.out.json {
            let mut object = escrow::object(one);
            object["code"] = code.as_str().into();
            context.out.object(&object)?;
        } else {
            rows.push(vec![
                code.as_str().to_owned(),
                one.server_name.to_string(),
                minute(Some(one.created_at)),
                meaning(one.state).to_owned(),
            ]);
        }
    }
    if !context.out.json {
        context.out.table(&["code", "server", "made", "state"], rows)?;
        context.out.hint(
            "type the code as the password in Setup Assistant, with the name field left empty, or let the MDM clear the lock",
        )?;
    }
    Ok(Exit::Done)
}

fn meaning(state: EscrowState) -> &'static str {
    match state {
        EscrowState::Active => "Apple has locked the device with it",
        EscrowState::Escrowed => "Apple may have locked the device with it: no answer was seen",
        EscrowState::Replaced => "used before another",
        EscrowState::Refused => "never used",
    }
}
