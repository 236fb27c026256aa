//! The panes of Setup Assistant in the words of other systems, and the skip key of each.

use crate::skip_keys;

/// Intune's flags, one per pane. `true` hides the pane.
pub(super) const INTUNE: &[(&str, &str)] = &[
    ("accessibilityScreenDisabled", "Accessibility"),
    ("appearanceScreenDisabled", "Appearance"),
    ("appleIdDisabled", "AppleID"),
    ("applePayDisabled", "Payment"),
    ("autoUnlockWithWatchDisabled", "UnlockWithWatch"),
    // The pane "Choose your look", in spite of the name: Intune sends `Appearance` for it.
    ("chooseYourLockScreenDisabled", "Appearance"),
    ("deviceToDeviceMigrationDisabled", "DeviceToDeviceMigration"),
    ("diagnosticsDisabled", "Diagnostics"),
    ("displayToneSetupDisabled", "DisplayTone"),
    ("fileVaultDisabled", "FileVault"),
    ("homeButtonScreenDisabled", "HomeButtonSensitivity"),
    ("iCloudDiagnosticsDisabled", "iCloudDiagnostics"),
    ("iCloudStorageDisabled", "iCloudStorage"),
    ("iMessageAndFaceTimeScreenDisabled", "iMessageAndFaceTime"),
    ("locationDisabled", "Location"),
    ("onBoardingScreenDisabled", "OnBoarding"),
    ("passCodeDisabled", "Passcode"),
    ("privacyPaneDisabled", "Privacy"),
    ("registrationDisabled", "Registration"),
    ("restoreBlocked", "Restore"),
    ("restoreCompletedScreenDisabled", "RestoreCompleted"),
    ("restoreFromAndroidDisabled", "Android"),
    ("screenTimeScreenDisabled", "ScreenTime"),
    ("simSetupScreenDisabled", "SIMSetup"),
    ("siriDisabled", "Siri"),
    ("softwareUpdateScreenDisabled", "SoftwareUpdate"),
    ("termsAndConditionsDisabled", "TOS"),
    ("touchIdDisabled", "Biometric"),
    ("updateCompleteScreenDisabled", "UpdateCompleted"),
    ("watchMigrationScreenDisabled", "WatchMigration"),
    ("welcomeScreenDisabled", "Welcome"),
    ("zoomDisabled", "Zoom"),
];

/// Jamf Pro's entries of `skipSetupItems` for Macs. `true` hides the pane. Its API and the tools around it differ in
/// capitals and underscores, so these do not count.
pub(super) const JAMF: &[(&str, &str)] = &[
    ("accessibility", "Accessibility"),
    ("additional_privacy_settings", "AdditionalPrivacySettings"),
    ("appearance", "Appearance"),
    ("apple_id", "AppleID"),
    ("biometric", "Biometric"),
    ("diagnostics", "Diagnostics"),
    ("display_tone", "DisplayTone"),
    ("enable_lockdown_mode", "EnableLockdownMode"),
    ("file_vault", "FileVault"),
    ("icloud_diagnostics", "iCloudDiagnostics"),
    ("icloud_storage", "iCloudStorage"),
    ("intelligence", "Intelligence"),
    ("location", "Location"),
    ("os_showcase", "OSShowcase"),
    ("payment", "Payment"),
    ("privacy", "Privacy"),
    ("registration", "Registration"),
    ("restore", "Restore"),
    ("screen_time", "ScreenTime"),
    ("siri", "Siri"),
    ("software_update", "SoftwareUpdate"),
    ("terms_of_address", "TermsOfAddress"),
    ("tos", "TOS"),
    ("wallpaper", "Wallpaper"),
    ("welcome", "Welcome"),
];

/// The skip key of one of Jamf Pro's entries. A pane that is newer than the table is found in the catalogue, because
/// Jamf Pro follows Apple's names.
pub(super) fn of_jamf(entry: &str) -> Option<&'static str> {
    let wanted = plain(entry);
    let known = JAMF.iter().find(|(name, _)| plain(name) == wanted).map(|(_, key)| *key);
    known.or_else(|| skip_keys::all().iter().map(|known| known.key).find(|key| plain(key) == wanted))
}

fn plain(name: &str) -> String {
    name.chars().filter(|c| *c != '_').flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_skip_key_of_the_tables_is_in_the_catalogue() {
        for (pane, key) in INTUNE.iter().chain(JAMF) {
            assert!(skip_keys::find(key).is_some(), "{pane}: {key}");
        }
    }

    #[test]
    fn the_names_of_jamf_are_read_in_any_spelling() {
        for name in ["file_vault", "fileVault", "FileVault", "filevault"] {
            assert_eq!(of_jamf(name), Some("FileVault"), "{name}");
        }
        assert_eq!(of_jamf("unlockWithWatch"), Some("UnlockWithWatch"));
        assert_eq!(of_jamf("newKey"), None);
    }
}
