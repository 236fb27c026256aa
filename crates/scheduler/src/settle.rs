//! What Apple's answer for a device means, and when it is tried again. Pure.

use std::sync::Arc;

use adelie_dep::DeviceResult;
use adelie_dep::endpoints::assign_profile::{Response, THROTTLED_HOURS};
use adelie_model::{AssignState, ProfileUuid, Timestamp};
use adelie_store::{Claim, Settlement};
use chrono::TimeDelta;

/// Waits after FAILED by attempt; after the last one daily. Apple: after three tries, contact Apple.
const FAILED_WAITS: [TimeDelta; 3] = [TimeDelta::hours(1), TimeDelta::hours(6), TimeDelta::hours(24)];

/// One settlement for every device that was sent, whether the answer mentions it or not (field lessons L20, L23).
pub(crate) fn settlements(
    response: &Response,
    claims: &[Claim],
    uuid: &ProfileUuid,
    now: Timestamp,
) -> Arc<[Settlement]> {
    claims
        .iter()
        .map(|claim| {
            settlement(claim, response.devices.get(&claim.serial), response.retry_after_seconds, uuid, now)
        })
        .collect()
}

fn settlement(
    claim: &Claim,
    result: Option<&DeviceResult>,
    retry_after_seconds: Option<u64>,
    uuid: &ProfileUuid,
    now: Timestamp,
) -> Settlement {
    let (state, reason, wait) = match result {
        Some(DeviceResult::Success) => (AssignState::Assigned, "Apple confirmed it".to_owned(), None),
        Some(DeviceResult::Throttled) => (
            AssignState::Throttled,
            "Apple takes no assignment for this device for now, because there were many".to_owned(),
            Some(throttled(retry_after_seconds)),
        ),
        Some(DeviceResult::NotAccessible) => (
            AssignState::NotAccessible,
            "Apple says that this device is not this MDM server's".to_owned(),
            // Read back at once the first time: it may simply have left.
            Some(if claim.attempts <= 1 { TimeDelta::zero() } else { failed(claim.attempts) }),
        ),
        Some(DeviceResult::Failed) => {
            (AssignState::Failed, failure("FAILED", claim), Some(failed(claim.attempts)))
        }
        Some(DeviceResult::Other(word)) => {
            (AssignState::Failed, failure(word, claim), Some(failed(claim.attempts)))
        }
        None => (
            AssignState::Failed,
            "Apple's answer did not mention this device".to_owned(),
            Some(failed(claim.attempts)),
        ),
    };
    Settlement {
        serial: claim.serial.clone(),
        state,
        reason,
        next_attempt_at: wait.map(|wait| now + wait),
        profile_uuid: (state == AssignState::Assigned).then(|| uuid.clone()),
        drifted: claim.drifted,
    }
}

/// At least as long as Apple says, else a day (field lesson L21).
fn throttled(retry_after_seconds: Option<u64>) -> TimeDelta {
    retry_after_seconds
        .and_then(|seconds| i64::try_from(seconds).ok())
        .and_then(TimeDelta::try_seconds)
        // Nothing would make a tight loop, and a number beyond all reason would hide the device for good.
        .filter(|wait| *wait > TimeDelta::zero() && *wait <= TimeDelta::days(30))
        .map(|wait| wait.max(TimeDelta::minutes(1)))
        .unwrap_or(TimeDelta::hours(i64::from(THROTTLED_HOURS)))
}

fn failed(attempts: u32) -> TimeDelta {
    let index = usize::try_from(attempts.saturating_sub(1)).unwrap_or(usize::MAX);
    FAILED_WAITS.get(index).copied().unwrap_or(TimeDelta::days(1))
}

fn failure(word: &str, claim: &Claim) -> String {
    let mut text = format!("Apple answered {word}");
    if claim.attempts >= 3 {
        text.push_str(&format!(", {} times in a row: contact Apple with this serial number", claim.attempts));
    }
    text
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use adelie_model::SerialNumber;

    use super::*;

    fn claim(serial: &str, attempts: u32) -> Claim {
        Claim { serial: SerialNumber::from_apple(serial.to_owned()), attempts, drifted: false }
    }

    fn answer(results: &[(&str, DeviceResult)], retry_after_seconds: Option<u64>) -> Response {
        let devices: BTreeMap<_, _> = results
            .iter()
            .map(|(serial, result)| (SerialNumber::from_apple((*serial).to_owned()), result.clone()))
            .collect();
        Response { profile_uuid: None, devices, retry_after_seconds }
    }

    fn settle(response: &Response, claims: &[Claim]) -> Arc<[Settlement]> {
        settlements(response, claims, &ProfileUuid("P".to_owned()), Timestamp::UNIX_EPOCH)
    }

    fn after(settlement: &Settlement) -> i64 {
        settlement.next_attempt_at.expect("a time").timestamp()
    }

    /// L20: HTTP 200 with FAILED for a serial is kept per serial; L23: a serial that the answer leaves out counts as failed.
    #[test]
    fn every_device_that_was_sent_gets_a_state() {
        let response = answer(&[("A", DeviceResult::Success), ("B", DeviceResult::Failed)], None);
        let settled = settle(&response, &[claim("A", 1), claim("B", 1), claim("C", 2)]);
        let states: Vec<_> = settled.iter().map(|s| s.state).collect();
        assert_eq!(states, [AssignState::Assigned, AssignState::Failed, AssignState::Failed]);
        assert_eq!(settled[0].profile_uuid, Some(ProfileUuid("P".to_owned())));
        assert_eq!(settled[0].next_attempt_at, None);
        assert_eq!((after(&settled[1]), after(&settled[2])), (3600, 6 * 3600));
    }

    /// L21: a throttled device waits as long as Apple says, else 24 hours.
    #[test]
    fn a_throttled_device_waits() {
        let of = |seconds| {
            after(&settle(&answer(&[("A", DeviceResult::Throttled)], seconds), &[claim("A", 1)])[0])
        };
        assert_eq!(of(Some(500)), 500);
        assert_eq!(of(Some(1)), 60);
        assert_eq!(of(Some(0)), 86_400);
        assert_eq!(of(None), 86_400);
        assert_eq!(of(Some(u64::MAX)), 86_400);
    }

    #[test]
    fn failures_wait_longer_and_then_daily() {
        let of = |attempts| {
            let settled = settle(&answer(&[("A", DeviceResult::Failed)], None), &[claim("A", attempts)]);
            (after(&settled[0]) / 3600, settled[0].reason.contains("contact Apple"))
        };
        assert_eq!(
            [of(1), of(2), of(3), of(4), of(99)],
            [(1, false), (6, false), (24, true), (24, true), (24, true)]
        );
    }
}
