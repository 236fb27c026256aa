//! Passwords are kept apart from documents, and come back.

use secrecy::ExposeSecret;

use super::*;
use crate::accounts::AdministratorPassword;

const SECRET: &str = "correct-horse-battery";

fn with_password(password: Value) -> ProfileDocument {
    good(json!({"accounts": {"administrator": {"short_name": "localadmin", "password": password}}}))
}

fn password_of(document: &ProfileDocument) -> Option<String> {
    match &document.accounts()?.administrator.as_ref()?.password {
        AdministratorPassword::Given(text) => Some(text.expose_secret().to_owned()),
        _ => None,
    }
}

#[test]
fn a_password_is_in_the_secrets_and_nowhere_else() {
    let document = with_password(json!({"given": SECRET}));
    let shown = format!("{document:?} {}", document.write(Format::Yaml).expect("written"));
    assert!(!shown.contains(SECRET), "{shown}");
    assert_eq!(document.document()["accounts"]["administrator"]["password"], "stored");
    let secrets = document.secrets().expect("secrets");
    assert!(String::from_utf8_lossy(&secrets).contains(SECRET));
    assert!(!document.needs_stored_secrets());

    let stored =
        ProfileDocument::from_stored(document.document().clone(), document.apple().clone(), Some(&secrets))
            .expect("as it was stored");
    assert_eq!(password_of(&stored).as_deref(), Some(SECRET));
    assert_eq!(stored.content_hash(), document.content_hash());
    assert_eq!(stored.secrets(), document.secrets());
    for bad in [&b"{}"[..], b"nope", b"{\"administrator_password\": \"stored\"}"] {
        let (document, apple) = (document.document().clone(), document.apple().clone());
        assert!(ProfileDocument::from_stored(document, apple, Some(bad)).is_err());
    }
    assert!(with_password(json!("generated")).secrets().is_none());
    assert!(good(json!({})).secrets().is_none());
}

#[test]
fn a_document_that_was_written_takes_the_stored_password() {
    let stored = with_password(json!({"given": SECRET}));
    let text = stored.write(Format::Toml).expect("written");
    let outside = Outside::without_files(now());
    let edited = text.replace("localadmin", "admin2");
    let read = read_document(&edited, Format::Toml, &outside).expect("good").document;
    assert!(read.needs_stored_secrets() && read.secrets().is_none());
    let whole = read.clone().with_secrets_of(&stored).expect("there is a password");
    assert!(!whole.needs_stored_secrets());
    assert_eq!(password_of(&whole).as_deref(), Some(SECRET));
    assert_eq!(whole.document(), read.document());
    for without in [good(json!({})), with_password(json!("generated"))] {
        assert_eq!(read.clone().with_secrets_of(&without).expect_err("none"), NoStoredSecrets);
    }
    // One that asks for nothing stays as it is.
    let plain = good(json!({})).with_secrets_of(&stored).expect("nothing to do");
    assert!(plain.secrets().is_none());
}

#[test]
fn what_was_stored_as_apples_keys_alone_is_taken_back() {
    let apple = table(json!({"profile_name": "P", "url": "https://m.example/", "skip_setup_items": ["X"]}));
    let document = ProfileDocument::from_stored(apple.clone(), apple.clone(), None).expect("as stored");
    assert_eq!((document.form(), document.apple(), document.document()), (Form::Apple, &apple, &apple));
    assert_eq!((document.name(), document.description()), ("P", None));
}

/// A later catalogue, or a later rule, changes nothing that is stored.
#[test]
fn what_is_stored_is_not_resolved_again() {
    let document = table(json!({"name": "P", "url": "", "platforms": ["macOS 26.1"],
        "panes": {"skip_all_except": ["Siri"]}}));
    let apple = table(json!({"profile_name": "P", "skip_setup_items": ["TOS"]}));
    let stored = ProfileDocument::from_stored(document, apple.clone(), None).expect("as stored");
    assert_eq!(stored.apple(), &apple);
}
