mod code;
mod lock;
mod new;

use adelie_store::EscrowKind;

use crate::args::ActivationLock;
use crate::context::Context;
use crate::escrow;
use crate::exit::Exit;
use crate::output::Output;

/// What needs no database.
pub fn without_store(out: Output, command: &ActivationLock) -> Option<anyhow::Result<Exit>> {
    match command {
        ActivationLock::New { of } => Some(new::run(out, of.as_deref())),
        _ => None,
    }
}

pub async fn run(context: Context, command: ActivationLock) -> anyhow::Result<Exit> {
    match command {
        ActivationLock::Lock { device, message, yes } => lock::run(&context, &device, message, yes).await,
        ActivationLock::Code { device } => code::run(&context, &device).await,
        ActivationLock::List { which } => escrow::list(&context, &which, EscrowKind::BypassCode, false).await,
        ActivationLock::New { of } => new::run(context.out, of.as_deref()),
    }
}
