use adelie_model::{ProfileId, ProfileName, ProfileUuid, RevisionId, ServerId, Timestamp};
use async_trait::async_trait;
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::configuration::Document;
use crate::{Lease, Published, Result, Sealed};

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
    /// Hash of the content, hex. Revisions with the same one are the same profile for Apple.
    pub content_hash: String,
    /// The profile in our own form, without secrets; `None` when Apple's form is all there is.
    pub document: Option<Document>,
    /// Whether passwords belong to it; see [`ProfileStore::secrets`].
    pub has_secrets: bool,
    /// Who made it; empty in databases of older versions.
    pub author: String,
    /// What its author says about it; may be empty.
    pub note: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was put in force; `None` when it never was, as after a roll-out that was aborted.
    pub in_force_at: Option<Timestamp>,
}

/// What came of defining a revision at Apple.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PublishOutcome {
    /// Apple took it.
    Defined {
        /// Its UUID there.
        uuid: ProfileUuid,
        /// What it shows otherwise than was sent, for people.
        differs: Option<String>,
    },
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
    /// The revision in force of every profile, by name.
    async fn profiles(&self) -> Result<Vec<Revision>>;

    /// The revision in force of one profile.
    async fn profile(&self, name: &ProfileName) -> Result<Option<Revision>>;

    /// All revisions of a profile, newest first; also of one that was removed. None when there never was such a profile.
    async fn revisions(&self, name: &ProfileName) -> Result<Vec<Revision>>;

    /// The passwords of a revision, sealed, with the id that the seal is bound to.
    async fn secrets(&self, revision: RevisionId) -> Result<Option<(Uuid, Sealed)>>;

    /// One revision.
    async fn revision(&self, id: RevisionId) -> Result<Option<Revision>>;

    /// What Apple has of a profile, over all MDM servers and revisions, oldest first.
    async fn published(&self, profile: ProfileId) -> Result<Vec<Published>>;

    /// What Apple has of one revision at one MDM server.
    async fn published_at(&self, server: ServerId, revision: RevisionId) -> Result<Option<Published>>;

    /// Under which UUID Apple has this content at an MDM server, whatever revision it was defined for.
    async fn published_as(&self, server: ServerId, content_hash: &str) -> Result<Option<ProfileUuid>>;

    /// Keeps what came of defining a revision. A profile UUID, once stored, is never overwritten.
    async fn set_published(
        &self,
        lease: &Lease,
        revision: RevisionId,
        outcome: &PublishOutcome,
        now: Timestamp,
    ) -> Result<()>;

    /// Apple no longer knows this profile: forget its UUID, also for other revisions with it, so that it is defined again.
    async fn forget_published(&self, lease: &Lease, revision: RevisionId) -> Result<()>;
}
