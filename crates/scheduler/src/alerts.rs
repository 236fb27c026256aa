//! What is wrong with an MDM server, and what to do about it: one truth for the command line, the health endpoint and
//! whatever else shows it. Pure.

use adelie_model::{AssignState, Timestamp, TokenState};
use adelie_store::{MdmServer, StateCount};
use chrono::TimeDelta;
use serde::Serialize;

use crate::Settings;

/// How much an alert matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// It does not pass by itself: somebody has to do something.
    Problem,
    /// It is worth knowing, and passes by itself or can wait.
    Notice,
}

/// One thing that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Alert {
    /// A word for scripts that does not change, like `removals_held`.
    pub code: &'static str,
    /// How much it matters.
    pub severity: Severity,
    /// What is so.
    pub text: String,
    /// What to do about it.
    pub remedy: String,
    /// How many devices it is about, where it is about devices.
    pub devices: Option<u64>,
}

/// What is wrong with an MDM server, worst first. `settings` are its own (see [`Settings::of_server`]), `counts` its
/// devices by state.
#[must_use]
pub fn alerts(settings: &Settings, server: &MdmServer, counts: &[StateCount], now: Timestamp) -> Vec<Alert> {
    let mut alerts: Vec<Alert> = token_alerts(server, now);
    alerts.extend(removals(server));
    alerts.extend(syncing(settings, server, now));
    let of_server = counts.iter().filter(|one| one.server == server.id && one.devices > 0);
    alerts.extend(of_server.filter_map(|one| devices(server, one)));
    alerts.sort_by_key(|alert| alert.severity);
    alerts
}

/// What is wrong with the token of an MDM server, and with the clock that its requests are signed by.
#[must_use]
pub fn token_alerts(server: &MdmServer, now: Timestamp) -> Vec<Alert> {
    token(server, now).into_iter().chain(clock(server)).collect()
}

/// A token that expires within so many days needs somebody soon.
const URGENT_DAYS: i64 = 14;

fn token(server: &MdmServer, now: Timestamp) -> Option<Alert> {
    let state = server.token.state_at(now);
    let days = server.token.days_left(now);
    let (code, severity) = match state {
        TokenState::Valid => return None,
        TokenState::None => ("token_none", Severity::Problem),
        TokenState::Expiring if days.is_some_and(|days| days < URGENT_DAYS) => {
            ("token_expiring", Severity::Problem)
        }
        TokenState::Expiring => ("token_expiring", Severity::Notice),
        TokenState::Expired => ("token_expired", Severity::Problem),
        TokenState::Rejected => ("token_rejected", Severity::Problem),
        TokenState::Superseded => ("token_superseded", Severity::Problem),
        TokenState::TermsNotSigned => ("terms_not_signed", Severity::Problem),
        TokenState::Unreachable => ("apple_unreachable", Severity::Notice),
    };
    let text = match (state, &server.token.detail) {
        (TokenState::None, _) => "there is no server token".to_owned(),
        (TokenState::Unreachable, Some(detail)) => format!("Apple cannot be reached: {detail}"),
        (TokenState::Unreachable, None) => "Apple cannot be reached".to_owned(),
        (TokenState::Expiring, _) => match server.token.expires_at.zip(days) {
            Some((at, days)) => format!("the server token expires on {} (in {days} days)", at.format("%F"))
                .replace("in 1 days", "in 1 day"),
            None => "the server token expires soon".to_owned(),
        },
        (TokenState::Expired, None) => match server.token.expires_at.filter(|at| *at <= now) {
            Some(at) => format!("the server token has expired on {}", at.format("%F")),
            None => "the server token is expired".to_owned(),
        },
        (_, Some(detail)) => format!("the server token is {}: {detail}", state.as_str().replace('_', " ")),
        (_, None) => format!("the server token is {}", state.as_str().replace('_', " ")),
    };
    let remedy = state.remedy().unwrap_or_default().replace("NAME", server.name.as_str());
    Some(Alert { code, severity, text, remedy, devices: None })
}

/// Requests are signed with the time, and Apple refuses those whose time is far off.
fn clock(server: &MdmServer) -> Option<Alert> {
    let skew = server.token.clock_skew?;
    let way = if skew > TimeDelta::zero() { "behind" } else { "ahead of" };
    Some(Alert {
        code: "clock_skew",
        severity: Severity::Problem,
        text: format!("the clock of this machine is {} seconds {way} Apple's", skew.num_seconds().abs()),
        remedy: "set the clock of this machine right, best by NTP: Apple refuses requests whose time is minutes off"
            .to_owned(),
        devices: None,
    })
}

/// The removal guard holds devices that a complete list did not show (field lesson L9).
fn removals(server: &MdmServer) -> Option<Alert> {
    server.attention.as_ref().map(|attention| Alert {
        code: "removals_held",
        severity: Severity::Problem,
        text: attention.clone(),
        remedy: format!(
            "look in the portal whether these devices have left; if so, run `adelie sync {} --accept-removals`",
            server.name
        ),
        devices: None,
    })
}

fn syncing(settings: &Settings, server: &MdmServer, now: Timestamp) -> Vec<Alert> {
    let mut alerts = Vec::new();
    let mut tell = |code, severity, text, remedy| {
        alerts.push(Alert { code, severity, text, remedy, devices: None });
    };
    let waits = server.wait_until.filter(|until| *until > now);
    if let Some(until) = waits {
        tell(
            "apple_asks_to_wait",
            Severity::Notice,
            format!("Apple has asked to be left alone until {}", minute(until)),
            "nothing: it goes on by itself then".to_owned(),
        );
    }
    if server.stuck > 0 {
        tell(
            "cursor_stuck",
            Severity::Notice,
            format!("Apple answered {} times in a row with the cursor that it was sent", server.stuck),
            format!(
                "nothing at first: after three times the whole list is fetched; `adelie sync {} --full --force` \
                 does it now",
                server.name
            ),
        );
    }
    if let Some(error) = server.last_error.as_ref().filter(|_| server.failures > 0) {
        tell(
            "sync_failing",
            Severity::Problem,
            format!("the last {} failed: {error}", if server.failures == 1 { "sync" } else { "syncs" }),
            format!(
                "it is tried again by itself{}; see `adelie sync history {}`",
                server.next_sync_at.map(|at| format!(" at {}", minute(at))).unwrap_or_default(),
                server.name
            ),
        );
    }
    // A service that does not run makes no error that could be shown, so that the silence itself has to be.
    let patience = settings.delta_interval * 3 + TimeDelta::minutes(5);
    let since = server.last_sync_at.unwrap_or(server.created_at);
    let working = server.worked_on.as_ref().is_some_and(|(_, until)| *until > now)
        || server.next_sync_at.is_some_and(|at| at > now);
    let has_token = server.token.state != TokenState::None && !server.token.state.is_bad();
    let expected = !server.paused && has_token && waits.is_none() && !working;
    if expected && since + patience < now && server.failures == 0 {
        tell(
            "stalled",
            Severity::Problem,
            match server.last_sync_at {
                Some(at) => format!("there has been no sync since {}", minute(at)),
                None => "there has never been a sync".to_owned(),
            },
            format!("see that `adelie serve` runs, or run `adelie sync {}`", server.name),
        );
    }
    alerts
}

/// Devices that are not on their way to the wanted profile.
fn devices(server: &MdmServer, count: &StateCount) -> Option<Alert> {
    let name = &server.name;
    let (code, severity, what, remedy) = match count.state {
        AssignState::Unmatched => (
            "devices_unmatched",
            Severity::Problem,
            "no default gives a profile to",
            format!("run `adelie server set {name} --default any=PROFILE`"),
        ),
        AssignState::Held if count.refused > 0 => (
            "profile_refused",
            Severity::Problem,
            "a profile that Apple refuses holds",
            format!("`adelie assign status --server {name}` tells Apple's reason and what to do"),
        ),
        // That is what somebody wanted.
        AssignState::Held => (
            "devices_held",
            Severity::Notice,
            "an operator holds",
            format!("`adelie assign status --server {name}` tells which and what to do"),
        ),
        AssignState::Throttled => (
            "devices_throttled",
            Severity::Notice,
            "Apple takes no assignment for now for",
            format!(
                "nothing: they are tried again when Apple allows; `adelie assign status --server {name}` tells when"
            ),
        ),
        AssignState::Failed => (
            "devices_failed",
            Severity::Problem,
            "Apple has failed to assign",
            format!(
                "they are tried again by themselves; `adelie assign status --server {name}` tells when, \
                 `adelie assign retry --server {name}` does it now"
            ),
        ),
        AssignState::NotAccessible => (
            "devices_not_accessible",
            Severity::Problem,
            "Apple says that they are not this MDM server's: of",
            format!(
                "look in the portal to which MDM server they belong; `adelie device list --server {name} --state not_accessible`"
            ),
        ),
        AssignState::Drifted => (
            "devices_drifted",
            Severity::Notice,
            "Apple shows another profile without our doing for",
            format!(
                "repaired by itself unless the server only reports drift; then `adelie assign retry --server {name}`"
            ),
        ),
        AssignState::Due
        | AssignState::Sent
        | AssignState::Assigned
        | AssignState::Pushed
        | AssignState::Removed => return None,
    };
    let devices = if count.refused > 0 { count.refused } else { count.devices };
    let noun = if devices == 1 { "device" } else { "devices" };
    let text = match count.state {
        AssignState::NotAccessible => {
            format!("Apple says of {devices} {noun} that they are not this MDM server's")
        }
        _ => format!("{what} {devices} {noun}"),
    };
    Some(Alert { code, severity, text, remedy, devices: Some(devices) })
}

fn minute(at: Timestamp) -> String {
    at.format("%F %R UTC").to_string()
}

#[cfg(test)]
mod tests {
    use adelie_model::ServerId;
    use adelie_store::{SyncSettings, TokenHealth};

    use super::*;

    fn at(minutes: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + TimeDelta::days(1000) + TimeDelta::minutes(minutes)
    }

    fn server() -> MdmServer {
        MdmServer {
            id: ServerId(1),
            name: "lab".parse().expect("a name"),
            base_url: "http://127.0.0.1:1".to_owned(),
            paused: false,
            created_at: at(0),
            sync: SyncSettings::default(),
            token: TokenHealth::of(TokenState::Valid),
            account: None,
            last_full_at: Some(at(0)),
            last_sync_at: Some(at(55)),
            next_sync_at: Some(at(70)),
            failures: 0,
            last_error: None,
            wait_until: None,
            attention: None,
            setbacks: 0,
            stuck: 0,
            worked_on: None,
        }
    }

    fn codes(server: &MdmServer, states: &[(AssignState, u64)]) -> Vec<&'static str> {
        let count = |(state, devices): &(AssignState, u64)| StateCount {
            server: server.id,
            state: *state,
            devices: *devices,
            // Half of those that are held, so that both kinds are seen when there are several.
            refused: if *state == AssignState::Held { *devices / 2 } else { 0 },
        };
        let counts: Vec<_> = states.iter().map(count).collect();
        let alerts = alerts(&Settings::default(), server, &counts, at(60));
        for alert in &alerts {
            assert!(
                !alert.text.is_empty() && !alert.remedy.is_empty() && !alert.remedy.contains("NAME"),
                "{alert:?}"
            );
        }
        alerts.into_iter().map(|alert| alert.code).collect()
    }

    #[test]
    fn a_server_that_is_well_has_no_alert() {
        let states = [
            (AssignState::Assigned, 5),
            (AssignState::Pushed, 5),
            (AssignState::Due, 1),
            (AssignState::Failed, 0),
        ];
        assert_eq!(codes(&server(), &states), Vec::<&str>::new());
    }

    /// L62: whatever is wrong has a name and a remedy, problems before notices.
    #[test]
    fn everything_that_is_wrong_is_named_with_its_remedy() {
        let wrong = MdmServer {
            attention: Some("too many".to_owned()),
            wait_until: Some(at(61)),
            failures: 2,
            stuck: 1,
            last_error: Some("Apple did not answer".to_owned()),
            token: TokenHealth::of(TokenState::TermsNotSigned),
            ..server()
        };
        let states = [
            (AssignState::Throttled, 3),
            (AssignState::Failed, 1),
            (AssignState::Held, 2),
            (AssignState::Unmatched, 1),
        ];
        assert_eq!(
            codes(&wrong, &states),
            [
                "terms_not_signed",
                "removals_held",
                "sync_failing",
                "devices_failed",
                "profile_refused",
                "devices_unmatched",
                "apple_asks_to_wait",
                "cursor_stuck",
                "devices_throttled",
            ]
        );
    }

    /// L43: a clock that is off, and an expiry that comes near, are named although Apple still takes the token.
    #[test]
    fn what_will_be_trouble_with_a_token_is_named() {
        let with = |days: i64, skew: Option<i64>| {
            let mut server = server();
            server.token.expires_at = Some(at(60) + TimeDelta::days(days));
            server.token.clock_skew = skew.map(TimeDelta::seconds);
            server
        };
        assert_eq!(codes(&with(61, None), &[]), Vec::<&str>::new());
        assert_eq!(codes(&with(61, Some(-90)), &[]), ["clock_skew"]);
        let severity = |server: &MdmServer| token_alerts(server, at(60))[0].severity;
        assert_eq!(severity(&with(15, None)), Severity::Notice);
        assert_eq!(severity(&with(13, None)), Severity::Problem);
        assert_eq!(
            codes(&with(-1, None), &[]),
            ["token_expired"],
            "the calendar says so before anybody asks Apple"
        );
        let ahead = token_alerts(&with(61, Some(-90)), at(60)).remove(0);
        assert_eq!(ahead.text, "the clock of this machine is 90 seconds ahead of Apple's");
    }

    /// L62: nothing happens and nothing says why: the silence itself is shown.
    #[test]
    fn silence_is_an_alert_unless_it_is_wanted() {
        let silent = MdmServer { last_sync_at: Some(at(0)), next_sync_at: Some(at(15)), ..server() };
        let busy = MdmServer { worked_on: Some(("us".to_owned(), at(61))), ..silent.clone() };
        assert_eq!(codes(&busy, &[]), Vec::<&str>::new());
        assert_eq!(codes(&silent, &[]), ["stalled"]);
        assert_eq!(codes(&MdmServer { last_sync_at: None, ..silent.clone() }, &[]), ["stalled"]);
        assert_eq!(codes(&MdmServer { paused: true, ..silent.clone() }, &[]), Vec::<&str>::new());
        assert_eq!(codes(&MdmServer { wait_until: Some(at(90)), ..silent }, &[]), ["apple_asks_to_wait"]);
    }
}
