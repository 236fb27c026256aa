//! One module per noun.

mod activation_lock;
mod assign;
mod audit;
mod backup;
mod changes;
mod demo;
mod device;
mod doctor;
mod events;
mod help;
mod key;
mod password;
mod plan;
mod profile;
mod restore;
mod rule;
mod serve;
mod server;
mod simulator;
mod sync;
mod token;
mod webhook;

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

use crate::args::{ActivationLock, Args, Command, Events, Key, Webhook};
use crate::context::Context;
use crate::exit::{Exit, wrong};
use crate::output::Output;
use crate::settings::Settings;

/// Runs the command.
pub async fn run(args: Args) -> anyhow::Result<Exit> {
    match &args.command {
        Command::Completions { shell } => return help::completions(*shell),
        Command::HelpMarkdown => return help::markdown(),
        _ => {}
    }
    let stores = match &args.command {
        Command::Simulator(_) | Command::Demo(_) | Command::Key(Key::Make { .. }) => false,
        Command::Profile(command) => command.stores(),
        Command::Events(Events::Types | Events::Schema) | Command::Webhook(Webhook::Listen { .. }) => false,
        Command::ActivationLock(ActivationLock::New { .. }) => false,
        _ => true,
    };
    let settings = Settings::load(&args.global, stores)?;
    let out = Output::new(settings.json);
    let service = matches!(args.command, Command::Serve(_) | Command::Simulator(_));
    start_log(settings.log.as_deref(), service)?;
    match args.command {
        Command::Server(command) => server::run(Context::open(settings).await?, command).await,
        Command::Token(command) => token::run(Context::open(settings).await?, command).await,
        Command::Sync(command) => sync::run(Context::open(settings).await?, command).await,
        Command::Assign(command) => assign::run(Context::open(settings).await?, command).await,
        Command::Device(command) => device::run(Context::open(settings).await?, command).await,
        Command::Password(command) => password::run(Context::open(settings).await?, command).await,
        Command::ActivationLock(command) => match activation_lock::without_store(out, &command) {
            Some(done) => done,
            None => activation_lock::run(Context::open(settings).await?, command).await,
        },
        Command::Profile(command) => profile::run(settings, out, command).await,
        Command::Rule(command) => rule::run(Context::open(settings).await?, command).await,
        Command::Plan(command) => plan::plan(Context::open(settings).await?, &command).await,
        Command::Apply(command) => plan::apply(Context::open(settings).await?, &command).await,
        Command::Export(command) => plan::export(Context::open(settings).await?, &command).await,
        Command::Changes { limit } => changes::run(Context::open(settings).await?, limit).await,
        Command::Audit(command) => audit::run(Context::open(settings).await?, command).await,
        Command::Events(command) => match events::explain(out, &command) {
            Some(done) => done,
            None => events::run(Context::open(settings).await?, command).await,
        },
        Command::Webhook(command) => match webhook::without_store(out, &command).await {
            Some(done) => done,
            None => webhook::run(Context::open(settings).await?, command).await,
        },
        Command::Key(command) => key::run(settings, out, command).await,
        Command::Backup(command) => backup::run(settings, &command).await,
        Command::Restore(command) => restore::run(settings, out, &command).await,
        Command::Serve(command) => serve::run(Context::open(settings).await?, &command).await,
        Command::Doctor(command) => doctor::run(settings, &command.check).await,
        Command::Simulator(command) => simulator::run(out, *command).await,
        Command::Demo(command) => demo::run(settings, command).await,
        Command::Completions { .. } | Command::HelpMarkdown => Ok(Exit::Done),
    }
}

/// Logs go to stderr: the service tells what it does, other commands only what goes wrong.
fn start_log(filter: Option<&str>, service: bool) -> anyhow::Result<()> {
    let text = filter.unwrap_or(if service { "info,sqlx=warn,tokio_cron_scheduler=warn" } else { "error" });
    let filter = EnvFilter::try_new(text).map_err(|error| {
        wrong(
            format!("--log {text:?} is no log filter: {error}"),
            "use a level like `info`, or `adelie_dep=debug,info`",
        )
    })?;
    // Colours are for a terminal, not for a journal or a file.
    let colours =
        std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|set| set.is_empty());
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(colours);
    log.with_writer(std::io::stderr).with_target(false).init();
    Ok(())
}
