//! The rules of the Standard Webhooks specification about answers, one row each, by a real sender and a real receiver.

use std::time::Duration;

use adelie_model::{Mask, SeededEntropy};
use adelie_webhook::{
    DisableReason, Endpoint, History, Ladder, Next, Post, Secret, Sender, SenderOptions, Tried, judge, sign,
};
use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};

use crate::receiver::{Manner, Receiver};

/// Long enough for a busy machine, short enough to wait for.
const DEADLINE: Duration = Duration::from_millis(600);

/// Sun, 06 Nov 1994 08:49:37 GMT, the example of RFC 9110.
pub fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(784_111_777, 0).expect("a moment")
}

pub fn sender(roots: Vec<Vec<u8>>) -> Sender {
    let allowed = "127.0.0.0/8".parse().expect("networks");
    let options = SenderOptions { deadline: DEADLINE, allowed, roots, ..SenderOptions::default() };
    Sender::new(&options).expect("a sender")
}

pub async fn post(sender: &Sender, url: &str, body: Bytes) -> Tried {
    let secret = Secret::generate(&SeededEntropy::new(1)).expect("a secret");
    let signed = sign(&[secret], "evt_1", now(), &body).expect("signed");
    sender
        .send(Post { url, signed, content_type: "application/json", body, hidden: Mask::default() }, now())
        .await
}

/// What is expected of the endpoint, and of when the delivery is tried again.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Then {
    Delivered,
    /// Tried again after the first step of the ladder.
    Retry,
    /// Tried again after so many seconds, and the endpoint left alone for as long.
    Slow(i64),
    /// Tried again after so many seconds, and the endpoint not slowed down.
    Later(i64),
    /// The endpoint disabled; what it did not take waits for it.
    Gone,
}

pub fn then(tried: &Tried) -> Then {
    let history = History { attempts: 1, failing_since: None };
    let verdict = judge(tried, history, &Ladder::default(), now(), &SeededEntropy::new(1));
    match (verdict.delivery, verdict.endpoint) {
        (Next::Delivered, Endpoint::Unchanged) => Then::Delivered,
        (Next::Retry(_), Endpoint::Disable(DisableReason::Gone)) => Then::Gone,
        (Next::Retry(at), endpoint) => {
            let wait = at - now();
            let by_ladder = (TimeDelta::seconds(4)..=TimeDelta::seconds(6)).contains(&wait);
            match endpoint {
                Endpoint::Unchanged if by_ladder => Then::Retry,
                Endpoint::Unchanged => Then::Later(wait.num_seconds()),
                Endpoint::SlowDown(until) => {
                    assert!(at >= until);
                    Then::Slow((until - now()).num_seconds())
                }
                Endpoint::Disable(_) => panic!("{verdict:?}"),
            }
        }
        _ => panic!("{verdict:?}"),
    }
}

pub fn say(status: u16, header: &str) -> Manner {
    let body = if status == 204 { "" } else { "content-length: 4\r\n\r\nword" };
    let end = if status == 204 { "\r\n" } else { "" };
    Manner::Say(format!("HTTP/1.1 {status} Reason\r\n{header}{body}{end}"))
}

#[tokio::test]
async fn each_status_has_its_consequence() {
    let rows = [
        // 2xx is success, whatever else stands there.
        (200, "", Then::Delivered),
        (201, "", Then::Delivered),
        (202, "retry-after: 60\r\n", Then::Delivered),
        (204, "", Then::Delivered),
        (299, "", Then::Delivered),
        // Redirects are failures.
        (300, "", Then::Retry),
        (301, "location: /elsewhere\r\n", Then::Retry),
        (302, "location: /elsewhere\r\n", Then::Retry),
        (303, "location: /elsewhere\r\n", Then::Retry),
        (304, "", Then::Retry),
        (307, "location: /elsewhere\r\n", Then::Retry),
        (308, "location: /elsewhere\r\n", Then::Retry),
        // So is everything else, tried again.
        (400, "", Then::Retry),
        (401, "www-authenticate: Basic\r\n", Then::Retry),
        (403, "", Then::Retry),
        (404, "", Then::Retry),
        (407, "proxy-authenticate: Basic\r\n", Then::Retry),
        (408, "", Then::Retry),
        (409, "", Then::Retry),
        (413, "", Then::Retry),
        (421, "", Then::Retry),
        (422, "", Then::Retry),
        (425, "", Then::Retry),
        (500, "", Then::Retry),
        (501, "", Then::Retry),
        (599, "", Then::Retry),
        (999, "", Then::Retry),
        // 410 ends it.
        (410, "", Then::Gone),
        (410, "retry-after: 60\r\n", Then::Gone),
        // These slow down.
        (429, "", Then::Slow(5)),
        (429, "retry-after: 120\r\n", Then::Slow(120)),
        (429, "retry-after: Sun, 06 Nov 1994 08:50:37 GMT\r\n", Then::Slow(60)),
        (429, "retry-after: Sun, 06 Nov 1994 08:48:37 GMT\r\n", Then::Retry),
        (429, "retry-after: soon\r\n", Then::Slow(5)),
        (429, "retry-after: 9999999\r\n", Then::Slow(86_400)),
        (502, "", Then::Slow(5)),
        (503, "", Then::Slow(5)),
        (503, "retry-after: 3600\r\n", Then::Slow(3_600)),
        (504, "", Then::Slow(5)),
        // Retry-After of others is obeyed for the delivery.
        (500, "retry-after: 120\r\n", Then::Later(120)),
        (404, "retry-after: 120\r\n", Then::Later(120)),
        (301, "location: /elsewhere\r\nretry-after: 120\r\n", Then::Later(120)),
    ];
    let sender = sender(Vec::new());
    for (status, header, expected) in rows {
        let receiver = Receiver::start("127.0.0.1:0", say(status, header)).await;
        let tried = post(&sender, &receiver.url(), Bytes::from_static(b"{}")).await;
        assert_eq!(tried.status, Some(status), "{header}: {:?}", tried.failure);
        assert_eq!(then(&tried), expected, "{status} {header}");
        assert_eq!(tried.failure.is_none(), (200..300).contains(&status));
        assert_eq!(receiver.posts().len(), 1, "{status}");
        let has_body = !matches!(status, 204 | 304);
        assert_eq!(tried.excerpt, if has_body { "word" } else { "" }, "{status}");
    }
}

#[tokio::test]
async fn each_way_to_fail_has_its_words_and_ends_in_time() {
    const OK: &str = "HTTP/1.1 200 OK\r\n";
    let text = str::to_owned;
    let rows = [
        (
            "closed before it was read",
            Manner::Slam,
            None,
            "posting and waiting for an answer failed (connection",
        ),
        (
            "reset before headers",
            Manner::SayAndReset(String::new()),
            None,
            "an answer failed (connection reset)",
        ),
        ("reset inside headers", Manner::SayAndReset(text(OK)), None, "an answer failed (connection reset)"),
        (
            "reset inside body",
            Manner::SayAndReset(format!("{OK}content-length: 9\r\n\r\npart")),
            Some(200),
            "reading the answer failed",
        ),
        (
            "reset inside chunks",
            Manner::SayAndReset(format!("{OK}transfer-encoding: chunked\r\n\r\n4\r\npart\r\n")),
            Some(200),
            "reading the answer failed",
        ),
        (
            "hang before headers",
            Manner::SayAndHang(String::new()),
            None,
            "longer than 0.6 s; posting and waiting",
        ),
        ("hang inside headers", Manner::SayAndHang(text(OK)), None, "longer than 0.6 s; posting and waiting"),
        (
            "hang inside body",
            Manner::SayAndHang(format!("{OK}content-length: 9\r\n\r\npart")),
            Some(200),
            "longer than 0.6 s; reading the answer",
        ),
        (
            "dripping body",
            Manner::Drip(format!("{OK}\r\n")),
            Some(200),
            "longer than 0.6 s; reading the answer",
        ),
        (
            "endless headers",
            Manner::Endless(text(OK), "x-more: of this\r\n".repeat(50)),
            None,
            "an answer failed",
        ),
        ("endless header", Manner::Endless(format!("{OK}x: "), "x".repeat(1000)), None, "an answer failed"),
        (
            "endless status line",
            Manner::Endless(text("HTTP/1.1 200 "), "x".repeat(1000)),
            None,
            "an answer failed",
        ),
        (
            "endless hints",
            Manner::Endless(String::new(), text("HTTP/1.1 100 Continue\r\n\r\n")),
            None,
            "0.6 s",
        ),
        ("garbage", Manner::Say(text("SSH-2.0-OpenSSH_9.9\r\n")), None, "an answer failed"),
        ("garbage bytes", Manner::Say("\u{1}\u{2}\u{0}".repeat(50)), None, "an answer failed"),
        ("garbage status", Manner::Say(text("HTTP/1.1 abc\r\n\r\n")), None, "an answer failed"),
        ("garbage version", Manner::Say(text("HTTP/9.9 200 OK\r\n\r\n")), None, "an answer failed"),
        (
            "two lengths",
            Manner::Say(format!("{OK}content-length: 1\r\ncontent-length: 2\r\n\r\nab")),
            None,
            "an answer failed",
        ),
        (
            "garbage chunks",
            Manner::Say(format!("{OK}transfer-encoding: chunked\r\n\r\nzz\r\n")),
            Some(200),
            "reading the answer failed",
        ),
    ];
    let sender = sender(Vec::new());
    for (what, manner, status, words) in rows {
        let receiver = Receiver::start("127.0.0.1:0", manner).await;
        let tried = post(&sender, &receiver.url(), Bytes::from_static(b"{}")).await;
        let failure = tried.failure.as_ref().map(ToString::to_string).unwrap_or_default();
        assert!(failure.contains(words), "{what}: {failure}");
        assert_eq!(tried.status, status, "{what}");
        assert_eq!(then(&tried), Then::Retry, "{what}");
        assert!(tried.took < DEADLINE * 3, "{what}: {:?}", tried.took);
        assert!(receiver.posts().len() <= 1, "{what}: posted twice in one attempt");
        if what == "hang inside body" {
            assert_eq!(tried.excerpt, "part", "what came is kept");
        }
    }
}

#[tokio::test]
async fn nobody_at_home() {
    let gone =
        tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port").local_addr().expect("an address");
    let tried = post(&sender(Vec::new()), &format!("http://{gone}/"), Bytes::new()).await;
    let failure = tried.failure.as_ref().expect("refused").to_string();
    assert!(
        failure.starts_with("nothing was sent: no connection to the receiver (connection refused)"),
        "{failure}"
    );
    assert_eq!(then(&tried), Then::Retry);
}

#[tokio::test]
async fn an_answer_without_end_is_cut_and_counts_by_its_status() {
    let sender = sender(Vec::new());
    for (status, expected) in [(200, Then::Delivered), (500, Then::Retry)] {
        let manner = Manner::Endless(format!("HTTP/1.1 {status} Reason\r\n\r\n"), "never ".repeat(500));
        let receiver = Receiver::start("127.0.0.1:0", manner).await;
        let tried = post(&sender, &receiver.url(), Bytes::new()).await;
        assert_eq!((tried.status, then(&tried)), (Some(status), expected), "{:?}", tried.failure);
        assert!(tried.excerpt.starts_with("never never") && tried.excerpt.len() == 1024);
    }
}
