use std::io::ErrorKind;
use std::path::Path;

use adelie_store::MasterKey;
use serde_json::json;

use crate::exit::{Exit, wrong};
use crate::key_file;
use crate::output::Output;
use crate::real::SystemEntropy;

/// Makes a master key. Nothing uses it yet.
pub fn run(out: Output, file: &Path) -> anyhow::Result<Exit> {
    let key = MasterKey::generate(&SystemEntropy);
    key_file::publish(file, &key.to_text(), &SystemEntropy).map_err(|error| {
        let hint = match error.kind() {
            ErrorKind::AlreadyExists => "choose another file: a key that is overwritten is lost",
            _ => "check the folder, its permissions and the disk",
        };
        wrong(format!("the master key cannot be written to {}: {error}", file.display()), hint)
    })?;
    if out.json {
        out.object(&json!({ "master_key": key.id(), "file": file }))?;
        return Ok(Exit::Done);
    }
    out.line(&format!("wrote master key {} to {}", key.id(), file.display()))?;
    out.hint(&format!(
        "keep a copy in a safe place, apart from the database; `adelie key rotate --to {}` puts it in use",
        file.display()
    ))?;
    Ok(Exit::Done)
}
