//! The real clock and the real randomness. The only place that reads them.

use std::time::Duration;

use adelie_model::{Clock, Entropy, Timestamp, to_millis};
use async_trait::async_trait;

/// The machine's clock.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock;

#[async_trait]
impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the real clock")]
    fn now(&self) -> Timestamp {
        to_millis(chrono::Utc::now())
    }

    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}

/// OpenSSL's random generator, seeded by the operating system.
#[derive(Clone, Copy, Debug)]
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    #[expect(
        clippy::panic,
        reason = "without randomness no nonce, key or token is safe; going on would be worse"
    )]
    fn fill(&self, buffer: &mut [u8]) {
        if let Err(error) = openssl::rand::rand_bytes(buffer) {
            panic!("the machine gives no random numbers: {error}");
        }
    }
}
