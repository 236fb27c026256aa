//! Rows as PostgreSQL gives them, and what they are in our words.

use adelie_model::{
    Actual, AssignState, Assignment, Counts, Cursor, Device, DeviceFamily, Extra, ProfileId, ProfileName,
    ProfileStatus, ProfileUuid, PublishedId, RevisionId, RuleId, RuleName, RunId, RunOutcome, SerialNumber,
    ServerId, ServerName, ServerTokenId, SyncKind, SyncPhase, SyncRun, Timestamp, TokenKeyId, TokenState,
    Trigger, to_millis,
};
use adelie_store::configuration::Document;
use adelie_store::{
    Account, DeviceView, FullPhase, MdmServer, NewServerToken, Published, Result, Revision, Sealed,
    StoreError, StoredKey, StoredToken, SyncPosition, SyncSettings, TokenHealth,
};
use serde_json::{Map, Value};
use sqlx::FromRow;
use sqlx::types::Json;
use uuid::Uuid;

/// Reads a word of a closed set.
pub(crate) fn word<T>(what: &'static str, text: &str, parse: impl Fn(&str) -> Option<T>) -> Result<T> {
    parse(text).ok_or_else(|| StoreError::damaged(what, text))
}

pub(crate) fn server_name(name: String) -> Result<ServerName> {
    ServerName::try_from(name).map_err(|error| StoreError::damaged("mdm_servers.name", error))
}

pub(crate) fn profile_name(name: String) -> Result<ProfileName> {
    ProfileName::try_from(name).map_err(|error| StoreError::damaged("profiles.name", error))
}

fn rule_name(name: String) -> Result<RuleName> {
    RuleName::try_from(name).map_err(|error| StoreError::damaged("rules.name", error))
}

/// A number that cannot be negative.
pub(crate) fn count(what: &'static str, number: i64) -> Result<u64> {
    u64::try_from(number).map_err(|_| StoreError::damaged(what, number))
}

/// A small number that cannot be negative.
pub(crate) fn small(what: &'static str, number: i32) -> Result<u32> {
    u32::try_from(number).map_err(|_| StoreError::damaged(what, number))
}

#[derive(FromRow)]
pub(crate) struct ServerRow {
    id: i64,
    name: String,
    base_url: String,
    paused: bool,
    created_at: Timestamp,
    sync_settings: Json<SyncSettings>,
    token_state: String,
    token_detail: Option<String>,
    token_since: Option<Timestamp>,
    token_expires_at: Option<Timestamp>,
    token_check_at: Option<Timestamp>,
    clock_skew_ms: Option<i64>,
    account: Option<Json<Account>>,
    last_full_at: Option<Timestamp>,
    last_sync_at: Option<Timestamp>,
    next_sync_at: Option<Timestamp>,
    failures: i32,
    last_error: Option<String>,
    wait_until: Option<Timestamp>,
    attention: Option<String>,
    setbacks: i32,
    stuck: i32,
    lease_owner: Option<String>,
    lease_expires_at: Option<Timestamp>,
}

impl TryFrom<ServerRow> for MdmServer {
    type Error = StoreError;

    fn try_from(row: ServerRow) -> Result<Self> {
        Ok(Self {
            id: ServerId(row.id),
            name: server_name(row.name)?,
            base_url: row.base_url,
            paused: row.paused,
            created_at: row.created_at,
            sync: row.sync_settings.0,
            token: TokenHealth {
                state: word("mdm_servers.token_state", &row.token_state, TokenState::parse)?,
                detail: row.token_detail,
                since: row.token_since,
                expires_at: row.token_expires_at,
                next_check_at: row.token_check_at,
                clock_skew: row.clock_skew_ms.map(chrono::TimeDelta::milliseconds),
            },
            account: row.account.map(|account| account.0),
            last_full_at: row.last_full_at,
            last_sync_at: row.last_sync_at,
            next_sync_at: row.next_sync_at,
            failures: small("mdm_servers.failures", row.failures)?,
            last_error: row.last_error,
            wait_until: row.wait_until,
            attention: row.attention,
            setbacks: small("mdm_servers.setbacks", row.setbacks)?,
            stuck: small("mdm_servers.stuck", row.stuck)?,
            worked_on: row.lease_owner.zip(row.lease_expires_at.map(to_millis)),
        })
    }
}

#[derive(FromRow)]
pub(crate) struct PositionRow {
    delta_cursor: Option<String>,
    full_generation: Option<i64>,
    full_phase: Option<String>,
    fetch_cursor: Option<String>,
    stuck: i32,
}

impl TryFrom<PositionRow> for SyncPosition {
    type Error = StoreError;

    fn try_from(row: PositionRow) -> Result<Self> {
        let full = match row.full_generation.zip(row.full_phase) {
            Some((generation, phase)) => Some(FullPhase {
                generation: RunId(generation),
                phase: word("mdm_servers.full_phase", &phase, SyncPhase::parse)?,
                fetch_cursor: row.fetch_cursor.map(Cursor),
            }),
            None => None,
        };
        Ok(Self {
            delta_cursor: row.delta_cursor.map(Cursor),
            full,
            stuck: small("mdm_servers.stuck", row.stuck)?,
        })
    }
}

#[derive(FromRow)]
pub(crate) struct KeyRow {
    id: Uuid,
    server_id: i64,
    certificate: Vec<u8>,
    private_key: Vec<u8>,
    created_at: Timestamp,
}

impl From<KeyRow> for StoredKey {
    fn from(row: KeyRow) -> Self {
        Self {
            id: TokenKeyId(row.id),
            server: ServerId(row.server_id),
            certificate: row.certificate,
            private_key: Sealed(row.private_key),
            created_at: row.created_at,
        }
    }
}

#[derive(FromRow)]
pub(crate) struct TokenRow {
    id: Uuid,
    server_id: i64,
    key_id: Uuid,
    consumer_key: String,
    secrets: Vec<u8>,
    expires_at: Timestamp,
    account: Option<Json<Account>>,
    imported_at: Timestamp,
    imported_by: Option<String>,
    replaced_at: Option<Timestamp>,
    restored_at: Option<Timestamp>,
    restored_by: Option<String>,
    is_current: bool,
}

impl From<TokenRow> for StoredToken {
    fn from(row: TokenRow) -> Self {
        let token = NewServerToken {
            id: ServerTokenId(row.id),
            server: ServerId(row.server_id),
            key: TokenKeyId(row.key_id),
            consumer_key: row.consumer_key,
            secrets: Sealed(row.secrets),
            expires_at: row.expires_at,
            account: row.account.map(|account| account.0),
        };
        Self {
            token,
            imported_at: row.imported_at,
            imported_by: row.imported_by,
            replaced_at: row.replaced_at,
            restored: row.restored_at.zip(row.restored_by),
            is_current: row.is_current,
        }
    }
}

#[derive(FromRow)]
pub(crate) struct RevisionRow {
    id: i64,
    profile_id: i64,
    name: String,
    number: i32,
    content: Json<Map<String, Value>>,
    content_hash: String,
    document: Option<Json<Map<String, Value>>>,
    document_hash: Option<String>,
    has_secrets: bool,
    author: String,
    note: String,
    created_at: Timestamp,
    in_force_at: Option<Timestamp>,
}

impl TryFrom<RevisionRow> for Revision {
    type Error = StoreError;

    fn try_from(row: RevisionRow) -> Result<Self> {
        Ok(Self {
            id: RevisionId(row.id),
            profile: ProfileId(row.profile_id),
            name: profile_name(row.name)?,
            number: small("profile_revisions.number", row.number)?,
            content: row.content.0,
            content_hash: row.content_hash,
            document: row
                .document
                .zip(row.document_hash)
                .map(|(Json(content), hash)| Document { content, hash }),
            has_secrets: row.has_secrets,
            author: row.author,
            note: row.note,
            created_at: row.created_at,
            in_force_at: row.in_force_at,
        })
    }
}

#[derive(FromRow)]
pub(crate) struct PublishedRow {
    id: i64,
    server_id: i64,
    revision_id: i64,
    profile_uuid: Option<String>,
    differs: Option<String>,
    error: Option<String>,
    next_attempt_at: Option<Timestamp>,
    at: Timestamp,
}

impl From<PublishedRow> for Published {
    fn from(row: PublishedRow) -> Self {
        Self {
            id: PublishedId(row.id),
            server: ServerId(row.server_id),
            revision: RevisionId(row.revision_id),
            profile_uuid: row.profile_uuid.map(ProfileUuid),
            differs: row.differs,
            error: row.error,
            next_attempt_at: row.next_attempt_at,
            at: row.at,
        }
    }
}

#[derive(FromRow)]
pub(crate) struct RunRow {
    id: i64,
    server_id: i64,
    kind: String,
    trigger: String,
    requested_by: Option<String>,
    started_at: Timestamp,
    finished_at: Option<Timestamp>,
    outcome: String,
    error: Option<String>,
    pages: i64,
    records: i64,
    added: i64,
    modified: i64,
    removed: i64,
}

impl TryFrom<RunRow> for SyncRun {
    type Error = StoreError;

    fn try_from(row: RunRow) -> Result<Self> {
        Ok(Self {
            id: RunId(row.id),
            server: ServerId(row.server_id),
            kind: word("sync_runs.kind", &row.kind, SyncKind::parse)?,
            trigger: word("sync_runs.trigger", &row.trigger, Trigger::parse)?,
            requested_by: row.requested_by,
            started_at: row.started_at,
            finished_at: row.finished_at,
            outcome: word("sync_runs.outcome", &row.outcome, RunOutcome::parse)?,
            error: row.error,
            counts: Counts {
                pages: count("sync_runs.pages", row.pages)?,
                records: count("sync_runs.records", row.records)?,
                added: count("sync_runs.added", row.added)?,
                modified: count("sync_runs.modified", row.modified)?,
                removed: count("sync_runs.removed", row.removed)?,
            },
        })
    }
}

#[derive(FromRow)]
pub(crate) struct DeviceRow {
    server_id: i64,
    serial: String,
    model: Option<String>,
    description: Option<String>,
    color: Option<String>,
    asset_tag: Option<String>,
    device_family: Option<String>,
    os: Option<String>,
    profile_status: Option<String>,
    profile_uuid: Option<String>,
    profile_assign_time: Option<Timestamp>,
    profile_push_time: Option<Timestamp>,
    device_assigned_by: Option<String>,
    device_assigned_date: Option<Timestamp>,
    mdm_migration_deadline: Option<Timestamp>,
    extra: Json<Extra>,
    op_date: Option<Timestamp>,
    op_digest: Option<i64>,
    first_seen_at: Timestamp,
    last_seen_at: Timestamp,
    seen_run: i64,
    removed_at: Option<Timestamp>,
    hold: Option<String>,
    assign_state: String,
    assign_reason: String,
    attempts: i32,
    next_attempt_at: Option<Timestamp>,
    wanted_revision_id: Option<i64>,
    rule_id: Option<i64>,
    tags: Option<Vec<String>>,
}

impl TryFrom<DeviceRow> for Device {
    type Error = StoreError;

    fn try_from(row: DeviceRow) -> Result<Self> {
        Ok(Self {
            server: ServerId(row.server_id),
            serial: SerialNumber::from_apple(row.serial),
            actual: Actual {
                model: row.model,
                description: row.description,
                color: row.color,
                asset_tag: row.asset_tag,
                device_family: row.device_family.map(DeviceFamily::from),
                os: row.os,
                profile_status: row.profile_status.map(ProfileStatus::from),
                profile_uuid: row.profile_uuid.map(ProfileUuid),
                profile_assign_time: row.profile_assign_time,
                profile_push_time: row.profile_push_time,
                device_assigned_by: row.device_assigned_by,
                device_assigned_date: row.device_assigned_date,
                mdm_migration_deadline: row.mdm_migration_deadline,
                extra: row.extra.0,
            },
            op_date: row.op_date,
            op_digest: row.op_digest,
            first_seen_at: row.first_seen_at,
            last_seen_at: row.last_seen_at,
            seen_run: RunId(row.seen_run),
            removed_at: row.removed_at,
            hold: row.hold,
            tags: row.tags.unwrap_or_default(),
            assignment: Assignment {
                state: word("devices.assign_state", &row.assign_state, AssignState::parse)?,
                reason: row.assign_reason,
                attempts: small("devices.attempts", row.attempts)?,
                next_attempt_at: row.next_attempt_at,
                wanted: row.wanted_revision_id.map(RevisionId),
                rule: row.rule_id.map(RuleId),
            },
        })
    }
}

#[derive(FromRow)]
pub(crate) struct ViewRow {
    #[sqlx(flatten)]
    device: DeviceRow,
    server_name: String,
    wanted_profile: Option<String>,
    wanted_revision: Option<i32>,
    wanted_by: Option<String>,
    profile_error: Option<String>,
}

impl TryFrom<ViewRow> for DeviceView {
    type Error = StoreError;

    fn try_from(row: ViewRow) -> Result<Self> {
        Ok(Self {
            device: row.device.try_into()?,
            server: server_name(row.server_name)?,
            wanted_profile: row.wanted_profile.map(profile_name).transpose()?,
            wanted_revision: row
                .wanted_revision
                .map(|number| small("profile_revisions.number", number))
                .transpose()?,
            wanted_by: row.wanted_by.map(rule_name).transpose()?,
            profile_error: row.profile_error,
        })
    }
}

/// Reads rows until one is damaged.
pub(crate) fn all<R, T: TryFrom<R, Error = StoreError>>(rows: Vec<R>) -> Result<Vec<T>> {
    rows.into_iter().map(T::try_from).collect()
}

/// A moment that may be missing, as it is stored.
pub(crate) fn millis(moment: Option<Timestamp>) -> Option<Timestamp> {
    moment.map(to_millis)
}
