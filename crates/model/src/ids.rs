use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{Entropy, Timestamp};

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $inner:ty) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub $inner);

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

id!(
    /// One MDM server of ours (a "device management service" in Apple's portal).
    ServerId, i64
);
id!(
    /// One enrollment profile of ours: a name with revisions.
    ProfileId, i64
);
id!(
    /// One immutable revision of an enrollment profile.
    RevisionId, i64
);
id!(
    /// One revision as defined at Apple for one MDM server.
    PublishedId, i64
);
id!(
    /// One rule that says which devices get which profile.
    RuleId, i64
);
id!(
    /// One run of a sync; also the generation that a full sync stamps on the devices it has seen.
    RunId, i64
);
id!(
    /// One event; grows with every event written.
    EventId, i64
);
id!(
    /// One endpoint that receives webhooks.
    WebhookId, i64
);
id!(
    /// One event on its way to one endpoint.
    DeliveryId, i64
);
id!(
    /// One secret of an endpoint. Made by the caller, because the sealed secret is bound to it.
    WebhookSecretId, Uuid
);
id!(
    /// One token key. Made by the caller, because the sealed private key is bound to it.
    TokenKeyId, Uuid
);
id!(
    /// One server token. Made by the caller, because the sealed secrets are bound to it.
    ServerTokenId, Uuid
);

id!(
    /// One secret of a device that is kept for a person. Made by the caller, because the sealed secret is bound to it.
    EscrowId, Uuid
);

/// A UUID of version 7 (time-ordered) from the clock and the randomness that were passed in.
#[must_use]
pub fn new_uuid(now: Timestamp, entropy: &dyn Entropy) -> Uuid {
    let mut random = [0; 10];
    entropy.fill(&mut random);
    let millis = u64::try_from(now.timestamp_millis()).unwrap_or(0);
    uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid()
}
