mod make;
mod settle;
mod show;

use adelie_store::EscrowKind;

use crate::args::{OneDevice, Password};
use crate::context::Context;
use crate::escrow;
use crate::exit::{Exit, wrong};

pub async fn run(context: Context, command: Password) -> anyhow::Result<Exit> {
    match command {
        Password::Make { device, guid, out } => make::run(&context, &device, &guid, &out).await,
        Password::Settle { id, refused } => settle::run(&context, id, refused.as_deref()).await,
        Password::Show { device } => show::run(&context, &device).await,
        Password::Rotate { device } => rotate(&context, &device).await,
        Password::List { which, due } => escrow::list(&context, &which, EscrowKind::AdminPassword, due).await,
    }
}

/// Makes the time come to replace the password of a Mac.
async fn rotate(context: &Context, device: &OneDevice) -> anyhow::Result<Exit> {
    let target = escrow::target(context, device).await?;
    let kind = EscrowKind::AdminPassword;
    if !context.store.rotate_escrow(target.server, &target.serial, kind, &context.operator()).await? {
        return Err(wrong(
            format!("{} has no password that is kept here", target.serial),
            format!("`adelie password make {}` makes one", target.serial),
        ));
    }
    if !context.out.json {
        context.out.line(&format!("the password of {} is to be replaced", target.serial))?;
        context.out.hint(&format!(
            "make another: `adelie password make {} --guid GUID --out FILE.plist`",
            target.serial
        ))?;
    }
    Ok(Exit::Done)
}
