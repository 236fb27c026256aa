//! Secrets of every kind are in an installation, which then does all that it can, well and badly. None of them is in anything
//! that comes out, but where it is meant to be (field lesson L46).

mod exercise;
mod outputs;
mod peers;
mod scene;
mod sealed;
mod search;

use std::collections::BTreeSet;

use adelie_token::BypassCode;
use openssl::base64::decode_block;
use openssl::pkey::PKey;
use secrecy::ExposeSecret;
use serde_json::Value;

use crate::harness::{World, text};
use outputs::{Output, outputs};
use scene::{DATABASE_PASSWORD, GIVEN_PASSWORD, PROXY_PASSWORD, REFUSED, Scene, URL_TOKEN, WEBHOOK_SECRET};
use search::Search;

/// A kind of secret.
struct Canary {
    name: &'static str,
    /// Every one of its kind.
    values: Vec<Vec<u8>>,
    /// The outputs in which it may stand, by the beginnings of their names. It must stand in each of them, which proves
    /// that it is what it is taken for, and that it would be found elsewhere.
    may_stand: &'static [&'static str],
}

fn canary(name: &'static str, values: Vec<Vec<u8>>, may_stand: &'static [&'static str]) -> Canary {
    let values: BTreeSet<_> = values.into_iter().collect();
    assert!(!values.is_empty(), "there is no {name}");
    Canary { name, values: values.into_iter().collect(), may_stand }
}

/// All of them. What is sealed is opened with the master key, so that nothing counts that is not there.
fn canaries(scene: &Scene) -> Vec<Canary> {
    let world = &scene.world;
    let opened = sealed::open(world, &scene.master);
    let json = |column: &str, field: &str| -> Vec<Vec<u8>> {
        let read = |plain: &Vec<u8>| serde_json::from_slice::<Value>(plain).expect("JSON");
        let field = |value: Value| text(&value, field).as_bytes().to_vec();
        opened[column].iter().map(read).map(field).collect()
    };
    let secrets =
        || opened["webhook_secrets.secret"].iter().map(|plain| std::str::from_utf8(plain).expect("a text"));
    let of_kind = |prefix: &'static str| secrets().filter_map(move |secret| secret.strip_prefix(prefix));
    let escrowed = |is_code: bool| {
        let is_kind =
            move |plain: &&Vec<u8>| BypassCode::parse(&String::from_utf8_lossy(plain)).is_ok() == is_code;
        opened["escrow.secret"].iter().filter(is_kind)
    };
    let bare = |code: &Vec<u8>| code.iter().copied().filter(|letter| *letter != b'-').collect();
    vec![
        canary("consumer secret of a server token", json("server_tokens.secrets", "consumer_secret"), &[]),
        canary("access token of a server token", json("server_tokens.secrets", "access_token"), &[]),
        canary("access secret of a server token", json("server_tokens.secrets", "access_secret"), &[]),
        canary("private key of a token key", private_parts(&opened["token_keys.private_key"]), &[]),
        canary("master key", vec![sealed::master_bytes(&scene.master)], &[]),
        canary("data key", opened["data_keys.sealed"].clone(), &[]),
        canary("session with Apple", sessions(world), &[]),
        canary("signature of a request for a session", signatures_for_apple(world), &[]),
        canary(
            "secret of a webhook",
            of_kind("whsec_").map(bytes).collect(),
            &["adelie webhook add", "adelie webhook rotate"],
        ),
        // Its second half is the public key.
        canary(
            "signing key of a webhook",
            of_kind("whsk_").map(|key| bytes(key)[..32].to_vec()).collect(),
            &["adelie webhook add"],
        ),
        canary("signature of a webhook", signatures_of_webhooks(scene), &[]),
        canary(
            "bypass code",
            escrowed(true).flat_map(|code| [code.clone(), bare(code)]).collect(),
            &["adelie activation-lock code"],
        ),
        canary(
            "hash of a bypass code",
            escrowed(true).map(|code| hash_of(code)).collect(),
            &["what Apple was sent"],
        ),
        canary(
            "administrator password of a Mac",
            escrowed(false).cloned().collect(),
            &["adelie password show"],
        ),
        canary("password that was made for a command", vec![the_password_in(&scene.password)], &[]),
        canary("password of a profile", passwords(&opened["profile_revisions.secrets"]), &[]),
        canary(
            "token in the URL of an endpoint",
            vec![URL_TOKEN.into()],
            &[
                "adelie webhook list",
                "adelie webhook show",
                "the database",
                "column webhooks.url",
                "zcat all.backup",
            ],
        ),
        canary("password of the database", vec![DATABASE_PASSWORD.into()], &[]),
        canary("password of a proxy", vec![PROXY_PASSWORD.into()], &[]),
        canary("token for access management", access_management(world), &["adelie token jwt"]),
        canary("token of a beta program", beta_tokens(world), &["adelie server beta-tokens"]),
        canary("secret in what is refused", vec![REFUSED.into()], &[]),
    ]
}

/// What of RSA keys is in no certificate.
fn private_parts(keys: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let parts = |der: &Vec<u8>| {
        let rsa = PKey::private_key_from_pkcs8(der).and_then(|key| key.rsa()).expect("a private key");
        [Some(rsa.d()), rsa.p(), rsa.q()].map(|part| part.expect("a part").to_vec())
    };
    keys.iter().flat_map(parts).collect()
}

/// Those that Apple was shown.
fn sessions(world: &World) -> Vec<Vec<u8>> {
    world.apple.requests().into_iter().filter_map(|request| request.session).map(String::into_bytes).collect()
}

/// Those that Apple was shown, as texts and as bytes.
fn signatures_for_apple(world: &World) -> Vec<Vec<u8>> {
    let headers = world.apple.requests().into_iter().filter_map(|request| request.authorization);
    let signature = |header: String| {
        let encoded = header.split("oauth_signature=\"").nth(1).and_then(|rest| rest.split('"').next());
        let text = encoded.expect("a signature").replace("%2B", "+").replace("%2F", "/").replace("%3D", "=");
        let raw = bytes(&text);
        [text.into_bytes(), raw]
    };
    headers.flat_map(signature).collect()
}

/// Those that receivers were sent.
fn signatures_of_webhooks(scene: &Scene) -> Vec<Vec<u8>> {
    assert!(scene.good.posts().iter().all(|post| post.is_signed_by(WEBHOOK_SECRET)));
    let posts = scene.receivers().flat_map(|(_, receiver)| receiver.posts());
    let headers: Vec<String> = posts.map(|post| post.headers["webhook-signature"].clone()).collect();
    let signatures =
        headers.iter().flat_map(|header| header.split(' ')).filter_map(|one| one.split(',').nth(1));
    signatures.map(bytes).collect()
}

fn hash_of(code: &[u8]) -> Vec<u8> {
    let code = BypassCode::parse(std::str::from_utf8(code).expect("a text")).expect("a code");
    code.escrow_key().expect("its hash").expose_secret().as_bytes().to_vec()
}

fn the_password_in(file: &str) -> Vec<u8> {
    std::fs::read_to_string(file).expect("a password").trim_end().into()
}

/// The texts in what is sealed of profiles.
fn passwords(stored: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let given = |plain: &Vec<u8>| {
        let value: Value = serde_json::from_slice(plain).expect("JSON");
        text(&value["administrator_password"], "given").as_bytes().to_vec()
    };
    let all: Vec<_> = stored.iter().map(given).collect();
    assert!(all.contains(&GIVEN_PASSWORD.into()), "the one of the test");
    all
}

/// The signatures of those that were printed.
fn access_management(world: &World) -> Vec<Vec<u8>> {
    let jwt = text(&world.object(&["token", "jwt", "lab"]), "jwt").to_owned();
    vec![jwt.rsplit('.').next().expect("a signature").into()]
}

fn beta_tokens(world: &World) -> Vec<Vec<u8>> {
    let programs = world.objects(&["server", "beta-tokens", "lab"]);
    programs.iter().map(|program| text(program, "token").into()).collect()
}

/// Base64 as bytes.
fn bytes(text: &str) -> Vec<u8> {
    let mut bytes = decode_block(text).expect("base64");
    // What stands for the padding is decoded, too.
    bytes.truncate(bytes.len() - text.bytes().rev().take_while(|byte| *byte == b'=').count());
    bytes
}

/// Each secret that is where it must not be.
fn leaks(canaries: &[Canary], outputs: &[Output]) -> Vec<String> {
    let search = Search::new(canaries.iter().map(|canary| canary.values.as_slice()));
    let (mut leaks, mut stood) = (Vec::new(), BTreeSet::new());
    for output in outputs {
        for (place, form) in search.find(&output.bytes) {
            let canary = &canaries[place];
            match canary.may_stand.iter().find(|name| output.name.starts_with(**name)) {
                Some(name) => drop(stood.insert((place, *name))),
                None => leaks.push(format!("{}, {form}, in {}", canary.name, output.name)),
            }
        }
    }
    for (place, canary) in canaries.iter().enumerate() {
        let missing = canary.may_stand.iter().filter(|name| !stood.contains(&(place, **name)));
        leaks.extend(missing.map(|name| format!("{} is not in {name}, and should be", canary.name)));
    }
    leaks
}

on_both_databases! {
    /// L46: no secret of any kind is stored, printed, logged, exported, posted or told in an error or a panic, in whatever
    /// form, but where it is meant to be.
    fn no_secret_comes_out(database) {
        let mut scene = Scene::new(database);
        exercise::everything(&mut scene);
        let canaries = canaries(&scene);
        assert!(canaries.len() >= 12, "{} kinds", canaries.len());
        let outputs = outputs(&scene);
        let talkative = |output: &Output| output.bytes.windows(5).any(|word| word == b"TRACE");
        assert!(outputs.iter().any(talkative), "the log was not as talkative as it can be");
        let leaks = leaks(&canaries, &outputs);
        assert!(leaks.is_empty(), "{} leaks:\n{}", leaks.len(), leaks.join("\n"));
    }
}
