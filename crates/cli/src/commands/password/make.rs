use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use adelie_model::{halt, new_uuid};
use adelie_profile::accounts::{AdministratorPassword, DEFAULT_ITERATIONS};
use adelie_profile::commands::set_auto_admin_password;
use adelie_store::EscrowKind;
use anyhow::Context as _;
use secrecy::ExposeSecret;
use serde_json::json;

use crate::args::OneDevice;
use crate::context::Context;
use crate::escrow;
use crate::exit::{Exit, as_wrong, wrong};

/// Makes a password, keeps it, and only then writes the command that sets it: what no Mac can be told of yet is kept
/// already.
pub async fn run(context: &Context, device: &OneDevice, guid: &str, out: &Path) -> anyhow::Result<Exit> {
    let target = escrow::target(context, device).await?;
    let by = context.operator();
    let entropy = std::sync::Arc::clone(&context.entropy);
    // Deriving the hash takes a while and must not hold up anything else.
    let made = tokio::task::spawn_blocking(move || {
        AdministratorPassword::Generated.for_device(&*entropy, DEFAULT_ITERATIONS)
    })
    .await
    .context("the password could not be made")??;
    let password = made.generated.context("the password could not be made")?;
    let command_uuid = new_uuid(by.now, &*context.entropy);
    let command =
        set_auto_admin_password(command_uuid, guid, &made.hash).map_err(|error| as_wrong(&error))?;
    let mut file =
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(out).map_err(|error| {
            let hint = match error.kind() {
                std::io::ErrorKind::AlreadyExists => "choose another file, or remove this one first",
                _ => "check the folder and its permissions",
            };
            wrong(format!("the command cannot be written to {}: {error}", out.display()), hint)
        })?;
    let kept = escrow::keep(context, &target, EscrowKind::AdminPassword, password.expose_secret(), &by).await;
    let id = match kept {
        Ok(id) => id,
        Err(error) => {
            // The error that led here is the one to report.
            let _ = std::fs::remove_file(out);
            return Err(error);
        }
    };
    halt::point("password.escrowed");
    file.write_all(command.xml())
        .and_then(|()| file.sync_all())
        .with_context(|| format!("the command could not be written to {}", out.display()))?;
    if context.out.json {
        context.out.object(&json!({
            "id": id,
            "serial_number": target.serial,
            "server": target.name,
            "command_uuid": command_uuid,
            "command_file": out,
        }))?;
        return Ok(Exit::Done);
    }
    context.out.line(&format!("wrote the command that sets it to {} (password {id})", out.display()))?;
    context.out.hint(&format!(
        "queue it for {} in your MDM; when the Mac has acknowledged it, run `adelie password settle {id}`",
        target.serial
    ))?;
    Ok(Exit::Done)
}
