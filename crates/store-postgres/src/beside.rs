//! Work on a task of its own.

use std::panic::resume_unwind;

use tokio_util::task::AbortOnDropHandle;

/// Runs on a task of its own, because the database would wait while the task of the caller works out something else. It
/// ends with the caller.
pub(crate) async fn beside<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> T {
    let done = AbortOnDropHandle::new(tokio::spawn(work)).await;
    done.unwrap_or_else(|error| resume_unwind(error.into_panic()))
}
