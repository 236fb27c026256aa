use std::path::PathBuf;

use adelie_model::Clock;
use serde_json::json;

use crate::exit::Exit;
use crate::output::Output;
use crate::profile_files;
use crate::real::SystemClock;
use crate::words::count;

/// Checks files and prints every finding. No database is needed.
pub fn run(out: Output, files: &[PathBuf]) -> anyhow::Result<Exit> {
    let mut exit = Exit::Done;
    for file in files {
        let (findings, good) = match profile_files::read(file, SystemClock.now())? {
            Ok(checked) => (checked.warnings, true),
            Err(findings) => (findings, false),
        };
        if !good {
            exit = Exit::Usage;
        }
        if out.json {
            for finding in &findings {
                let mut object = serde_json::to_value(finding)?;
                object["file"] = json!(file);
                out.object(&object)?;
            }
            continue;
        }
        let verdict = match (good, findings.len() as u64) {
            (true, 0) => "valid".to_owned(),
            (true, warnings) => format!("valid, with {}", count(warnings, "warning", "warnings")),
            (false, _) => {
                format!("not valid, {}", count(findings.errors().count() as u64, "error", "errors"))
            }
        };
        out.line(&format!("{}: {verdict}", file.display()))?;
        if !findings.is_empty() {
            out.line(&profile_files::indented(&findings))?;
        }
    }
    Ok(exit)
}
