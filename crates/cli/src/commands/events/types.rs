use adelie_store::event::TYPES;
use serde_json::json;

use crate::exit::Exit;
use crate::output::Output;

/// Lists the types of events.
pub fn run(out: Output) -> anyhow::Result<Exit> {
    if out.json {
        for known in TYPES {
            out.object(&json!({ "type": known.name, "severity": known.severity, "about": known.about }))?;
        }
        return Ok(Exit::Done);
    }
    let row = |known: &adelie_store::event::EventType| {
        vec![known.name.to_owned(), known.severity.as_str().to_owned(), known.about.to_owned()]
    };
    out.table(&["type", "severity", "what it means"], TYPES.iter().map(row).collect())?;
    Ok(Exit::Done)
}
