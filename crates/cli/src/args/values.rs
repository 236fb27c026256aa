//! Values of options, from text.

use std::net::SocketAddr;
use std::time::Duration;

use adelie_model::{AssignState, DeviceFamily, DriftMode, ProfileName, Timestamp, to_millis};
use adelie_rules::Scope;
use adelie_store::AuditHead;
use chrono::{NaiveDate, NaiveTime, TimeDelta};
use url::Url;

/// One `--default FAMILY=PROFILE`.
#[derive(Clone, Debug)]
pub struct DefaultProfile {
    pub scope: Scope,
    pub profile: Option<ProfileName>,
}

/// A setting of one MDM server: its own value, or with `default` what all of them have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Setting<T> {
    Default,
    Own(T),
}

impl<T> Setting<T> {
    /// The server's own value, if it is to have one.
    pub fn own(self) -> Option<T> {
        match self {
            Self::Default => None,
            Self::Own(value) => Some(value),
        }
    }
}

/// Whole seconds, of a text like `90s`, `15m`, `12h`, `7d` or `1h 30m`.
pub fn interval(text: &str) -> Result<Setting<u32>, String> {
    const LONGEST: Duration = Duration::from_secs(10 * 365 * 86_400);
    setting(text, |text| {
        let time = humantime::parse_duration(text)
            .map_err(|_| format!("{text:?} is no length of time; it must look like 90s, 15m, 12h or 7d"))?;
        if time < Duration::from_secs(1) || time > LONGEST || time.subsec_nanos() > 0 {
            return Err("it must be whole seconds, at least 1s and at most ten years".to_owned());
        }
        u32::try_from(time.as_secs()).map_err(|error| error.to_string())
    })
}

pub fn percent(text: &str) -> Result<Setting<u32>, String> {
    setting(text, |text| number(text, 100))
}

pub fn days(text: &str) -> Result<Setting<u32>, String> {
    setting(text, |text| number(text, 36_500))
}

pub fn drift(text: &str) -> Result<Setting<DriftMode>, String> {
    setting(text, |text| {
        DriftMode::parse(text).ok_or("it must be `repair`, `report` or `default`".to_owned())
    })
}

/// Where something listens.
pub fn address(text: &str) -> Result<SocketAddr, String> {
    text.trim().parse().map_err(|_| {
        "it must be an IP address and a port, like 127.0.0.1:8080, or 0.0.0.0:8080 for every address of this machine"
            .to_owned()
    })
}

/// A moment that a list begins at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Since {
    /// This one.
    At(Timestamp),
    /// So long before now.
    Ago(TimeDelta),
}

/// A moment (RFC 3339, or a date, which begins at midnight UTC), or how long ago: `90m`, `7d`.
pub fn since(text: &str) -> Result<Since, String> {
    let text = text.trim();
    if let Ok(moment) = text.parse::<Timestamp>() {
        return Ok(Since::At(to_millis(moment)));
    }
    if let Ok(date) = text.parse::<NaiveDate>() {
        return Ok(Since::At(date.and_time(NaiveTime::MIN).and_utc()));
    }
    let ago = humantime::parse_duration(text).ok().and_then(|ago| TimeDelta::from_std(ago).ok());
    ago.filter(|ago| *ago <= TimeDelta::days(36_500)).map(Since::Ago).ok_or_else(|| {
        format!("{text:?} is neither a moment like 2026-11-22T08:00:00Z or 2026-11-22 nor a length of time like 90m or 7d")
    })
}

/// How long two secrets sign beside each other.
pub fn overlap(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text.trim()) {
        Ok(time) if time <= Duration::from_secs(30 * 86_400) => Ok(time),
        Ok(_) => Err("it must be at most 30d".to_owned()),
        Err(_) => Err(format!("{text:?} is no length of time; it must look like 0s, 12h or 7d")),
    }
}

fn setting<T>(text: &str, own: impl FnOnce(&str) -> Result<T, String>) -> Result<Setting<T>, String> {
    match text.trim() {
        "default" => Ok(Setting::Default),
        text => own(text).map(Setting::Own),
    }
}

fn number(text: &str, most: u32) -> Result<u32, String> {
    match text.parse() {
        Ok(number) if number <= most => Ok(number),
        _ => Err(format!("it must be a whole number from 0 to {most}, or `default`")),
    }
}

/// A note is shown in tables and kept with every revision, so that it is one line of moderate length.
pub fn note(text: &str) -> Result<String, String> {
    one_line(text, 200)
}

/// A reason is kept with every entry in the audit.
pub fn reason(text: &str) -> Result<String, String> {
    one_line(text, 500)
}

fn one_line(text: &str, most: usize) -> Result<String, String> {
    let text = text.trim();
    if text.chars().any(char::is_control) || text.chars().count() > most {
        return Err(format!("it must be one line of at most {most} characters"));
    }
    Ok(text.to_owned())
}

/// A number and a hash, as `adelie audit verify` prints them.
pub fn audit_head(text: &str) -> Result<AuditHead, String> {
    let form = || format!("{text:?} is no head of the audit; it looks like 42: and 64 hex digits");
    let (number, hash) = text.trim().split_once(':').ok_or_else(form)?;
    let number = number.parse().ok().filter(|number| *number >= 0).ok_or_else(form)?;
    let hash = hash.to_ascii_lowercase();
    if hash.len() != 64 || !hash.chars().all(|c| c.is_ascii_hexdigit()) {
        return Err(form());
    }
    Ok(AuditHead { number, hash })
}

pub fn default_profile(text: &str) -> Result<DefaultProfile, String> {
    let (scope, profile) =
        text.split_once('=').ok_or("it must be FAMILY=PROFILE, like mac=Standard".to_owned())?;
    let scope = scope.parse::<Scope>().map_err(|error| error.to_string())?;
    let profile = match profile.trim() {
        "" => None,
        name => Some(name.parse().map_err(|error: adelie_model::NameError| error.to_string())?),
    };
    Ok(DefaultProfile { scope, profile })
}

/// Midnight at the beginning of a day, UTC.
pub fn day(text: &str) -> Result<Timestamp, String> {
    let day: NaiveDate =
        text.parse().map_err(|_| format!("{text:?} is no day; it must look like 2026-01-31"))?;
    Ok(day.and_time(NaiveTime::MIN).and_utc())
}

pub fn family(text: &str) -> Result<DeviceFamily, String> {
    match text.parse::<Scope>().map_err(|error| error.to_string())? {
        Scope::Family(family) => Ok(family),
        Scope::Any => Err("leave --family out to see all families".to_owned()),
    }
}

pub fn state(text: &str) -> Result<AssignState, String> {
    AssignState::parse(text).ok_or_else(|| {
        let known: Vec<_> = AssignState::ALL.iter().map(|state| state.as_str()).collect();
        format!("there is no such state; the states are {}", known.join(", "))
    })
}

pub fn base_url(text: &str) -> Result<Url, String> {
    let url = Url::parse(text)
        .map_err(|error| format!("{error}; it must look like https://mdmenrollment.apple.com"))?;
    if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
        return Err("it must start with https:// (or http:// for a simulator) and name a host".to_owned());
    }
    let names_user = !url.username().is_empty() || url.password().is_some();
    if url.query().is_some() || url.fragment().is_some() || names_user {
        return Err("it must have no user, password, query or fragment".to_owned());
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_time_are_whole_seconds() {
        assert_eq!(interval("15m"), Ok(Setting::Own(900)));
        assert_eq!(interval("7d"), Ok(Setting::Own(604_800)));
        assert_eq!(interval("1h 30m"), Ok(Setting::Own(5400)));
        assert_eq!(interval("default"), Ok(Setting::Default));
        for wrong in ["0s", "999ms", "1500ms", "15", "soon", "", "-5m", "11y"] {
            assert!(interval(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn numbers_have_their_limits() {
        assert_eq!(percent("0"), Ok(Setting::Own(0)));
        assert!(percent("101").is_err() && percent("-1").is_err() && percent("5.5").is_err());
        assert_eq!(days("45"), Ok(Setting::Own(45)));
        assert_eq!(drift("report"), Ok(Setting::Own(DriftMode::Report)));
        assert!(drift("ignore").is_err());
    }
}
