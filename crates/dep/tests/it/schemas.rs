//! The wire types against hand-written schemas of a third party, when that folder is beside the repository.

use std::collections::BTreeMap;
use std::path::Path;

use adelie_dep::Device;
use adelie_dep::endpoints::{
    account, account_driven_enrollment, activation_lock, assign_profile, beta_tokens, define_profile,
    device_details, disown, fetch_devices, remove_profile, sync_devices,
};
use adelie_model::{ProfileUuid, Secret, SerialNumber};
use proptest::prelude::*;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/reference/dep-schemas");

const SKIPPED: &str = "SKIPPED: the schemas are not at ../shared/reference/dep-schemas";

struct Schemas(BTreeMap<String, Value>);

impl Schemas {
    fn load() -> Option<Self> {
        let entries = std::fs::read_dir(Path::new(FOLDER)).ok()?;
        let paths = entries.map(|entry| entry.expect("an entry").path());
        let schemas = paths.filter(|path| path.extension().is_some_and(|ext| ext == "json")).map(|path| {
            let text = std::fs::read_to_string(&path).expect("a readable schema");
            let name = path.file_name().expect("a name").to_string_lossy().into_owned();
            (name, serde_json::from_str(&text).expect("a JSON schema"))
        });
        Some(Self(schemas.collect()))
    }

    /// Checks a value with all fields, and that it reads back as the same.
    fn check<T: Serialize + DeserializeOwned>(&self, schema: &str, value: &T) {
        let json = serde_json::to_value(value).expect("json");
        self.check_json(schema, &json);
        let back: T = serde_json::from_value(json.clone()).expect("the other half");
        assert_eq!(serde_json::to_value(back).expect("json"), json, "{schema}");
    }

    fn check_json(&self, schema: &str, json: &Value) {
        let uri = |name: &str| format!("https://schemas.invalid/{name}");
        let mut registry = jsonschema::Registry::new();
        for (name, contents) in &self.0 {
            registry = registry.add(uri(name), contents.clone()).expect("a schema");
        }
        let registry = registry.prepare().expect("all references resolve");
        let validator = jsonschema::options()
            .with_registry(&registry)
            .with_base_uri(uri(schema))
            .should_validate_formats(true)
            .build(&self.0[schema])
            .expect("a schema");
        let problems: Vec<_> = validator.iter_errors(json).map(|error| error.to_string()).collect();
        assert!(problems.is_empty(), "{schema}: {problems:?} in {json}");
        // The schemas allow any key, so a key that they do not know would pass unseen.
        let known = self.0[schema]["properties"].as_object().expect("properties");
        for key in json.as_object().expect("an object").keys() {
            assert!(known.contains_key(key), "{schema} does not know {key}");
        }
    }
}

fn read<T: DeserializeOwned>(json: Value) -> T {
    serde_json::from_value(json).expect("readable")
}

fn serials() -> Vec<SerialNumber> {
    vec![SerialNumber::from_apple("C02EXAMPLE01".into()), SerialNumber::from_apple("C02EXAMPLE02".into())]
}

fn full_device() -> Value {
    json!({"serial_number": "C02EXAMPLE01", "model": "MacBook Pro", "description": "MBP 14.2", "color": "SILVER",
        "asset_tag": "17", "profile_status": "pushed", "profile_uuid": "B1C2",
        "profile_assign_time": "2026-03-01T10:00:00Z", "profile_push_time": "2026-03-01T10:01:00Z",
        "device_assigned_date": "2026-03-01T09:00:00Z", "device_assigned_by": "it@example.org",
        "device_family": "Mac", "os": "OSX", "mdm_migration_deadline": "2026-04-01T00:00:00Z",
        "op_type": "modified", "op_date": "2026-03-01T10:00:00Z", "response_status": "SUCCESS"})
}

#[test]
fn requests_and_answers_keep_to_the_schemas() {
    let Some(schemas) = Schemas::load() else { return println!("{SKIPPED}") };
    let uuid = ProfileUuid("B1C2".into());

    let device: Device = read(full_device());
    assert!(device.extra.is_empty(), "every documented field is typed: {:?}", device.extra);
    schemas.check("Device.json", &device);

    let cursor = Some(adelie_model::Cursor("abc".into()));
    schemas.check("FetchDeviceRequest.json", &fetch_devices::Request { cursor, limit: Some(1000) });
    schemas.check("FetchDeviceRequest.json", &fetch_devices::Request::default());
    let cursor = adelie_model::Cursor("abc".into());
    schemas
        .check("SyncDeviceRequest.json", &sync_devices::Request { cursor: cursor.clone(), limit: Some(1) });
    let page = fetch_devices::Response {
        devices: Some(vec![device]),
        fetched_until: Some("2026-03-01T10:05:00Z".parse().expect("a moment")),
        more_to_follow: true,
        cursor,
    };
    schemas.check("FetchDeviceResponse.json", &page);

    schemas.check("DeviceListRequest.json", &device_details::Request { devices: serials() });
    let details: device_details::Response = read(json!({"devices": {"C02EXAMPLE01": full_device()}}));
    schemas.check("DeviceListResponse.json", &details);

    let results =
        json!({"C02EXAMPLE01": "SUCCESS", "C02EXAMPLE02": "FAILED", "C02EXAMPLE03": "NOT_ACCESSIBLE"});
    let profile = json!({"profile_name": "Lab", "url": "https://mdm.example.org/", "org_magic": "m",
        "is_mdm_removable": true, "devices": ["C02EXAMPLE01"]});
    schemas.check("Profile.json", &read::<define_profile::Request>(profile));
    let defined: define_profile::Response = read(json!({"profile_uuid": "B1C2", "devices": results}));
    schemas.check("DefineProfileResponse.json", &defined);
    let request = assign_profile::Request { profile_uuid: uuid.clone(), devices: serials() };
    schemas.check("ProfileServiceRequest.json", &request);
    let assigned: assign_profile::Response =
        read(json!({"profile_uuid": "B1C2", "devices": {"A": "THROTTLED"}, "retry_after_seconds": 86400}));
    schemas.check("AssignProfileResponse.json", &assigned);
    let request = remove_profile::Request { devices: serials(), profile_uuid: Some(uuid) };
    schemas.check("ClearProfileRequest.json", &request);
    schemas
        .check("ClearProfileResponse.json", &read::<remove_profile::Response>(json!({"devices": results})));
    let confirmed = disown::IrreversibleDisown::the_devices_leave_the_organization_for_good();
    schemas.check("DeviceListRequest.json", &disown::Request::new(serials(), confirmed));
    schemas.check("DeviceStatusResponse.json", &read::<disown::Response>(json!({"devices": results})));

    let lock = activation_lock::Request {
        device: SerialNumber::from_apple("C02EXAMPLE01".into()),
        escrow_key: Some(Secret::from("0".repeat(64))),
        lost_message: Some("Please call".into()),
    };
    schemas.check("ActivationLockRequest.json", &lock);
    let locked: activation_lock::Response = read(json!({"serial_number": "A", "response_status": "SUCCESS"}));
    schemas.check("ActivationLockStatusResponse.json", &locked);

    let url = "https://mdm.example.org/.well-known/com.apple.remotemanagement";
    let set = account_driven_enrollment::SetRequest { mdm_service_discovery_url: url.into() };
    schemas.check("AccountDrivenEnrollmentProfileRequest.json", &set);
    let get: account_driven_enrollment::GetResponse =
        read(json!({"mdm_service_discovery_url": url, "last_updated_timestamp": "2026-03-01T10:00:00Z"}));
    schemas.check("GetAccountDrivenEnrollmentProfileResponse.json", &get);
    let tokens = json!([{"token": "t", "title": "macOS Beta", "os": "OSX"}]);
    let tokens: beta_tokens::Response = read(json!({"betaEnrollmentTokens": tokens}));
    schemas.check("GetSeedBuildTokenResponse.json", &tokens);
}

#[test]
fn the_account_keeps_to_its_schema() {
    let Some(mut schemas) = Schemas::load() else { return println!("{SKIPPED}") };
    // Apple sends paths here (protocol section 3.1), which the schema's format `uri` does not take.
    if let Some(uri) = schemas.0.get_mut("Url.json").and_then(|schema| schema.pointer_mut("/properties/uri"))
    {
        uri.as_object_mut().expect("an object").remove("format");
    }
    let account: account::Response = read(
        json!({"server_name": "Lab", "server_uuid": "0A1B", "admin_id": "a",
        "facilitator_id": "a", "org_name": "o", "org_email": "e", "org_phone": "p", "org_address": "a",
        "org_id": "1", "org_id_hash": "h", "org_type": "org", "org_version": "v2",
        "urls": [{"uri": "/server/devices", "http_method": ["POST"], "limit": {"default": 100, "maximum": 1000}}]}),
    );
    assert!(account.extra.is_empty());
    schemas.check("AccountDetail.json", &account);
}

/// Any JSON that a future Apple may put into a record.
fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        "[ a-zA-Z0-9:TZ+-]{0,20}".prop_map(Value::from),
        Just(json!("2026-03-01T11:00:00.25+01:00")),
    ];
    leaf.prop_recursive(2, 8, 3, |inner| prop::collection::vec(inner, 0..3).prop_map(Value::from))
}

fn any_key() -> impl Strategy<Value = String> {
    let known: Vec<String> = full_device().as_object().expect("an object").keys().cloned().collect();
    prop_oneof![prop::sample::select(known), "[a-z_]{1,12}"]
}

proptest! {
    /// L12: whatever stands in the other fields, a record with a serial number reads, and writing and reading
    /// it again changes nothing.
    #[test]
    fn every_record_with_a_serial_number_reads_and_keeps_its_meaning(
        fields in prop::collection::btree_map(any_key(), any_value(), 0..12)
    ) {
        let mut record: Map<String, Value> = fields.into_iter().collect();
        record.insert("serial_number".into(), "C02EXAMPLE01".into());
        let device: Device = serde_json::from_value(Value::Object(record)).expect("a device");
        let written = serde_json::to_value(&device).expect("json");
        prop_assert_eq!(&serde_json::from_value::<Device>(written).expect("a device"), &device);
        prop_assert!(device.extra.iter().all(|(_, value)| !value.is_null() && value.as_str() != Some("")));
    }
}
