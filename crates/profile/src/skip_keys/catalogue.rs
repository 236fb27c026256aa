//! The table itself: one entry per key, in the order of Apple's data, withdrawn and historic ones last.
//!
//! Facts from Apple's published skip-key data (June 2026) and its history; titles and notes are ours.

use super::Platform::{IOs, MacOs, TvOs, VisionOs};
use super::SkipKeyStatus::{Historic, Withdrawn};
use super::{Availability, SkipKey, SkipKeyStatus};

const fn key(key: &'static str, title: &'static str, platforms: &'static [Availability]) -> SkipKey {
    SkipKey { key, title, platforms, always_skippable: true, status: SkipKeyStatus::Current, note: None }
}

const fn since(platform: super::Platform, introduced: &'static str) -> Availability {
    Availability { platform, introduced, deprecated: None, removed: None }
}

impl Availability {
    const fn deprecated(mut self, version: &'static str) -> Self {
        self.deprecated = Some(version);
        self
    }

    const fn removed(mut self, version: &'static str) -> Self {
        self.removed = Some(version);
        self
    }
}

impl SkipKey {
    const fn not_always(mut self) -> Self {
        self.always_skippable = false;
        self
    }

    const fn status(mut self, status: SkipKeyStatus) -> Self {
        self.status = status;
        self
    }

    const fn note(mut self, note: &'static str) -> Self {
        self.note = Some(note);
        self
    }
}

pub(super) const CATALOGUE: &[SkipKey] = &[
    key("Accessibility", "Accessibility", &[since(MacOs, "11.0")])
        .not_always()
        .note("Works for later users of a Mac only: the first run of Setup Assistant shows the pane."),
    key("AccessibilityAppearance", "Accessibility appearance", &[since(IOs, "17.0")])
        .note("New in the data of June 2026, which dates it back to iOS 17."),
    key("ActionButton", "Action button", &[since(IOs, "17.0")]),
    key("Android", "Move from Android", &[since(IOs, "9.0")])
        .note("Has an effect only while Restore is shown."),
    key("Appearance", "Light or dark look", &[since(IOs, "13.0"), since(MacOs, "10.14")]),
    key(
        "AppleID",
        "Apple Account and iCloud",
        &[since(IOs, "7.0"), since(MacOs, "10.9"), since(TvOs, "10.2"), since(VisionOs, "26.0")],
    ),
    key("AppStore", "App Store", &[since(IOs, "14.3"), since(MacOs, "11.1")]),
    key(
        "Biometric",
        "Touch ID or Face ID",
        &[since(IOs, "8.1"), since(MacOs, "10.12.4"), since(VisionOs, "26.0")],
    ),
    key("CameraButton", "Camera Control", &[since(IOs, "18.0")]),
    key("DeviceToDeviceMigration", "Migration from another device", &[since(IOs, "12.4")]),
    key(
        "Diagnostics",
        "Sharing analytics",
        &[since(IOs, "7.0"), since(MacOs, "10.9"), since(TvOs, "10.2"), since(VisionOs, "26.0")],
    ),
    key(
        "DisplayTone",
        "True Tone",
        &[since(IOs, "9.3.2").deprecated("15.0"), since(MacOs, "10.13.6").deprecated("12.0")],
    ),
    key("EnableLockdownMode", "Lockdown Mode", &[since(IOs, "17.1"), since(MacOs, "14.0")])
        .note("Has an effect only when somebody signs in with an Apple Account."),
    key("FileVault", "FileVault", &[since(MacOs, "10.10")]),
    key("HomeButtonSensitivity", "Home button click", &[since(IOs, "10.0").deprecated("15.0")]),
    key("iCloudDiagnostics", "iCloud analytics", &[since(MacOs, "10.12.4")]),
    key("iCloudStorage", "Documents and Desktop in iCloud", &[since(MacOs, "10.13.4")]),
    key("iMessageAndFaceTime", "iMessage and FaceTime", &[since(IOs, "12.0")]),
    key(
        "Intelligence",
        "Apple Intelligence",
        &[since(IOs, "18.0"), since(MacOs, "15.0"), since(VisionOs, "26.0")],
    ),
    key("Keyboard", "Keyboard", &[since(IOs, "13.0")])
        .not_always()
        .note("The pane can come up before the device has learnt what to skip."),
    key("LiquidGlass", "Liquid Glass", &[since(IOs, "27.0"), since(MacOs, "27.0")])
        .note("Known from the 2026 seeds; the release may differ."),
    key(
        "Location",
        "Location Services",
        &[since(IOs, "7.0"), since(MacOs, "10.11"), since(TvOs, "10.2"), since(VisionOs, "26.0")],
    ),
    key("MessagingActivationUsingPhoneNumber", "iMessage activation by phone number", &[since(IOs, "10.0")]),
    key("Multitasking", "Multitasking", &[since(IOs, "26.0")]),
    key("OnBoarding", "Introductions", &[since(IOs, "11.0").deprecated("14.0")]),
    key("OSShowcase", "New features of the system", &[since(IOs, "26.0"), since(MacOs, "26.1")])
        .note("For macOS, data before December 2025 said 26.0."),
    key("Passcode", "Passcode", &[since(IOs, "7.0"), since(MacOs, "10.9"), since(VisionOs, "26.0")]),
    key("Payment", "Apple Pay", &[since(IOs, "8.1"), since(MacOs, "10.12.4"), since(VisionOs, "26.0")]),
    key(
        "Privacy",
        "Privacy",
        &[since(IOs, "11.3"), since(MacOs, "10.13.4"), since(TvOs, "11.3"), since(VisionOs, "26.0")],
    ),
    key("Restore", "Restoring from a backup", &[since(IOs, "7.0"), since(MacOs, "10.9")]),
    key("RestoreCompleted", "Restore completed", &[since(IOs, "14.0")]),
    key("ScreenSaver", "Screen saver", &[since(TvOs, "10.2")]),
    key("Safety", "Safety", &[since(IOs, "16.0")]),
    key("SafetyAndHandling", "Safety and handling", &[since(IOs, "18.4")])
        .not_always()
        .note("The pane can come up before the device has learnt what to skip."),
    key("ScreenTime", "Screen Time", &[since(IOs, "12.0"), since(MacOs, "10.15"), since(VisionOs, "26.0")]),
    key("SIMSetup", "SIM and eSIM", &[since(IOs, "12.0")])
        .note("Hiding it also keeps eSIMs from being set up by themselves."),
    key(
        "Siri",
        "Siri",
        &[since(IOs, "7.0"), since(MacOs, "10.12"), since(TvOs, "10.2"), since(VisionOs, "26.0")],
    ),
    key(
        "SoftwareUpdate",
        "Automatic software updates",
        &[since(IOs, "12.0"), since(MacOs, "15.4"), since(VisionOs, "26.0")],
    ),
    key("SpokenLanguage", "Dictation", &[since(IOs, "13.0")])
        .not_always()
        .note("The pane can come up before the device has learnt what to skip."),
    key("TapToSetup", "Setup with another device nearby", &[since(TvOs, "10.2")])
        .not_always()
        .note("Apple's documentation page adds iOS 18; its data does not, and we follow the data."),
    key("TermsOfAddress", "Terms of address", &[since(IOs, "16.0"), since(MacOs, "13.0")])
        .not_always()
        .note("The pane can come up before the device has learnt what to skip."),
    key("Tips", "Tips", &[since(VisionOs, "26.0")]),
    key(
        "TOS",
        "Terms and conditions",
        &[since(IOs, "7.0"), since(MacOs, "10.9"), since(TvOs, "10.2"), since(VisionOs, "26.0")],
    ),
    key("TVHomeScreenSync", "TV Home Screen layout", &[since(TvOs, "11.0")]),
    key("TVProviderSignIn", "TV provider sign-in", &[since(TvOs, "11.0")]),
    key("TVRoom", "Room of the Apple TV", &[since(TvOs, "11.4")]),
    key("UnlockWithWatch", "Unlocking with Apple Watch", &[since(MacOs, "15.0")]),
    key("UpdateCompleted", "Software update completed", &[since(IOs, "14.0"), since(MacOs, "26.1")])
        .note("For macOS, data before December 2025 said 26.0."),
    key("Wallpaper", "Wallpaper", &[since(MacOs, "14.1").removed("26.0")]).note("Gone from macOS with 26.0."),
    key("WatchMigration", "Apple Watch migration", &[since(IOs, "11.0")]),
    key("WebContentFiltering", "Web content filter", &[since(IOs, "18.2").removed("26.1")])
        .note("Gone from iOS with 26.1."),
    key("Welcome", "Get started", &[since(IOs, "13.0"), since(MacOs, "15.0"), since(VisionOs, "26.0")]),
    key("Zoom", "Zoom of the display", &[since(IOs, "8.3").deprecated("17.0"), since(VisionOs, "26.0")]),
    key("AgeAssurance", "Age assurance", &[since(IOs, "26.2")])
        .status(Withdrawn)
        .note("Announced for iOS 26.2 and taken back."),
    key("AgeBasedSafetySettings", "Safety settings by age", &[since(IOs, "26.1")])
        .status(Withdrawn)
        .note("Followed WebContentFiltering in iOS 26.1 and was taken back."),
    key("AdditionalPrivacySettings", "Further privacy settings", &[since(MacOs, "26.0")])
        .status(Withdrawn)
        .note("Listed for macOS 26.0 only and taken back before 26.1."),
    key("Registration", "Registration", &[])
        .status(Historic)
        .note("An old pane of macOS; Apple no longer documents it."),
];
