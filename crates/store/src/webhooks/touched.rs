use std::collections::BTreeMap;

use adelie_model::{DeliveryId, Timestamp, WebhookId};
use chrono::TimeDelta;

use super::{Attempted, DeliveryOutcome};

/// What tries have shown of an endpoint: what a driver writes to its row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Touched {
    /// The endpoint.
    pub webhook: WebhookId,
    /// Its last good answer among these tries.
    pub delivered_at: Option<Timestamp>,
    /// The first failed try, after the last good one if there was one. An older failure that is stored stays the first
    /// unless there was a good answer.
    pub failing_since: Option<Timestamp>,
    /// It asks to be left alone until then.
    pub wait_until: Option<Timestamp>,
}

/// What the tries have shown of each endpoint, in the order of their numbers. They count in the order in which they are
/// given.
#[must_use]
pub fn touched(results: &[Attempted]) -> Vec<Touched> {
    let mut all: BTreeMap<WebhookId, Touched> = BTreeMap::new();
    for result in results {
        let of = all.entry(result.webhook).or_insert(Touched {
            webhook: result.webhook,
            delivered_at: None,
            failing_since: None,
            wait_until: None,
        });
        if result.outcome == DeliveryOutcome::Delivered {
            let duration = TimeDelta::from_std(result.attempt.duration).unwrap_or_default();
            of.delivered_at = of.delivered_at.max(Some(result.attempt.at + duration));
            of.failing_since = None;
        } else {
            of.failing_since = of.failing_since.or(Some(result.attempt.at));
        }
        of.wait_until = of.wait_until.max(result.wait_until);
    }
    all.into_values().collect()
}

/// The result that decides for each delivery, in the order of their numbers: a good answer, else that of the latest
/// claim. More than one for a delivery is seldom: a claim was lost.
#[must_use]
pub fn deciding(results: &[Attempted]) -> Vec<&Attempted> {
    let mut all: BTreeMap<DeliveryId, &Attempted> = BTreeMap::new();
    let weight = |one: &Attempted| (one.outcome == DeliveryOutcome::Delivered, one.claim);
    for result in results {
        let stands = all.entry(result.delivery).or_insert(result);
        if weight(result) > weight(stands) {
            *stands = result;
        }
    }
    all.into_values().collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::Attempt;
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + TimeDelta::seconds(seconds)
    }

    fn tried(delivery: i64, claim: u32, seconds: i64, outcome: DeliveryOutcome) -> Attempted {
        Attempted {
            delivery: DeliveryId(delivery),
            webhook: WebhookId(1),
            claim,
            attempt: Attempt {
                at: at(seconds),
                duration: Duration::from_secs(1),
                status: None,
                error: None,
                request: String::new(),
                answer: String::new(),
            },
            outcome,
            wait_until: None,
        }
    }

    #[test]
    fn a_good_answer_clears_failures_before_it() {
        let retry = DeliveryOutcome::Retry(at(99));
        let good = DeliveryOutcome::Delivered;
        let results =
            [tried(1, 1, 10, retry), tried(2, 1, 20, good), tried(3, 1, 30, retry), tried(4, 1, 40, retry)];
        let of = touched(&results).remove(0);
        assert_eq!((of.delivered_at, of.failing_since), (Some(at(21)), Some(at(30))));
        let of = touched(&results[..2]).remove(0);
        assert_eq!((of.delivered_at, of.failing_since), (Some(at(21)), None));
        let of = touched(&results[2..]).remove(0);
        assert_eq!((of.delivered_at, of.failing_since), (None, Some(at(30))));
    }

    #[test]
    fn an_endpoint_waits_as_long_as_it_asked_for_at_most() {
        let asks = |until| Attempted { wait_until: Some(at(until)), ..tried(1, 1, 1, DeliveryOutcome::Dead) };
        assert_eq!(touched(&[asks(60), asks(50)])[0].wait_until, Some(at(60)));
    }

    #[test]
    fn a_good_answer_decides_over_a_later_claim() {
        let dead = DeliveryOutcome::Dead;
        let results = [
            tried(1, 1, 1, DeliveryOutcome::Delivered),
            tried(1, 2, 2, dead),
            tried(2, 4, 1, dead),
            tried(2, 3, 1, dead),
        ];
        let claims: Vec<_> = deciding(&results).iter().map(|one| (one.delivery.0, one.claim)).collect();
        assert_eq!(claims, [(1, 1), (2, 4)]);
    }
}
