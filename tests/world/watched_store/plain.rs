//! The parts of the store whose calls are passed on as they are.

use std::time::Duration;

use std::collections::HashMap;

use adelie_model::*;
use adelie_store::configuration::{Change, Changed, Configuration, Version};
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

passes_on!(TokenStore {
    fn data_key() -> Option<Vec<u8>>;
    fn init_data_key(sealed: &[u8]) -> Vec<u8>;
    fn add_token_key(key: &StoredKey) -> ();
    fn token_keys(server: ServerId) -> Vec<StoredKey>;
    fn import_token(token: &NewServerToken, state: TokenState, now: Timestamp) -> ();
    fn current_token(server: ServerId) -> Option<StoredToken>;
    fn set_token_state(server: ServerId, state: TokenState, detail: Option<&str>, now: Timestamp) -> ();
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
