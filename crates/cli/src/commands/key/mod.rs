//! Master keys and data keys.

mod make;
mod rotate;
mod show;

use crate::args::Key;
use crate::context::Context;
use crate::exit::Exit;
use crate::output::Output;
use crate::settings::Settings;

pub async fn run(settings: Settings, out: Output, command: Key) -> anyhow::Result<Exit> {
    match command {
        Key::Make { file } => make::run(out, &file),
        Key::Show => show::run(&Context::open(settings).await?).await,
        Key::Rotate { to } => rotate::run(&Context::open(settings).await?, to.as_deref()).await,
    }
}
