/// What a word of the catalogue means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ActionInfo {
    /// The action.
    pub action: AuditAction,
    /// Its word, like `server.paused`.
    pub word: &'static str,
    /// What was done, in a sentence.
    pub about: &'static str,
}

macro_rules! actions {
    ($($name:ident $word:literal: $about:literal;)*) => {
        /// What somebody did. Every action that the audit knows has its word here, and nowhere else.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum AuditAction {
            $(#[doc = $about] $name,)*
        }

        impl AuditAction {
            /// All of them, in the order in which they are explained.
            pub const ALL: &[ActionInfo] =
                &[$(ActionInfo { action: Self::$name, word: $word, about: $about }),*];

            /// The word that is stored and shown.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $word,)*
                }
            }
        }
    };
}

actions! {
    ServerAdded "server.added": "An MDM server was added.";
    ServerPaused "server.paused": "An MDM server was paused.";
    ServerResumed "server.resumed": "A paused MDM server was resumed.";
    ServerSettings "server.settings_changed": "The sync settings of an MDM server were changed.";
    ServerDefaults "server.defaults_changed": "The default profiles of an MDM server were changed.";
    ServerProfilesRetried "server.profiles_retried": "Profiles that Apple had refused were made due again.";
    TokenKeyAdded "token.key_added": "A key pair for a server token was made.";
    TokenImported "token.imported": "A server token was taken into use.";
    TokenRestored "token.restored": "A former server token was taken into use again.";
    BackupMade "backup.made": "A backup of the database was made.";
    BackupRestored "backup.restored": "The database was filled from a backup; all entries before this one came with it.";
    KeyRotated "key.rotated": "The keys that seal secrets were exchanged.";
    SecretEscrowed "secret.escrowed": "A secret of a device was made and kept.";
    SecretSettled "secret.settled": "What became of a kept secret of a device was told.";
    SecretViewed "secret.viewed": "A kept secret of a device was shown.";
    SecretRotated "secret.rotated": "A kept secret of a device was made due to be replaced.";
    SyncForced "sync.forced": "A sync was asked for in spite of the sync policy.";
    RemovalsAccepted "sync.removals_accepted": "The removal of all devices that Apple does not list was accepted.";
    ProfileAdded "profile.added": "A profile was added.";
    ProfileRevised "profile.revised": "Another revision of a profile was put in force, or a roll-out was changed.";
    ProfileRemoved "profile.removed": "A profile was removed.";
    RuleAdded "rule.added": "A rule was added.";
    RuleChanged "rule.changed": "A rule was changed.";
    RuleRemoved "rule.removed": "A rule was removed.";
    RulesOrdered "rules.ordered": "The order of rules was changed.";
    DeviceHeld "device.held": "A device was kept from being assigned.";
    DeviceUnheld "device.unheld": "A device that was held was let go.";
    DeviceRetried "device.retried": "The assignment of a device was made due at once.";
    DeviceDeleted "device.deleted": "A device was put away.";
    DeviceRefreshed "device.refreshed": "Apple was asked what it shows for a device, and that was stored.";
    DeviceTagged "device.tagged": "The tags of a device were changed.";
    BulkBegun "bulk.begun": "A change of several devices began; the devices have entries of their own.";
    BulkUndone "bulk.undone": "A change of several devices was undone.";
    WebhookAdded "webhook.added": "An endpoint for webhooks was added.";
    WebhookPaused "webhook.paused": "An endpoint was paused.";
    WebhookResumed "webhook.resumed": "An endpoint was resumed.";
    WebhookRotated "webhook.rotated": "An endpoint got a new secret.";
    WebhookRemoved "webhook.removed": "An endpoint was removed.";
    WebhookTested "webhook.tested": "A test was sent to an endpoint.";
    WebhookReplayed "webhook.replayed": "Deliveries were made due again.";
}
