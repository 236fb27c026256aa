use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use adelie_model::{ProfileName, SerialNumber, new_uuid};
use adelie_profile::accounts::{
    AccountSettings, AdministratorPassword, DEFAULT_ITERATIONS, PasswordHash, Variables,
};
use adelie_profile::commands::{Command, account_configuration, device_configured};
use secrecy::ExposeSecret;
use serde_json::json;

use super::revisions;
use crate::context::Context;
use crate::documents;
use crate::exit::{Exit, wrong};

/// The device that the commands are for.
pub struct Who {
    pub serial: SerialNumber,
    pub user: Option<String>,
    pub full_name: Option<String>,
    pub device_name: Option<String>,
}

/// Prints the commands that make the accounts of a profile on a Mac, and let it go.
pub async fn run(
    context: &Context,
    name: &ProfileName,
    who: &Who,
    only: Option<&str>,
    password_out: Option<&Path>,
) -> anyhow::Result<Exit> {
    let known = revisions::find(context, name).await?;
    let opened = documents::open(context, known.revision(known.head.in_force.number)?.clone()).await?;
    let mut commands = Vec::new();
    if only != Some("DeviceConfigured") {
        match opened.document.accounts() {
            Some(accounts) => commands.push(accounts_of(context, name, accounts, who, password_out)?),
            None if only.is_some() => {
                return Err(wrong(
                    format!("profile {name} has no account settings"),
                    "give it a table `accounts`; see docs/profiles.md",
                ));
            }
            None => context.out.note(&format!("profile {name} has no account settings"))?,
        }
    }
    if only != Some("AccountConfiguration") {
        if opened.document.profile().awaits_configuration() {
            commands.push(device_configured(new_uuid(context.clock.now(), &*context.entropy))?);
        } else {
            context.out.note(&format!(
                "profile {name} does not await configuration, so that nothing has to be let go"
            ))?;
        }
    }
    for command in &commands {
        let text = std::str::from_utf8(command.xml())?;
        if context.out.json {
            context.out.object(&json!({
                "request_type": command.request_type(), "command_uuid": command.command_uuid(), "plist": text,
            }))?;
        } else {
            context.out.data(text)?;
            if !text.ends_with('\n') {
                context.out.line("")?;
            }
        }
    }
    Ok(Exit::Done)
}

fn accounts_of(
    context: &Context,
    name: &ProfileName,
    accounts: &AccountSettings,
    who: &Who,
    password_out: Option<&Path>,
) -> anyhow::Result<Command> {
    let variables = Variables {
        user_principal_name: who.user.clone(),
        user_full_name: who.full_name.clone(),
        serial_number: Some(who.serial.to_string()),
        device_name: who.device_name.clone(),
    };
    let hash = match &accounts.administrator {
        Some(administrator) => Some(password(context, &administrator.password, password_out)?),
        None => None,
    };
    let uuid = new_uuid(context.clock.now(), &*context.entropy);
    account_configuration(uuid, accounts, &variables, hash.as_ref()).map_err(|error| {
        wrong(
            format!(
                "profile {name} makes no AccountConfiguration for {}: {}",
                who.serial,
                adelie_scheduler::chain(&error)
            ),
            "give what is missing with --user, --full-name or --device-name",
        )
    })
}

/// The password of the administrator on this device. One that is made for it is written down first.
fn password(
    context: &Context,
    password: &AdministratorPassword,
    out: Option<&Path>,
) -> anyhow::Result<PasswordHash> {
    if matches!(password, AdministratorPassword::Generated) && out.is_none() {
        return Err(wrong(
            "the administrator's password is generated for each device, and nothing would keep it",
            "give --password-out FILE; the file is made for you alone",
        ));
    }
    let made = password.for_device(&*context.entropy, DEFAULT_ITERATIONS)?;
    if let (Some(password), Some(path)) = (&made.generated, out) {
        let written =
            OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).and_then(|mut file| {
                file.write_all(password.expose_secret().as_bytes())?;
                file.write_all(b"\n")?;
                file.sync_all()
            });
        written.map_err(|error| {
            wrong(
                format!("{} cannot be written: {error}; nothing was made", path.display()),
                "give another file",
            )
        })?;
        context.out.note(&format!("wrote the administrator's password to {}", path.display()))?;
    }
    Ok(made.hash)
}
