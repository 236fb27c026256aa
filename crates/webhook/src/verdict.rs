//! What follows from an attempt, for the delivery and for the endpoint. No I/O.

use std::time::Duration;

use adelie_model::{Entropy, Timestamp};
use chrono::TimeDelta;

use crate::{Failure, Tried};

/// How long after each failed attempt the next one comes. The first attempt is made at once; after the last there is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ladder(Vec<Duration>);

impl Ladder {
    /// A ladder of these waits.
    #[must_use]
    pub fn new(waits: Vec<Duration>) -> Self {
        Self(waits)
    }

    /// How long to wait after so many failed attempts, a fifth more or less by chance; nothing after the last.
    fn wait(&self, attempts: u32, entropy: &dyn Entropy) -> Option<Duration> {
        let step = usize::try_from(attempts.max(1) - 1).ok()?;
        let wait = u64::try_from(self.0.get(step)?.as_millis()).ok()?;
        Some(Duration::from_millis(wait - wait / 5 + entropy.below(wait * 2 / 5 + 1)))
    }

    /// How many attempts a delivery gets in all.
    #[must_use]
    pub fn attempts(&self) -> u32 {
        u32::try_from(self.0.len()).unwrap_or(u32::MAX).saturating_add(1)
    }
}

impl Default for Ladder {
    /// As the Standard Webhooks specification proposes.
    fn default() -> Self {
        Self(LADDER.to_vec())
    }
}

const LADDER: [Duration; 9] = [
    Duration::from_secs(5),
    Duration::from_secs(5 * 60),
    Duration::from_secs(30 * 60),
    Duration::from_secs(2 * 60 * 60),
    Duration::from_secs(5 * 60 * 60),
    Duration::from_secs(10 * 60 * 60),
    Duration::from_secs(14 * 60 * 60),
    Duration::from_secs(20 * 60 * 60),
    Duration::from_secs(24 * 60 * 60),
];

/// How long an endpoint may fail without any success before it is disabled.
pub const PATIENCE: TimeDelta = TimeDelta::days(5);

/// An overloaded receiver that does not say how long to wait is left alone as long as it has been failing, within these.
const SLOW: (TimeDelta, TimeDelta) = (TimeDelta::seconds(5), TimeDelta::minutes(5));

/// What is known before an attempt is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct History {
    /// How many attempts of this delivery have been made, this one included.
    pub attempts: u32,
    /// Since when every attempt at the endpoint has failed; nothing when the last one before this succeeded.
    pub failing_since: Option<Timestamp>,
}

/// What follows from an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// For the delivery.
    pub delivery: Next,
    /// For the endpoint.
    pub endpoint: Endpoint,
}

/// How a delivery goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// The receiver has it.
    Delivered,
    /// It is tried again at this moment.
    Retry(Timestamp),
    /// It is not tried again, unless somebody replays it.
    Dead,
}

/// What an attempt means for all deliveries of its endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// Nothing.
    Unchanged,
    /// Nothing is sent to it before this moment.
    SlowDown(Timestamp),
    /// Nothing is sent to it any more, until somebody enables it again.
    Disable(DisableReason),
}

/// Why an endpoint is disabled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DisableReason {
    /// It answered 410.
    #[error(
        "the receiver answered 410, it wants no more events: enable the endpoint again if that was a mistake"
    )]
    Gone,
    /// It has failed for too long.
    #[error(
        "every attempt has failed since {} ({} days): repair the receiver, enable the endpoint again and replay what it missed",
        .since.format("%Y-%m-%d %H:%M UTC"), PATIENCE.num_days()
    )]
    Failing {
        /// Since when.
        since: Timestamp,
    },
}

/// Judges an attempt that ended at `now`. The jitter of the next one comes from `entropy`, so that what failed together
/// does not come back together.
#[must_use]
pub fn judge(
    tried: &Tried,
    history: History,
    ladder: &Ladder,
    now: Timestamp,
    entropy: &dyn Entropy,
) -> Verdict {
    let Some(failure) = &tried.failure else {
        return Verdict { delivery: Next::Delivered, endpoint: Endpoint::Unchanged };
    };
    let asked = tried.retry_after.map(|wait| now + wait);
    let slow = matches!(failure, Failure::Status(429 | 502..=504))
        .then(|| asked.unwrap_or_else(|| now + unasked(history.failing_since, now)));
    let delivery = match ladder.wait(history.attempts, entropy) {
        // Never earlier than the receiver asks, nor than its endpoint is served again.
        Some(wait) => Next::Retry((now + wait).max(asked.unwrap_or(now)).max(slow.unwrap_or(now))),
        None => Next::Dead,
    };
    let endpoint = match (history.failing_since, slow) {
        // What it did not want waits with the rest: an endpoint that somebody resumes has missed nothing.
        _ if *failure == Failure::Status(410) => Endpoint::Disable(DisableReason::Gone),
        (Some(since), _) if now - since >= PATIENCE => Endpoint::Disable(DisableReason::Failing { since }),
        (_, Some(until)) if until > now => Endpoint::SlowDown(until),
        _ => Endpoint::Unchanged,
    };
    Verdict { delivery, endpoint }
}

fn unasked(failing_since: Option<Timestamp>, now: Timestamp) -> TimeDelta {
    failing_since.map_or(SLOW.0, |since| now - since).clamp(SLOW.0, SLOW.1)
}

#[cfg(test)]
mod tests {
    use adelie_model::SeededEntropy;
    use chrono::DateTime;
    use proptest::prelude::*;

    use super::*;

    const NOW: i64 = 1_800_000_000;

    fn now() -> Timestamp {
        DateTime::from_timestamp(NOW, 0).expect("a moment")
    }

    fn status(status: u16, retry_after: Option<u64>) -> Tried {
        let failure = (!(200..300).contains(&status)).then_some(Failure::Status(status));
        let retry_after = retry_after.map(Duration::from_secs);
        Tried { status: Some(status), failure, retry_after, ..Tried::default() }
    }

    fn verdict(tried: &Tried, attempts: u32, failing_for: Option<i64>) -> Verdict {
        let failing_since = failing_for.map(|seconds| now() - TimeDelta::seconds(seconds));
        judge(
            tried,
            History { attempts, failing_since },
            &Ladder::default(),
            now(),
            &SeededEntropy::new(attempts.into()),
        )
    }

    #[test]
    fn the_ladder_is_that_of_the_specification() {
        // Seconds after the first attempt, of the specification's table.
        let mut total = 0;
        for (attempts, expected) in
            (1..).zip([5, 305, 2_105, 9_305, 27_305, 63_305, 113_705, 185_705, 272_105])
        {
            let Next::Retry(at) = verdict(&status(500, None), attempts, None).delivery else {
                panic!("no attempt after {attempts}");
            };
            let step = expected - total;
            let seconds = (at - now()).as_seconds_f64();
            assert!(seconds >= step as f64 * 0.8 && seconds <= step as f64 * 1.2, "{attempts}: {seconds}");
            total = expected;
        }
        assert_eq!(verdict(&status(500, None), Ladder::default().attempts(), None).delivery, Next::Dead);
        assert_eq!(verdict(&status(500, None), Ladder::default().attempts() + 7, None).delivery, Next::Dead);
    }

    #[test]
    fn an_endpoint_is_slowed_down_or_disabled_for_a_reason() {
        let until = |seconds| Endpoint::SlowDown(now() + TimeDelta::seconds(seconds));
        let day = 24 * 60 * 60;
        let failing = |days| DisableReason::Failing { since: now() - TimeDelta::days(days) };
        for (tried, failing_for, expected) in [
            (status(200, None), Some(9 * day), Endpoint::Unchanged),
            (status(500, None), None, Endpoint::Unchanged),
            (status(500, Some(60)), None, Endpoint::Unchanged),
            (status(429, Some(60)), None, until(60)),
            (status(503, Some(60)), None, until(60)),
            (status(429, Some(0)), None, Endpoint::Unchanged),
            (status(429, None), None, until(5)),
            (status(502, None), Some(60), until(60)),
            (status(504, None), Some(3_600), until(300)),
            (status(410, None), None, Endpoint::Disable(DisableReason::Gone)),
            (status(500, None), Some(5 * day - 1), Endpoint::Unchanged),
            (status(500, None), Some(5 * day), Endpoint::Disable(failing(5))),
            (status(429, Some(60)), Some(6 * day), Endpoint::Disable(failing(6))),
        ] {
            assert_eq!(verdict(&tried, 1, failing_for).endpoint, expected, "{tried:?} {failing_for:?}");
        }
        assert!(matches!(verdict(&status(410, None), 1, None).delivery, Next::Retry(_)));
        assert!(failing(5).to_string().contains("since 2027-01-10 08:00 UTC (5 days)"), "{}", failing(5));
    }

    proptest! {
        #[test]
        fn no_attempt_comes_before_it_was_asked_for(
            code in prop::sample::select(vec![400, 429, 500, 502, 503, 504]), attempts in 1..Ladder::default().attempts(),
            asked in prop::option::of(0..86_400_u64), failing_for in prop::option::of(0..400_000_i64),
        ) {
            let verdict = verdict(&status(code, asked), attempts, failing_for);
            let Next::Retry(at) = verdict.delivery else { panic!("dead after {attempts}") };
            prop_assert!(at >= now() + Duration::from_secs(asked.unwrap_or(0)));
            prop_assert!(at >= now() + LADDER[attempts as usize - 1] * 4 / 5);
            if let Endpoint::SlowDown(until) = verdict.endpoint {
                prop_assert!(at >= until && until <= now() + TimeDelta::days(1));
            }
        }
    }
}
