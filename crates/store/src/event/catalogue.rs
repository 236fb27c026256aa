use schemars::{JsonSchema, Schema};
use serde::Serialize;

use super::configuration::{ProfileRevised, RulesChanged};
use super::devices::{
    AssignmentOutcome, AssignmentSucceeded, DeviceAdded, DeviceDeleted, DeviceHeld, DeviceModified,
    DeviceRemoved, DeviceRetried, DeviceTagged, DeviceUnheld, DevicesImported, DriftDetected, DriftRepaired,
};
use super::servers::{
    DefaultsChanged, FullSyncRequired, OperatorAction, ProfilesRetried, RemovalsHeld, RunEnded,
    SettingsChanged, SyncPage,
};
use super::tokens::{TokenChanged, TokenRenewed};
use super::webhooks::{WebhookDisabled, WebhookReplayed, WebhookTouched};

/// How serious an event is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// All is as it should be.
    Info,
    /// Worth knowing; nothing need be done.
    Notice,
    /// It mends itself, or will be trouble later.
    Warning,
    /// Somebody must do something, or devices come up unmanaged.
    Error,
}

impl Severity {
    /// The word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Notice => "notice",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// A type of event.
pub struct EventType {
    /// Its name, like `device.added`.
    pub name: &'static str,
    /// How serious such an event is.
    pub severity: Severity,
    /// What it means, in a sentence.
    pub about: &'static str,
    /// The JSON Schema of its details.
    pub schema: fn() -> Schema,
}

/// The type with this name.
#[must_use]
pub fn event_type(name: &str) -> Option<&'static EventType> {
    TYPES.iter().find(|known| known.name == name)
}

macro_rules! types {
    ($($name:literal $severity:ident $details:ty: $about:literal;)*) => {
        /// Every type of event, in the order in which they are explained.
        pub static TYPES: &[EventType] = &[$(EventType {
            name: $name,
            severity: Severity::$severity,
            about: $about,
            schema: || schemars::schema_for!($details),
        }),*];
    };
}

types! {
    "device.added" Info DeviceAdded: "Apple has given a device to an MDM server, or it is back there.";
    "device.modified" Info DeviceModified: "Apple has changed something about a device.";
    "device.removed" Notice DeviceRemoved: "A device has left its MDM server, or was put away by hand.";
    "device.deleted" Info DeviceDeleted: "A device that left long ago was forgotten.";
    "devices.imported" Info DevicesImported: "The first full sync of an MDM server has found these devices.";
    "device.held" Notice DeviceHeld: "An operator keeps a device from being assigned.";
    "device.unheld" Notice DeviceUnheld: "An operator has let a device go.";
    "device.tagged" Info DeviceTagged: "An operator has changed the tags of a device.";
    "device.retried" Info DeviceRetried: "An operator has a device tried again.";
    "assignment.succeeded" Info AssignmentSucceeded: "Apple has taken the wanted profile for these devices.";
    "assignment.failed" Error AssignmentOutcome: "Apple did not take the wanted profile for these devices.";
    "assignment.throttled" Warning AssignmentOutcome: "Apple wants to be asked later about these devices.";
    "assignment.not_accessible" Warning AssignmentOutcome: "Apple says that these devices are not this MDM server's.";
    "assignment.unconfirmed" Notice AssignmentOutcome: "The answer was lost, and Apple does not show the profile: it is sent again.";
    "drift.detected" Warning DriftDetected: "Apple shows another profile than the wanted one, without our doing.";
    "drift.repaired" Info DriftRepaired: "Apple shows the wanted profile again.";
    "sync.completed" Info RunEnded: "A sync has ended well. Delta syncs that found nothing are not told of, unless one had failed before.";
    "sync.failed" Error RunEnded: "A sync has failed. It is told once for each cause, until a sync ends well.";
    "sync.page" Info SyncPage: "A page of devices was stored. Written only while an endpoint has the nanodep format.";
    "full_sync.required" Warning FullSyncRequired: "Apple does not know the position of the copy any more: the whole list is fetched.";
    "removals.held" Error RemovalsHeld: "So many devices are absent that an operator has to confirm their removal.";
    "token.expiring" Warning TokenChanged: "A server token expires: told 60, 30, 14, 7, 3 days and one day before.";
    "token.expired" Error TokenChanged: "A server token is past its expiry, told daily; or Apple says so.";
    "token.invalid" Error TokenChanged: "Apple refuses a server token, or it was replaced in the portal.";
    "token.renewed" Info TokenRenewed: "A server token was imported, renewed or restored, and is in use.";
    "terms.required" Error TokenChanged: "Apple's terms have changed, and nobody has accepted them.";
    "terms.accepted" Info TokenChanged: "Apple's terms are accepted.";
    "profile.revised" Info ProfileRevised: "A profile has another revision in force, a staged one, or is gone.";
    "rules.changed" Info RulesChanged: "Rules were added, changed, moved or removed.";
    "server.paused" Notice OperatorAction: "An operator has paused an MDM server.";
    "server.resumed" Info OperatorAction: "An operator has resumed an MDM server.";
    "server.defaults_changed" Info DefaultsChanged: "An operator has changed the default profiles of an MDM server.";
    "server.settings_changed" Info SettingsChanged: "An operator has changed the sync settings of an MDM server.";
    "server.profiles_retried" Info ProfilesRetried: "An operator has refused profiles defined again.";
    "webhook.added" Info WebhookTouched: "An endpoint was added.";
    "webhook.paused" Notice WebhookTouched: "An operator has paused an endpoint.";
    "webhook.resumed" Info WebhookTouched: "An operator has resumed an endpoint.";
    "webhook.rotated" Info WebhookTouched: "An endpoint has a new secret.";
    "webhook.removed" Notice WebhookTouched: "An endpoint was removed.";
    "webhook.disabled" Error WebhookDisabled: "An endpoint was given up, and receives nothing until it is resumed.";
    "webhook.replayed" Info WebhookReplayed: "An operator has deliveries sent again.";
    "webhook.test" Info WebhookTouched: "An operator tries an endpoint out.";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_of_the_form_that_standard_webhooks_allows() {
        for (place, known) in TYPES.iter().enumerate() {
            assert!(
                known.name.chars().all(|letter| matches!(letter, 'a'..='z' | '_' | '.')),
                "{} has another letter",
                known.name
            );
            assert!(known.name.split('.').count() == 2, "{} is not noun.verb", known.name);
            assert!(
                TYPES[..place].iter().all(|other| other.name != known.name),
                "{} stands twice",
                known.name
            );
            assert!(known.about.ends_with('.'), "{} is not explained by a sentence", known.name);
        }
    }

    #[test]
    fn every_schema_describes_an_object_and_each_of_its_properties() {
        for known in TYPES {
            let schema = (known.schema)().to_value();
            assert_eq!(schema["type"], "object", "{}", known.name);
            for (name, property) in schema["properties"].as_object().into_iter().flatten() {
                assert!(property["description"].is_string(), "{}: {name} is not described", known.name);
            }
        }
    }
}
