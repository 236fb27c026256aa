//! What Apple has answered to assignments that left before their pages were stored, and is stored now.

use std::sync::{Mutex, PoisonError};

use crate::assign::Sent;

/// Answers on their way from the syncer, which stores them, to the assigner, which counts them and does what is to be
/// done about trouble.
#[derive(Default)]
pub(crate) struct Answers(Mutex<Vec<Sent>>);

impl Answers {
    pub(crate) fn add(&self, sent: Vec<Sent>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend(sent);
    }

    pub(crate) fn take(&self) -> Vec<Sent> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
