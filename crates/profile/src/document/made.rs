use std::collections::HashSet;

use serde_json::{Map, Value};

use crate::accounts::{AccountSettings, Context};
use crate::check::{self, ACCOUNTS, Names, anchors, platforms};
use crate::{Finding, Findings, Target};

/// A document in the making.
#[derive(Default)]
pub(super) struct Made {
    /// What Apple gets.
    pub(super) apple: Map<String, Value>,
    /// What is written again.
    pub(super) document: Map<String, Value>,
    pub(super) accounts: Option<AccountSettings>,
    pub(super) targets: Vec<Target>,
    pub(super) anchors: Vec<anchors::Anchor>,
    pub(super) findings: Found,
}

/// What is found on the way.
#[derive(Default)]
pub(super) struct Found(Vec<Finding>);

impl Found {
    pub(super) fn list(&mut self) -> &mut Vec<Finding> {
        &mut self.0
    }

    pub(super) fn push(&mut self, finding: Finding) {
        self.0.push(finding);
    }

    /// All findings, once each: two of Apple's keys can come from one of ours.
    pub(super) fn finish(mut self, raw: &Map<String, Value>) -> Findings {
        let mut seen = HashSet::new();
        self.0.retain(|finding| seen.insert((finding.path.clone(), finding.rule, finding.message.clone())));
        crate::finding::value::add(&mut self.0, raw);
        Findings::new(self.0)
    }
}

impl Made {
    /// Takes the account settings, which switch awaiting on.
    pub(super) fn take_accounts(&mut self, raw: &Value, context: &Context) {
        match AccountSettings::check(raw, context) {
            Err(findings) => self.findings.list().extend(findings),
            Ok(checked) => {
                self.findings.list().extend(checked.warnings);
                if checked.accounts.is_empty() {
                    return;
                }
                // A value of another type has its own finding, and must be there for it.
                if self.apple.get("await_device_configured").is_none_or(Value::is_boolean) {
                    checked.accounts.switch_await_on(&mut self.apple);
                }
                self.document.insert(ACCOUNTS.to_owned(), checked.accounts.to_shown_table().into());
                self.accounts = Some(checked.accounts);
            }
        }
        platforms::check_accounts(&self.targets, self.findings.list());
    }

    /// Asks the rules for what Apple gets.
    pub(super) fn check(&mut self, names: Names, outside: &super::Outside<'_>) {
        let findings = self.findings.list();
        check::content(&self.apple, names, findings);
        platforms::check(&self.apple, &self.targets, names, findings);
        let url = self.apple.get("url").and_then(Value::as_str).unwrap_or_default();
        anchors::check(&self.anchors, url, outside.now, findings);
    }
}
