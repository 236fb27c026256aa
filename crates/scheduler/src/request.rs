use adelie_model::Timestamp;
use adelie_store::Operator;

/// What a reconciler is woken for. Everything else it finds out by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// Do what is due.
    Due,
    /// An operator wants a sync now.
    Sync {
        /// Of the whole list.
        full: bool,
        /// In spite of the policy's intervals.
        force: bool,
        /// Removes the absent however many they are (field lesson L9).
        accept_removals: bool,
        /// Who asks, and why.
        by: Operator,
    },
}

/// What happens while a server is worked on, for progress bars and logs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// The lease is somebody else's; it is asked for again until `until`.
    Waiting {
        /// Who has it.
        owner: String,
        /// When it runs out unless renewed.
        until: Timestamp,
    },
    /// A sync has begun.
    Began {
        /// `full` or `delta`.
        kind: adelie_model::SyncKind,
    },
    /// A page was stored.
    Page {
        /// Its device records.
        records: u64,
    },
    /// A profile was defined at Apple.
    Published {
        /// Its name.
        profile: String,
    },
    /// Apple gave devices their profile.
    Assigned {
        /// How many.
        devices: u64,
    },
    /// Apple did not give devices their profile.
    NotAssigned {
        /// How many.
        devices: u64,
    },
}

/// Who is told of [`Progress`].
pub trait Observer: Send + Sync {
    /// Takes note. Must not block.
    fn notice(&self, progress: Progress);
}

/// An observer that does not look.
#[derive(Debug, Clone, Copy)]
pub struct Unobserved;

impl Observer for Unobserved {
    fn notice(&self, _: Progress) {}
}
