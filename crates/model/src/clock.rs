use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, SubsecRound, Utc};

/// A moment in UTC. Stores keep milliseconds; see [`to_millis`].
pub type Timestamp = DateTime<Utc>;

/// Cuts a moment to whole milliseconds, the precision that every store keeps.
#[must_use]
pub fn to_millis(moment: Timestamp) -> Timestamp {
    moment.trunc_subsecs(3)
}

/// Where the time comes from. Passed in everywhere, so that a test can be its master.
#[async_trait]
pub trait Clock: Send + Sync {
    /// The present moment, in whole milliseconds.
    fn now(&self) -> Timestamp;

    /// Returns once `duration` has passed on this clock.
    async fn sleep(&self, duration: Duration);
}

/// A clock that stands still until it is moved: for tests and for simulated time.
#[derive(Clone, Debug)]
pub struct ManualClock {
    now: Arc<Mutex<Timestamp>>,
    moved: Arc<tokio::sync::Notify>,
}

impl ManualClock {
    /// A clock that shows `start` until it is moved.
    #[must_use]
    pub fn new(start: Timestamp) -> Self {
        Self { now: Arc::new(Mutex::new(to_millis(start))), moved: Arc::default() }
    }

    /// Moves the clock forward and wakes those who sleep on it.
    pub fn advance(&self, by: Duration) {
        let mut now = self.now.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        *now += by;
        drop(now);
        self.moved.notify_waiters();
    }
}

#[async_trait]
impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        *self.now.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    async fn sleep(&self, duration: Duration) {
        let until = self.now() + duration;
        loop {
            // Registered before the look at the clock, so that a move in between is not missed.
            let moved = self.moved.notified();
            if self.now() >= until {
                return;
            }
            moved.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_sleeper_wakes_when_the_clock_has_moved_far_enough() {
        let clock = ManualClock::new(DateTime::UNIX_EPOCH);
        let sleeper = tokio::spawn({
            let clock = clock.clone();
            async move {
                clock.sleep(Duration::from_secs(10)).await;
                clock.now()
            }
        });
        tokio::task::yield_now().await;
        clock.advance(Duration::from_secs(4));
        tokio::task::yield_now().await;
        assert!(!sleeper.is_finished());
        clock.advance(Duration::from_secs(6));
        assert_eq!(sleeper.await.expect("no panic").timestamp(), 10);
    }
}
