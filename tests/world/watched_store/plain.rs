//! The parts of the store whose calls are passed on as they are.

use std::time::Duration;

use std::collections::{BTreeMap, HashMap};

use adelie_model::*;
use adelie_store::backup::{Restoration, Snapshot};
use adelie_store::configuration::{Change, Changed, Configuration, Version};
use adelie_store::seal::{Column, StoredDataKey};
use adelie_store::*;
use async_trait::async_trait;
use uuid::Uuid;

use super::WatchedStore;

macro_rules! passes_on {
    ($trait:ident { $(fn $name:ident($($argument:ident: $type:ty),* $(,)?) -> $answer:ty;)+ }) => {
        #[async_trait]
        impl $trait for WatchedStore {
            $(async fn $name(&self, $($argument: $type),*) -> Result<$answer> {
                self.call(stringify!($name), self.inner.$name($($argument),*)).await
            })+
        }
    };
}

passes_on!(KeyStore {
    fn data_keys() -> Vec<StoredDataKey>;
    fn change_data_keys(before: &[StoredDataKey], after: &[StoredDataKey], by: Option<&Operator>) -> bool;
    fn sealed_otherwise(column: Column, version: u32, after: Option<Uuid>, limit: u32) -> Vec<(Uuid, Sealed)>;
    fn reseal(column: Column, values: &[Resealed]) -> u64;
    fn seal_counts(column: Column) -> BTreeMap<u32, u64>;
});

passes_on!(TokenStore {
    fn add_token_key(key: &StoredKey, by: &Operator) -> ();
    fn token_keys(server: ServerId) -> Vec<StoredKey>;
    fn import_token(token: &NewServerToken, seen: &TokenSeen<'_>, by: &Operator) -> ();
    fn restore_token(
        server: ServerId,
        token: ServerTokenId,
        account: Option<&Account>,
        seen: &TokenSeen<'_>,
        by: &Operator,
    ) -> ();
    fn current_token(server: ServerId) -> Option<StoredToken>;
    fn tokens(server: ServerId) -> Vec<StoredToken>;
    fn set_token_state(server: ServerId, seen: &TokenSeen<'_>, now: Timestamp) -> ();
    fn set_clock_skew(server: ServerId, skew: Option<chrono::TimeDelta>) -> ();
    fn tell_expiry(now: Timestamp) -> u64;
});

passes_on!(ProfileStore {
    fn profiles() -> Vec<Revision>;
    fn profile(name: &ProfileName) -> Option<Revision>;
    fn revisions(name: &ProfileName) -> Vec<Revision>;
    fn secrets(revision: RevisionId) -> Option<(Uuid, Sealed)>;
    fn revision(id: RevisionId) -> Option<Revision>;
    fn published(profile: ProfileId) -> Vec<Published>;
    fn published_at(server: ServerId, revision: RevisionId) -> Option<Published>;
    fn published_as(server: ServerId, content_hash: &str) -> Option<ProfileUuid>;
    fn set_published(lease: &Lease, revision: RevisionId, outcome: &PublishOutcome, now: Timestamp) -> ();
    fn forget_published(lease: &Lease, revision: RevisionId) -> ();
});

passes_on!(ConfigurationStore {
    fn configuration() -> Configuration;
    fn configure(changes: &[Change], expected: Option<Version>, by: &Operator) -> Version;
    fn changes(limit: u32) -> Vec<Changed>;
    fn rule_hits() -> HashMap<RuleId, u64>;
});

passes_on!(DeviceStore {
    fn devices(filter: &DeviceFilter, after: Option<&DevicePosition>, limit: u32) -> Vec<DeviceView>;
    fn find(serials: &[SerialNumber]) -> HashMap<SerialNumber, Vec<DeviceView>>;
    fn device_events(
        server: ServerId,
        serial: &SerialNumber,
        before: Option<EventId>,
        limit: u32,
    ) -> Vec<StoredEvent>;
    fn state_counts(server: Option<ServerId>) -> Vec<StateCount>;
});

passes_on!(LeaseStore {
    fn acquire_lease(server: ServerId, owner: &str, ttl: Duration) -> LeaseAnswer;
    fn claim_due_servers(owner: &str, ttl: Duration, now: Timestamp, limit: u32) -> Vec<Lease>;
    fn renew_lease(lease: &Lease, ttl: Duration) -> ();
    fn release_lease(lease: &Lease, end: &WorkEnd) -> ();
});

passes_on!(BulkStore {
    fn note_bulk(change: &NewBulkChange, by: &Operator) -> i64;
    fn last_bulk() -> Option<BulkChange>;
    fn set_undone(id: i64, by: &Operator) -> ();
});

passes_on!(BackupStore {
    fn snapshot() -> Box<dyn Snapshot>;
    fn restoration() -> Box<dyn Restoration>;
});

passes_on!(AuditStore {
    fn note(entries: &[NewAudit], by: &Operator) -> i64;
    fn audit_after(filter: &AuditFilter, after: i64, limit: u32) -> Vec<AuditEntry>;
    fn audit_before(filter: &AuditFilter, before: Option<i64>, limit: u32) -> Vec<AuditEntry>;
    fn audit_head() -> AuditHead;
});

passes_on!(WebhookStore {
    fn installation() -> Uuid;
    fn profile_of(revision: RevisionId) -> Option<(ProfileName, u32)>;
    fn events_after(filter: &EventFilter, after: EventId, limit: u32) -> Vec<StoredEvent>;
    fn events_before(filter: &EventFilter, before: Option<EventId>, limit: u32) -> Vec<StoredEvent>;
    fn devices_of(server: ServerId, serials: &[SerialNumber]) -> Vec<Device>;
    fn add_webhook(new: &NewWebhook, by: &Operator) -> WebhookId;
    fn webhooks() -> Vec<Webhook>;
    fn backlogs() -> Vec<Backlog>;
    fn change_webhook(id: WebhookId, change: &WebhookChange, by: &Operator) -> bool;
    fn disable_webhook(id: WebhookId, why: &str, now: Timestamp) -> bool;
    fn remove_webhook(id: WebhookId, by: &Operator) -> ();
    fn add_test_delivery(id: WebhookId, by: &Operator) -> DeliveryId;
    fn claim_deliveries(room: &[(WebhookId, u32)], now: Timestamp, until: Timestamp) -> Vec<ClaimedDelivery>;
    fn claim_one(id: DeliveryId, now: Timestamp, until: Timestamp) -> Option<ClaimedDelivery>;
    fn settle_deliveries(results: &[Attempted], now: Timestamp) -> ();
    fn release_deliveries(claims: &[(DeliveryId, u32)], now: Timestamp) -> ();
    fn due_webhooks(now: Timestamp) -> (Vec<WebhookId>, Option<Timestamp>);
    fn wait_for_deliveries() -> ();
    fn deliveries(filter: &DeliveryFilter, before: Option<DeliveryId>, limit: u32) -> Vec<Delivery>;
    fn delivery(id: DeliveryId) -> Option<(Delivery, StoredEvent, Vec<Attempt>)>;
    fn replay(which: &Replay, by: &Operator) -> u64;
    fn forget_deliveries(before: Timestamp, limit: u32) -> u64;
});

passes_on!(EscrowStore {
    fn escrow(new: &NewEscrow, by: &Operator) -> ();
    fn settle_escrow(
        id: EscrowId,
        state: EscrowState,
        detail: &str,
        rotate_at: Option<Timestamp>,
        by: &Operator,
    ) -> bool;
    fn view_escrow(id: EscrowId, rotate_at: Option<Timestamp>, by: &Operator) -> bool;
    fn rotate_escrow(server: ServerId, serial: &SerialNumber, kind: EscrowKind, by: &Operator) -> bool;
    fn escrowed(filter: &EscrowFilter, before: Option<EscrowId>, limit: u32) -> Vec<Escrowed>;
});
