use std::sync::{Arc, Mutex, PoisonError};

use crate::RuleBook;
use crate::configuration::Version;

/// The rules that a store has read last, so that a transaction only looks whether the version is still theirs. Clones
/// share them.
#[derive(Clone, Debug, Default)]
pub struct LastRules(Arc<Mutex<RuleBook>>);

impl LastRules {
    /// The rules of this version, if they are at hand.
    #[must_use]
    pub fn at(&self, version: Version) -> Option<RuleBook> {
        let last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        (last.version() == version).then(|| last.clone())
    }

    /// Keeps rules that were read, unless newer ones are at hand already.
    pub fn keep(&self, book: &RuleBook) {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if last.version() < book.version() {
            *last = book.clone();
        }
    }
}
