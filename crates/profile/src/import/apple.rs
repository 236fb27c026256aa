use serde_json::{Map, Value};

use super::draft::Draft;
use super::input::Input;
use super::{Imported, NoteKind, Source};
use crate::accounts::SignIn;
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
