//! Endpoints that receive events, and what is on its way to them.

mod add;
mod change;
mod endpoint;
mod list;
mod listen;
mod log;
mod replay;
mod rotate;
mod test;

pub use self::endpoint::shown_url;
pub use self::list::all_findings;
pub use self::log::{HEADER as DELIVERIES, delivery_object, delivery_row};
use crate::args::Webhook;
use crate::context::Context;
use crate::exit::Exit;
use crate::output::Output;

/// Runs a command that needs no database.
pub async fn without_store(out: Output, command: &Webhook) -> Option<anyhow::Result<Exit>> {
    match command {
        Webhook::Listen { listen, secret, status } => {
            Some(listen::run(out, *listen, secret.as_deref(), *status).await)
        }
        _ => None,
    }
}

pub async fn run(context: Context, command: Webhook) -> anyhow::Result<Exit> {
    match command {
        Webhook::Add(command) => add::run(&context, &command).await,
        Webhook::List => list::list(&context).await,
        Webhook::Show { endpoint } => list::show(&context, &endpoint.endpoint).await,
        Webhook::Pause { endpoint } => change::pause(&context, &endpoint.endpoint).await,
        Webhook::Resume { endpoint } => change::resume(&context, &endpoint.endpoint).await,
        Webhook::Remove { endpoint } => change::remove(&context, &endpoint.endpoint).await,
        Webhook::Test { endpoint } => test::run(&context, &endpoint.endpoint).await,
        Webhook::Rotate { endpoint, overlap } => rotate::run(&context, &endpoint.endpoint, overlap).await,
        Webhook::Log { delivery: Some(delivery), .. } => log::one(&context, delivery).await,
        Webhook::Log { failed, endpoint, event, limit, .. } => {
            let which = log::Which { failed, endpoint: endpoint.as_deref(), event: event.as_deref() };
            log::list(&context, &which, limit).await
        }
        Webhook::Replay { delivery, failed, endpoint, since, until } => {
            replay::run(&context, delivery, failed, endpoint.as_deref(), since, until).await
        }
        Webhook::Listen { listen, secret, status } => {
            listen::run(context.out, listen, secret.as_deref(), status).await
        }
    }
}
