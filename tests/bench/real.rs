//! The real clock, and randomness that is good enough for a simulated Apple.

use std::sync::Arc;
use std::time::Duration;

use adelie_model::{Clock, Entropy, SeededEntropy, Timestamp, to_millis};
use async_trait::async_trait;

/// The machine's clock.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock;

#[async_trait]
impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "a benchmark measures real time")]
    fn now(&self) -> Timestamp {
        to_millis(chrono::Utc::now())
    }

    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}

/// Nonces that differ from process to process; they sign requests to a simulator and guard nothing.
pub fn nonces() -> Arc<dyn Entropy> {
    Arc::new(SeededEntropy::new(u64::from(std::process::id())))
}
