use adelie_model::{DriftMode, ProfileName, RevisionId, ServerId, ServerName, Timestamp};
use adelie_rules::Scope;
use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::{Operator, Result, TokenHealth};

/// One MDM server of ours, without its secrets.
#[derive(Clone, Debug, PartialEq)]
pub struct MdmServer {
    /// Its number.
    pub id: ServerId,
    /// Our name for it.
    pub name: ServerName,
    /// Where Apple answers for it: Apple itself, or a simulator.
    pub base_url: String,
    /// A paused server is neither synced nor assigned by itself (field lesson L30).
    pub paused: bool,
    /// When it was added.
    pub created_at: Timestamp,
    /// Its own sync settings; what is not set follows the defaults.
    pub sync: SyncSettings,
    /// How its token stands, as last seen.
    pub token: TokenHealth,
    /// What Apple says of the account, once it was asked.
    pub account: Option<Account>,
    /// When the last full sync ended well.
    pub last_full_at: Option<Timestamp>,
    /// When the last sync of any kind ended well.
    pub last_sync_at: Option<Timestamp>,
    /// When the next scheduled sync is due; `None` before the first.
    pub next_sync_at: Option<Timestamp>,
    /// Failed runs since the last good one.
    pub failures: u32,
    /// Why the last run failed, if it did.
    pub last_error: Option<String>,
    /// Apple has asked to be left alone until then; nothing is sent before.
    pub wait_until: Option<Timestamp>,
    /// What waits for an operator's word, like a removal of too many devices (field lesson L9).
    pub attention: Option<String>,
    /// Pieces of work in a row that met with trouble.
    pub setbacks: u32,
    /// Syncs in a row that Apple ended with the cursor it was sent (field lesson L2).
    pub stuck: u32,
    /// Who works on it at this moment, and until when at the latest; also a lease that has run out and that nobody
    /// has taken since.
    pub worked_on: Option<(String, Timestamp)>,
}

/// Settings of one MDM server that differ from the defaults of design section 4.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SyncSettings {
    /// Seconds between delta syncs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delta_interval_s: Option<u32>,
    /// Seconds between full syncs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub full_interval_s: Option<u32>,
    /// Seconds between syncs that an operator asks for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub manual_interval_s: Option<u32>,
    /// Seconds between full syncs that an operator asks for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub manual_full_interval_s: Option<u32>,
    /// Seconds without progress after which a run ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub progress_deadline_s: Option<u32>,
    /// Percent of the devices that a full sync may remove without an operator's word.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub removal_percent: Option<u32>,
    /// Days after which a removed device is deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tombstone_days: Option<u32>,
    /// What is done about drift.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drift: Option<DriftMode>,
}

/// An MDM server to be added.
#[derive(Clone, Debug)]
pub struct NewServer {
    /// Our name for it; must be free.
    pub name: ServerName,
    /// Where Apple answers for it.
    pub base_url: String,
    /// Whether it starts paused.
    pub paused: bool,
}

/// What Apple says of the account behind a token (protocol section 3.1), as far as we use it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Account {
    /// The name of the MDM server in the portal.
    pub server_name: Option<String>,
    /// Apple's id of it, verbatim.
    pub server_uuid: Option<String>,
    /// The Apple Account that made the token in use.
    pub admin_id: Option<String>,
    /// The organization.
    pub org_name: Option<String>,
    /// How the organization is reached.
    pub org_email: Option<String>,
    /// How the organization is called.
    pub org_phone: Option<String>,
    /// `edu` or `org`.
    pub org_type: Option<String>,
    /// The page size that Apple allows, at most 1000.
    pub page_limit: Option<u32>,
}

/// A default profile of an MDM server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerDefault {
    /// For which devices.
    pub scope: Scope,
    /// The profile.
    pub profile: ProfileName,
    /// Its revision in force.
    pub revision: RevisionId,
}

/// MDM servers and their settings.
#[async_trait]
pub trait ServerStore: Send + Sync {
    /// Adds an MDM server, and writes who did it.
    ///
    /// # Errors
    /// `Exists` when the name is taken.
    async fn add_server(&self, server: &NewServer, by: &Operator) -> Result<ServerId>;

    /// All MDM servers, by name.
    async fn servers(&self) -> Result<Vec<MdmServer>>;

    /// The MDM server with this name.
    async fn server(&self, name: &ServerName) -> Result<Option<MdmServer>>;

    /// The MDM server with this number.
    async fn server_by_id(&self, id: ServerId) -> Result<Option<MdmServer>>;

    /// Pauses or resumes it, and writes who did it.
    async fn set_paused(&self, id: ServerId, paused: bool, by: &Operator) -> Result<()>;

    /// The default profiles of an MDM server, in the order of [`Scope`].
    async fn defaults(&self, id: ServerId) -> Result<Vec<ServerDefault>>;

    /// Keeps that Apple has asked to be left alone until a moment, so that the next process obeys it too. A later
    /// moment that stands there already stays; importing another token clears it.
    async fn set_wait_until(&self, id: ServerId, until: Timestamp) -> Result<()>;

    /// Keeps what Apple said of the account, also with the token in use.
    async fn set_account(&self, id: ServerId, account: &Account) -> Result<()>;
}
