use std::time::Duration;

use adelie_dep::{Endpoint, Error};

use crate::job::Job;

/// Waits between tries of a request that changes nothing at Apple.
const WAITS: [Duration; 3] = [Duration::from_secs(1), Duration::from_secs(4), Duration::from_secs(15)];
/// A wait that Apple asks for is sat out when it is no longer than this; else the run ends and the time is stored.
const PATIENCE: Duration = Duration::from_secs(60);

/// Sends a request that only reads, again after a failure that may pass by itself.
pub(crate) async fn patiently<E: Endpoint>(job: &Job<'_>, request: &E) -> Result<E::Response, Error> {
    debug_assert!(!E::WRITES, "a request that writes must not be repeated blindly");
    let mut waits = WAITS.into_iter();
    loop {
        let error = match job.client.send(request).await {
            Ok(response) => return Ok(response),
            Err(error) if !error.is_retryable() || job.stopping() => return Err(error),
            Err(error) => error,
        };
        let Some(wait) = waits.next() else { return Err(error) };
        let asked =
            error.wait_until().map_or(Duration::ZERO, |at| (at - job.now()).to_std().unwrap_or_default());
        if asked > PATIENCE {
            return Err(error);
        }
        let jitter = job.engine.entropy.below(wait.as_millis() as u64 / 4 + 1);
        tracing::debug!(server = %job.server.name, %error, ?wait, "trying again");
        tokio::select! {
            () = job.engine.clock.sleep(wait.max(asked) + Duration::from_millis(jitter)) => {}
            () = job.stop.cancelled() => return Err(error),
        }
    }
}
