use std::collections::BTreeSet;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::EnrollmentProfile;
use crate::accounts::{AccountType, Context, SignIn};

const WEB: Context = Context { sign_in: SignIn::Web, awaits_configuration: true };

fn table(value: Value) -> Map<String, Value> {
    let Value::Object(table) = value else { panic!("a table") };
    table
}

/// The notes as `(kind, path)`.
fn notes(imported: &Imported) -> Vec<(NoteKind, &str)> {
    imported.notes.iter().map(|note| (note.kind, note.path.as_str())).collect()
}

fn noted<'a>(imported: &'a Imported, path: &str) -> Option<&'a Note> {
    imported.notes.iter().find(|note| note.path == path)
}

fn accounts(imported: &Imported) -> Value {
    imported.accounts.as_ref().expect("account settings").to_table().into()
}

fn passes(imported: &Imported) {
    let mut apple = imported.apple.clone();
    apple.insert("url".into(), "https://mdm.example.org/enroll".into());
    EnrollmentProfile::check(apple).expect("passes when the URL is there");
    if let Some(accounts) = &imported.accounts {
        let findings = accounts.findings(&WEB);
        assert!(!findings.has_errors(), "{findings}");
    }
}

fn prestage() -> Value {
    serde_json::from_str(include_str!("../../samples/jamf-computer-prestage.json")).expect("JSON")
}

#[test]
fn a_prestage_becomes_a_profile() {
    let imported = jamf(table(prestage()));
    assert_eq!(imported.name, "Macs of IT");
    assert_eq!(
        Value::from(imported.apple.clone()),
        json!({
            "profile_name": "Macs of IT", "is_mandatory": true, "is_mdm_removable": false, "is_supervised": true,
            "support_phone_number": "+1 555 0100", "support_email_address": "it@example.org", "department": "IT",
            "skip_setup_items": ["Siri", "FileVault"], "language": "en", "region": "US",
            "auto_advance_setup": false, "await_device_configured": true,
        })
    );
    assert_eq!(
        accounts(&imported),
        json!({
            "primary": {
                "create": true, "type": "standard", "full_name": "{{username}}",
                "account_name": "{{partialupn}}", "restrict_editing": true,
            },
            "administrator": {"short_name": "localadmin", "hidden": true, "password": "generated"},
            "managed_local_user": "localadmin",
        })
    );
    passes(&imported);
    use NoteKind::{Changed, FillIn, NoEquivalent, Unknown};
    assert_eq!(
        notes(&imported),
        [
            (Changed, "accountSettings.adminPassword"),
            (Changed, "accountSettings.localUserManaged"),
            (Changed, "accountSettings.prefillAccountUserName"),
            (NoEquivalent, "authenticationPrompt"),
            (NoEquivalent, "defaultPrestage"),
            (NoEquivalent, "deviceEnrollmentProgramInstanceId"),
            (NoEquivalent, "enableRecoveryLock"),
            (NoEquivalent, "enrollmentCustomizationId"),
            (Changed, "installProfilesDuringSetup"),
            (Changed, "mdmRemovable"),
            (NoEquivalent, "prestageInstalledProfileIds"),
            (NoEquivalent, "prestageMinimumOsTargetVersionType"),
            (NoEquivalent, "preventActivationLock"),
            (NoEquivalent, "recoveryLockPassword"),
            (NoEquivalent, "recoveryLockPasswordType"),
            (NoEquivalent, "requireAuthentication"),
            (Unknown, "skipSetupItems.newKey"),
            (Unknown, "skipSetupItems.otherKey"),
            (FillIn, "url"),
            (FillIn, "web_url"),
        ]
    );
}

/// Habit: everything that holds a secret is printed and searched.
#[test]
fn no_password_gets_into_a_note_or_a_profile() {
    let mut unknown = prestage();
    unknown["newPasswords"] = json!([{"apiSecret": "hunter2", "plain": 1}, "hunter2"]);
    let imported = jamf(table(unknown));
    let printed = format!("{imported:?} {}", serde_json::to_string(&imported).expect("serializable"));
    assert!(!printed.contains("hunter2"), "{printed}");
    assert_eq!(
        noted(&imported, "newPasswords").map(|note| &note.value),
        Some(&json!([{"apiSecret": "(hidden)", "plain": 1}, "(hidden)"]))
    );
    let note = noted(&imported, "recoveryLockPassword").expect("noted");
    assert_eq!(
        note.to_string(),
        "no equivalent: recoveryLockPassword = \"(hidden)\": recovery lock is an MDM command, \
         and no part of Apple's profile"
    );
}

#[test]
fn account_settings_of_a_prestage_that_are_off_have_no_effect() {
    let mut off = prestage();
    off["accountSettings"]["payloadConfigured"] = json!(false);
    off["installProfilesDuringSetup"] = json!(false);
    let imported = jamf(table(off));
    assert!(imported.accounts.is_none() && !imported.apple.contains_key("await_device_configured"));
    assert!(noted(&imported, "accountSettings.adminUsername").is_some());

    let with = |key: &str, value: Value| {
        let mut raw = prestage();
        raw["accountSettings"][key] = value;
        jamf(table(raw))
    };
    let no_admin = with("localAdminAccountEnabled", json!(false));
    assert!(accounts(&no_admin).get("administrator").is_none());
    assert!(noted(&no_admin, "accountSettings.adminUsername").is_some());
    passes(&no_admin);
    let skip = with("userAccountType", json!("SKIP"));
    assert_eq!(accounts(&skip)["primary"], json!({"create": false, "type": "standard"}));
    passes(&skip);
    let owner = with("prefillType", json!("DEVICE_OWNER"));
    assert_eq!(accounts(&owner)["primary"]["account_name"], "{{partialupn}}");
    assert_eq!(noted(&owner, "accountSettings.prefillType").map(|note| note.kind), Some(NoteKind::Changed));
    assert!(noted(&owner, "accountSettings.prefillAccountFullName").is_some());
    let mut nobody = prestage();
    nobody["accountSettings"]["userAccountType"] = json!("SKIP");
    nobody["accountSettings"]["localAdminAccountEnabled"] = json!(false);
    let nobody = jamf(table(nobody));
    assert_eq!(
        nobody.accounts.as_ref().and_then(AccountSettings::primary_type),
        Some(AccountType::Administrator)
    );
    passes(&nobody);
}

#[test]
fn certificates_are_taken_as_der_pem_or_base64_of_pem() {
    let pem = "-----BEGIN CERTIFICATE-----\nMAMC\nAQU=\n-----END CERTIFICATE-----\n";
    let wrapped = {
        use base64::Engine;
        base64::engine::general_purpose::STANDARD.encode(pem)
    };
    for text in ["MAMCAQU=", pem, &wrapped] {
        let imported = jamf(table(json!({"displayName": "M", "anchorCertificates": [text]})));
        assert_eq!(imported.apple["anchor_certs"], json!(["MAMCAQU="]), "{text}");
        passes(&imported);
    }
    let imported = jamf(table(json!({"displayName": "M", "anchorCertificates": [4]})));
    assert!(noted(&imported, "anchorCertificates[0]").is_some());
}

fn macos() -> Value {
    serde_json::from_str(include_str!("../../samples/intune-macos.json")).expect("JSON")
}

#[test]
fn a_macos_profile_of_intune_becomes_a_profile() {
    let imported = intune(table(macos()));
    assert_eq!(
        (imported.name.as_str(), imported.description.as_deref()),
        ("Macs", Some("Of all departments"))
    );
    assert_eq!(
        Value::from(imported.apple.clone()),
        json!({
            "profile_name": "Macs", "is_supervised": true, "department": "IT",
            "support_phone_number": "+1 555 0100", "is_mandatory": true, "is_mdm_removable": false,
            "skip_setup_items": ["Siri", "TermsOfAddress", "Biometric"], "await_device_configured": true,
        })
    );
    assert_eq!(
        accounts(&imported),
        json!({
            "primary": {
                "create": true, "type": "standard", "full_name": "{{username}}",
                "account_name": "{{partialupn}}", "restrict_editing": true,
            },
            "administrator": {
                "short_name": "admin-{{serial_number}}", "full_name": "Admin", "hidden": true,
                "password": "generated",
            },
        })
    );
    passes(&imported);
    use NoteKind::{Changed, FillIn, NoEquivalent};
    assert_eq!(
        notes(&imported),
        [
            (Changed, "adminAccountPassword"),
            (NoEquivalent, "depProfileAdminAccountPasswordRotationSetting"),
            (NoEquivalent, "isDefault"),
            (Changed, "primaryAccountUserName"),
            (FillIn, "url"),
            (FillIn, "web_url"),
            (NoEquivalent, "zoomDisabled"),
        ]
    );
}

#[test]
fn intune_writes_skip_for_not_configured() {
    let mut plain = macos();
    for (key, value) in [
        ("adminAccountUserName", json!("")),
        ("adminAccountFullName", json!("")),
        ("hideAdminAccount", json!(false)),
        ("depProfileAdminAccountPasswordRotationSetting", json!(null)),
        ("skipPrimarySetupAccountCreation", json!(true)),
        ("setPrimarySetupAccountAsRegularUser", json!(false)),
        ("primaryAccountFullName", json!("")),
        ("primaryAccountUserName", json!("")),
        ("enableRestrictEditing", json!(false)),
    ] {
        plain[key] = value;
    }
    let imported = intune(table(plain.clone()));
    assert!(imported.accounts.is_none());
    assert_eq!(
        noted(&imported, "skipPrimarySetupAccountCreation").map(|note| note.kind),
        Some(NoteKind::Changed)
    );
    plain["adminAccountUserName"] = json!("localadmin");
    let imported = intune(table(plain));
    assert_eq!(accounts(&imported)["primary"]["create"], false);
    passes(&imported);

    let mut ignored = macos();
    ignored["dontAutoPopulatePrimaryAccountInfo"] = json!(true);
    let imported = intune(table(ignored));
    assert_eq!(accounts(&imported)["primary"], json!({"create": true, "type": "standard"}));
    for path in ["primaryAccountFullName", "primaryAccountUserName", "enableRestrictEditing"] {
        assert!(noted(&imported, path).is_some(), "{path}");
    }
}

#[test]
fn an_ios_profile_of_intune_becomes_a_profile() {
    let imported = intune(table(json!({
        "@odata.type": "#microsoft.graph.depIOSEnrollmentProfile", "displayName": "iPads",
        "requiresUserAuthentication": false, "supervisedModeEnabled": false, "profileRemovalDisabled": true,
        "iTunesPairingMode": "requiresCertificate",
        "managementCertificates": [
            {"@odata.type": "microsoft.graph.managementCertificateWithThumbprint", "thumbprint": "AA", "certificate": "MAMCAQU="},
            {"thumbprint": "BB"},
        ],
        "awaitDeviceConfiguredConfirmation": true, "enableSharedIPad": true, "sharedIPadMaximumUserCount": 4,
        "restoreFromAndroidDisabled": true, "zoomDisabled": true, "expressLanguageScreenDisabled": true,
        "companyPortalVppTokenId": "00000000-0000-0000-0000-000000000000", "forceTemporarySession": false,
    })));
    assert_eq!(
        Value::from(imported.apple.clone()),
        json!({
            "profile_name": "iPads", "is_supervised": true, "is_mdm_removable": false, "allow_pairing": false,
            "supervising_host_certs": ["MAMCAQU="], "await_device_configured": true, "is_multi_user": true,
            "skip_setup_items": ["Android", "Zoom"],
        })
    );
    assert!(imported.accounts.is_none());
    passes(&imported);
    use NoteKind::{Changed, FillIn, NoEquivalent, Unknown};
    assert_eq!(
        notes(&imported),
        [
            (NoEquivalent, "expressLanguageScreenDisabled"),
            (Unknown, "managementCertificates[1]"),
            (Changed, "profileRemovalDisabled"),
            (NoEquivalent, "sharedIPadMaximumUserCount"),
            (FillIn, "url"),
        ]
    );
}

#[test]
fn a_profile_in_apples_keys_stays_as_it_is() {
    let raw = json!({
        "profile_name": "Macs", "url": "https://mdm.example.org/enroll", "org_magic": "1", "future": {"a": 1},
        "profile_uuid": "AB", "devices": ["C02EXAMPLE01"], "department": null,
    });
    let imported = apple(table(raw));
    assert_eq!(imported.name, "Macs");
    assert_eq!(
        Value::from(imported.apple.clone()),
        json!({
            "profile_name": "Macs", "url": "https://mdm.example.org/enroll", "org_magic": "1", "future": {"a": 1},
        })
    );
    use NoteKind::{Changed, NoEquivalent, Unknown};
    assert_eq!(notes(&imported), [(Changed, "department"), (NoEquivalent, "devices"), (Unknown, "future")]);
    passes(&imported);
    let odd = apple(table(json!({"profile_name": 4})));
    assert_eq!(odd.apple["profile_name"], 4);
    assert!(notes(&odd).contains(&(NoteKind::FillIn, "name")));
}

#[test]
fn accounts_beside_apples_keys_are_taken_over_without_their_password() {
    let with = |password: Value| {
        let administrator = json!({"short_name": "localadmin", "password": password});
        apple(table(json!({
            "profile_name": "P", "url": "https://m.example/", "accounts": {"administrator": administrator},
        })))
    };
    let imported = with(json!({"given": "hunter2"}));
    assert_eq!(accounts(&imported)["administrator"]["password"], "generated");
    assert_eq!(imported.document()["accounts"], accounts(&imported));
    assert_eq!(notes(&imported), [(NoteKind::Changed, "accounts.administrator.password")]);
    let wrong = with(json!({"given": ["hunter2"]}));
    assert!(wrong.accounts.is_none() && noted(&wrong, "accounts").is_some());
    let printed = format!("{imported:?} {wrong:?} {:?}", wrong.document());
    assert!(!printed.contains("hunter2"), "{printed}");
}

#[test]
fn the_source_is_told_from_the_fields() {
    assert_eq!(Source::detect(&table(prestage())), Some(Source::Jamf));
    assert_eq!(Source::detect(&table(macos())), Some(Source::Intune));
    assert_eq!(Source::detect(&table(json!({"profile_name": "x"}))), Some(Source::Apple));
    assert_eq!(Source::detect(&table(json!({"x": 1}))), None);
}

#[test]
fn one_profile_or_a_page_of_a_listing() {
    let one = import(&prestage().to_string(), None).expect("good");
    assert_eq!((one.profiles.len(), one.notes.len()), (1, 0));
    let page = json!({"totalCount": 3, "results": [prestage(), prestage()]});
    let page = import(&page.to_string(), None).expect("good");
    assert_eq!(page.profiles.len(), 2);
    assert_eq!(page.notes[0].path, "totalCount");
    let whole = json!({"totalCount": 1, "results": [prestage()]});
    assert!(import(&whole.to_string(), Some(Source::Jamf)).expect("good").notes.is_empty());
    let graph =
        json!({"@odata.context": "x", "@odata.nextLink": "https://graph.example/2", "value": [macos()]});
    let graph = import(&graph.to_string(), None).expect("good");
    assert_eq!(graph.notes[0].path, "@odata.nextLink");

    for (text, path) in [
        ("[]", ""),
        ("nope", ""),
        ("{\"x\": 1}", ""),
        ("{\"value\": [1]}", "value[0]"),
        ("{\"value\": [{}]}", "value[0]"),
    ] {
        let findings = import(text, None).expect_err("refused");
        assert_eq!(findings.len(), 1, "{findings}");
        assert_eq!(findings[0].path, path, "{text}");
        assert!(!findings[0].fix.contains("a profile is a"), "{findings}");
    }
}

/// Nothing is dropped in silence: a field that nobody knows is noted with its value, at any place.
#[test]
fn a_field_that_nobody_knows_is_noted() {
    for value in [json!(null), json!(false), json!(""), json!(7), json!({"a": [1]})] {
        for (source, pointer) in [
            (Source::Jamf, ""),
            (Source::Jamf, "/accountSettings"),
            (Source::Jamf, "/skipSetupItems"),
            (Source::Intune, ""),
        ] {
            let mut raw = if source == Source::Jamf { prestage() } else { macos() };
            raw.pointer_mut(pointer)
                .and_then(Value::as_object_mut)
                .expect("a table")
                .insert("zzz".into(), value.clone());
            let imported = source.import(table(raw));
            let path = format!("{pointer}.zzz").trim_start_matches(['/', '.']).to_owned();
            let note = noted(&imported, &path).expect("noted");
            assert_eq!((note.kind, &note.value), (NoteKind::Unknown, &value), "{path}");
        }
    }
}

/// A value of a wrong type is neither taken over nor lost: every single field of the samples is tried.
#[test]
fn a_value_of_a_wrong_type_is_noted() {
    for (source, sample, read_only) in [
        (Source::Jamf, prestage(), &["id", "profileUuid", "versionLock"][..]),
        (Source::Intune, macos(), &["id"][..]),
    ] {
        for key in table(sample.clone()).keys().filter(|key| !read_only.contains(&key.as_str())) {
            let mut raw = sample.clone();
            raw[key] = json!({"odd": 7});
            let imported = source.import(table(raw));
            let marked = imported
                .notes
                .iter()
                .any(|note| note.path.starts_with(key.as_str()) && note.value.to_string().contains('7'));
            assert!(marked, "{source}: {key}");
        }
    }
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "(\\{\\{|\\}\\}|\\$USERNAME|STANDARD|SKIP|DEVICE_OWNER|-----BEGIN CERTIFICATE-----|[a-zÄ=]{0,6})*"
            .prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[a-z]{0,4}", inner, 0..4).prop_map(|table| json!(table)),
        ]
    })
}

/// The fields of the samples, those of `accountSettings` included.
fn known_fields() -> Vec<String> {
    let samples = [table(prestage()), table(prestage()["accountSettings"].clone()), table(macos())];
    let fields: BTreeSet<String> =
        samples.into_iter().flat_map(|sample| sample.into_iter().map(|(key, _)| key)).collect();
    fields.into_iter().collect()
}

proptest! {
    /// Whatever the JSON holds, every importer ends without a panic, and a field that it does not know is noted.
    #[test]
    fn importing_never_panics_and_drops_nothing(
        fields in prop::collection::btree_map(prop::sample::select(known_fields()), any_json(), 0..12),
        accounts in prop::collection::btree_map(prop::sample::select(known_fields()), any_json(), 0..8),
        unknown in any_json(),
    ) {
        let mut raw = table(json!(fields));
        raw.insert("accountSettings".into(), json!(accounts));
        raw.insert("zzz".into(), unknown.clone());
        for source in [Source::Jamf, Source::Intune, Source::Apple] {
            let imported = source.import(raw.clone());
            prop_assert!(noted(&imported, "zzz").is_some());
            prop_assert!(imported.notes.iter().all(|note| !note.reason.is_empty()));
            let _ = crate::write(&imported.document(), Format::Yaml);
            let _ = imported.accounts.map(|accounts| accounts.findings(&WEB));
        }
        let _ = import(&Value::from(raw).to_string(), None);
    }

    /// Text that is no JSON, or other JSON, is refused without a panic.
    #[test]
    fn reading_any_text_never_panics(text in "(\\PC|[\\[\\]{}\",:0-9]){0,60}", value in any_json()) {
        let _ = import(&text, None);
        let _ = import(&json!({"value": [value]}).to_string(), Some(Source::Jamf));
    }
}

/// The document of a sample, with the URL that has to be filled in.
fn written(imported: &Imported) -> crate::CheckedDocument {
    let mut document = imported.document();
    document.insert("url".into(), "https://mdm.example.org/enroll".into());
    let editor = jsonschema::validator_for(&crate::schema()).expect("a JSON Schema");
    assert!(editor.is_valid(&document.clone().into()), "{document:?}");
    let text = crate::write(&document, Format::Toml).expect("it can be written");
    let outside = crate::Outside::without_files(chrono::DateTime::UNIX_EPOCH);
    crate::read_document(&text, Format::Toml, &outside).expect("a good file")
}

#[test]
fn what_is_imported_is_a_file_in_our_form() {
    let imported = jamf(table(prestage()));
    let mut document = imported.document();
    assert_eq!(document.remove("accounts"), Some(accounts(&imported)));
    assert_eq!(
        Value::from(document),
        json!({
            "name": "Macs of IT", "platforms": ["macOS"], "user_affinity": "web", "mandatory": true, "locked": true,
            "supervised": true, "support_phone_number": "+1 555 0100", "support_email_address": "it@example.org",
            "department": "IT", "panes": {"skip": ["Siri", "FileVault"]}, "language": "en", "region": "US",
            "auto_advance": false, "await_device_configured": true,
        })
    );
    let checked = written(&imported);
    assert_eq!(checked.document.form(), crate::Form::Ours);
    assert!(checked.warnings.is_empty(), "{}", checked.warnings);
    let checked = written(&intune(table(macos())));
    assert_eq!(checked.document.description(), Some("Of all departments"));
    assert_eq!(checked.document.sign_in(), SignIn::Web);

    let mut legacy = prestage();
    legacy["enrollmentCustomizationId"] = json!("0");
    let legacy = jamf(table(legacy));
    assert_eq!(legacy.document()["user_affinity"], "legacy");
    assert_eq!(noted(&legacy, "requireAuthentication").map(|note| note.kind), Some(NoteKind::Changed));
    written(&legacy);
}

#[test]
fn apples_keys_mean_the_same_in_our_form() {
    let raw = json!({
        "profile_name": "Macs", "url": "https://mdm.example.org/enroll", "is_mdm_removable": true,
        "configuration_web_url": "https://mdm.example.org/enroll", "future": {"a": 1},
    });
    let imported = apple(table(raw.clone()));
    let checked = written(&imported);
    assert_eq!(checked.document.document()["user_affinity"], "web");
    assert_eq!(checked.document.document()["extra"], json!({"future": {"a": 1}}));
    let mut expected = table(raw);
    // What Apple takes for "no" when it is left out is said.
    expected.extend(table(json!({"is_supervised": false, "await_device_configured": false})));
    assert_eq!(*checked.document.apple(), expected);
    // What our form cannot say stays as it is, so that checking it tells what is wrong.
    let odd =
        apple(table(json!({"profile_name": "P", "url": "https://m.example/", "is_mdm_removable": "no"})));
    assert_eq!(odd.document()["is_mdm_removable"], "no");
    let odd = apple(table(json!({"profile_name": "P", "url": "https://m.example/", "locked": 1})));
    assert_eq!(odd.document()["profile_name"], "P");
}
