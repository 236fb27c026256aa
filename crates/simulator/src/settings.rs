use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::control::ControlError;
use crate::scenario::Step;

/// Every switch of the simulator, with defaults that follow Apple's documentation.
///
/// The names are those of the scenario file and of `POST /_control/settings`; durations are whole numbers there,
/// with the unit in the name (`latency_ms`, `session_lifetime_seconds`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Devices that the first MDM server has at the start.
    pub devices: usize,
    /// Decides serial numbers, models, identifiers. The same seed gives the same organization.
    pub seed: u64,
    /// Name of the MDM server that exists at the start.
    pub server_name: String,
    /// Time that every answer takes on the clock that was passed in, so real time under a real clock; requests wait
    /// side by side.
    #[serde(rename = "latency_ms", with = "millis")]
    pub latency: Duration,

    /// A new session is handed out with every n-th response of a session; 0 never.
    pub rotate_every: u32,
    /// Whether the session before a rotation goes on working.
    pub old_session_stays_valid: bool,
    /// Whether a new `/session` ends the earlier sessions of the token.
    pub one_session_per_token: bool,
    /// A session ends after this time without a request (simulated time).
    #[serde(rename = "session_lifetime_seconds", with = "seconds")]
    pub session_lifetime: Duration,
    /// How far an OAuth timestamp may be from our clock, in either direction.
    #[serde(rename = "timestamp_window_seconds", with = "seconds")]
    pub timestamp_window: Duration,
    /// HTTP status of `token_expired`, `token_rejected` and `signature_invalid`: 401 or 403.
    pub token_error_status: u16,

    /// The protocol version of a request without the header.
    pub default_protocol_version: u8,
    /// Newer versions are treated as this one.
    pub newest_protocol_version: u8,
    /// Whether a request without a `User-Agent` is refused.
    pub user_agent_required: bool,
    /// A `User-Agent` that starts with one of these is refused.
    pub user_agents_refused: Vec<String>,

    /// Devices in a page when the request names no limit.
    pub default_limit: usize,
    /// Larger limits are cut to this one. Also told in the account detail.
    pub max_limit: usize,
    /// In which order the full listing comes.
    pub fetch_order: FetchOrder,
    /// A cursor older than this is refused with `EXPIRED_CURSOR` (simulated time).
    #[serde(rename = "cursor_lifetime_seconds", with = "seconds")]
    pub cursor_lifetime: Duration,
    /// How many characters a cursor has at least. Apple promises no more than 1000 (field lesson L13).
    pub cursor_length: usize,
    /// An event shows in sync only after this time (simulated time).
    #[serde(rename = "event_delay_seconds", with = "seconds")]
    pub event_delay: Duration,
    /// Whether a client's own assign and remove calls come back as `modified` events.
    pub own_changes_in_sync: bool,

    /// Assigns of one device within the window that bring on throttling; 0 never.
    pub throttle_threshold: u32,
    /// The window in which assigns are counted (simulated time).
    #[serde(rename = "throttle_window_seconds", with = "seconds")]
    pub throttle_window: Duration,
    /// How long a throttled device refuses (simulated time); `retry_after_seconds` says what is left.
    #[serde(rename = "throttle_cooldown_seconds", with = "seconds")]
    pub throttle_cooldown: Duration,
    /// Whether an assign during the cool-down starts it anew.
    pub throttle_prolongs: bool,
    /// Whether events of a throttled device are never reported.
    pub withhold_while_throttled: bool,

    /// Answer to an assign of an unknown profile: 404, or 400 with `PROFILE_NOT_FOUND`.
    pub unknown_profile_status: u16,
    /// Whether new MDM servers may release devices (disown).
    pub may_release: bool,
    /// Whether the organization takes part in the beta programme.
    pub beta_program: bool,
    /// Behave like Apple's own simulator: quoted errors, exact Content-Type, PUT only, no `fetched_until`.
    pub depsim: bool,
    /// Error texts stand in double quotes.
    pub quoted_errors: bool,
    /// Compress answers for clients that accept it. Costs processor time on large pages.
    pub gzip: bool,

    /// Requests kept in the log.
    pub log_size: usize,
    /// Bytes of each request body kept in the log.
    pub log_body_bytes: usize,
    /// Memory for rendered pages, in MiB.
    pub page_cache_mib: usize,

    /// What happens by itself after the start; from a scenario file.
    #[serde(skip)]
    pub steps: Vec<Step>,
}

/// The order of the full listing (protocol section 3.2: oldest first).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FetchOrder {
    /// As Apple documents it.
    #[default]
    OldestFirst,
    /// Against the documentation, for clients that rely on the order.
    NewestFirst,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            devices: 0,
            seed: 1,
            server_name: "Lab".to_owned(),
            latency: Duration::ZERO,
            rotate_every: 50,
            old_session_stays_valid: true,
            one_session_per_token: false,
            session_lifetime: Duration::from_secs(30 * 60),
            timestamp_window: Duration::from_secs(5 * 60),
            token_error_status: 401,
            default_protocol_version: 1,
            newest_protocol_version: 10,
            user_agent_required: true,
            // The one value that is known to be refused since January 2024.
            user_agents_refused: vec!["nanodep-godep/0".to_owned()],
            default_limit: 100,
            max_limit: 1000,
            fetch_order: FetchOrder::OldestFirst,
            cursor_lifetime: Duration::from_secs(7 * 86_400),
            cursor_length: 0,
            event_delay: Duration::ZERO,
            own_changes_in_sync: true,
            throttle_threshold: 0,
            throttle_window: Duration::from_secs(3600),
            throttle_cooldown: Duration::from_secs(86_400),
            throttle_prolongs: false,
            withhold_while_throttled: false,
            unknown_profile_status: 404,
            may_release: false,
            beta_program: true,
            depsim: false,
            quoted_errors: false,
            gzip: false,
            log_size: 10_000,
            log_body_bytes: 2000,
            page_cache_mib: 1024,
            steps: Vec::new(),
        }
    }
}

impl Settings {
    /// These settings with the given ones changed.
    ///
    /// # Errors
    /// Names the setting that is unknown or has a wrong value; nothing is changed then.
    pub fn patched(&self, patch: &Value) -> Result<Self, ControlError> {
        let refuse = |text: String| ControlError::Arguments { action: "settings".to_owned(), text };
        let Value::Object(patch) = patch else {
            return Err(refuse("give an object of settings, like {\"latency_ms\": 50}".to_owned()));
        };
        let mut all = serde_json::to_value(self).map_err(|error| refuse(error.to_string()))?;
        if let Value::Object(all) = &mut all {
            for (name, value) in patch {
                all.insert(name.clone(), value.clone());
            }
        }
        let mut settings: Self = serde_json::from_value(all).map_err(|error| refuse(error.to_string()))?;
        settings.steps.clone_from(&self.steps);
        settings.check().map_err(refuse)?;
        Ok(settings)
    }

    fn check(&self) -> Result<(), String> {
        if self.default_limit == 0 || self.max_limit == 0 {
            return Err("`default_limit` and `max_limit` must be at least 1".to_owned());
        }
        if !matches!(self.token_error_status, 401 | 403) {
            return Err(format!(
                "`token_error_status` is {}: it must be 401 or 403",
                self.token_error_status
            ));
        }
        if !matches!(self.unknown_profile_status, 400 | 404) {
            return Err(format!(
                "`unknown_profile_status` is {}: it must be 400 or 404",
                self.unknown_profile_status
            ));
        }
        if self.server_name.is_empty() {
            return Err("`server_name` is empty: give the first MDM server a name".to_owned());
        }
        Ok(())
    }
}

mod seconds {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(value: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(value.as_secs())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        // Kept far from overflow: a thousand years are enough for every purpose.
        Ok(Duration::from_secs(u64::deserialize(deserializer)?.min(31_536_000_000)))
    }
}

mod millis {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(value: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(u64::try_from(value.as_millis()).unwrap_or(u64::MAX))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        Ok(Duration::from_millis(u64::deserialize(deserializer)?.min(3_600_000)))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_patch_changes_what_it_names_and_nothing_else() {
        let settings = Settings { devices: 7, ..Settings::default() };
        let patched = settings.patched(&json!({"latency_ms": 50, "gzip": true})).expect("good settings");
        assert_eq!(patched, Settings { latency: Duration::from_millis(50), gzip: true, ..settings });
    }

    #[test]
    fn an_unknown_or_wrong_setting_is_named() {
        let settings = Settings::default();
        let unknown = settings.patched(&json!({"latency": 50})).expect_err("unknown").to_string();
        assert!(unknown.contains("`latency`") && unknown.contains("latency_ms"), "{unknown}");
        let wrong = settings.patched(&json!({"token_error_status": 500})).expect_err("wrong").to_string();
        assert!(wrong.contains("token_error_status") && wrong.contains("401 or 403"), "{wrong}");
    }
}
