use super::{AuditEntry, AuditHead, chain};

/// Walks the chain and finds where it is broken. Keeps nothing but its end.
#[derive(Clone, Debug)]
pub struct Verifier {
    end: AuditHead,
    kept: Option<AuditHead>,
}

/// Where the chain is broken, and what that means.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuditBreak {
    /// What stands in an entry is not what was written there, or the entry before it is another one.
    #[error(
        "entry {0} does not fit: it was changed, or an entry in front of it was, together with its hash; entries up to \
         {before} are as they were written", before = .0 - 1
    )]
    Changed(i64),
    /// A number does not follow.
    #[error("entry {expected} is missing: {found} comes after {before}; something was deleted", before = .expected - 1)]
    Missing {
        /// The number that should follow.
        expected: i64,
        /// The one that does.
        found: i64,
    },
    /// The head knows of more entries than there are.
    #[error(
        "the entries end with {last}, and {head} were written: {first} and all after it were deleted", first = .last + 1
    )]
    CutOff {
        /// The last entry that is there.
        last: i64,
        /// The last entry that was written.
        head: i64,
    },
    /// The head knows of fewer entries than there are, or of another last one.
    #[error(
        "entry {last} is there, and the head of the chain is {head}: entries were put in past Adelie, or the head was \
         changed"
    )]
    Ahead {
        /// The last entry that is there.
        last: i64,
        /// The head.
        head: i64,
    },
    /// The head that was kept elsewhere is not part of the chain.
    #[error(
        "entry {0} has another hash than the one that was kept: it or an entry in front of it was written anew, with all \
         hashes since"
    )]
    Rewritten(i64),
    /// The head that was kept elsewhere is beyond the end of the chain.
    #[error(
        "entry {kept} was kept, and the audit ends with {last}: the end was cut off, or this is another database"
    )]
    Shorter {
        /// The number that was kept.
        kept: i64,
        /// The last entry that is there.
        last: i64,
    },
}

impl Verifier {
    /// From an end of the chain that is known to be good; from [`AuditHead::default`], all of it.
    #[must_use]
    pub fn from(end: AuditHead) -> Self {
        Self { end, kept: None }
    }

    /// The same, and it has to come past this one, which was kept elsewhere.
    #[must_use]
    pub fn past(self, kept: AuditHead) -> Self {
        Self { kept: Some(kept), ..self }
    }

    /// Takes the next entry.
    ///
    /// # Errors
    /// When it does not fit behind the one before it.
    pub fn take(&mut self, entry: &AuditEntry) -> Result<(), AuditBreak> {
        let expected = self.end.number + 1;
        if entry.number != expected {
            return Err(AuditBreak::Missing { expected, found: entry.number });
        }
        if chain(&self.end.hash, entry) != entry.hash {
            return Err(AuditBreak::Changed(entry.number));
        }
        self.end = entry.head();
        match &self.kept {
            Some(kept) if kept.number == entry.number && kept.hash != entry.hash => {
                Err(AuditBreak::Rewritten(entry.number))
            }
            _ => Ok(()),
        }
    }

    /// The last entry that was taken.
    #[must_use]
    pub fn end(&self) -> &AuditHead {
        &self.end
    }

    /// Compares the end with the head.
    ///
    /// # Errors
    /// When the head, or the one that was kept, is not where the entries end.
    pub fn finish(&self, head: &AuditHead) -> Result<(), AuditBreak> {
        let last = self.end.number;
        if head.number > last {
            return Err(AuditBreak::CutOff { last, head: head.number });
        }
        if *head != self.end {
            return Err(AuditBreak::Ahead { last, head: head.number });
        }
        match &self.kept {
            Some(kept) if kept.number > last => Err(AuditBreak::Shorter { kept: kept.number, last }),
            _ => Ok(()),
        }
    }
}
