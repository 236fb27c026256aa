use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::{Made, Outside};
use crate::check::anchors::Anchor;
use crate::check::{not_a_list, type_name};
use crate::{Finding, Rule, certificates, texts};

const FORMS: &str = "write PEM, base64 of DER, or { file = \"roots.pem\" }";

/// Takes certificates in any form that people have them in, as base64 of DER. One PEM may hold several.
pub(super) fn take(key: &str, apple: &str, value: &Value, outside: &Outside<'_>, made: &mut Made) {
    let Value::Array(items) = value else {
        made.findings.push(not_a_list(key, value));
        return;
    };
    let mut all = Vec::new();
    for (at, item) in items.iter().enumerate() {
        let path = format!("{key}[{at}]");
        match read(&path, item, outside) {
            Err(finding) => made.findings.push(*finding),
            Ok(certificates) => {
                if apple == "anchor_certs" {
                    let ders = certificates.iter().filter_map(|text| STANDARD.decode(text).ok());
                    made.anchors.extend(ders.map(|der| Anchor { path: path.clone(), der }));
                }
                all.extend(certificates.into_iter().map(Value::from));
            }
        }
    }
    made.document.insert(key.to_owned(), all.clone().into());
    made.apple.insert(apple.to_owned(), all.into());
}

fn refused(path: &str, rule: Rule, message: impl Into<String>, fix: &str) -> Box<Finding> {
    Box::new(Finding::error(path, rule, message, fix))
}

fn read(path: &str, item: &Value, outside: &Outside<'_>) -> Result<Vec<String>, Box<Finding>> {
    match item {
        Value::String(text) => {
            certificates::of_text(text).map_err(|error| refused(path, Rule::Certificate, error, FORMS))
        }
        Value::Object(table) => {
            let file = match (table.len(), table.get("file")) {
                (1, Some(Value::String(file))) if !file.trim().is_empty() => file,
                _ => {
                    let message = "a table here has the one key `file`, with the path of a file";
                    return Err(refused(path, Rule::Type, message, FORMS));
                }
            };
            let path = format!("{path}.file");
            let bytes = (outside.file)(file).map_err(|error| {
                let message = format!("{} cannot be read: {error}", texts::quote(file));
                let fix = "check the path, which is relative to this file";
                refused(&path, Rule::File, message, fix)
            })?;
            certificates::of_bytes(&bytes).map_err(|error| {
                let message = format!("{}: {error}", texts::quote(file));
                let fix = "give a file with certificates in PEM, or one in DER";
                refused(&path, Rule::Certificate, message, fix)
            })
        }
        wrong => {
            let message = format!("must be a text or a table, and is {}", type_name(wrong));
            Err(refused(path, Rule::Type, message, FORMS))
        }
    }
}
