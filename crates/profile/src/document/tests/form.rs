//! What Apple gets of each key, and what is refused.

use super::*;

#[test]
fn a_short_file_awaits_and_supervises() {
    assert_eq!(apple(json!({})), json!({"await_device_configured": true, "is_supervised": true}));
    assert_eq!(
        apple(json!({"await_device_configured": false, "supervised": false, "description": "Of all"})),
        json!({"await_device_configured": false, "is_supervised": false})
    );
    assert_eq!(good(json!({"description": "Of all"})).description(), Some("Of all"));
}

#[test]
fn every_key_becomes_apples() {
    let all = json!({
        "platforms": ["macOS 26.1", "ipados 26.1"], "user_affinity": "web", "web_url": "https://login.example.org/",
        "supervised": true, "locked": true, "mandatory": true, "multi_user": true, "return_to_service": true,
        "do_not_use_profile_from_backup": true, "auto_advance": true, "language": "en", "region": "US",
        "department": "IT", "support_phone_number": "+1 555 0100", "support_email_address": "it@example.org",
        "org_magic": "m", "supervising_host_certs": ["MAA="], "panes": {"skip": ["Siri"]},
        "extra": {"future_key": {"a": 1}},
    });
    assert_eq!(found(all.clone()), []);
    assert_eq!(
        apple(all.clone()),
        json!({
            "configuration_web_url": "https://login.example.org/", "is_supervised": true, "is_mdm_removable": false,
            "is_mandatory": true, "is_multi_user": true, "is_return_to_service": true,
            "do_not_use_profile_from_backup": true, "auto_advance_setup": true, "language": "en", "region": "US",
            "department": "IT", "support_phone_number": "+1 555 0100", "support_email_address": "it@example.org",
            "org_magic": "m", "supervising_host_certs": ["MAA="], "skip_setup_items": ["Siri"],
            "future_key": {"a": 1}, "await_device_configured": true,
        })
    );
    assert_eq!(good(all).document()["platforms"], json!(["macOS 26.1", "iPadOS 26.1"]));
    assert_eq!(apple(json!({"locked": false}))["is_mdm_removable"], true);
}

#[test]
fn affinity_decides_about_the_page() {
    let page = |keys: Value| apple(keys).get("configuration_web_url").cloned();
    let url = Some(json!("https://mdm.example.org/enroll"));
    let other = Some(json!("https://w.example/"));
    assert_eq!(page(json!({"user_affinity": "web"})), url);
    assert_eq!(page(json!({"user_affinity": "web", "web_url": "https://w.example/"})), other);
    assert_eq!(page(json!({"web_url": "https://w.example/"})), other);
    assert_eq!(page(json!({"user_affinity": "none"})), None);
    assert_eq!(page(json!({"user_affinity": "legacy"})), None);
    assert_eq!(good(json!({"user_affinity": "legacy"})).sign_in(), SignIn::Legacy);
    assert_eq!(good(json!({"web_url": "https://w.example/"})).sign_in(), SignIn::Web);
    assert_eq!(good(json!({})).sign_in(), SignIn::None);
    for word in ["none", "legacy"] {
        let both = json!({"user_affinity": word, "web_url": "https://w.example/"});
        assert_eq!(found(both), error("web_url", Rule::Contradiction), "{word}");
    }
    assert_eq!(found(json!({"user_affinity": "modern"})), error("user_affinity", Rule::Type));
    assert_eq!(found(json!({"web_url": "http://w.example/"})), error("web_url", Rule::Https));
    // The page of a local test server is `url`, and has to be https all the same.
    let local = json!({"user_affinity": "web", "url": "http://localhost/"});
    assert_eq!(found(local), error("url", Rule::Https));
    // One mistake is told once, though two of Apple's keys have it.
    assert_eq!(found(json!({"user_affinity": "web", "url": "nowhere"})), error("url", Rule::Url));
}

#[test]
fn findings_speak_the_words_of_the_form() {
    assert_eq!(found(json!({"name": ""})), error("name", Rule::Empty));
    assert_eq!(found(json!({"mandatory": "yes"})), error("mandatory", Rule::Type));
    let lock = findings(json!({"locked": true, "supervised": false}));
    assert_eq!((lock[0].path.as_str(), lock[0].rule), ("locked", Rule::LockNeedsSupervision));
    assert_eq!(lock[0].fix, "set `supervised` to true as well");
    let nothing = check(json!({"supervised": true})).expect_err("nothing in it");
    let paths: Vec<_> = nothing.errors().map(|finding| finding.path.as_str()).collect();
    assert_eq!(paths, ["name", "url"]);
    assert_eq!(found(json!({"department": null})), error("department", Rule::Empty));
    assert_eq!(found(json!({"url": null})), error("url", Rule::Empty));
    assert_eq!(
        found(json!({"mandatory": false, "locked": true})),
        warning("mandatory", Rule::MandatoryRemovable)
    );
    assert_eq!(
        found(json!({"mandatory": true, "locked": false})),
        warning("locked", Rule::MandatoryRemovable)
    );
}

#[test]
fn an_unknown_key_is_an_error_with_the_right_one() {
    for (key, fix) in [
        ("suppervised", "write `supervised` if that was meant"),
        ("is_supervised", "write `supervised`, as the key is called in this form"),
        ("is_supervized", "write `supervised` if that was meant"),
        ("is_mdm_removable", "write `locked`, which is its opposite"),
        ("skip_setup_items", "write `panes`, with the list as its `skip`"),
        ("configuration_web_url", "write `user_affinity = \"web\"` and the page as `web_url`"),
        ("profile_name", "take it out: `name` is what Apple gets as `profile_name`"),
        ("devices", "take it out: it is not the file's to set"),
        ("zzz", "take it out, or put it under `extra` if it is a new key of Apple's"),
    ] {
        let findings = findings(json!({key: true}));
        assert_eq!((findings[0].rule, findings[0].fix.as_str()), (Rule::UnknownKey, fix), "{key}");
        assert_eq!(findings.len(), 1, "{findings}");
    }
    assert_eq!(found(json!({"panes": {"skipp": []}})), error("panes.skipp", Rule::UnknownKey));
}

#[test]
fn extra_holds_only_what_the_form_has_not() {
    for (key, rule) in [
        ("is_supervised", Rule::UnknownKey),
        ("department", Rule::UnknownKey),
        ("locked", Rule::UnknownKey),
        ("profile_uuid", Rule::NotInFile),
    ] {
        assert_eq!(found(json!({"extra": {key: true}})), error(&format!("extra.{key}"), rule), "{key}");
    }
    let near = findings(json!({"extra": {"is_supervized": true}}));
    assert_eq!(near[0].severity, Severity::Warning);
    assert!(near[0].fix.contains("`supervised`"), "{near}");
    assert_eq!(found(json!({"extra": 1})), error("extra", Rule::Type));
    assert_eq!(found(json!({"extra": {"a": null}})), error("extra.a", Rule::Empty));
}

#[test]
fn certificates_come_from_texts_and_files() {
    let pem = "-----BEGIN CERTIFICATE-----\nMAMC\nAQU=\n-----END CERTIFICATE-----";
    let document = good(json!({"supervising_host_certs": [{"file": "two.pem"}, pem, "MAA="]}));
    let inlined = json!(["MAMCAQU=", "MAA=", "MAMCAQU=", "MAA="]);
    assert_eq!(document.apple()["supervising_host_certs"], inlined);
    assert_eq!(document.document()["supervising_host_certs"], inlined);
    for (entry, path, rule) in [
        (json!({"file": "gone.pem"}), "anchor_certs[0].file", Rule::File),
        (json!({"file": "key.pem"}), "anchor_certs[0].file", Rule::Certificate),
        (json!({"path": "two.pem"}), "anchor_certs[0]", Rule::Type),
        (json!({"file": "two.pem", "x": 1}), "anchor_certs[0]", Rule::Type),
        (json!(7), "anchor_certs[0]", Rule::Type),
        (json!("nope!"), "anchor_certs[0]", Rule::Certificate),
    ] {
        let told = found(json!({"anchor_certs": [entry.clone()]}));
        assert_eq!(told, error(path, rule), "{entry}");
    }
    assert_eq!(found(json!({"anchor_certs": {"file": "two.pem"}})), error("anchor_certs", Rule::Type));
    let api = Outside::without_files(now());
    let refused = ProfileDocument::check(table(with(json!({"anchor_certs": [{"file": "two.pem"}]}))), &api);
    assert_eq!(refused.expect_err("no files")[0].rule, Rule::File);
}

#[test]
fn platforms_are_known_and_there_once() {
    assert_eq!(found(json!({"platforms": ["iOS", "iPadOS 26", "MACOS 15.3"]})), []);
    for (list, path) in [
        (json!(["Windows"]), "platforms[0]"),
        (json!(["macOS", "macos 26"]), "platforms[1]"),
        (json!(["macOS 26.x"]), "platforms[0]"),
    ] {
        assert_eq!(found(json!({"platforms": list})), error(path, Rule::Platform), "{list}");
    }
    assert_eq!(found(json!({"platforms": "macOS"})), error("platforms", Rule::Type));
}

#[test]
fn panes_are_hidden_by_name_or_all_but_some() {
    let hidden = |keys: Value| {
        let items = apple(keys)["skip_setup_items"].clone();
        items
            .as_array()
            .expect("a list")
            .iter()
            .map(|key| key.as_str().expect("a text").to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(hidden(json!({"panes": {"skip": ["Siri", "TOS"], "show": ["FileVault"]}})), ["Siri", "TOS"]);
    let all = json!({"platforms": ["tvOS 11.0"], "panes": {"skip_all_except": ["Siri"]}});
    assert_eq!(
        hidden(all),
        [
            "AppleID",
            "Diagnostics",
            "Location",
            "ScreenSaver",
            "TapToSetup",
            "TOS",
            "TVHomeScreenSync",
            "TVProviderSignIn",
        ]
    );
    let mac = |version: &str| {
        let platforms = json!([format!("macOS {version}")]);
        hidden(json!({"platforms": platforms, "panes": {"skip_all_except": ["Accessibility"]}}))
    };
    assert!(mac("15.3").contains(&"Wallpaper".to_owned()) && !mac("26.1").contains(&"Wallpaper".to_owned()));
    let two = json!({"platforms": ["macOS", "iOS"], "panes": {"skip_all_except": ["Accessibility"]}});
    let two = hidden(two);
    assert!(two.contains(&"FileVault".to_owned()) && two.contains(&"SIMSetup".to_owned()));
}

#[test]
fn panes_that_contradict_or_do_not_exist_are_told_of() {
    let mac = |panes: Value| found(json!({"platforms": ["macOS 26.1"], "panes": panes}));
    assert_eq!(mac(json!({"skip": ["Siri"], "show": ["Siri"]})), error("panes.show[0]", Rule::Contradiction));
    let both = mac(json!({"skip": ["Siri"], "skip_all_except": ["Accessibility"]}));
    assert_eq!(both, error("panes.skip_all_except", Rule::Contradiction));
    let misspelt = mac(json!({"skip_all_except": ["Accessibility", "Sirri"]}));
    assert_eq!(misspelt, error("panes.skip_all_except[1]", Rule::UnknownSkipKey));
    assert_eq!(mac(json!({"skip": ["Sirri"]})), warning("panes.skip[0]", Rule::UnknownSkipKey));
    assert_eq!(mac(json!({"skip": ["Accessibility"]})), warning("panes.skip[0]", Rule::HidesAccessibility));
    assert_eq!(
        mac(json!({"skip_all_except": ["Siri"]})),
        warning("panes.skip_all_except", Rule::HidesAccessibility)
    );
    assert_eq!(mac(json!({"skip": ["Wallpaper"]})), warning("panes.skip[0]", Rule::RetiredSkipKey));
    assert_eq!(mac(json!({"skip": ["LiquidGlass"]})), warning("panes.skip[0]", Rule::SkipKeyNotOnPlatform));
    assert_eq!(mac(json!({"skip": ["SIMSetup"]})), warning("panes.skip[0]", Rule::SkipKeyNotOnPlatform));
    assert_eq!(mac(json!({"show": ["SIMSetup"]})), warning("panes.show[0]", Rule::SkipKeyNotOnPlatform));
    let older = json!({"platforms": ["macOS 15.3"], "panes": {"skip": ["Wallpaper"]}});
    assert_eq!(found(older), [], "that version has the pane");
    let nowhere = found(json!({"panes": {"skip_all_except": []}}));
    assert_eq!(nowhere, error("platforms", Rule::Required));
    for wrong in [json!([]), json!("all"), json!({"skip": "Siri"})] {
        assert_eq!(mac(wrong.clone())[0].2, Rule::Type, "{wrong}");
    }
}

#[test]
fn keys_that_the_platforms_pass_over_are_told_of() {
    let on = |platform: &str, keys: Value| {
        let mut keys = table(keys);
        keys.insert("platforms".into(), json!([platform]));
        found(keys.into())
    };
    let ignored = |key: &str| warning(key, Rule::IgnoredByPlatform);
    assert_eq!(on("macOS", json!({"multi_user": true})), ignored("multi_user"));
    assert_eq!(on("iPadOS", json!({"multi_user": true})), []);
    assert_eq!(on("macOS", json!({"multi_user": false})), []);
    assert_eq!(on("macOS 10.15", json!({"language": "en"})), ignored("language"));
    assert_eq!(on("macOS 11", json!({"language": "en"})), []);
    assert_eq!(on("iOS 18", json!({"return_to_service": true})), ignored("return_to_service"));
    assert_eq!(on("visionOS 26.0", json!({"return_to_service": true})), []);
    assert_eq!(on("iOS", json!({"allow_pairing": false})), ignored("allow_pairing"));
    assert_eq!(on("iOS 12.4", json!({"allow_pairing": false})), []);
    let plain = json!({"supervised": false, "await_device_configured": false});
    assert_eq!(on("iOS 18", plain.clone()), ignored("supervised"));
    assert_eq!(on("macOS", plain), []);
    assert_eq!(on("tvOS", json!({"web_url": "https://w.example/"})), ignored("web_url"));
    let admin = json!({"administrator": {"short_name": "localadmin", "password": "generated"}});
    assert_eq!(on("iOS", json!({"accounts": admin.clone()})), ignored("accounts"));
    assert_eq!(
        found(json!({"multi_user": true, "accounts": admin})),
        [],
        "nothing is said without platforms"
    );
}

#[test]
fn accounts_stand_beside_both_forms() {
    let accounts = json!({"primary": {"type": "administrator", "full_name": "{{username}}"}});
    let ours = good(json!({"user_affinity": "legacy", "accounts": accounts}));
    assert!(ours.accounts().is_some() && ours.profile().awaits_configuration());
    let asleep = json!({"user_affinity": "web", "accounts": accounts, "await_device_configured": false});
    assert_eq!(found(asleep.clone()), warning("accounts", Rule::AccountsAwait));
    assert!(good(asleep).profile().awaits_configuration(), "it is switched on");
    let nobody = found(json!({"accounts": accounts}));
    assert_eq!(nobody, error("accounts.primary.full_name", Rule::PrefillNeedsUser));

    let apples = json!({
        "profile_name": "P", "url": "https://m.example/", "configuration_web_url": "https://w.example/",
        "is_supervised": true, "accounts": accounts,
    });
    let checked = check(apples.clone()).expect("good");
    assert_eq!(checked.document.form(), Form::Apple);
    assert_eq!(checked.warnings[0].rule, Rule::AccountsAwait);
    assert!(checked.document.profile().awaits_configuration());
    assert!(!checked.document.apple().contains_key("accounts"));
    assert!(!checked.document.document().contains_key("await_device_configured"), "as it was written");
}

#[test]
fn a_finding_has_the_value_and_no_secret() {
    let findings = findings(json!({
        "region": "us", "panes": {"skip": ["Sirri"]},
        "accounts": {"administrator": {"short_name": "Root", "password": {"given": "hunter2\thunter2"}}},
    }));
    let value =
        |path: &str| findings.iter().find(|finding| finding.path == path).and_then(|f| f.value.clone());
    assert_eq!(value("region"), Some(json!("us")));
    assert_eq!(value("panes.skip[0]"), Some(json!("Sirri")));
    assert_eq!(value("accounts.administrator.short_name"), Some(json!("Root")));
    assert_eq!(value("accounts.administrator.password"), None);
    assert!(!format!("{findings:?}").contains("hunter2"), "{findings:?}");
}

#[test]
fn new_panes_of_a_system_are_not_covered() {
    use crate::skip_keys::{Platform, available, coverage};
    let version = "26.1".parse().expect("a version");
    let uncovered = |keys: Value| {
        coverage(&good(keys), Platform::MacOs, version).into_iter().map(|key| key.key).collect::<Vec<_>>()
    };
    let all = available(Platform::MacOs, version).count();
    let some = uncovered(json!({"panes": {"skip": ["Siri"], "show": ["FileVault"]}}));
    assert_eq!(some.len(), all - 2);
    assert!(!some.contains(&"Siri") && !some.contains(&"FileVault") && some.contains(&"OSShowcase"));
    let older = json!({"platforms": ["macOS 15.3"], "panes": {"skip_all_except": ["Accessibility"]}});
    assert_eq!(uncovered(older), ["OSShowcase", "SoftwareUpdate", "UpdateCompleted"]);
    let same = json!({"platforms": ["macOS 26.1"], "panes": {"skip_all_except": ["Accessibility"]}});
    assert!(uncovered(same).is_empty());
}
