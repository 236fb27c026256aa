use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use adelie_model::{Clock, Timestamp};

/// The simulated time: the clock that was passed in, plus an offset that only grows.
///
/// Ages (cursors, sessions, tokens, cool-downs) are measured on the simulated time, so that a week passes in
/// one call. What a client compares with its *own* clock (OAuth timestamps, `Retry-After` dates) uses the base.
pub(crate) struct SimulatedClock {
    base: Arc<dyn Clock>,
    offset_ms: AtomicI64,
}

impl SimulatedClock {
    pub(crate) fn new(base: Arc<dyn Clock>) -> Self {
        Self { base, offset_ms: AtomicI64::new(0) }
    }

    /// The moment on the clock that was passed in.
    pub(crate) fn base_now(&self) -> Timestamp {
        self.base.now()
    }

    /// Returns once the time has passed on the clock that was passed in: real time under a real clock.
    pub(crate) async fn sleep(&self, duration: Duration) {
        if !duration.is_zero() {
            self.base.sleep(duration).await;
        }
    }

    /// The simulated moment in milliseconds since 1970.
    pub(crate) fn now_ms(&self) -> i64 {
        self.base.now().timestamp_millis().saturating_add(self.offset_ms.load(Ordering::Relaxed))
    }

    /// Lets simulated time pass.
    pub(crate) fn advance(&self, by: Duration) {
        let by = i64::try_from(by.as_millis()).unwrap_or(i64::MAX / 4);
        self.offset_ms.fetch_add(by, Ordering::Relaxed);
    }

    /// How far the simulated time is ahead of the base, in milliseconds.
    pub(crate) fn offset_ms(&self) -> i64 {
        self.offset_ms.load(Ordering::Relaxed)
    }
}

/// A whole second as Apple writes it: `2026-03-01T10:00:00Z`. By hand, because pages hold thousands of them.
pub(crate) fn write_time(out: &mut Vec<u8>, seconds: i64) {
    let (days, rest) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    // Days to a civil date in the proleptic Gregorian calendar, years starting in March.
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    digits(out, year, 4);
    out.push(b'-');
    digits(out, month, 2);
    out.push(b'-');
    digits(out, day, 2);
    out.push(b'T');
    digits(out, rest / 3600, 2);
    out.push(b':');
    digits(out, rest / 60 % 60, 2);
    out.push(b':');
    digits(out, rest % 60, 2);
    out.push(b'Z');
}

/// As [`write_time`], as text.
pub(crate) fn time_text(seconds: i64) -> String {
    let mut out = Vec::with_capacity(20);
    write_time(&mut out, seconds);
    String::from_utf8_lossy(&out).into_owned()
}

fn digits(out: &mut Vec<u8>, value: i64, width: u32) {
    for place in (0..width).rev() {
        let digit = u8::try_from(value.div_euclid(10_i64.pow(place)).rem_euclid(10)).unwrap_or(0);
        out.push(b'0' + digit);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_read_as_chrono_writes_them() {
        for seconds in [0, 951_782_399, 951_782_400, 1_700_000_000, 1_772_359_200, 4_102_444_799] {
            let expected = chrono::DateTime::from_timestamp(seconds, 0).expect("in range");
            assert_eq!(time_text(seconds), expected.format("%Y-%m-%dT%H:%M:%SZ").to_string());
        }
    }

    #[test]
    fn an_advance_moves_simulated_time_only() {
        let base = adelie_model::ManualClock::new(chrono::DateTime::UNIX_EPOCH);
        let clock = SimulatedClock::new(Arc::new(base));
        clock.advance(Duration::from_secs(60));
        assert_eq!((clock.now_ms(), clock.base_now().timestamp()), (60_000, 0));
    }
}
