use serde_json::{Map, Value};

use super::draft::Draft;
use super::input::Input;
use super::{Imported, NoteKind, Source};
use crate::accounts::{AccountSettings, AdministratorPassword, Context, SignIn};
use crate::check::ACCOUNTS;
use crate::keys;

/// A profile in Apple's own keys. They stay as they are, unknown ones included.
#[must_use]
pub fn apple(profile: Map<String, Value>) -> Imported {
    let mut input = Input::new(profile);
    let mut draft = Draft::new(Source::Apple, &[]);
    input.ignore(&["profile_uuid"]);
    let serials =
        "Adelie assigns devices by defaults and rules: `adelie server set NAME --default FAMILY=PROFILE`";
    input.no_equivalent(&[("devices", serials)]);
    take_accounts(&mut input, &mut draft);
    let name = match input.take("profile_name") {
        Some(Value::String(name)) => Some(name),
        // Checking the profile says what is wrong with it.
        Some(wrong) => {
            draft.set("profile_name", Some(wrong));
            None
        }
        None => None,
    };
    for key in input.left() {
        let Some(value) = input.take(&key) else {
            input.ignore(&[&key]);
            input.note(
                NoteKind::Changed,
                &key,
                Value::Null,
                "it was null, which Apple does not take, and is left out",
            );
            continue;
        };
        if keys::kind_of(&key).is_none() {
            let reason = "Adelie knows no such key of Apple's; it is sent unchanged";
            input.note(NoteKind::Unknown, &key, value.clone(), reason);
        }
        draft.set(&key, Some(value));
    }
    if draft.apple.contains_key("configuration_web_url") {
        draft.sign_in = SignIn::Web;
    }
    if !draft.apple.contains_key("url") {
        input.fill_in("url", "every profile needs the URL at which your MDM server enrolls devices");
    }
    draft.finish(input, name, None)
}

/// Account settings may stand beside Apple's keys in a file of ours.
fn take_accounts(input: &mut Input, draft: &mut Draft) {
    let Some(raw) = input.take(ACCOUNTS) else { return };
    // Whether names can be filled in is for checking the file to say.
    let context = Context { sign_in: SignIn::Web, awaits_configuration: true };
    match AccountSettings::check(&raw, &context) {
        Ok(checked) => draft.accounts = checked.accounts,
        Err(findings) => {
            let told: Vec<_> =
                findings.errors().map(|one| format!("{}: {}", one.path, one.message)).collect();
            let reason =
                format!("these are no account settings, so they are not taken over: {}", told.join("; "));
            input.note(NoteKind::Unknown, ACCOUNTS, raw, &reason);
        }
    }
    if let Some(administrator) = &mut draft.accounts.administrator
        && !matches!(administrator.password, AdministratorPassword::Generated)
    {
        administrator.password = AdministratorPassword::Generated;
        let reason = "the password is not taken over: each Mac gets a new one (`password = \"generated\"`)";
        let path = format!("{ACCOUNTS}.administrator.password");
        input.note(NoteKind::Changed, &path, Value::Null, reason);
    }
}
