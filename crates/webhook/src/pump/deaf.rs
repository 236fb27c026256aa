use adelie_store::StoreError;

/// Tells of a store that does not answer: at first, and then once a minute.
pub(super) struct Deaf {
    what: &'static str,
    failures: u32,
}

/// Failures, about a second apart, between two log lines.
const COMPLAIN_EVERY: u32 = 60;

impl Deaf {
    /// Nothing has failed yet; `what` is what the store could not do.
    pub(super) fn new(what: &'static str) -> Self {
        Self { what, failures: 0 }
    }

    /// What the store answered; its error is logged and gone.
    pub(super) fn hear<T>(&mut self, answer: Result<T, StoreError>) -> Option<T> {
        match answer {
            Ok(value) => {
                if std::mem::take(&mut self.failures) > 0 {
                    tracing::info!("the store answers the webhook pump again");
                }
                Some(value)
            }
            Err(error) => {
                if self.failures.is_multiple_of(COMPLAIN_EVERY) {
                    let error = crate::chain(&error);
                    tracing::error!(%error, "the store could not {}; trying again every second", self.what);
                }
                self.failures = self.failures.saturating_add(1);
                None
            }
        }
    }
}
