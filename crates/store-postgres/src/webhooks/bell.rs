//! Waiting for a commit of deliveries, of whatever process.

use std::sync::{Arc, Mutex, PoisonError};

use adelie_store::Result;
use sqlx::PgPool;
use sqlx::postgres::PgListener;
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

use crate::failure::{Attempt, run};

/// A connection that listens, as long as it works and somebody has a handle on the store.
#[derive(Clone, Debug)]
pub(crate) struct Bell(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    rings: watch::Sender<u64>,
    /// Whether the last ring was heard.
    heard: Mutex<watch::Receiver<u64>>,
    listening: tokio::sync::Mutex<Option<AbortOnDropHandle<()>>>,
}

impl Default for Bell {
    fn default() -> Self {
        let (rings, heard) = watch::channel(0);
        let listening = tokio::sync::Mutex::default();
        Self(Arc::new(Inner { rings, heard: Mutex::new(heard), listening }))
    }
}

impl Bell {
    /// Waits until deliveries may have been written since the last call. Returns at once when it has only begun to
    /// listen: what was committed before nobody has heard.
    pub(crate) async fn wait(&self, pool: &PgPool) -> Result<()> {
        run("wait for deliveries", move || self.listen(pool)).await?;
        let mut heard = self.0.heard.lock().unwrap_or_else(PoisonError::into_inner).clone();
        // The sender is ours, so that it does not go before we do.
        if heard.changed().await.is_ok() {
            *self.0.heard.lock().unwrap_or_else(PoisonError::into_inner) = heard;
        }
        Ok(())
    }

    /// Begins to listen, unless that is being done.
    async fn listen(&self, pool: &PgPool) -> Attempt<()> {
        let mut listening = self.0.listening.lock().await;
        if listening.as_ref().is_some_and(|task| !task.is_finished()) {
            return Ok(());
        }
        let channel: String = sqlx::query_scalar(
            "-- delivery_channel
             SELECT 'adelie_deliveries_' || 'deliveries'::regclass::oid",
        )
        .fetch_one(pool)
        .await?;
        let mut listener = PgListener::connect_with(pool).await?;
        listener.listen(&channel).await?;
        let rings = self.0.rings.clone();
        *listening = Some(AbortOnDropHandle::new(tokio::spawn(async move {
            loop {
                rings.send_modify(|rung| *rung += 1);
                // A connection that was lost is made again by the next call; what came meanwhile was missed.
                if let Err(error) = listener.try_recv().await {
                    tracing::debug!(%error, "the connection that waits for deliveries has ended");
                    rings.send_modify(|rung| *rung += 1);
                    return;
                }
            }
        })));
        Ok(())
    }

    /// Stops listening.
    pub(crate) async fn close(&self) {
        drop(self.0.listening.lock().await.take());
    }
}
