use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;

use plist::Value;
use proptest::prelude::*;
use serde_json::json;
use uuid::{Uuid, uuid};

use super::*;
use crate::accounts::{AccountSettings, Context, SALT_BYTES, SignIn, Variables};

// Made by `vectors/make.py`, with Python's hashlib and checked by its plistlib.
const PASSWORD_HASH: &[u8] = include_bytes!("../../vectors/password-hash.plist");
const DEVICE_CONFIGURED: &[u8] = include_bytes!("../../vectors/device-configured.plist");
const SET_PASSWORD: &[u8] = include_bytes!("../../vectors/set-auto-admin-password.plist");
const ACCOUNTS: &[u8] = include_bytes!("../../vectors/account-configuration.plist");
const ACCOUNTS_SKIP: &[u8] = include_bytes!("../../vectors/account-configuration-skip.plist");

const UUID: Uuid = uuid!("019abc00-0000-7000-8000-000000000001");

fn hash(iterations: u32) -> PasswordHash {
    let salt: [u8; SALT_BYTES] = std::array::from_fn(|at| u8::try_from(at).expect("small"));
    PasswordHash::derive(&"correct horse".into(), salt, NonZeroU32::new(iterations).expect("not zero"))
}

fn settings(raw: serde_json::Value) -> AccountSettings {
    let context = Context { sign_in: SignIn::Web, awaits_configuration: true };
    AccountSettings::check(&raw, &context).expect("good settings").accounts
}

fn full() -> AccountSettings {
    settings(json!({
        "primary": {"type": "standard", "full_name": "{{username}}", "account_name": "{{partialupn}}"},
        "administrator": {
            "short_name": "localadmin", "full_name": "Admin & Co of {{serial_number}}", "hidden": true,
            "password": "generated",
        },
        "managed_local_user": "{{partialupn}}",
    }))
}

fn robin() -> Variables {
    Variables {
        user_principal_name: Some("Robin@example.org".into()),
        user_full_name: Some("Robin Exämple <IT>".into()),
        serial_number: Some("C02EXAMPLE01".into()),
        device_name: None,
    }
}

#[track_caller]
fn assert_bytes(command: &[u8], vector: &[u8]) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("UTF-8");
    assert_eq!(text(command), text(vector));
}

#[test]
fn commands_are_byte_for_byte_those_of_another_implementation() {
    let hash = hash(25_000);
    assert_bytes(&password_hash_plist(&hash).expect("written"), PASSWORD_HASH);
    assert_bytes(device_configured(UUID).expect("written").xml(), DEVICE_CONFIGURED);
    let guid = "5E1F0000-0000-4000-8000-0000000000A1";
    assert_bytes(set_auto_admin_password(UUID, guid, &hash).expect("written").xml(), SET_PASSWORD);
    let accounts = account_configuration(UUID, &full(), &robin(), Some(&hash)).expect("written");
    assert_bytes(accounts.xml(), ACCOUNTS);
    let skip = settings(json!({
        "primary": {"create": false},
        "administrator": {"short_name": "{{serial_number}}", "password": "generated"},
    }));
    let skip = account_configuration(UUID, &skip, &robin(), Some(&hash)).expect("written");
    assert_bytes(skip.xml(), ACCOUNTS_SKIP);
}

fn keys_of(command: &Command) -> BTreeMap<String, Value> {
    let value = Value::from_reader_xml(command.xml()).expect("a property list");
    let envelope = value.into_dictionary().expect("a dictionary");
    assert_eq!(
        envelope.get("CommandUUID").and_then(Value::as_string),
        Some(&*command.command_uuid().to_string())
    );
    assert_eq!(envelope.len(), 2);
    let keys = envelope.get("Command").and_then(Value::as_dictionary).expect("a dictionary");
    assert_eq!(keys.get("RequestType").and_then(Value::as_string), Some(command.request_type()));
    keys.iter()
        .filter(|(key, _)| *key != "RequestType")
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect()
}

#[test]
fn only_what_is_set_is_sent() {
    let build = |raw, password: Option<&PasswordHash>| {
        keys_of(&account_configuration(UUID, &settings(raw), &robin(), password).expect("written"))
    };
    let keys = |command: &BTreeMap<String, Value>| command.keys().cloned().collect::<Vec<_>>();

    let admin = build(json!({"administrator": {"short_name": "a", "password": "generated"}}), Some(&hash(1)));
    assert_eq!(keys(&admin), ["AutoSetupAdminAccounts"]);

    // Without an administrator the user is none the less: Apple refuses a regular user alone.
    let alone = build(json!({"primary": {"type": "standard"}}), None);
    assert_eq!(keys(&alone), ["SetPrimarySetupAccountAsRegularUser", "SkipPrimarySetupAccountCreation"]);
    assert_eq!(alone["SetPrimarySetupAccountAsRegularUser"].as_boolean(), Some(false));

    let free = json!({"primary": {"full_name": "{{username}}", "restrict_editing": false}});
    let free = build(free, None);
    assert_eq!(free["LockPrimaryAccountInfo"].as_boolean(), Some(false));
    assert!(!free.contains_key("PrimaryAccountUserName"));
}

#[test]
fn what_cannot_be_sent_says_why() {
    let hash = hash(1);
    let refused = |settings: &AccountSettings, variables: &Variables, password: Option<&PasswordHash>| {
        account_configuration(UUID, settings, variables, password).expect_err("refused")
    };
    assert!(matches!(refused(&AccountSettings::default(), &robin(), None), CommandError::NothingToSend));
    assert!(matches!(refused(&full(), &robin(), None), CommandError::PasswordMissing));
    let alone = settings(json!({"primary": {}}));
    assert!(matches!(refused(&alone, &robin(), Some(&hash)), CommandError::PasswordUnused));

    let nobody = Variables { user_principal_name: None, ..robin() };
    let missing = refused(&full(), &nobody, Some(&hash));
    assert_eq!(missing.to_string(), "`accounts.primary.account_name` cannot be filled in");
    let source = std::error::Error::source(&missing).expect("a source");
    assert_eq!(source.to_string(), "the variable {{partialupn}} has no value for this device");

    let odd = Variables { user_principal_name: Some("o'neill@example.org".into()), ..robin() };
    let told = refused(&full(), &odd, Some(&hash)).to_string();
    assert_eq!(
        told,
        "`accounts.primary.account_name` becomes \"o'neill\", which is no account name for macOS"
    );
    let clash = Variables { user_principal_name: Some("LocalAdmin@example.org".into()), ..robin() };
    assert!(matches!(refused(&full(), &clash, Some(&hash)), CommandError::SameAccountName { .. }));
    let control = Variables { user_full_name: Some("Robin\u{1}".into()), ..robin() };
    assert!(matches!(
        refused(&full(), &control, Some(&hash)),
        CommandError::Character { character: '\u{1}', .. }
    ));
    let skipped =
        AccountSettings::from_stored(&json!({"primary": {"create": false}})).expect("of the right form");
    assert!(matches!(refused(&skipped, &robin(), None), CommandError::SkipNeedsAdministrator));
    for guid in ["", " ", "a\u{0}b"] {
        assert!(set_auto_admin_password(UUID, guid, &hash).is_err(), "{guid:?}");
    }
}

/// Habit: everything that holds a secret is printed and searched.
#[test]
fn a_printed_command_shows_no_hash() {
    let command = account_configuration(UUID, &full(), &robin(), Some(&hash(1))).expect("written");
    assert_eq!(
        format!("{command:?}"),
        "Command { request_type: \"AccountConfiguration\", command_uuid: 019abc00-0000-7000-8000-000000000001, .. }"
    );
}

const YAML: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/reference/apple-yaml/");

/// Apple's description of a command; `None`, with a word about it, where the folder is not there.
fn apple_yaml(file: &str) -> Option<serde_json::Value> {
    let Ok(text) = std::fs::read_to_string(format!("{YAML}{file}")) else {
        println!("SKIPPED: ../shared/reference/apple-yaml/{file} is not there");
        return None;
    };
    Some(yaml_serde::from_str(&text).expect("YAML"))
}

/// The keys of a level and Apple's word for the type of each.
fn described(keys: &serde_json::Value) -> BTreeMap<&str, &str> {
    let keys = keys.as_array().map(Vec::as_slice).unwrap_or_default();
    keys.iter().map(|key| (key["key"].as_str().expect("key"), key["type"].as_str().expect("type"))).collect()
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Array(_) => "<array>",
        Value::Boolean(_) => "<boolean>",
        Value::Data(_) => "<data>",
        Value::Dictionary(_) => "<dictionary>",
        Value::Integer(_) => "<integer>",
        Value::String(_) => "<string>",
        _ => "another",
    }
}

#[test]
fn the_keys_are_those_of_apples_yaml() {
    let Some(yaml) = apple_yaml("account.configuration.yaml") else { return };
    assert_eq!(yaml["payload"]["requesttype"], "AccountConfiguration");
    let described_keys = described(&yaml["payloadkeys"]);
    let command = account_configuration(UUID, &full(), &robin(), Some(&hash(1))).expect("written");
    let sent = keys_of(&command);
    for (key, value) in &sent {
        assert_eq!(described_keys.get(key.as_str()), Some(&type_of(value)), "{key}");
    }
    // Names that must not be filled in are left out, so nothing has to say that they are to be ignored.
    let sent: BTreeSet<_> = sent.keys().map(String::as_str).collect();
    let unused: Vec<_> = described_keys.keys().filter(|key| !sent.contains(**key)).collect();
    assert_eq!(unused, [&"DontAutoPopulatePrimaryAccountInfo"]);

    let accounts = yaml["payloadkeys"].as_array().expect("keys");
    let accounts = accounts.iter().find(|key| key["key"] == "AutoSetupAdminAccounts").expect("there");
    let described_account = described(&accounts["subkeys"][0]["subkeys"]);
    let sent = keys_of(&command);
    let account = sent["AutoSetupAdminAccounts"].as_array().and_then(|items| items[0].as_dictionary());
    let account: BTreeMap<_, _> =
        account.expect("an account").iter().map(|(key, value)| (key.as_str(), type_of(value))).collect();
    assert_eq!(account, described_account);
}

#[test]
fn the_password_hash_is_that_of_apples_yaml() {
    let Some(yaml) = apple_yaml("passwordhash.yaml") else { return };
    let ours = password_hash_plist(&hash(1)).expect("written");
    let ours = Value::from_reader_xml(&**ours).expect("a property list");
    let ours = ours.as_dictionary().expect("a dictionary");
    let outer: BTreeMap<_, _> = ours.iter().map(|(key, value)| (key.as_str(), type_of(value))).collect();
    assert_eq!(outer, described(&yaml["payloadkeys"]));
    let inner = ours["SALTED-SHA512-PBKDF2"].as_dictionary().expect("a dictionary");
    let inner: BTreeMap<_, _> = inner.iter().map(|(key, value)| (key.as_str(), type_of(value))).collect();
    assert_eq!(inner, described(&yaml["payloadkeys"][0]["subkeys"]));
}

#[test]
fn device_configured_has_no_keys_in_apples_yaml_either() {
    let Some(yaml) = apple_yaml("device.configured.yaml") else { return };
    assert_eq!(yaml["payload"]["requesttype"], "DeviceConfigured");
    assert!(yaml.get("payloadkeys").is_none());
    assert!(keys_of(&device_configured(UUID).expect("written")).is_empty());
}

proptest! {
    /// Whatever the user and the device are called, building ends without a panic, and what is built can be read.
    #[test]
    fn building_never_panics_and_is_well_formed(
        upn in prop::option::of("(\\PC|[\u{0}-\u{1f}\u{fffe}<>&@]){0,12}"),
        name in prop::option::of("(\\PC|[\u{0}-\u{1f}\u{ffff}<>&]){0,12}"),
        serial in "[A-Z0-9]{0,12}",
    ) {
        let variables = Variables {
            user_principal_name: upn, user_full_name: name.clone(), serial_number: Some(serial), device_name: None,
        };
        let hash = PasswordHash::from_parts([7; 128], [8; 32], NonZeroU32::MIN);
        if let Ok(command) = account_configuration(UUID, &full(), &variables, Some(&hash)) {
            let sent = keys_of(&command);
            let full_name = sent["PrimaryAccountFullName"].as_string();
            prop_assert_eq!(full_name, name.as_deref().map(str::trim));
        }
    }
}
