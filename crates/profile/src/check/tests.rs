use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::{EnrollmentProfile, Finding, Rule, Severity};

/// A DER sequence, which is all that is looked at.
fn der() -> String {
    STANDARD.encode([0x30, 3, 2, 1, 5])
}

/// A good profile with these keys set on top; a key set to `"<unset>"` is taken out.
fn profile(keys: Value) -> Value {
    let mut profile = json!({"profile_name": "Macs", "url": "https://mdm.example.org/enroll"});
    let (Value::Object(base), Value::Object(keys)) = (&mut profile, keys) else { panic!("tables") };
    for (key, value) in keys {
        if value == "<unset>" {
            base.remove(&key);
        } else {
            base.insert(key, value);
        }
    }
    // The order of findings follows that of the keys, whichever map `serde_json` was built with.
    base.sort_keys();
    profile
}

/// All findings about a profile, whether it was refused or not.
fn findings(profile: Value) -> Vec<Finding> {
    let Value::Object(raw) = profile else { panic!("a table") };
    let findings = match EnrollmentProfile::check(raw) {
        Ok(checked) => {
            assert!(!checked.warnings.has_errors());
            checked.warnings
        }
        Err(findings) => {
            assert!(findings.has_errors());
            findings
        }
    };
    findings.into_iter().collect()
}

/// The findings as `(severity, path, rule)` for the good profile with these keys.
fn found(keys: Value) -> Vec<(Severity, String, Rule)> {
    findings(profile(keys)).into_iter().map(|f| (f.severity, f.path, f.rule)).collect()
}

fn error(path: &str, rule: Rule) -> Vec<(Severity, String, Rule)> {
    vec![(Severity::Error, path.to_owned(), rule)]
}

fn warning(path: &str, rule: Rule) -> Vec<(Severity, String, Rule)> {
    vec![(Severity::Warning, path.to_owned(), rule)]
}

#[test]
fn a_good_profile_with_every_key_has_no_findings() {
    let all = json!({
        "allow_pairing": false, "anchor_certs": [der()], "auto_advance_setup": true,
        "await_device_configured": true, "configuration_web_url": "https://login.example.org/",
        "department": "IT", "do_not_use_profile_from_backup": true, "is_mandatory": true,
        "is_mdm_removable": false, "is_multi_user": false, "is_return_to_service": false,
        "is_supervised": true, "language": "haw", "org_magic": "m", "region": "US",
        "skip_setup_items": ["Siri", "iCloudStorage", "TOS"], "supervising_host_certs": [der()],
        "support_email_address": "it@example.org", "support_phone_number": "+1 555 0100",
    });
    assert_eq!(found(all), []);
}

#[test]
fn name_and_url_are_required() {
    let both = found(json!({"profile_name": "<unset>", "url": "<unset>"}));
    assert_eq!(both, [error("profile_name", Rule::Required), error("url", Rule::Required)].concat());
}

#[test]
fn all_findings_come_at_once_and_errors_first() {
    let all = findings(profile(json!({
        "colour": "blue", "department": "", "is_supervised": "yes", "url": "ftp://example.org/",
        "skip_setup_items": ["Siri", 4, "Siri"],
    })));
    let rules: Vec<_> = all.iter().map(|f| (f.severity, f.rule)).collect();
    assert_eq!(
        rules,
        [
            (Severity::Error, Rule::Empty),
            (Severity::Error, Rule::Type),
            (Severity::Error, Rule::Type),
            (Severity::Error, Rule::Url),
            (Severity::Warning, Rule::UnknownKey),
            (Severity::Warning, Rule::DuplicateSkipKey),
        ]
    );
}

#[test]
fn lengths_are_counted_in_characters_and_warned_of_in_bytes() {
    for (key, max) in [
        ("profile_name", 125),
        ("department", 125),
        ("support_phone_number", 50),
        ("support_email_address", 250),
        ("org_magic", 256),
    ] {
        let text = |first: &str, chars: usize| format!("{first}@{}", "x".repeat(chars - 2));
        assert_eq!(found(json!({key: text("a", max)})), [], "{key} of {max}");
        assert_eq!(found(json!({key: text("a", max + 1)})), error(key, Rule::MaxLength), "{key}");
        assert_eq!(found(json!({key: text("ä", max)})), warning(key, Rule::MaxLength), "{key} in bytes");
    }
    let url = |length: usize| format!("https://m.example/{}", "x".repeat(length - 18));
    assert_eq!(found(json!({"url": url(2000)})), []);
    assert_eq!(found(json!({"url": url(2001)})), error("url", Rule::MaxLength));
}

#[test]
fn absent_is_good_and_empty_or_null_is_not() {
    for key in ["department", "language", "configuration_web_url", "support_email_address", "url"] {
        assert_eq!(found(json!({key: ""})), error(key, Rule::Empty), "{key}");
        assert_eq!(found(json!({key: null})), error(key, Rule::Empty), "{key}");
    }
    let finding = findings(profile(json!({"org_magic": ""}))).remove(0);
    assert_eq!(finding.fix, "leave the key out");
    assert_eq!(found(json!({"is_supervised": null})), error("is_supervised", Rule::Empty));
    assert_eq!(found(json!({"department": "  "})), warning("department", Rule::Empty));
}

#[test]
fn every_key_has_its_type_and_the_fix_fits() {
    for (key, value, fix) in [
        ("support_phone_number", json!(5550100), "put the value in quotes"),
        ("is_supervised", json!("true"), "write true or false, without quotes"),
        ("skip_setup_items", json!("Siri"), "put the text in [ ]"),
        ("anchor_certs", json!({}), "write a list of texts in [ ]"),
        ("region", json!(false), "put the value in quotes"),
        ("url", json!(["https://m.example/"]), "write one text in quotes"),
    ] {
        assert_eq!(found(json!({key: value})), error(key, Rule::Type), "{key}");
        assert_eq!(findings(profile(json!({key: value})))[0].fix, fix, "{key}");
    }
}

#[test]
fn urls_must_be_whole_and_encoded() {
    for bad in [
        "mdm.example.org/enroll",
        "https:///enroll",
        "https:/mdm.example.org",
        "https://",
        "https://mdm.example.org/a b",
        " https://mdm.example.org/",
        "ftp://mdm.example.org/",
        "https://mdm.example.org:99999/",
        "javascript:alert(1)",
    ] {
        assert_eq!(found(json!({"url": bad})), error("url", Rule::Url), "{bad}");
    }
    let finding = findings(profile(json!({"url": "https://mdm.example.org/ä"}))).remove(0);
    assert_eq!((finding.severity, finding.rule), (Severity::Warning, Rule::Url));
    assert_eq!(finding.fix, "write it as https://mdm.example.org/%C3%A4");
}

#[test]
fn plain_http_is_for_this_machine_only() {
    assert_eq!(found(json!({"url": "http://mdm.example.org/"})), warning("url", Rule::Https));
    for here in ["http://127.0.0.1:8080/enroll", "http://localhost/", "http://[::1]:9000/"] {
        assert_eq!(found(json!({"url": here})), [], "{here}");
    }
    let web = json!({"configuration_web_url": "http://localhost/"});
    assert_eq!(found(web), error("configuration_web_url", Rule::Https));
}

#[test]
fn an_address_has_an_at_sign() {
    assert_eq!(
        found(json!({"support_email_address": "help desk"})),
        warning("support_email_address", Rule::Email)
    );
}

#[test]
fn language_and_region_are_iso_codes() {
    for bad in ["EN", "en-US", "english", "e", "e1"] {
        assert_eq!(found(json!({"language": bad})), error("language", Rule::LocaleForm), "{bad}");
    }
    for bad in ["us", "USA", "U", "1A"] {
        assert_eq!(found(json!({"region": bad})), error("region", Rule::LocaleForm), "{bad}");
    }
    assert_eq!(
        found(json!({"auto_advance_setup": true, "language": "en"})),
        warning("region", Rule::AutoAdvanceLocale)
    );
    assert_eq!(found(json!({"auto_advance_setup": true})).len(), 2);
}

/// L27: the combination that Apple refuses with `FLAGS_INVALID` never reaches it.
#[test]
fn a_lock_needs_supervision() {
    let lock = error("is_mdm_removable", Rule::LockNeedsSupervision);
    assert_eq!(found(json!({"is_mdm_removable": false})), lock);
    assert_eq!(found(json!({"is_mdm_removable": false, "is_supervised": false})), lock);
    assert_eq!(found(json!({"is_mdm_removable": false, "is_supervised": true})), []);
    assert_eq!(found(json!({"is_mdm_removable": true})), []);
    // A flag of a wrong type is one finding, not two.
    let typo = json!({"is_mdm_removable": false, "is_supervised": "true"});
    assert_eq!(found(typo), error("is_supervised", Rule::Type));
}

#[test]
fn awaiting_and_host_certificates_need_supervision_too() {
    assert_eq!(
        found(json!({"await_device_configured": true})),
        warning("await_device_configured", Rule::AwaitNeedsSupervision)
    );
    assert_eq!(
        found(json!({"supervising_host_certs": [der()]})),
        warning("supervising_host_certs", Rule::HostCertsNeedSupervision)
    );
    assert_eq!(found(json!({"supervising_host_certs": []})), []);
}

#[test]
fn certificates_are_base64_of_der() {
    for bad in
        ["-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----", "not base64!", "", "MIIB", "AAAA"]
    {
        let list = json!({"anchor_certs": [der(), bad]});
        assert_eq!(found(list), error("anchor_certs[1]", Rule::Certificate), "{bad}");
    }
}

#[test]
fn skip_keys_are_looked_at_and_never_refused() {
    for (word, rule) in [
        ("appleid", Rule::UnknownSkipKey),
        ("FutureThing", Rule::UnknownSkipKey),
        ("AgeAssurance", Rule::RetiredSkipKey),
        ("Registration", Rule::RetiredSkipKey),
        ("Wallpaper", Rule::RetiredSkipKey),
        ("Zoom", Rule::RetiredSkipKey),
        ("Accessibility", Rule::HidesAccessibility),
    ] {
        assert_eq!(
            found(json!({"skip_setup_items": ["TOS", word]})),
            warning("skip_setup_items[1]", rule),
            "{word}"
        );
    }
    let told = |word: &str| {
        let finding = findings(profile(json!({"skip_setup_items": [word]}))).remove(0);
        format!("{}; {}", finding.message, finding.fix)
    };
    assert!(told("appleid").contains("write `AppleID`"), "{}", told("appleid"));
    assert_eq!(
        told("DisplayTone"),
        "DisplayTone was deprecated in iOS 15.0 and deprecated in macOS 12.0; \
         keep it only if devices with iOS before 15.0 or macOS before 12.0 use this profile"
    );
    assert!(told("Zoom").contains("or other systems"), "{}", told("Zoom"));
}

/// L31: a key that Adelie does not know passes through, and the writer hears of it.
#[test]
fn unknown_keys_pass_with_a_warning_and_a_guess() {
    let Value::Object(raw) = profile(json!({"is_supervized": true, "future": {"a": null}})) else { panic!() };
    let checked = EnrollmentProfile::check(raw.clone()).expect("passes");
    assert_eq!(*checked.profile.apple_json(), raw);
    let fixes: Vec<_> = checked.warnings.iter().map(|f| (f.path.as_str(), f.fix.as_str())).collect();
    assert_eq!(fixes[1].0, "is_supervized");
    assert!(fixes[1].1.contains("`is_supervised`"), "{fixes:?}");
    assert!(!fixes[0].1.contains('`'), "{fixes:?}");
}

#[test]
fn devices_and_uuid_of_a_profile_read_back_are_left_out() {
    let Value::Object(raw) = profile(json!({"devices": ["C02EXAMPLE01"], "profile_uuid": "AB"})) else {
        panic!()
    };
    let checked = EnrollmentProfile::check(raw).expect("passes");
    assert_eq!(Value::from(checked.profile.apple_json().clone()), profile(json!({})));
    let paths: Vec<_> = checked.warnings.iter().map(|f| (f.path.as_str(), f.rule)).collect();
    assert_eq!(paths, [("devices", Rule::NotInFile), ("profile_uuid", Rule::NotInFile)]);
}

/// Unknown keys pass through, and this one may have passwords in it.
#[test]
fn account_settings_never_reach_apple() {
    let secret = json!({"administrator": {"short_name": "admin", "password": {"given": "hunter2 hunter2"}}});
    let Value::Object(raw) = profile(json!({"accounts": secret})) else { panic!() };
    let findings = EnrollmentProfile::check(raw).expect_err("refused");
    let errors: Vec<_> = findings.errors().map(|f| (f.path.as_str(), f.rule)).collect();
    assert_eq!(errors, [("accounts", Rule::NotInFile)]);
    assert!(!findings.to_string().contains("hunter2"), "{findings}");
}

#[test]
fn a_finding_as_json_and_as_text() {
    let finding = findings(profile(json!({"region": "us"}))).remove(0);
    let value = serde_json::to_value(&finding).expect("serializable");
    assert_eq!((&value["severity"], &value["rule"]), (&json!("error"), &json!("locale-form")));
    assert!(value.get("position").is_none());
    assert_eq!(
        finding.to_string(),
        "error: region: \"us\" is no region code: Apple may answer LOCALE_INVALID (locale-form); \
         fix: write the two capitals of ISO 3166-1, like US, GB or NO"
    );
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        ".{0,8}".prop_map(Value::from),
        "https?://[a-zä:/@%]{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(2, 12, 4, |inner| prop::collection::vec(inner, 0..4).prop_map(Value::from))
}

proptest! {
    /// Whatever a file holds, checking ends without a panic; what passes once passes again unchanged.
    #[test]
    fn checking_never_panics_and_is_stable(
        keys in prop::collection::btree_map(
            prop::sample::select(vec![
                "profile_name", "url", "configuration_web_url", "department", "language", "region", "devices",
                "is_supervised", "is_mdm_removable", "anchor_certs", "skip_setup_items", "support_email_address", "x",
            ]),
            any_json(),
            0..6,
        ),
    ) {
        let Value::Object(raw) = profile(json!(keys)) else { panic!("a table") };
        if let Ok(checked) = EnrollmentProfile::check(raw) {
            let again = EnrollmentProfile::check(checked.profile.apple_json().clone()).expect("passes again");
            prop_assert_eq!(again.profile.content_hash(), checked.profile.content_hash());
            prop_assert_eq!(again.profile, checked.profile);
        }
    }
}
