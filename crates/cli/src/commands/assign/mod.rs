mod remedy;
mod retry;
mod status;

use adelie_store::page::Action;

use crate::args::{Assign, Serials};
use crate::context::Context;
use crate::exit::Exit;
use crate::{operate, serials};

pub use remedy::{Case, remedy};

pub async fn run(context: Context, command: Assign) -> anyhow::Result<Exit> {
    match command {
        Assign::Status { server } => status::run(&context, server.as_ref()).await,
        Assign::Retry { devices, server, state, force } => {
            retry::run(&context, &devices, server.as_ref(), state, force).await
        }
        Assign::Hold { devices, reason, server } => {
            by_hand(&context, &devices, server.as_ref(), &Action::Hold { reason }, "held").await
        }
        Assign::Unhold { devices, server } => {
            let exit = by_hand(&context, &devices, server.as_ref(), &Action::Unhold, "let go").await?;
            sent_soon(&context)?;
            Ok(exit)
        }
    }
}

async fn by_hand(
    context: &Context,
    devices: &Serials,
    server: Option<&adelie_model::ServerName>,
    action: &Action,
    word: &str,
) -> anyhow::Result<Exit> {
    let serials = serials::required(devices)?;
    let places = operate::places(context, &serials, server).await?;
    operate::tell(context, &operate::at(context, places, action).await?, word)
}

/// Who sends what is due now.
fn sent_soon(context: &Context) -> anyhow::Result<()> {
    if context.out.json {
        return Ok(());
    }
    context.out.hint("a running service sends what is due within seconds; `adelie sync NAME` does it now")
}
