//! Waiting for another copy that works on an MDM server.

use std::future::Future;
use std::time::Duration;

use adelie_model::Timestamp;
use adelie_scheduler::WorkError;
use tokio_util::sync::CancellationToken;

/// Tries again while another copy holds the lease, as long as a dead one could still hold it. `waiting` is told who
/// has it and until when.
pub async fn patiently<T, F>(
    lease_ttl: Duration,
    stop: &CancellationToken,
    waiting: impl Fn(String, Timestamp),
    mut work: impl FnMut() -> F,
) -> Result<T, WorkError>
where
    F: Future<Output = Result<T, WorkError>>,
{
    let began = tokio::time::Instant::now();
    loop {
        match work().await {
            Err(WorkError::Busy { owner, until, .. })
                if began.elapsed() < lease_ttl * 2 && !stop.is_cancelled() =>
            {
                waiting(owner, until);
                tokio::select! {
                    () = tokio::time::sleep(Duration::from_millis(500)) => {}
                    () = stop.cancelled() => {}
                }
            }
            result => return result,
        }
    }
}
