use adelie_model::ProfileName;
use adelie_store::configuration::{Change, RollOut};

use crate::args::Step;
use crate::commands::rule::make;
use crate::context::Context;
use crate::exit::Exit;

/// Goes on with the roll-out of a staged revision, or stops it.
pub async fn run(context: &Context, name: ProfileName, step: &Step) -> anyhow::Result<Exit> {
    let (step, line) = match step {
        Step { percent: Some(100), .. } => (RollOut::Percent(100), format!("all devices of {name} get it")),
        Step { percent: Some(percent), .. } => {
            (RollOut::Percent(*percent), format!("{percent} % of the devices of {name} get it"))
        }
        Step { pause: true, .. } => (RollOut::Pause, format!("no further device of {name} gets it for now")),
        Step { go_on: true, .. } => (RollOut::Continue, format!("the roll-out of {name} goes on")),
        Step { .. } => (RollOut::Abort, format!("all devices of {name} go back to what was in force")),
    };
    make(context, &[Change::RollOut { profile: name, step }], &line).await
}

pub async fn remove(context: &Context, name: ProfileName) -> anyhow::Result<Exit> {
    let line =
        format!("removed profile {name}; Apple keeps what was defined there, and no device gets it any more");
    make(context, &[Change::RemoveProfile { name }], &line).await
}
