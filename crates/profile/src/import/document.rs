//! What was imported as a document: in our form where that can say it all.

use serde_json::{Map, Value, json};

use super::{Imported, Source};
use crate::accounts::SignIn;
use crate::check::ACCOUNTS;
use crate::{form, keys};

impl Imported {
    /// The profile as a document to be written, in our form. What cannot be said there, like a flag that is none,
    /// keeps the whole in Apple's form, and checking it says what is wrong.
    #[must_use]
    pub fn document(&self) -> Map<String, Value> {
        let mut document = self.in_our_form().unwrap_or_else(|| self.apple.clone());
        if let Some(accounts) = &self.accounts {
            document.insert(ACCOUNTS.to_owned(), accounts.to_table().into());
        }
        document
    }

    fn in_our_form(&self) -> Option<Map<String, Value>> {
        let mut document = Map::new();
        let mut extra = Map::new();
        // Read again it must be ours, also while the name is yet to be filled in.
        document.insert("name".to_owned(), self.name.as_str().into());
        if let Some(description) = &self.description {
            document.insert("description".to_owned(), description.as_str().into());
        }
        if !self.platforms.is_empty() {
            document.insert("platforms".to_owned(), json!(self.platforms));
        }
        for (key, value) in &self.apple {
            match (key.as_str(), value) {
                ("profile_name", Value::String(_)) => {}
                ("profile_name", _) => return None,
                ("is_mdm_removable", Value::Bool(removable)) => {
                    document.insert("locked".to_owned(), (!removable).into());
                }
                ("skip_setup_items", skip) => {
                    document.insert("panes".to_owned(), json!({ "skip": skip }));
                }
                ("configuration_web_url", page) => {
                    // The page that is `url` need not be said twice.
                    if self.apple.get("url") != Some(page) {
                        document.insert("web_url".to_owned(), page.clone());
                    }
                }
                ("is_mdm_removable", _) => return None,
                (key, value) => match form::ours_of(key) {
                    Some(ours) => {
                        document.insert(ours.to_owned(), value.clone());
                    }
                    // What is not the file's to set never gets here.
                    None if keys::kind_of(key).is_none() => {
                        extra.insert(key.to_owned(), value.clone());
                    }
                    None => return None,
                },
            }
        }
        let affinity = match self.sign_in {
            SignIn::Web => Some("web"),
            SignIn::Legacy => Some("legacy"),
            // Apple's keys do not say whether Setup Assistant asks for a user.
            SignIn::None if self.source == Source::Apple => None,
            SignIn::None => Some("none"),
        };
        document.extend(affinity.map(|word| ("user_affinity".to_owned(), word.into())));
        // Our form has both on by itself. Other systems supervise without saying so, but do not wait.
        document.entry("await_device_configured").or_insert(false.into());
        if self.source == Source::Apple {
            document.entry("supervised").or_insert(false.into());
        }
        if !extra.is_empty() {
            // A key that our form has under the same name would be taken for it.
            if extra.keys().any(|key| form::find(key).is_some()) {
                return None;
            }
            document.insert("extra".to_owned(), extra.into());
        }
        Some(document)
    }
}
