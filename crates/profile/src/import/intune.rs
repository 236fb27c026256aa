use serde_json::{Map, Value};

use super::draft::Draft;
use super::input::Input;
use super::{Imported, NoteKind, Source, intune_accounts, panes};
use crate::accounts::SignIn;

const URL: &str = "Intune keeps this URL to itself; write the one at which your MDM server enrolls devices";
const WEB_URL: &str = "Intune keeps this URL to itself; write the page of your MDM server on which users sign in, unless it is `url`";

/// Fields that are no part of Apple's profile.
const NO_EQUIVALENT: &[(&str, &str)] = &[
    ("carrierActivationUrl", "the MDM server sends it in a command of its own"),
    ("companyPortalVppTokenId", COMPANY_PORTAL),
    ("configurationEndpointUrl", "a URL of Intune's own; write the one of your MDM server as `url`"),
    ("deviceNameTemplate", "the MDM server names the device by a command"),
    ("enableAuthenticationViaCompanyPortal", COMPANY_PORTAL),
    ("enableSingleAppEnrollmentMode", COMPANY_PORTAL),
    ("enrollmentTimeAzureAdGroupIds", "groups are Intune's; use tags and rules of Adelie instead"),
    ("expressLanguageScreenDisabled", NO_PANE),
    ("forceTemporarySession", SHARED),
    ("isDefault", "run `adelie server set NAME --default FAMILY=PROFILE` for what it did"),
    ("passcodeLockGracePeriodInSeconds", SHARED),
    ("preferredLanguageScreenDisabled", NO_PANE),
    ("requestRequiresNetworkTether", "it belongs to a command of the MDM server, not to Apple's profile"),
    ("requireCompanyPortalOnSetupAssistantEnrolledDevices", COMPANY_PORTAL),
    ("sharedIPadMaximumUserCount", SHARED),
    ("temporarySessionTimeoutInSeconds", SHARED),
    (
        "usePlatformSSODuringSetupAssistant",
        "the MDM server asks for platform single sign-on when the Mac enrolls at `url`",
    ),
    ("userSessionTimeoutInSeconds", SHARED),
    ("userlessSharedAadModeEnabled", "a mode of Intune and Entra ID"),
];

const COMPANY_PORTAL: &str = "Company Portal is an app of Intune";
const NO_PANE: &str = "Apple has no skip key for this pane any more";
const SHARED: &str = "the MDM server sets up a Shared iPad by commands, while it awaits configuration";

/// An enrollment profile of Intune for macOS, iOS and iPadOS.
#[must_use]
pub fn intune(profile: Map<String, Value>) -> Imported {
    let mut input = Input::new(profile);
    let kind = input.text("@odata.type").unwrap_or_default();
    let mac = kind.ends_with("depMacOSEnrollmentProfile");
    let platforms: &[&str] = match (mac, kind.ends_with("depIOSEnrollmentProfile")) {
        (true, _) => &["macOS"],
        (false, true) => &["iOS", "iPadOS"],
        (false, false) => &[],
    };
    let mut draft = Draft::new(Source::Intune, platforms);
    if !kind.is_empty() && platforms.is_empty() {
        let reason =
            "this is no profile for macOS, iOS or iPadOS; only what it shares with those is taken over";
        input.note(NoteKind::Unknown, "@odata.type", kind.into(), reason);
    }
    input.ignore(&["@odata.context", "@odata.etag", "@odata.id", "id"]);
    input.fill_in("url", URL);

    draft.take_texts(
        &mut input,
        &[("supportDepartment", "department"), ("supportPhoneNumber", "support_phone_number")],
    );
    draft.take_flags(
        &mut input,
        &[
            ("autoAdvanceSetupEnabled", "auto_advance_setup"),
            ("enableSharedIPad", "is_multi_user"),
            ("isMandatory", "is_mandatory"),
            ("supervisedModeEnabled", "is_supervised"),
        ],
    );
    draft.set("is_mdm_removable", input.flag("profileRemovalDisabled").map(|locked| !locked));
    draft.supervise_lock(&mut input, "profileRemovalDisabled");
    take_await(&mut input, &mut draft);
    take_sign_in(&mut input, &mut draft);
    take_panes(&mut input, &mut draft, mac);
    take_pairing(&mut input, &mut draft);
    draft.accounts = intune_accounts::read(&mut input);
    input.no_equivalent(NO_EQUIVALENT);
    let name = input.text("displayName");
    let description = input.text("description");
    draft.finish(input, name, description)
}

/// There are two fields for it, of two generations; either suffices.
fn take_await(input: &mut Input, draft: &mut Draft) {
    let flags = ["waitForDeviceConfiguredConfirmation", "awaitDeviceConfiguredConfirmation"]
        .map(|key| input.flag(key));
    if let Some(wait) = flags.into_iter().flatten().reduce(|one, other| one || other) {
        draft.set("await_device_configured", Some(wait));
    }
}

/// With `configurationWebUrl` users sign in on a page, and otherwise in Setup Assistant itself or not at all.
fn take_sign_in(input: &mut Input, draft: &mut Draft) {
    let web = input.flag("configurationWebUrl") == Some(true);
    let user = input.flag("requiresUserAuthentication") == Some(true);
    if web {
        draft.sign_in = SignIn::Web;
        input.fill_in("web_url", WEB_URL);
    } else if user {
        draft.sign_in = SignIn::Legacy;
        let reason = "users sign in within Setup Assistant (`user_affinity`); your MDM server has to ask for it at \
                      `url`, or write its page as `web_url`";
        input.note(NoteKind::Changed, "requiresUserAuthentication", true.into(), reason);
    }
}

fn take_panes(input: &mut Input, draft: &mut Draft, mac: bool) {
    for (at, key) in input.list("enabledSkipKeys").into_iter().enumerate() {
        match key {
            Value::String(key) => draft.skip(key),
            wrong => input.wrong(&format!("enabledSkipKeys[{at}]"), wrong, "a skip key"),
        }
    }
    for (pane, key) in panes::INTUNE {
        match input.flag(pane) {
            Some(true) if mac && *key == "Zoom" => {
                let reason = "Macs have no such pane";
                input.note(NoteKind::NoEquivalent, pane, true.into(), reason);
            }
            Some(true) => draft.skip(*key),
            _ => {}
        }
    }
}

/// Pairing with one's own computers only is a list of their certificates beside the prohibition.
fn take_pairing(input: &mut Input, draft: &mut Draft) {
    let mode = input.text("iTunesPairingMode");
    match mode.as_deref() {
        None => {}
        Some("allow") => draft.set("allow_pairing", Some(true)),
        Some("disallow" | "requiresCertificate") => draft.set("allow_pairing", Some(false)),
        Some(other) => {
            input.wrong("iTunesPairingMode", other.into(), "disallow, allow or requiresCertificate")
        }
    }
    let mut certificates = Vec::new();
    for (at, item) in input.list("managementCertificates").into_iter().enumerate() {
        let path = format!("managementCertificates[{at}]");
        let Value::Object(mut fields) = item else {
            input.wrong(&path, item, "a certificate");
            continue;
        };
        match fields.remove("certificate") {
            Some(certificate @ Value::String(_)) => certificates.push(certificate),
            other => input.wrong(&path, other.unwrap_or_default(), "a certificate"),
        }
        // The thumbprint follows from the certificate.
        for key in ["@odata.type", "thumbprint"] {
            fields.remove(key);
        }
        for (key, value) in fields {
            let reason = "Adelie does not know this field, so it is not taken over";
            input.note(NoteKind::Unknown, &format!("{path}.{key}"), value, reason);
        }
    }
    draft.certificates(input, "managementCertificates", "supervising_host_certs", certificates);
}
