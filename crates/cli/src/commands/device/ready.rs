use adelie_scheduler::Readiness;
use comfy_table::{Cell, Color};

use crate::args::Serials;
use crate::context::Context;
use crate::exit::Exit;
use crate::serials;
use crate::words::count;

/// Asks Apple whether devices would get the wanted profile if they were switched on now.
pub async fn run(context: &Context, devices: &Serials) -> anyhow::Result<Exit> {
    let serials = serials::required(devices)?;
    let answers = context.engine().await?.readiness(&serials).await?;
    let not_ready = answers.iter().filter(|answer| !answer.ready).count() as u64;
    let exit = if not_ready == 0 { Exit::Done } else { Exit::Attention };
    if context.out.json {
        for answer in &answers {
            context.out.object(answer)?;
        }
        return Ok(exit);
    }
    context.out.cells(
        &["serial number", "server", "", "reason and next step"],
        answers.iter().flat_map(rows).collect(),
    )?;
    if answers.len() > 1 {
        let all = count(answers.len() as u64, "device", "devices");
        context.out.line(&format!("\n{} of {all} ready", answers.len() as u64 - not_ready))?;
    }
    Ok(exit)
}

/// The verdict with its reason, and on a line of its own what to do, so that no line is longer than it must be.
fn rows(answer: &Readiness) -> Vec<Vec<Cell>> {
    let word = if answer.ready {
        Cell::new("ready").fg(Color::Green)
    } else {
        Cell::new("NOT READY").fg(Color::Red)
    };
    let server = answer.server.as_ref().map_or_else(|| "-".to_owned(), ToString::to_string);
    let verdict = vec![Cell::new(&answer.serial), Cell::new(server), word, Cell::new(&answer.reason)];
    let blank = || Cell::new("");
    let next = answer
        .next_step
        .as_ref()
        .map(|next| vec![blank(), blank(), blank(), Cell::new(format!("next: {next}"))]);
    std::iter::once(verdict).chain(next).collect()
}
