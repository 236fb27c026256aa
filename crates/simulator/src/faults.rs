//! Faults for the next requests: what Apple answers on a bad day.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A fault that the next matching requests meet. Everything is optional; what is left out does not happen.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Fault {
    /// Only requests with this method, like `POST`.
    pub method: Option<String>,
    /// Only requests to this path; a `*` at the end stands for any rest.
    pub path: Option<String>,
    /// How many matching requests pass unharmed first.
    pub skip: u32,
    /// How many requests it hits; 0 means all until it is cleared. Left out: 1.
    pub times: Option<u32>,
    /// Whether the request takes effect before the fault answers.
    pub effect: bool,
    /// Milliseconds to wait before anything else, on the clock that was passed in.
    pub delay_ms: u64,
    /// Milliseconds between the effect and the answer, on the clock that was passed in.
    pub answer_delay_ms: u64,
    /// Answer with this status; the body is empty unless `body` is given.
    pub status: Option<u16>,
    /// Answer with this body.
    pub body: Option<String>,
    /// Answer with what was sent: the request line, the headers and the body, as the error pages of some proxies do.
    pub echo: bool,
    /// Answer with these headers too.
    pub headers: BTreeMap<String, String>,
    /// Answer with `Retry-After: N`.
    pub retry_after_seconds: Option<u64>,
    /// Answer with `Retry-After` as an HTTP date this many seconds ahead.
    pub retry_after_date: Option<u64>,
    /// Close the connection without an answer. With `effect` after the request took effect.
    pub cut: bool,
    /// Take effect, then close the connection after this many bytes of the body.
    pub truncate_to: Option<usize>,
    /// Take effect, then answer 200 with an empty body.
    pub empty: bool,
    /// A device page comes with the request's own cursor and `more_to_follow` true (field lesson L2).
    pub same_cursor: Option<SameCursor>,
    /// The first devices of a page come once more at its end.
    pub duplicates: usize,
    /// The cursor of a sync page stands so many events too early, so that they come again (field lesson L11).
    pub redeliver: u64,
}

/// What a page with the request's own cursor has in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SameCursor {
    /// The devices of the page.
    WithDevices,
    /// Nothing.
    WithoutDevices,
}

impl Fault {
    /// Whether the answer is the fault's own.
    pub(crate) fn answers(&self) -> bool {
        self.status.is_some() || self.body.is_some() || self.echo
    }

    /// Whether the request takes effect.
    pub(crate) fn takes_effect(&self) -> bool {
        self.effect || !(self.answers() || self.cut)
    }

    pub(crate) fn delay(&self) -> Duration {
        Duration::from_millis(self.delay_ms)
    }

    pub(crate) fn answer_delay(&self) -> Duration {
        Duration::from_millis(self.answer_delay_ms)
    }

    fn matches(&self, method: &str, path: &str) -> bool {
        self.method.as_deref().is_none_or(|wanted| wanted.eq_ignore_ascii_case(method))
            && self.path.as_deref().is_none_or(|wanted| match wanted.strip_suffix('*') {
                Some(start) => path.starts_with(start),
                None => wanted == path,
            })
    }

    /// What is wrong with it as a command.
    pub(crate) fn complaint(&self) -> Option<String> {
        if self.status.is_some_and(|status| !(200..=599).contains(&status)) {
            return Some("`status` must be 200 to 599".to_owned());
        }
        for (name, value) in &self.headers {
            if axum::http::HeaderName::try_from(name).is_err()
                || axum::http::HeaderValue::try_from(value).is_err()
            {
                return Some(format!("the header {name:?} with the value {value:?} cannot be sent"));
            }
        }
        (*self == Self { method: self.method.clone(), path: self.path.clone(), skip: self.skip, times: self.times, effect: self.effect, ..Self::default() })
            .then(|| "the fault does nothing: give at least one of status, body, echo, headers, retry_after_seconds, retry_after_date, delay_ms, answer_delay_ms, cut, truncate_to, empty, same_cursor, duplicates, redeliver".to_owned())
    }
}

/// The faults that wait for their requests.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    waiting: Vec<Fault>,
}

impl Faults {
    pub(crate) fn add(&mut self, fault: Fault) {
        self.waiting.push(fault);
    }

    pub(crate) fn clear(&mut self) -> usize {
        std::mem::take(&mut self.waiting).len()
    }

    pub(crate) fn waiting(&self) -> &[Fault] {
        &self.waiting
    }

    /// The fault for a request: the oldest that matches and has let enough pass.
    pub(crate) fn take(&mut self, method: &str, path: &str) -> Option<Fault> {
        let mut hit = None;
        for (place, fault) in self.waiting.iter_mut().enumerate() {
            if !fault.matches(method, path) {
                continue;
            }
            if fault.skip > 0 {
                fault.skip -= 1;
                continue;
            }
            hit = Some(place);
            break;
        }
        let place = hit?;
        let fault = self.waiting.get_mut(place)?;
        let taken = fault.clone();
        match fault.times.unwrap_or(1) {
            0 => {}
            1 => drop(self.waiting.remove(place)),
            more => fault.times = Some(more - 1),
        }
        Some(taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_hits_what_it_names_as_often_as_it_says() {
        let mut faults = Faults::default();
        faults.add(Fault {
            method: Some("post".to_owned()),
            path: Some("/devices*".to_owned()),
            skip: 1,
            times: Some(2),
            status: Some(503),
            ..Fault::default()
        });
        assert_eq!(faults.take("GET", "/devices/sync"), None);
        assert_eq!(faults.take("POST", "/devices/sync"), None);
        assert!(faults.take("POST", "/devices/sync").is_some());
        assert!(faults.take("POST", "/devices").is_some());
        assert_eq!(faults.take("POST", "/devices"), None);
        assert!(faults.waiting().is_empty());
    }

    #[test]
    fn a_fault_that_does_nothing_or_cannot_be_sent_is_refused() {
        assert!(Fault { times: Some(3), ..Fault::default() }.complaint().is_some());
        assert!(Fault { status: Some(99), ..Fault::default() }.complaint().is_some());
        let broken = BTreeMap::from([("A b".to_owned(), "x".to_owned())]);
        assert!(Fault { headers: broken, ..Fault::default() }.complaint().is_some());
        assert_eq!(Fault { cut: true, ..Fault::default() }.complaint(), None);
    }
}
