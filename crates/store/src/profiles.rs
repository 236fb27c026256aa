use adelie_model::{ProfileId, ProfileName, ProfileUuid, RevisionId, ServerId, Timestamp};
use async_trait::async_trait;
use serde_json::{Map, Value};

use crate::{Lease, Published, Result};

/// A new enrollment profile, already checked.
#[derive(Clone, Debug)]
pub struct NewProfile {
    /// Our name for it; must be free.
    pub name: ProfileName,
    /// What Apple receives.
    pub content: Map<String, Value>,
    /// Hash of the content, hex.
    pub content_hash: String,
}

/// One immutable revision of a profile, with its profile's name.
#[derive(Clone, Debug, PartialEq)]
pub struct Revision {
    /// Its id.
    pub id: RevisionId,
    /// The profile's id.
    pub profile: ProfileId,
    /// The profile's name.
    pub name: ProfileName,
    /// 1 for the first.
    pub number: u32,
    /// What Apple receives.
    pub content: Map<String, Value>,
    /// Hash of the content, hex.
    pub content_hash: String,
    /// When it was made.
    pub created_at: Timestamp,
}

/// What came of defining a revision at Apple.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PublishOutcome {
    /// Apple took it.
    Defined(ProfileUuid),
    /// Apple refused it, or it could not be sent. Its devices wait; others do not (field lesson L27).
    Refused {
        /// Apple's code and what to do, for people.
        error: String,
        /// When it is tried again.
        next_attempt_at: Timestamp,
    },
}

/// Enrollment profiles, their revisions, and what of them Apple has.
#[async_trait]
pub trait ProfileStore: Send + Sync {
    /// Adds a profile with its first revision.
    ///
    /// # Errors
    /// `Exists` when the name is taken.
    async fn add_profile(&self, profile: &NewProfile, now: Timestamp) -> Result<Revision>;

    /// The newest revision of every profile, by name.
    async fn profiles(&self) -> Result<Vec<Revision>>;

    /// The newest revision of one profile.
    async fn profile(&self, name: &ProfileName) -> Result<Option<Revision>>;

    /// One revision.
    async fn revision(&self, id: RevisionId) -> Result<Option<Revision>>;

    /// What Apple has of a profile, over all MDM servers and revisions, oldest first.
    async fn published(&self, profile: ProfileId) -> Result<Vec<Published>>;

    /// What Apple has of one revision at one MDM server.
    async fn published_at(&self, server: ServerId, revision: RevisionId) -> Result<Option<Published>>;

    /// Keeps what came of defining a revision. A profile UUID, once stored, is never overwritten.
    async fn set_published(
        &self,
        lease: &Lease,
        revision: RevisionId,
        outcome: &PublishOutcome,
        now: Timestamp,
    ) -> Result<()>;

    /// Apple no longer knows this profile: forget its UUID, so that it is defined again.
    async fn forget_published(&self, lease: &Lease, revision: RevisionId) -> Result<()>;
}
