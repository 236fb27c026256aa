use serde_json::{Map, Value};

use super::draft::Draft;
use super::input::Input;
use super::{Imported, NoteKind, Source, jamf_accounts, panes};
use crate::accounts::SignIn;

const URL: &str = "Jamf Pro keeps this URL to itself; write the one at which your MDM server enrolls devices";

/// Fields of a prestage that are no part of an enrollment profile.
const NO_EQUIVALENT: &[(&str, &str)] = &[
    ("authenticationPrompt", "the MDM server shows it at `url`"),
    ("customPackageDistributionPointId", PACKAGES),
    ("customPackageIds", PACKAGES),
    ("defaultPrestage", "run `adelie server set NAME --default FAMILY=PROFILE` for what it did"),
    (
        "deviceEnrollmentProgramInstanceId",
        "it names a token of Jamf Pro; choose the MDM server in Adelie instead",
    ),
    ("enableDeviceBasedActivationLock", LOCK),
    ("enableRecoveryLock", RECOVERY),
    ("enrollmentCustomizationId", "a page of Jamf Pro; set `web_url` to the page of your MDM server"),
    ("enrollmentSiteId", ITS_OWN),
    ("keepExistingLocationInformation", INVENTORY),
    ("keepExistingSiteMembership", INVENTORY),
    ("locationInformation", INVENTORY),
    ("minimumOsSpecificVersion", MINIMUM_OS),
    ("prestageInstalledProfileIds", "the MDM server installs profiles while the device awaits configuration"),
    ("prestageMinimumOsTargetVersionType", MINIMUM_OS),
    ("preventActivationLock", LOCK),
    ("purchasingInformation", INVENTORY),
    ("recoveryLockPassword", RECOVERY),
    ("recoveryLockPasswordType", RECOVERY),
    ("requireAuthentication", "the MDM server asks for it at `url`, or at `web_url`"),
    ("rotateRecoveryLockPassword", RECOVERY),
    ("siteId", ITS_OWN),
];

const ITS_OWN: &str = "it means something inside Jamf Pro only";
const INVENTORY: &str = "it belongs to the inventory of Jamf Pro";
const PACKAGES: &str = "the MDM server installs packages while the device awaits configuration";
const LOCK: &str = "activation lock is set by the MDM server, not by Apple's profile";
const RECOVERY: &str = "recovery lock is an MDM command, and no part of Apple's profile";
const MINIMUM_OS: &str = "the MDM server asks for a system version when the device enrolls at `url`";

/// A computer prestage of Jamf Pro.
#[must_use]
pub fn jamf(prestage: Map<String, Value>) -> Imported {
    let mut input = Input::new(prestage);
    let mut draft = Draft::new(Source::Jamf, &["macOS"]);
    input.ignore(&["id", "profileUuid", "versionLock"]);
    input.fill_in("url", URL);

    draft.take_texts(
        &mut input,
        &[
            ("department", "department"),
            ("language", "language"),
            ("region", "region"),
            ("supportEmailAddress", "support_email_address"),
            ("supportPhoneNumber", "support_phone_number"),
        ],
    );
    draft.take_flags(
        &mut input,
        &[
            ("autoAdvanceSetup", "auto_advance_setup"),
            ("mandatory", "is_mandatory"),
            ("mdmRemovable", "is_mdm_removable"),
        ],
    );
    draft.supervise_lock(&mut input, "mdmRemovable");
    if input.flag("installProfilesDuringSetup") == Some(true) {
        let reason =
            "`await_device_configured` is on, so that there is time; the MDM server installs the profiles";
        input.note(NoteKind::Changed, "installProfilesDuringSetup", true.into(), reason);
        draft.set("await_device_configured", Some(true));
    }
    let certificates = input.list("anchorCertificates");
    draft.certificates(&mut input, "anchorCertificates", "anchor_certs", certificates);
    take_panes(&mut input, &mut draft);
    if let Some(mut settings) = input.table("accountSettings") {
        draft.accounts = jamf_accounts::read(&mut settings);
        input.absorb(settings);
    }
    take_sign_in(&mut input, &mut draft);
    input.no_equivalent(NO_EQUIVALENT);
    let name = input.text("displayName");
    draft.finish(input, name, None)
}

fn take_sign_in(input: &mut Input, draft: &mut Draft) {
    if signs_in_on_a_page(input) {
        draft.sign_in = SignIn::Web;
        let reason = "the prestage has users sign in on a page of Jamf Pro; write the one of your MDM server, \
                      or set `user_affinity` to `none` if users need not sign in";
        input.fill_in("web_url", reason);
    } else if input.peek("requireAuthentication") == Some(&true.into()) {
        draft.sign_in = SignIn::Legacy;
        input.ignore(&["requireAuthentication"]);
        let reason = "users sign in within Setup Assistant (`user_affinity`); your MDM server has to ask for it at `url`";
        input.note(NoteKind::Changed, "requireAuthentication", true.into(), reason);
    }
}

/// A prestage with an enrollment customization opens a page first. `0` and `-1` stand for none.
fn signs_in_on_a_page(input: &Input) -> bool {
    input
        .peek("enrollmentCustomizationId")
        .and_then(Value::as_str)
        .is_some_and(|id| !matches!(id, "" | "0" | "-1"))
}

fn take_panes(input: &mut Input, draft: &mut Draft) {
    let Some(mut items) = input.table("skipSetupItems") else { return };
    for entry in items.left() {
        // One that nobody knows stays, and is noted.
        let Some(key) = panes::of_jamf(&entry) else { continue };
        if items.flag(&entry) == Some(true) {
            draft.skip(key);
        }
    }
    input.absorb(items);
}
