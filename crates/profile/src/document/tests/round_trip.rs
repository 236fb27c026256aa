//! Whatever the format: what is written is read again as the same.

use proptest::prelude::*;

use super::*;

/// Texts with all that formats make special.
fn any_text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[ -~äöß€😀]{1,20}",
        "(yes|no|on|off|true|null|~|1e3|0x1f|010|1_000|2026-01-01|12:30|- a|a: b|#x|'|\"|\\\\|\\|\\||>|@a|`|%){1,2}",
        "[a-z]{1,5}\n[a-z \t]{0,5}\n?",
    ]
    .prop_filter("blank texts have a finding", |text| !text.trim().is_empty())
}

fn any_extra() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (-1e6..1e6_f64).prop_map(Value::from),
        any_text().prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[a-z .\"#]{1,6}", inner, 0..4).prop_map(|table| json!(table)),
        ]
    })
}

fn any_panes() -> impl Strategy<Value = Value> {
    let keys = || {
        prop::collection::btree_set(prop::sample::select(vec!["Siri", "TOS", "FileVault", "Location"]), 0..4)
    };
    prop_oneof![
        keys().prop_map(|skip| json!({"skip": skip})),
        keys().prop_map(|show| json!({"skip_all_except": show})),
        keys().prop_map(|show| json!({"skip": ["Appearance"], "show": show})),
    ]
}

fn any_accounts() -> impl Strategy<Value = Value> {
    let password = prop_oneof![
        Just(json!("generated")),
        Just(json!("stored")),
        "[ -~]{1,20}"
            .prop_filter("not blank", |text| !text.trim().is_empty())
            .prop_map(|text| json!({"given": text})),
    ];
    (any::<bool>(), "[a-z][a-z0-9]{0,8}x", password).prop_map(|(create, name, password)| {
        json!({
            "primary": {"create": create, "type": "standard"},
            "administrator": {"short_name": name, "password": password},
        })
    })
}

/// A document of ours that passes; which keys it has is left to chance.
fn any_document() -> impl Strategy<Value = Value> {
    let texts = prop::collection::btree_map(
        prop::sample::select(vec!["description", "department", "org_magic", "support_phone_number"]),
        any_text(),
        0..4,
    );
    let flags = prop::collection::btree_map(
        prop::sample::select(vec![
            "await_device_configured",
            "mandatory",
            "locked",
            "multi_user",
            "auto_advance",
            "allow_pairing",
            "return_to_service",
            "do_not_use_profile_from_backup",
        ]),
        any::<bool>(),
        0..8,
    );
    let affinity = prop_oneof![
        Just(json!({})),
        Just(json!({"user_affinity": "legacy"})),
        Just(json!({"user_affinity": "web", "web_url": "https://login.example.org/?a=b#c"})),
        Just(json!({"user_affinity": "web", "region": "NO", "language": "no"})),
    ];
    let parts = (
        prop::option::of(any_panes()),
        prop::option::of(any_accounts()),
        prop::option::of(prop::collection::btree_map("x_[a-z]{0,6}", any_extra(), 0..3)),
        prop::option::of(prop::sample::subsequence(vec!["macOS 26.1", "iPadOS", "tvOS 18.0"], 1..3)),
    );
    (any_text(), texts, flags, affinity, parts).prop_map(
        |(name, texts, flags, affinity, (panes, accounts, extra, platforms))| {
            let mut document = table(json!({"name": name, "url": "https://mdm.example.org/enroll"}));
            document.extend(table(json!(texts)));
            document.extend(table(json!(flags)));
            document.extend(table(affinity));
            document.insert("platforms".into(), json!(platforms.unwrap_or_else(|| vec!["macOS 26.1"])));
            for (key, part) in
                [("panes", panes), ("accounts", accounts), ("extra", extra.map(|extra| json!(extra)))]
            {
                document.extend(part.map(|part| (key.to_owned(), part)));
            }
            document.into()
        },
    )
}

fn read_back(document: &ProfileDocument, format: Format) -> ProfileDocument {
    let text = document.write(format).expect("it can be written");
    match read_document(&text, format, &Outside::without_files(now())) {
        Ok(checked) => checked.document,
        Err(findings) => panic!("{format}: {findings}\n{text}"),
    }
}

proptest! {
    #[test]
    fn our_form_reads_back_the_same_in_every_format(raw in any_document()) {
        let document = check(raw).expect("it passes").document;
        for format in [Format::Json, Format::Toml, Format::Yaml] {
            let again = read_back(&document, format);
            prop_assert_eq!(again.document(), document.document());
            prop_assert_eq!(again.apple(), document.apple());
            prop_assert_eq!(again.content_hash(), document.content_hash());
            prop_assert_eq!(again.form(), Form::Ours);
        }
    }

    #[test]
    fn apples_form_stays_apples_form(
        name in any_text(),
        flags in prop::collection::btree_map(prop::sample::select(vec!["is_mandatory", "await_device_configured"]), any::<bool>(), 0..3),
        unknown in prop::collection::btree_map("x_[a-z]{0,6}", any_extra(), 0..3),
        skip in prop::collection::vec("[A-Za-z]{1,8}", 0..4),
        accounts in prop::option::of(any_accounts()),
    ) {
        let mut raw = table(json!({"profile_name": name, "url": "https://m.example/", "skip_setup_items": skip}));
        raw.extend(table(json!(flags)));
        raw.extend(table(json!(unknown)));
        let without_accounts = raw.clone();
        raw.extend(accounts.clone().map(|accounts| ("accounts".to_owned(), accounts)));
        let document = check(raw.into()).expect("it passes").document;
        if accounts.is_none() {
            prop_assert_eq!(document.document(), &without_accounts);
            prop_assert_eq!(document.apple(), &without_accounts);
        }
        for format in [Format::Json, Format::Toml, Format::Yaml] {
            let again = read_back(&document, format);
            prop_assert_eq!(again.document(), document.document());
            prop_assert_eq!(again.content_hash(), document.content_hash());
            prop_assert_eq!(again.form(), Form::Apple);
        }
    }
}

/// Any value under any key of our form, and tables with its keys.
fn anything() -> impl Strategy<Value = Value> {
    let keys = prop::sample::select(vec![
        "skip",
        "show",
        "skip_all_except",
        "file",
        "primary",
        "administrator",
        "short_name",
        "password",
        "given",
        "is_supervised",
        "x",
    ]);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "(macOS|iOS 26\\.[0-9]|web|legacy|none|Siri|Sirri|MAA=|https?://[a-z:/@%]{0,9}|-----BEGIN CERTIFICATE-----|[a-zä{}]{0,5})"
            .prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(keys.clone(), inner, 0..4).prop_map(|table| json!(table)),
        ]
    })
}

proptest! {
    /// Whatever a file holds, checking ends without a panic, and what passes once passes again as the same.
    #[test]
    fn checking_never_panics_and_is_stable(
        keys in prop::collection::btree_map(
            prop::sample::select(crate::form::KEYS.iter().map(|key| key.name).collect::<Vec<_>>()),
            anything(),
            0..6,
        ),
    ) {
        if let Ok(checked) = check(with(json!(keys))) {
            let again = check(checked.document.document().clone().into()).expect("passes again");
            prop_assert_eq!(again.document.document(), checked.document.document());
            prop_assert_eq!(again.document.apple(), checked.document.apple());
        }
    }
}

#[test]
fn a_written_file_is_pleasant_to_read() {
    let document = good(json!({
        "extra": {"future": 1}, "accounts": {"administrator": {"short_name": "localadmin", "password": "generated"}},
        "panes": {"skip": ["Siri"]}, "locked": true, "platforms": ["macOS 26.1"], "description": "All Macs",
    }));
    assert_eq!(
        document.write(Format::Toml).expect("written"),
        "name = \"Macs\"\n\
         description = \"All Macs\"\n\
         platforms = [\"macOS 26.1\"]\n\
         url = \"https://mdm.example.org/enroll\"\n\
         locked = true\n\
         \n\
         [panes]\n\
         skip = [\"Siri\"]\n\
         \n\
         [accounts.administrator]\n\
         short_name = \"localadmin\"\n\
         hidden = false\n\
         password = \"generated\"\n\
         \n\
         [extra]\n\
         future = 1\n"
    );
    let nothing = good(json!({"extra": {"a": {"b": null}}}));
    assert!(nothing.write(Format::Json).is_ok());
    let error = nothing.write(Format::Toml).expect_err("TOML has no null").to_string();
    assert!(error.contains("TOML") && error.contains("choose another format"), "{error}");
}
