use adelie_model::{AssignState, ServerName, Timestamp};

use crate::words::minute;

/// Devices in one state for one reason, as far as the remedy depends on it.
pub struct Case<'a> {
    pub server: &'a ServerName,
    pub state: AssignState,
    pub reason: &'a str,
    pub next_attempt_at: Option<Timestamp>,
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
    let (needs_person, text) = match case.state {
        AssignState::Throttled => {
            (false, format!("nothing to do: wait until {}; they are tried again by themselves", at("later")))
        }
        AssignState::Failed => (
            true,
            format!(
                "tried again by itself, next at {}; `adelie assign retry --server {server}` does it now; after three \
                 times contact Apple with the serial number",
                at("its time")
            ),
        ),
        // Somebody has decided that, and knows.
        AssignState::Held if case.reason.starts_with(HELD_BY_HAND) => {
            (false, "`adelie assign unhold SERIAL` lets it go".to_owned())
        }
        AssignState::Held => (
            true,
            format!(
                "mend the profile (`adelie profile validate FILE` checks it) and give it to the server as a default; if \
                 it is right as it is, `adelie assign retry --server {server}`"
            ),
        ),
        AssignState::NotAccessible => (
            true,
            format!(
                "look in the portal to which MDM server it is assigned; Apple is asked again at {}, and \
                 `adelie assign retry --server {server}` asks now",
                at("its time")
            ),
        ),
        AssignState::Drifted if case.next_attempt_at.is_some() => {
            (false, "nothing to do: Apple is asked about it and it is repaired by itself".to_owned())
        }
        AssignState::Drifted => (
            true,
            format!(
                "it is reported only: `adelie assign retry SERIAL` repairs it, and \
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
            let case = Case { server: &server, state, reason, next_attempt_at: at };
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
}
