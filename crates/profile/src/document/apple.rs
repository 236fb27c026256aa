//! A document in Apple's own keys, beside which account settings may stand.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

use super::{Made, Outside};
use crate::accounts::{Context, SignIn};
use crate::check::anchors::Anchor;
use crate::check::{ACCOUNTS, Names, without_foreign};

pub(super) fn make(raw: &Map<String, Value>, outside: &Outside<'_>) -> Made {
    let mut made = Made::default();
    made.apple = without_foreign(raw.clone(), made.findings.list());
    let accounts = made.apple.remove(ACCOUNTS);
    made.document = made.apple.clone();
    if let Some(accounts) = accounts {
        let web = made.apple.contains_key("configuration_web_url");
        let context = Context {
            sign_in: if web { SignIn::Web } else { SignIn::None },
            awaits_configuration: made.apple.get("await_device_configured") == Some(&Value::Bool(true)),
        };
        made.take_accounts(&accounts, &context);
    }
    let certificates = made.apple.get("anchor_certs").and_then(Value::as_array).into_iter().flatten();
    made.anchors = certificates
        .enumerate()
        .filter_map(|(at, text)| {
            let der = STANDARD.decode(text.as_str()?).ok()?;
            Some(Anchor { path: format!("anchor_certs[{at}]"), der })
        })
        .collect();
    made.check(Names::APPLE, outside);
    made
}
