use std::borrow::Cow;
use std::collections::HashMap;

use adelie_model::{Device, DriftMode, ProfileUuid, PublishedId, RevisionId, ServerId, Timestamp};
use adelie_rules::Defaults;

/// A revision at Apple, for one MDM server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    /// Its id.
    pub id: PublishedId,
    /// The MDM server it is defined for.
    pub server: ServerId,
    /// The revision.
    pub revision: RevisionId,
    /// Apple's name of it; `None` until Apple took it.
    pub profile_uuid: Option<ProfileUuid>,
    /// Why Apple did not take it, with what to do.
    pub error: Option<String>,
    /// When it is tried again after an error.
    pub next_attempt_at: Option<Timestamp>,
    /// When it was defined or last tried.
    pub at: Timestamp,
}

/// Everything that decides what the devices of one MDM server are to have. Loaded inside the
/// transaction that uses it, so that a default changed a moment ago counts (field lesson L14).
#[derive(Clone, Debug, Default)]
pub struct Policy {
    /// Default revision per device family.
    pub defaults: Defaults,
    /// Apple's UUID of each revision that is defined at this MDM server.
    pub published: HashMap<RevisionId, ProfileUuid>,
    /// What is done about drift.
    pub drift: DriftMode,
}

impl Policy {
    /// The revision that this device is to have, its UUID at Apple if it has one yet, and why.
    #[must_use]
    pub fn wanted(&self, device: &Device) -> (Option<RevisionId>, Option<&ProfileUuid>, Cow<'static, str>) {
        let decision = self.defaults.decide(device.actual.device_family.as_ref());
        let uuid = decision.wanted.and_then(|revision| self.published.get(&revision));
        (decision.wanted, uuid, decision.because)
    }
}
