//! The order in which pages are stored that are got ready at the same time.

use tokio::sync::oneshot;

use crate::{Result, StoreError};

/// When pages may be stored: after those before them.
#[derive(Debug)]
pub struct Turn(Option<oneshot::Receiver<()>>);

/// Pages that others wait for. When it is dropped before they are stored, those others never are.
#[derive(Debug)]
pub struct Before(oneshot::Sender<()>);

impl Turn {
    /// No pages come before.
    #[must_use]
    pub fn now() -> Self {
        Self(None)
    }

    /// A turn, and what it comes after.
    #[must_use]
    pub fn after() -> (Before, Self) {
        let (before, turn) = oneshot::channel();
        (Before(before), Self(Some(turn)))
    }

    /// Whether the pages before are stored.
    pub fn has_come(&mut self) -> bool {
        if self.0.as_mut().is_some_and(|turn| turn.try_recv().is_ok()) {
            self.0 = None;
        }
        self.0.is_none()
    }

    /// Waits until the pages before are stored.
    ///
    /// # Errors
    /// `Database` when they never will be; why not is the error of whoever was to store them.
    pub async fn come(&mut self) -> Result<()> {
        if let Some(turn) = &mut self.0 {
            let never =
                |error| StoreError::Database { doing: "store the pages before", source: Box::new(error) };
            turn.await.map_err(never)?;
            self.0 = None;
        }
        Ok(())
    }
}

impl Before {
    /// The pages are stored.
    pub fn stored(self) {
        // Nobody need wait for it.
        let _ = self.0.send(());
    }
}
