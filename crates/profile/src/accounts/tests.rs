use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::{Format, Rule, Severity, read};

const WEB: Context = Context { sign_in: SignIn::Web, awaits_configuration: true };
const NOBODY: Context = Context { sign_in: SignIn::None, awaits_configuration: true };

fn findings_in(raw: &Value, context: &Context) -> Findings {
    match AccountSettings::check(raw, context) {
        Ok(checked) => {
            assert!(!checked.warnings.has_errors());
            checked.warnings
        }
        Err(findings) => {
            assert!(findings.has_errors());
            findings
        }
    }
}

fn found_in(raw: &Value, context: &Context) -> Vec<(Severity, String, Rule)> {
    findings_in(raw, context).into_iter().map(|f| (f.severity, f.path, f.rule)).collect()
}

fn found(raw: Value) -> Vec<(Severity, String, Rule)> {
    found_in(&raw, &WEB)
}

fn error(path: &str, rule: Rule) -> Vec<(Severity, String, Rule)> {
    vec![(Severity::Error, path.to_owned(), rule)]
}

fn warning(path: &str, rule: Rule) -> Vec<(Severity, String, Rule)> {
    vec![(Severity::Warning, path.to_owned(), rule)]
}

fn full() -> Value {
    json!({
        "primary": {
            "create": true, "type": "standard", "full_name": "{{username}}",
            "account_name": "{{partialupn}}", "restrict_editing": true,
        },
        "administrator": {
            "short_name": "localadmin", "full_name": "Admin of {{serial_number}}", "hidden": true,
            "password": "generated",
        },
        "managed_local_user": "{{partialupn}}",
    })
}

/// The full settings with one value at a place of its own.
fn with(pointer: &str, value: Value) -> Value {
    let mut raw = full();
    let (parent, key) = pointer.rsplit_once('/').expect("a pointer");
    let parent = raw.pointer_mut(parent).and_then(Value::as_object_mut).expect("a table");
    if value == "<unset>" {
        parent.remove(key);
    } else {
        parent.insert(key.to_owned(), value);
    }
    raw
}

#[test]
fn good_settings_have_no_findings_and_read_again_as_they_were() {
    assert_eq!(found(full()), []);
    let accounts = AccountSettings::check(&full(), &WEB).expect("good").accounts;
    assert_eq!(Value::from(accounts.to_table()), full());
    assert_eq!(accounts.primary_type(), Some(AccountType::Standard));
    let again: AccountSettings = serde_json::from_value(full()).expect("stored");
    assert_eq!(again.to_table(), accounts.to_table());
    let used: Vec<_> = accounts.variables().map(|(path, variable)| format!("{path} {variable}")).collect();
    assert_eq!(used.len(), 4, "{used:?}");
    assert_eq!(used[2], "accounts.administrator.full_name {{serial_number}}");
}

#[test]
fn nothing_set_is_nothing_to_say() {
    let empty = AccountSettings::check(&json!({}), &Context { awaits_configuration: false, ..NOBODY });
    let empty = empty.expect("good");
    assert!(empty.warnings.is_empty() && empty.accounts.is_empty() && !empty.accounts.needs_await());
    assert_eq!(empty.accounts.primary_type(), Some(AccountType::Administrator));
    let mut apple = Map::new();
    assert!(!empty.accounts.switch_await_on(&mut apple) && apple.is_empty());
}

#[test]
fn any_setting_switches_await_on_and_says_so() {
    let asleep = Context { awaits_configuration: false, ..WEB };
    for setting in [
        json!({"primary": {"type": "administrator"}}),
        json!({"administrator": {"short_name": "localadmin", "password": "generated"}}),
    ] {
        assert_eq!(found_in(&setting, &asleep), warning("accounts", Rule::AccountsAwait), "{setting}");
        let accounts = AccountSettings::check(&setting, &asleep).expect("good").accounts;
        let mut apple = Map::from_iter([("await_device_configured".to_owned(), json!(false))]);
        assert!(accounts.switch_await_on(&mut apple));
        assert_eq!(Value::from(apple.clone()), json!({"await_device_configured": true}));
        assert!(!accounts.switch_await_on(&mut apple), "it is on already");
    }
}

/// P5: names are filled in for a user who has signed in.
#[test]
fn prefill_needs_a_user_and_a_way_to_sign_in() {
    let needs = |path: &str| (Severity::Error, path.to_owned(), Rule::PrefillNeedsUser);
    assert_eq!(
        found_in(&full(), &NOBODY),
        [needs(PRIMARY_FULL_NAME), needs(PRIMARY_ACCOUNT_NAME), needs(MANAGED_LOCAL_USER)]
    );
    assert_eq!(found_in(&full(), &Context { sign_in: SignIn::Legacy, ..WEB }), []);
    let device = json!({"primary": {"type": "administrator", "account_name": "mac-{{serial_number}}"}});
    assert_eq!(found_in(&device, &NOBODY), warning(PRIMARY_ACCOUNT_NAME, Rule::PrefillNeedsUser));
    let admin = json!({"administrator": {"short_name": "a{{partialupn}}", "password": "generated"}});
    assert_eq!(found_in(&admin, &NOBODY), error(ADMIN_SHORT_NAME, Rule::PrefillNeedsUser));
    assert_eq!(found_in(&admin, &WEB), []);
}

#[test]
fn the_context_comes_from_the_profile() {
    let profile = |keys: &str| {
        let text = format!("profile_name: P\nurl: https://m.example/\n{keys}");
        Context::of(&read(&text, Format::Yaml).expect("good").profile)
    };
    assert_eq!(profile(""), Context { sign_in: SignIn::None, awaits_configuration: false });
    let web =
        "configuration_web_url: https://w.example/\nawait_device_configured: true\nis_supervised: true\n";
    assert_eq!(profile(web), WEB);
}

#[test]
fn a_skipped_account_needs_an_administrator() {
    let skipped = json!({"primary": {"create": false}});
    assert_eq!(found(skipped), error("accounts.primary.create", Rule::SkipNeedsAdministrator));
    let both = json!({
        "primary": {"create": false},
        "administrator": {"short_name": "localadmin", "password": "generated"},
    });
    assert_eq!(found(both.clone()), []);
    let accounts = AccountSettings::check(&both, &WEB).expect("good").accounts;
    assert_eq!(accounts.primary_type(), None);
    let named = with("/primary/create", json!(false));
    let told = found(named);
    assert!(told.contains(&warning(PRIMARY_FULL_NAME, Rule::NoEffect)[0]), "{told:?}");
    assert!(told.contains(&warning(PRIMARY_ACCOUNT_NAME, Rule::NoEffect)[0]), "{told:?}");
}

#[test]
fn a_standard_account_without_an_administrator_becomes_one() {
    let alone = json!({"primary": {"type": "standard"}});
    assert_eq!(found(alone.clone()), warning("accounts.primary.type", Rule::PrimaryBecomesAdministrator));
    let accounts = AccountSettings::check(&alone, &WEB).expect("good").accounts;
    assert_eq!(accounts.primary_type(), Some(AccountType::Administrator));
    assert_eq!(found(json!({"primary": {"type": "administrator"}})), []);
}

#[test]
fn short_names_must_be_account_names() {
    for (name, expected) in [
        ("Admin", error(ADMIN_SHORT_NAME, Rule::AccountName)),
        ("local admin", error(ADMIN_SHORT_NAME, Rule::AccountName)),
        ("1admin", error(ADMIN_SHORT_NAME, Rule::AccountName)),
        ("-admin", error(ADMIN_SHORT_NAME, Rule::AccountName)),
        ("root", error(ADMIN_SHORT_NAME, Rule::ReservedAccountName)),
        ("nobody", error(ADMIN_SHORT_NAME, Rule::ReservedAccountName)),
        ("_admin", warning(ADMIN_SHORT_NAME, Rule::ReservedAccountName)),
        ("admin", vec![]),
        ("a-{{serial_number}}", vec![]),
        ("{{serial_number}}", vec![]),
        ("A{{serial_number}}", error(ADMIN_SHORT_NAME, Rule::AccountName)),
        ("{{serial_number}} x", error(ADMIN_SHORT_NAME, Rule::AccountName)),
        (" ", error(ADMIN_SHORT_NAME, Rule::Empty)),
    ] {
        assert_eq!(found(with("/administrator/short_name", json!(name))), expected, "{name}");
    }
    let long = |bytes: usize| found(with("/administrator/short_name", json!("x".repeat(bytes))));
    assert_eq!(long(31), []);
    assert_eq!(long(32), warning(ADMIN_SHORT_NAME, Rule::AccountName));
    assert_eq!(long(256), error(ADMIN_SHORT_NAME, Rule::AccountName));
    let control = with("/primary/full_name", json!("a\nb"));
    assert_eq!(found(control), error(PRIMARY_FULL_NAME, Rule::AccountName));
    let same = json!({
        "primary": {"account_name": "robin"},
        "administrator": {"short_name": "robin", "password": "generated"},
    });
    assert_eq!(found(same), error(PRIMARY_ACCOUNT_NAME, Rule::SameAccountName));
}

#[test]
fn unknown_variables_name_the_nearest() {
    let raw = with("/primary/account_name", json!("{{partialup}}{{serialNumber}}{{x}}"));
    let findings = findings_in(&raw, &WEB);
    let told: Vec<_> =
        findings.errors().map(|f| (f.path.as_str(), f.rule, f.message.as_str(), f.fix.as_str())).collect();
    let here = PRIMARY_ACCOUNT_NAME;
    let rule = Rule::UnknownVariable;
    assert_eq!(
        told,
        [
            (here, rule, "there is no variable {{partialup}}", "write `{{partialupn}}` if that was meant"),
            (
                here,
                rule,
                "there is no variable {{serialNumber}}",
                "write `{{serial_number}}` if that was meant"
            ),
            (
                here,
                rule,
                "there is no variable {{x}}",
                "write one of `{{partialupn}}`, `{{username}}`, `{{serial_number}}`, `{{device_name}}`"
            ),
        ]
    );
}

#[test]
fn all_mistakes_are_reported_at_once_with_their_paths() {
    let raw = json!({
        "primary": {"type": "guest", "creat": true, "restrict_editing": "yes", "full_name": 4},
        "administrator": {"short_name": "Root", "hidden": null},
        "managed_local_user": "",
        "colour": "blue",
    });
    let findings = findings_in(&raw, &WEB);
    let mut told: Vec<_> = findings.errors().map(|f| format!("{} {}", f.path, f.rule)).collect();
    told.sort_unstable();
    assert_eq!(
        told,
        [
            "accounts.administrator.hidden empty",
            "accounts.administrator.password required",
            "accounts.administrator.short_name account-name",
            "accounts.colour unknown-key",
            "accounts.managed_local_user empty",
            "accounts.primary.creat unknown-key",
            "accounts.primary.full_name type",
            "accounts.primary.restrict_editing type",
            "accounts.primary.type type",
        ]
    );
    let creat = findings.iter().find(|f| f.path.ends_with("creat")).expect("there");
    assert_eq!(creat.fix, "write `create` if that was meant");
    for (wrong, path) in
        [(json!([]), "accounts"), (json!({"primary": 1}), "accounts.primary"), (json!(null), "accounts")]
    {
        assert_eq!(found(wrong), error(path, Rule::Type));
    }
}

#[test]
fn a_managed_local_user_is_one_of_the_accounts() {
    let admin = with("/managed_local_user", json!("localadmin"));
    assert_eq!(found(admin), []);
    let stranger = with("/managed_local_user", json!("stranger"));
    assert_eq!(found(stranger), warning(MANAGED_LOCAL_USER, Rule::ManagedLocalUser));
    let free = with("/primary/restrict_editing", json!(false));
    assert_eq!(found(free), warning(MANAGED_LOCAL_USER, Rule::ManagedLocalUser));
    assert_eq!(
        found(json!({"primary": {"type": "administrator", "restrict_editing": true}})),
        warning("accounts.primary.restrict_editing", Rule::NoEffect)
    );
}

fn hashed() -> Value {
    let hash = PasswordHash::derive(&"x".into(), [1; SALT_BYTES], DEFAULT_ITERATIONS.min(FEW));
    let accounts = AccountSettings {
        administrator: Some(Administrator {
            short_name: Template::literal("localadmin"),
            full_name: None,
            hidden: false,
            password: AdministratorPassword::Hashed(hash),
        }),
        ..AccountSettings::default()
    };
    accounts.to_table()["administrator"]["password"].clone()
}

const FEW: std::num::NonZeroU32 = std::num::NonZeroU32::MIN;

#[test]
fn a_password_is_given_hashed_or_generated() {
    let given = with("/administrator/password", json!({"given": "correct horse battery"}));
    assert_eq!(found(given.clone()), warning(ADMIN_PASSWORD, Rule::AdministratorPassword));
    let accounts = AccountSettings::check(&given, &WEB).expect("good").accounts;
    assert_eq!(Value::from(accounts.to_table()), given);

    let few = warning("accounts.administrator.password.hashed.iterations", Rule::AdministratorPassword);
    let raw = with("/administrator/password", hashed());
    assert_eq!(found(raw.clone()), few);
    let accounts = AccountSettings::check(&raw, &WEB).expect("good").accounts;
    assert_eq!(Value::from(accounts.to_table()), raw);

    let mut short = hashed();
    short["hashed"]["entropy"] = json!("AAAA");
    short["hashed"]["iterations"] = json!(0);
    let told = found(with("/administrator/password", short));
    assert_eq!(told.len(), 2, "{told:?}");
    for wrong in
        [json!({}), json!({"given": "a", "hashed": {}}), json!("Generated"), json!(1), json!({"x": 1})]
    {
        let raw = with("/administrator/password", wrong);
        assert_eq!(found(raw), error(ADMIN_PASSWORD, Rule::Type));
    }
    for bad in ["", "  "] {
        let raw = with("/administrator/password", json!({"given": bad}));
        assert_eq!(found(raw), error(ADMIN_PASSWORD, Rule::AdministratorPassword));
    }
    let typed = findings_in(&with("/administrator/password", json!({"given": "a\tb"})), &WEB);
    assert_eq!(typed.errors().count(), 1);
}

/// Habit: everything that holds a secret is printed and searched.
#[test]
fn no_form_but_the_table_shows_a_password() {
    const SECRET: &str = "correct-horse-battery";
    let mut entropy = hashed();
    let entropy = entropy["hashed"]["entropy"].take();
    let entropy = entropy.as_str().expect("base64");
    for (password, secret) in [(json!({"given": SECRET}), SECRET), (hashed(), entropy)] {
        let raw = with("/administrator/password", password);
        let checked = AccountSettings::check(&raw, &WEB).expect("good");
        let shown = serde_json::to_value(&checked.accounts).expect("serializable");
        let printed = format!("{checked:?} {shown}");
        assert!(!printed.contains(secret), "{printed}");
        assert_eq!(shown["administrator"]["password"], "stored");
        // What was hidden is not read again as if it were a password: it asks for the one that is stored.
        let again = AccountSettings::from_stored(&shown).expect("settings");
        assert!(again.needs_stored_password() && !checked.accounts.needs_stored_password());
    }
    for misplaced in [
        json!(SECRET),
        json!({"given": [SECRET]}),
        json!({"hashed": SECRET}),
        json!({"hashed": {"entropy": SECRET, "salt": SECRET, "iterations": SECRET}}),
        json!({"given": SECRET, "also": SECRET}),
    ] {
        let findings = findings_in(&with("/administrator/password", misplaced), &WEB);
        let printed = format!("{findings} {findings:?}");
        assert!(findings.has_errors() && !printed.contains(SECRET), "{printed}");
    }
}

/// A rule that has become stricter must not take stored settings away.
#[test]
fn stored_settings_are_not_checked_again() {
    let raw = json!({"primary": {"create": false, "later": 1}, "administrator": {"short_name": "Root", "password": "generated"}});
    assert!(AccountSettings::check(&raw, &WEB).is_err());
    let accounts = AccountSettings::from_stored(&raw).expect("of the right form");
    assert!(accounts.findings(&WEB).has_errors());
    assert!(AccountSettings::from_stored(&json!({"primary": 1})).is_err());
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "(\\{\\{|\\}\\}|[a-zA-Z_ÄÖ]{0,6}|standard|generated)*".prop_map(Value::from),
    ];
    let keys = prop::sample::select(vec![
        "primary",
        "administrator",
        "managed_local_user",
        "create",
        "type",
        "full_name",
        "account_name",
        "restrict_editing",
        "short_name",
        "hidden",
        "password",
        "given",
        "hashed",
        "entropy",
        "salt",
        "iterations",
        "x",
    ]);
    leaf.prop_recursive(4, 24, 5, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::btree_map(keys.clone(), inner, 0..6).prop_map(|table| json!(table)),
        ]
    })
}

proptest! {
    /// Whatever a file holds, checking ends without a panic; what passes is written so that it passes again.
    #[test]
    fn checking_never_panics_and_what_passes_is_stable(raw in any_json()) {
        if let Ok(checked) = AccountSettings::check(&raw, &WEB) {
            let table = Value::from(checked.accounts.to_table());
            let again = AccountSettings::check(&table, &WEB).expect("passes again");
            prop_assert_eq!(Value::from(again.accounts.to_table()), table);
        }
        let _ = AccountSettings::from_stored(&raw);
    }
}
