use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use adelie_model::{ProfileName, SerialNumber, new_uuid};
use adelie_profile::accounts::{
    AccountSettings, AdministratorPassword, DEFAULT_ITERATIONS, MissingValue, Variable, Variables,
};
use adelie_profile::commands::{Command, CommandError, account_configuration, device_configured};
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;

use super::revisions::{self, Known};
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
    let number = revision_of(context, &known, who).await?;
    let opened = documents::open(context, known.revision(number)?.clone()).await?;
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

/// The revision that the device is to have, which is not the one in force when it is among the first of a roll-out.
async fn revision_of(context: &Context, known: &Known, who: &Who) -> anyhow::Result<u32> {
    let mut views = context.store.device(&who.serial).await?;
    views.retain(|view| view.device.removed_at.is_none());
    let name = &known.head.name;
    let own = views.iter().find(|view| view.wanted_profile.as_ref() == Some(name));
    match (
        own.and_then(|view| view.wanted_revision),
        views.first().and_then(|view| view.wanted_profile.as_ref()),
    ) {
        (Some(number), _) => return Ok(number),
        (None, Some(other)) => {
            context
                .out
                .note(&format!("{} is to have profile {other}, and these are of {name}", who.serial))?;
        }
        (None, None) => {}
    }
    Ok(known.head.in_force.number)
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
    let made = match &accounts.administrator {
        Some(administrator) => {
            if matches!(administrator.password, AdministratorPassword::Generated) && password_out.is_none() {
                return Err(wrong(
                    "the administrator's password is generated for each device, and nothing would keep it",
                    "give --password-out FILE; the file is made for you alone",
                ));
            }
            Some(administrator.password.for_device(&*context.entropy, DEFAULT_ITERATIONS)?)
        }
        None => None,
    };
    let uuid = new_uuid(context.clock.now(), &*context.entropy);
    let hash = made.as_ref().map(|made| &made.hash);
    let command = account_configuration(uuid, accounts, &variables, hash).map_err(|error| {
        let hint = match &error {
            CommandError::Variable { source: MissingValue(variable), .. } => missing(*variable),
            _ => "change it in the profile, or what is given with --user, --full-name and --device-name",
        };
        wrong(
            format!(
                "profile {name} makes no AccountConfiguration for {}: {}",
                who.serial,
                adelie_scheduler::chain(&error)
            ),
            hint,
        )
    })?;
    // Not before there is a command that has it, and before that is printed: nothing else keeps it.
    if let (Some(password), Some(path)) = (made.and_then(|made| made.generated), password_out) {
        keep(&password, path)?;
        context.out.note(&format!("wrote the administrator's password to {}", path.display()))?;
    }
    Ok(command)
}

/// What gives a variable its value.
fn missing(variable: Variable) -> &'static str {
    match variable {
        Variable::PartialUpn => "give --user NAME, like robin@example.org",
        Variable::UserName => "give --full-name TEXT",
        Variable::DeviceName => "give --device-name TEXT",
        Variable::SerialNumber => "give --serial SERIAL",
    }
}

/// Writes a password to a file of its own, which must not be there.
fn keep(password: &SecretString, path: &Path) -> anyhow::Result<()> {
    let written =
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).and_then(|mut file| {
            file.write_all(password.expose_secret().as_bytes())?;
            file.write_all(b"\n")?;
            file.sync_all()
        });
    written.map_err(|error| {
        wrong(format!("{} cannot be written: {error}; nothing was made", path.display()), "give another file")
    })
}
