use adelie_model::{DriftMode, ServerId, Timestamp};
use serde_json::json;
use uuid::Uuid;

use super::*;
use crate::configuration::{
    Change, Configuration, NewRevision, NewRule, RulePatch, ServerConfiguration, Version, edits,
};
use crate::{NewWebhook, Sealed, SealedSecret, SyncSettings, WebhookFormat};

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_timestamp_millis(1_770_000_000_789 + seconds * 1000).expect("a moment")
}

fn kim() -> Operator {
    Operator::new("kim", at(0)).because(Some("ticket 7".to_owned())).in_request(Uuid::from_u128(7))
}

fn paused(name: &str, paused: bool) -> NewAudit {
    server_paused(&name.parse().expect("a good name"), paused)
}

/// A chain of four entries.
fn four() -> Vec<AuditEntry> {
    let new = [paused("a", true), paused("a", false), paused("b", true), paused("b", false)];
    link(&AuditHead::default(), &kim(), &new)
}

fn verify(entries: &[AuditEntry], head: &AuditHead) -> Result<(), AuditBreak> {
    let mut verifier = Verifier::from(AuditHead::default());
    entries.iter().try_for_each(|entry| verifier.take(entry))?;
    verifier.finish(head)
}

/// Exports that were made must still be verified in years: this hash was calculated by Python.
#[test]
fn the_form_that_is_hashed_never_changes() {
    let strange = Facts::new().with("text", "a \"quote\", a \\ and\n\t\u{1}\u{7f}é\u{2028}🐧/").with("n", 1);
    let new =
        NewAudit::new(AuditAction::ServerPaused, AuditObject::new("server", "sch\u{f6}n")).after(strange);
    let entry = link(&AuditHead::default(), &kim(), &[new]).remove(0);
    assert_eq!(
        entry.after.as_deref(),
        Some("{\"n\":1,\"text\":\"a \\\"quote\\\", a \\\\ and\\n\\t\\u0001\u{7f}é\u{2028}🐧/\"}")
    );
    assert_eq!(entry.hash, "77fd058cc22247d9d8cbdb4327a55c58a1534352398618da252ad33d91653f82");
}

#[test]
fn a_chain_that_nobody_has_touched_fits() {
    let entries = four();
    let head = entries[3].head();
    assert_eq!(verify(&entries, &head), Ok(()));
    assert_eq!(verify(&[], &AuditHead::default()), Ok(()));
    let numbers: Vec<_> = entries.iter().map(|entry| entry.number).collect();
    assert_eq!(numbers, [1, 2, 3, 4]);
    let first = &entries[0];
    assert_eq!((first.actor.as_str(), first.reason.as_deref()), ("kim", Some("ticket 7")));
    assert_eq!(first.request, "00000000-0000-0000-0000-000000000007");
    // A chain goes on where it stands, in one step or in several.
    let more = link(&head, &kim(), &[paused("c", true)]);
    assert_eq!(verify(&[entries, more.clone()].concat(), &more[0].head()), Ok(()));
}

#[test]
fn every_part_of_an_entry_is_under_its_hash() {
    type Change = fn(&mut AuditEntry);
    let changes: [Change; 12] = [
        |entry| entry.at += chrono::TimeDelta::milliseconds(1),
        |entry| entry.actor.push('!'),
        |entry| entry.action = "server.resumed".to_owned(),
        |entry| entry.object.kind.push('s'),
        |entry| entry.object.name = "b".to_owned(),
        |entry| entry.before = None,
        |entry| entry.before = Some("null".to_owned()),
        |entry| entry.after = Some("{\"paused\": true}".to_owned()),
        |entry| entry.reason = None,
        |entry| entry.reason = Some(String::new()),
        |entry| entry.request = Uuid::nil().to_string(),
        |entry| entry.hash = ORIGIN.to_owned(),
    ];
    for (which, change) in changes.into_iter().enumerate() {
        let mut entries = four();
        let head = entries[3].head();
        change(&mut entries[0]);
        assert_eq!(verify(&entries, &head), Err(AuditBreak::Changed(1)), "change {which}");
    }
    // What moves from one field to the next is not the same.
    let mut entries = four();
    (entries[0].object.kind, entries[0].object.name) = ("serve".to_owned(), "ra".to_owned());
    assert_eq!(verify(&entries, &entries[3].head()), Err(AuditBreak::Changed(1)));
}

#[test]
fn what_is_gone_moved_or_put_in_is_found() {
    let good = four();
    let head = good[3].head();
    let without = |gone: usize| [&good[..gone], &good[gone + 1..]].concat();
    assert_eq!(verify(&without(0), &head), Err(AuditBreak::Missing { expected: 1, found: 2 }));
    assert_eq!(verify(&without(2), &head), Err(AuditBreak::Missing { expected: 3, found: 4 }));
    assert_eq!(verify(&without(3), &head), Err(AuditBreak::CutOff { last: 3, head: 4 }));
    assert_eq!(verify(&[], &head), Err(AuditBreak::CutOff { last: 0, head: 4 }));

    let mut closed_up = without(1);
    closed_up[1].number = 2;
    closed_up[2].number = 3;
    assert_eq!(verify(&closed_up, &head), Err(AuditBreak::Changed(2)));
    let mut swapped = good.clone();
    swapped.swap(1, 2);
    (swapped[1].number, swapped[2].number) = (2, 3);
    assert_eq!(verify(&swapped, &head), Err(AuditBreak::Changed(2)));

    assert_eq!(verify(&good, &good[2].head()), Err(AuditBreak::Ahead { last: 4, head: 3 }));
    let other = AuditHead { number: 4, ..good[2].head() };
    assert_eq!(verify(&good, &other), Err(AuditBreak::Ahead { last: 4, head: 4 }));
}

/// Who can write to the database can calculate all hashes anew. A head that was kept elsewhere still tells.
#[test]
fn a_chain_that_was_written_anew_is_told_by_a_head_that_was_kept() {
    let mut entries = four();
    let kept = entries[2].head();
    entries[1].actor = "sam".to_owned();
    for number in 1..4 {
        entries[number].hash = chain(&entries[number - 1].hash, &entries[number]);
    }
    assert_eq!(verify(&entries, &entries[3].head()), Ok(()));
    let mut verifier = Verifier::from(AuditHead::default()).past(kept.clone());
    let broken = entries.iter().try_for_each(|entry| verifier.take(entry));
    assert_eq!(broken, Err(AuditBreak::Rewritten(3)));

    let mut verifier = Verifier::from(AuditHead::default()).past(kept);
    let shorter = four().drain(..2).collect::<Vec<_>>();
    shorter.iter().try_for_each(|entry| verifier.take(entry)).expect("two good ones");
    assert_eq!(verifier.finish(&shorter[1].head()), Err(AuditBreak::Shorter { kept: 3, last: 2 }));
}

const CANARY: &str = "canary-4711";

/// L46: whoever writes an entry may be careless; no secret comes through.
#[test]
fn facts_keep_no_secret() {
    let canary = |form: &str| form.replace('$', CANARY);
    let facts = Facts::new()
        .with("administrator_password", CANARY)
        .with("Secret", json!(["a", CANARY]))
        .with("api-key", json!({ "key": CANARY }))
        .with("pin", json!({ "bypass_code": CANARY, "nested": [{ "PassPhrase": CANARY }] }))
        .with("url", format!("https://kim:{CANARY}@example.com/a"))
        .with("user", format!("https://{CANARY}@example.com:8443"))
        .with("query", format!("see https://example.com/a?token={CANARY}&b#c, and http://kim:{CANARY}@h/"))
        .with("fragment", format!("https://example.com/#{CANARY}"))
        .with("signing", canary("whsec_$"))
        .with("signing_too", canary("with whsk_$== and more"))
        .with("key", canary("adelie-key-1:$"))
        .with("pem", canary("-----BEGIN RSA PRIVATE KEY-----\n$\n-----END RSA PRIVATE KEY-----"))
        .with("list", json!([canary("https://a:$@example.com")]))
        .with("names", json!({ canary("whsec_$"): 1 }));
    let text = facts.to_string();
    assert!(!text.contains(CANARY), "{text}");
    assert_eq!(facts.get("url"), Some(&json!("https://(not kept)@example.com/a")));
    assert_eq!(facts.get("signing_too"), Some(&json!("with (not kept) and more")));
    // What is no secret stays as it is, and that a secret is set may be told.
    let plain = Facts::new()
        .with("url", "https://example.com:8443/hooks/a")
        .with("has_password", true)
        .with("password_set_at", json!(null))
        .with("condition", "serial=C02*,DMP?");
    let kept = r#"{"condition":"serial=C02*,DMP?","has_password":true,"password_set_at":null,"url":"https://example.com:8443/hooks/a"}"#;
    assert_eq!(plain.to_string(), kept);

    let new =
        NewAudit::new(AuditAction::WebhookAdded, AuditObject::new("webhook", canary("https://a:$@b/?$")));
    let entry = link(&AuditHead::default(), &kim(), &[new]).remove(0);
    assert!(!format!("{entry:?}").contains(CANARY), "{entry:?}");
}

/// L46: nor does one of what entries are made of.
#[test]
fn changes_with_secrets_in_them_come_without() {
    let secret = Sealed(CANARY.as_bytes().to_vec());
    let webhook = NewWebhook {
        url: format!("https://kim:{CANARY}@example.com/?key={CANARY}"),
        events: vec!["*".to_owned()],
        servers: Vec::new(),
        format: WebhookFormat::Standard,
        thin: false,
        ordered: false,
        concurrency: 1,
        secret: SealedSecret {
            id: adelie_model::WebhookSecretId(Uuid::from_u128(1)),
            secret: secret.clone(),
            valid_until: None,
        },
    };
    let revision = NewRevision {
        content: json!({ "url": CANARY }).as_object().cloned().expect("an object"),
        content_hash: "c".to_owned(),
        secrets: Some((Uuid::from_u128(2), secret)),
        ..NewRevision::default()
    };
    let change = Change::AddProfile { name: "one".parse().expect("a good name"), revision };
    let edits = edits(&nothing(), &[change]).expect("it is good");
    let mut entries = edited(&nothing(), &edits);
    entries.push(webhook_added(adelie_model::WebhookId(1), &webhook));
    let told: String =
        link(&AuditHead::default(), &kim(), &entries).iter().map(|entry| format!("{entry:?}")).collect();
    assert!(
        told.contains("profile.added") && told.contains("webhook.added") && !told.contains(CANARY),
        "{told}"
    );
}

fn nothing() -> Configuration {
    let server = ServerConfiguration {
        id: ServerId(1),
        name: "lab".parse().expect("a good name"),
        defaults: Vec::new(),
        settings: SyncSettings::default(),
    };
    Configuration {
        version: Version(0),
        profiles: Vec::new(),
        removed: Vec::new(),
        rules: Vec::new(),
        servers: vec![server],
    }
}

/// The configuration after some changes, and what the audit says of them: action, object, before, after.
fn made(before: &Configuration, changes: &[Change]) -> (Configuration, Vec<[String; 4]>) {
    let edits = edits(before, changes).expect("they are good");
    let text = |facts: &Option<Facts>| facts.as_ref().map(ToString::to_string).unwrap_or_default();
    let told = edited(before, &edits)
        .iter()
        .map(|new| {
            let action = new.action.as_str().to_owned();
            [action, new.object.to_string(), text(&new.before), text(&new.after)]
        })
        .collect();
    // As if it were stored.
    let mut after = edits.after;
    for (place, rule) in after.rules.iter_mut().enumerate().filter(|(_, rule)| rule.id.0 == 0) {
        rule.id.0 = 100 + i64::try_from(place).expect("few");
    }
    (after, told)
}

#[test]
fn a_change_of_the_configuration_tells_what_is_otherwise() {
    let profile = |name: &str| Change::AddProfile {
        name: name.parse().expect("a good name"),
        revision: NewRevision { content_hash: name.to_owned(), ..NewRevision::default() },
    };
    let rule = |name: &str, condition: &str| Change::AddRule {
        rule: NewRule {
            name: name.parse().expect("a good name"),
            only: None,
            conditions: vec![condition.parse().expect("a good condition")],
            profile: "one".parse().expect("a good name"),
        },
        before: None,
    };
    let serials: Vec<_> = (0..30).map(|number| format!("S{number}")).collect();
    let long = format!("serial={}", serials.join(","));
    let (first, told) = made(&nothing(), &[profile("one"), rule("a", "family=mac"), rule("b", &long)]);
    assert_eq!(
        told.iter().map(|[action, object, ..]| format!("{action} {object}")).collect::<Vec<_>>(),
        ["profile.added profile:one", "rule.added rule:a", "rule.added rule:b"]
    );
    assert!(told[2][3].contains("S29") && told[2][3].contains("\"place\":2"), "{told:?}");

    // Of a long list only what is new is told.
    let patch =
        RulePatch { add: vec!["serial=NEW".parse().expect("a good condition")], ..RulePatch::default() };
    let change = [
        Change::SetRule { name: "b".parse().expect("a good name"), patch },
        Change::MoveRule { name: "a".parse().expect("a good name"), before: None },
    ];
    let (second, told) = made(&first, &change);
    assert_eq!(told[0][..2], ["rule.changed", "rule:b"]);
    assert!(told[0][2].contains("serial= (and 30 that stay)"), "{told:?}");
    assert!(told[0][3].contains("serial=NEW (and 30 that stay)"), "{told:?}");
    let order = ["rules.ordered", "rules:all", r#"{"order":["a","b"]}"#, r#"{"order":["b","a"]}"#];
    assert_eq!(told[1], order);
    assert_eq!(told.len(), 2);

    let settings = SyncSettings { drift: Some(DriftMode::Report), ..SyncSettings::default() };
    let (scope, one) = (adelie_rules::Scope::Any, "one".parse().expect("a good name"));
    let change = [
        Change::SetSettings { server: ServerId(1), settings },
        Change::SetDefault { server: ServerId(1), scope: scope.clone(), profile: Some(one) },
        Change::RemoveRule { name: "a".parse().expect("a good name") },
    ];
    let (third, told) = made(&second, &change);
    let [removed, defaults, settings] = &told[..] else { panic!("{told:?}") };
    assert_eq!((removed[0].as_str(), removed[3].as_str()), ("rule.removed", ""));
    assert_eq!(*defaults, ["server.defaults_changed", "server:lab", "{}", r#"{"any":"one"}"#]);
    assert_eq!(*settings, ["server.settings_changed", "server:lab", "{}", r#"{"drift":"report"}"#]);

    // What comes and goes by the same changes leaves no trace.
    let set = |profile| Change::SetDefault { server: ServerId(1), scope: scope.clone(), profile };
    let (_, told) = made(&third, &[set(None), set(Some("one".parse().expect("a good name")))]);
    assert_eq!(told, Vec::<[String; 4]>::new());
}

#[test]
fn the_catalogue_is_told_whole_in_the_docs() {
    let docs = include_str!("../../../../docs/audit.md");
    for known in AuditAction::ALL {
        let line = format!("| `{}` | {} |", known.word, known.about);
        assert!(docs.contains(&line), "{line} is not in docs/audit.md");
        assert_eq!(known.action.as_str(), known.word);
    }
    for kind in KINDS {
        assert!(docs.contains(&format!("`{kind}:")), "{kind} is not in docs/audit.md");
    }
}
