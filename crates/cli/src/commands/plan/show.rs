use adelie_plan::{Given, Move};
use adelie_store::configuration::Version;
use serde_json::json;

use super::made::Made;
use crate::confirm;
use crate::context::Context;
use crate::exit::Exit;
use crate::words::count;

/// Shows what a plan would do.
pub fn plan(context: &Context, made: &Made) -> anyhow::Result<()> {
    if context.out.json {
        return context.out.object(&object(made));
    }
    for warning in &made.warnings {
        context.out.aside(warning)?;
    }
    if made.changes.is_empty() {
        context.out.line("nothing to change: everything is as the folder says")?;
    } else {
        for line in &made.lines {
            context.out.line(line)?;
        }
        for (profile, lines) in &made.revised {
            context.out.line(&format!("\nin profile {profile}"))?;
            for line in lines {
                context.out.line(&format!("  {line}"))?;
            }
        }
        context.out.line("")?;
        let all = count(made.effect.devices, "device", "devices");
        context.out.line(&match made.effect.moved() {
            0 => format!("no device gets another profile ({all} looked at)"),
            moved => format!("{moved} of {all} get something else:"),
        })?;
        let rows = made.effect.moves.iter().map(|(change, devices)| {
            vec![
                devices.to_string(),
                change.server.to_string(),
                given(change.from.as_ref()),
                given(change.to.as_ref()),
            ]
        });
        let rows: Vec<_> = rows.collect();
        if !rows.is_empty() {
            context.out.table(&["devices", "server", "have", "get"], rows)?;
        }
        if !made.moved.is_empty() {
            context.out.line("")?;
            let row = |(serial, change): &(adelie_model::SerialNumber, Move)| {
                vec![
                    serial.to_string(),
                    change.server.to_string(),
                    given(change.from.as_ref()),
                    given(change.to.as_ref()),
                ]
            };
            context
                .out
                .table(&["serial number", "server", "has", "gets"], made.moved.iter().map(row).collect())?;
        }
        context.out.line("")?;
        context.out.line(&format!("plan {}", made.name))?;
    }
    if !made.left_alone.is_empty() {
        let words = made.left_alone.join(", ");
        context.out.note(&format!(
            "left alone, because the folder does not name them (--prune takes them away): {words}"
        ))?;
    }
    Ok(())
}

/// Tells that a plan was made.
pub fn applied(context: &Context, made: &Made, version: Version) -> anyhow::Result<Exit> {
    if context.out.json {
        let mut object = object(made);
        object["applied"] = json!(true);
        object["version"] = json!(version);
        context.out.object(&object)?;
        return Ok(Exit::Done);
    }
    context.out.line(&format!("made: {}", count(made.lines.len() as u64, "change", "changes")))?;
    context.out.hint("a running service decides devices anew within seconds; `adelie sync` does it now")?;
    Ok(Exit::Done)
}

/// Asks whether the plan is to be made.
pub fn confirmed() -> anyhow::Result<bool> {
    confirm::confirmed(
        "make this plan?",
        "give --yes, and with --plan PLAN make sure that it is the plan that was reviewed",
    )
}

fn given(given: Option<&Given>) -> String {
    given.map_or_else(
        || "nothing".to_owned(),
        |given| format!("{}, revision {}", given.profile, given.revision),
    )
}

fn object(made: &Made) -> serde_json::Value {
    let moves: Vec<_> = made
        .effect
        .moves
        .iter()
        .map(|(change, devices)| {
            json!({ "devices": devices, "server": change.server, "from": change.from, "to": change.to })
        })
        .collect();
    let moved: Vec<_> = made
        .moved
        .iter()
        .map(|(serial, change)| {
            json!({ "serial_number": serial, "server": change.server, "from": change.from, "to": change.to })
        })
        .collect();
    json!({
        "plan": made.name,
        "version": made.version,
        "changes": made.lines,
        "revised": made.revised.iter().map(|(profile, lines)| json!({ "profile": profile, "difference": lines })).collect::<Vec<_>>(),
        "devices_looked_at": made.effect.devices,
        "devices_moved": made.effect.moved(),
        "moves": moves,
        "devices": moved,
        "left_alone": made.left_alone,
        "warnings": made.warnings,
    })
}
