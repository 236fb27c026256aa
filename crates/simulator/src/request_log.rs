use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

/// One request as the simulator has seen and answered it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LoggedRequest {
    /// Counts from 1.
    pub number: u64,
    /// Simulated moment, in milliseconds since 1970.
    pub at_ms: i64,
    /// The HTTP method.
    pub method: String,
    /// The path without the query.
    pub path: String,
    /// The query, without the question mark.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub query: Option<String>,
    /// The MDM server that the session or token belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server: Option<String>,
    /// The `User-Agent` header.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_agent: Option<String>,
    /// The `Content-Type` header.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    /// The `X-Server-Protocol-Version` header as it was sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub protocol_version: Option<String>,
    /// The `Authorization` header, which signs a request for a session.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authorization: Option<String>,
    /// The session that was sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// The beginning of the request body.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub body: String,
    /// The size of the request body in bytes.
    pub body_bytes: usize,
    /// The status of the answer; 0 when the connection was cut without one.
    pub status: u16,
    /// The text of an error answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Devices in the request, or in the page that was answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub devices: Option<usize>,
    /// Whether a fault hit it.
    pub fault: bool,
}

/// The last requests, and counts of all.
#[derive(Debug, Default)]
pub(crate) struct RequestLog {
    entries: VecDeque<LoggedRequest>,
    total: u64,
    counts: BTreeMap<String, u64>,
}

impl RequestLog {
    pub(crate) fn push(&mut self, mut entry: LoggedRequest, keep: usize) {
        self.total += 1;
        entry.number = self.total;
        let outcome = format!("{} {} {}", entry.method, entry.path, entry.status);
        // Paths that a scanner makes up must not grow the table without end.
        if self.counts.len() < 500 || self.counts.contains_key(&outcome) {
            *self.counts.entry(outcome).or_default() += 1;
        }
        self.entries.push_back(entry);
        while self.entries.len() > keep {
            self.entries.pop_front();
        }
    }

    pub(crate) fn entries(&self) -> impl DoubleEndedIterator<Item = &LoggedRequest> {
        self.entries.iter()
    }

    pub(crate) fn total(&self) -> u64 {
        self.total
    }

    /// Requests by method, path and status.
    pub(crate) fn counts(&self) -> &BTreeMap<String, u64> {
        &self.counts
    }

    /// Empties the log; numbers go on.
    pub(crate) fn clear(&mut self) -> usize {
        self.counts.clear();
        std::mem::take(&mut self.entries).len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_keeps_the_last_and_counts_all() {
        let mut log = RequestLog::default();
        for status in [200, 200, 400] {
            log.push(
                LoggedRequest { method: "GET".into(), path: "/a".into(), status, ..Default::default() },
                2,
            );
        }
        assert_eq!(log.entries().map(|entry| entry.number).collect::<Vec<_>>(), [2, 3]);
        assert_eq!((log.total(), log.counts()["GET /a 200"]), (3, 2));
    }
}
