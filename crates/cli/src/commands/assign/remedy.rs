use adelie_model::{AssignState, SerialNumber, ServerName, Timestamp};

use crate::words::minute;

/// Devices in one state for one reason, as far as the remedy depends on it.
pub struct Case<'a> {
    pub server: &'a ServerName,
    pub state: AssignState,
    pub reason: &'a str,
    pub next_attempt_at: Option<Timestamp>,
    /// The device, when it is about a single one.
    pub serial: Option<&'a SerialNumber>,
}

/// What to do about devices in a state, and whether that needs a person.
pub struct Remedy {
    pub text: String,
    pub needs_person: bool,
}

/// Devices that an operator holds say so first.
const HELD_BY_HAND: &str = "held by ";

/// What to do about it; `None` when it is on its way.
pub fn remedy(case: &Case<'_>) -> Option<Remedy> {
    let server = case.server;
    let at = |otherwise: &str| match case.next_attempt_at {
        Some(at) => minute(Some(at)),
        None => otherwise.to_owned(),
    };
    // A retry of one device is no word about all the others.
    let serial = case.serial.map_or("SERIAL", SerialNumber::as_str);
    let retry = match case.serial {
        Some(serial) => format!("`adelie assign retry {serial}`"),
        None => format!("`adelie assign retry --server {server}`"),
    };
    let (they, are, them) = match case.serial {
        Some(_) => ("it", "is", "itself"),
        None => ("they", "are", "themselves"),
    };
    let (needs_person, text) = match case.state {
        AssignState::Throttled => {
            (false, format!("nothing to do: wait until {}; {they} {are} tried again by {them}", at("later")))
        }
        AssignState::Failed => (
            true,
            format!(
                "tried again by {them}, next at {}; {retry} does it now; after three times contact Apple with the \
                 serial number",
                at("its time")
            ),
        ),
        // Somebody has decided that, and knows.
        AssignState::Held if case.reason.starts_with(HELD_BY_HAND) => {
            (false, format!("`adelie assign unhold {serial}` lets it go"))
        }
        AssignState::Held => (
            true,
            format!(
                "mend the profile (`adelie profile validate FILE` checks it) and give it to the server as a default; if \
                 it is right as it is, {retry}"
            ),
        ),
        AssignState::NotAccessible => (
            true,
            format!(
                "look in the portal to which MDM server it is assigned; Apple is asked again at {}, and {retry} asks now",
                at("its time")
            ),
        ),
        AssignState::Drifted if case.next_attempt_at.is_some() => {
            (false, "nothing to do: Apple is asked about it and it is repaired by itself".to_owned())
        }
        AssignState::Drifted => (
            true,
            format!(
                "it is reported only: `adelie assign retry {serial}` repairs it, and \
                 `adelie server set {server} --drift repair` makes that the rule"
            ),
        ),
        AssignState::Unmatched => {
            (true, format!("set a default: `adelie server set {server} --default any=PROFILE`"))
        }
        AssignState::Due
        | AssignState::Sent
        | AssignState::Assigned
        | AssignState::Pushed
        | AssignState::Removed => return None,
    };
    Some(Remedy { text, needs_person })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_passes_by_itself_needs_nobody() {
        let server = "lab".parse().expect("a name");
        let needs = |state, reason, at| {
            let case = Case { server: &server, state, reason, next_attempt_at: at, serial: None };
            remedy(&case).map(|remedy| remedy.needs_person)
        };
        let soon = Some(Timestamp::UNIX_EPOCH);
        assert_eq!(needs(AssignState::Throttled, "", soon), Some(false));
        assert_eq!(needs(AssignState::Held, "held by anna: in repair", None), Some(false));
        assert_eq!(needs(AssignState::Held, "Apple does not take profile x", None), Some(true));
        assert_eq!(needs(AssignState::Drifted, "", soon), Some(false));
        assert_eq!(needs(AssignState::Drifted, "", None), Some(true));
        for state in AssignState::ALL.into_iter().filter(|state| state.needs_attention()) {
            assert_eq!(needs(state, "", soon), Some(true), "{state}");
        }
        assert_eq!(needs(AssignState::Assigned, "", None), None);
    }

    /// The remedy of one device names it, and not all of its server.
    #[test]
    fn one_device_has_a_remedy_of_its_own() {
        let server = "lab".parse().expect("a name");
        let serial = "C02A".parse().expect("a serial number");
        for (state, reason, wanted) in [
            (AssignState::Failed, "", "`adelie assign retry C02A`"),
            (AssignState::NotAccessible, "", "`adelie assign retry C02A`"),
            (AssignState::Drifted, "", "`adelie assign retry C02A`"),
            (AssignState::Held, "held by anna", "`adelie assign unhold C02A`"),
        ] {
            let one = Case { server: &server, state, reason, next_attempt_at: None, serial: Some(&serial) };
            let text = remedy(&one).expect("a remedy").text;
            assert!(text.contains(wanted) && !text.contains("retry --server"), "{text}");
        }
    }
}
