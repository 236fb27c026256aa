//! When it is told that a server token expires.

use crate::Timestamp;

/// Days before the expiry at which it is told. From the last of them on it is told daily, also afterwards.
pub const LADDER: [i64; 6] = [60, 30, 14, 7, 3, 1];

/// The rung of the ladder on which a token stands: one of [`LADDER`], 0 on the day after its expiry, -1 on the next and so
/// on; `None` while it is too early. Rungs only fall, so the lowest that was told says which are done with, and a service
/// that was off over several tells only the one that holds now.
#[must_use]
pub fn rung(expires_at: Timestamp, now: Timestamp) -> Option<i64> {
    const DAY: i64 = 86_400_000;
    let left = (expires_at - now).num_milliseconds();
    if left <= 0 {
        return Some(left / DAY);
    }
    LADDER.into_iter().rev().find(|days| left <= days * DAY)
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    #[test]
    fn each_rung_begins_on_its_day_and_ends_on_the_next() {
        let expiry = Timestamp::UNIX_EPOCH + TimeDelta::days(20_000);
        let hours_left = |hours: i64| rung(expiry, expiry - TimeDelta::hours(hours));
        assert_eq!(hours_left(60 * 24 + 1), None);
        for (hours, expected) in [
            (60 * 24, 60),
            (31 * 24, 60),
            (30 * 24, 30),
            (14 * 24, 14),
            (8 * 24, 14),
            (7 * 24, 7),
            (3 * 24, 3),
            (25, 3),
            (24, 1),
            (1, 1),
            (0, 0),
            (-23, 0),
            (-24, -1),
            (-47, -1),
            (-48, -2),
            (-24 * 400, -400),
        ] {
            assert_eq!(hours_left(hours), Some(expected), "{hours} hours before");
        }
    }

    /// Whoever looks every hour finds each rung once, and none twice.
    #[test]
    fn rungs_only_fall() {
        let expiry = Timestamp::UNIX_EPOCH + TimeDelta::days(20_000);
        let mut told = Vec::new();
        for hour in 0..70 * 24 {
            let now = expiry - TimeDelta::days(65) + TimeDelta::hours(hour);
            if let Some(rung) = rung(expiry, now)
                && told.last().is_none_or(|last| rung < *last)
            {
                told.push(rung);
            }
        }
        assert_eq!(told, [60, 30, 14, 7, 3, 1, 0, -1, -2, -3, -4]);
    }
}
