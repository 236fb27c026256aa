//! Secrets stay sealed and quiet.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use adelie_simulator::Settings;
use openssl::cms::{CMSOptions, CmsContentInfo};
use openssl::stack::Stack;
use openssl::symm::Cipher;
use openssl::x509::X509;

use crate::harness::{Database, Run, STANDARD, World};

/// What must be nowhere but in the token file.
const CONSUMER_SECRET: &str = "CS_canary0consumer0secret";
const ACCESS_TOKEN: &str = "AT_canary0access0token";
const ACCESS_SECRET: &str = "AS_canary0access0secret";

/// The parts of a private key in DER that a certificate has not: PKCS#8 and PKCS#1.
const PKCS8: &[u8] = b"\x02\x01\x00\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00\x04\x82";
const PKCS1: &[u8] = b"\x02\x01\x00\x02\x82\x01";

/// A `.p7m` with secrets that the test knows.
fn canary_file(world: &World, certificate: &str) -> String {
    let json = format!(
        r#"{{"consumer_key":"CK_canary","consumer_secret":"{CONSUMER_SECRET}","access_token":"{ACCESS_TOKEN}",
            "access_secret":"{ACCESS_SECRET}","access_token_expiry":"2099-01-01T00:00:00Z"}}"#
    );
    let mut recipients = Stack::new().expect("a stack");
    recipients.push(X509::from_pem(certificate.as_bytes()).expect("a certificate")).expect("room");
    let sealed =
        CmsContentInfo::encrypt(&recipients, json.as_bytes(), Cipher::aes_128_cbc(), CMSOptions::BINARY);
    world.write("canary.p7m", sealed.and_then(|sealed| sealed.to_der()).expect("CMS"))
}

/// Everything that is stored, the key file apart.
pub fn stored(world: &World) -> Vec<u8> {
    match &world.database {
        Database::Sqlite => ["adelie.db", "adelie.db-wal"]
            .iter()
            .flat_map(|name| std::fs::read(world.data_dir().join(name)).unwrap_or_default())
            .collect(),
        Database::Postgres(url) => {
            let dump = Command::new(pg_dump()).args(["--dbname", url]).output().expect("`pg_dump` starts");
            assert!(dump.status.success(), "{}", String::from_utf8_lossy(&dump.stderr));
            // The text as it is, and the bytes of every binary column.
            let text = String::from_utf8_lossy(&dump.stdout).into_owned();
            let binary = text.split_whitespace().filter_map(|word| word.strip_prefix(r"\\x")).flat_map(unhex);
            dump.stdout.iter().copied().chain(binary).collect()
        }
    }
}

/// The program beside the newest server, because an older one refuses.
fn pg_dump() -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let newest = versions.filter_map(|entry| {
        let program = entry.path().join("bin/pg_dump");
        let version: u32 = entry.file_name().to_str()?.parse().ok()?;
        program.is_file().then_some((version, program))
    });
    newest.max().map_or_else(|| PathBuf::from("pg_dump"), |(_, program)| program)
}

pub fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<_> = text.chars().filter_map(|digit| digit.to_digit(16)).collect();
    digits.chunks_exact(2).filter_map(|pair| u8::try_from(pair[0] * 16 + pair[1]).ok()).collect()
}

pub fn holds(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}

/// A text like a prefix and so many hex digits, as the simulated Apple makes its secrets.
fn has_word_of(haystack: &[u8], prefix: &[u8], digits: usize) -> bool {
    let length = prefix.len() + digits;
    haystack
        .windows(length)
        .any(|window| window.starts_with(prefix) && window[prefix.len()..].iter().all(u8::is_ascii_hexdigit))
}

#[track_caller]
pub fn assert_quiet(what: &str, bytes: &[u8]) {
    for canary in [CONSUMER_SECRET, ACCESS_TOKEN, ACCESS_SECRET] {
        assert!(!holds(bytes, canary.as_bytes()), "{canary} is in {what}");
    }
    for prefix in [b"CS_", b"AS_"] {
        assert!(!has_word_of(bytes, prefix, 40), "a secret like {prefix:?} is in {what}");
    }
    assert!(!holds(bytes, b"AT_O"), "an access token is in {what}");
    assert!(!holds(bytes, b"PRIVATE KEY"), "a private key in PEM is in {what}");
    assert!(!holds(bytes, PKCS8) && !holds(bytes, PKCS1), "a private key in DER is in {what}");
}

pub fn mode(path: &Path) -> u32 {
    path.metadata().unwrap_or_else(|error| panic!("{}: {error}", path.display())).permissions().mode() & 0o777
}

on_both_databases! {
    /// L46: neither the database nor anything that is printed, at the most talkative log, has a token's secret, a
    /// session or a private key.
    fn nothing_secret_is_stored_or_printed(database) {
        let mut world = World::empty(database, Settings { devices: 3, ..Settings::default() });
        world.set("ADELIE_LOG", "trace");
        let mut runs: Vec<Run> = Vec::new();
        let mut run = |args: &[&str], code: i32| {
            let run = world.run(args).exits(code);
            runs.push(run.clone());
            run
        };
        run(&["server", "add", "lab", "--base-url", &world.apple.url], 0);
        let certificate = run(&["token", "key", "lab"], 0).stdout;
        let file = world.issue("lab", "Lab", &certificate);
        run(&["token", "import", "lab", &file], 0);
        let profile = world.write("standard.json", STANDARD);
        run(&["profile", "new", "standard", "--file", &profile], 0);
        run(&["server", "set", "lab", "--default", "any=standard"], 0);
        run(&["sync", "lab"], 0);
        run(&["token", "show", "lab", "--json"], 0);

        run(&["server", "add", "canary", "--base-url", &world.apple.url], 0);
        let certificate = run(&["token", "key", "canary"], 0).stdout;
        let file = canary_file(&world, &certificate);
        // Apple does not know it, and says so.
        run(&["token", "import", "canary", &file], 1);
        run(&["token", "import", "canary", &file, "--force"], 1);
        run(&["token", "show", "canary"], 0);
        run(&["token", "show", "canary", "--json"], 0);
        run(&["sync", "canary"], 1);
        run(&["doctor", "--json"], 1);
        run(&["server", "list", "--json"], 0);

        assert!(runs.iter().any(|run| run.stderr.contains("TRACE")), "the log was not as talkative as it can be");
        for run in &runs {
            assert_quiet(&run.line, run.stdout.as_bytes());
            assert_quiet(&run.line, run.stderr.as_bytes());
        }
        let sessions = world.apple.requests().into_iter().filter_map(|request| request.session);
        for session in sessions {
            let told = runs.iter().find(|run| run.stderr.contains(&session) || run.stdout.contains(&session));
            assert!(told.is_none(), "a session is told by {}", told.map_or("", |run| run.line.as_str()));
        }
        let stored = stored(&world);
        assert!(holds(&stored, b"CK_canary"), "the test looks in the wrong place");
        // A certificate is stored in the clear, as binary: that it is found shows that a key would be.
        let certificate = X509::from_pem(certificate.as_bytes()).and_then(|known| known.to_der()).expect("DER");
        assert!(holds(&stored, &certificate), "the test does not see binary columns");
        assert_quiet("the database", &stored);
    }

    /// L46: what is on disk is its owner's alone, whatever the umask; and stays so.
    fn files_are_their_owners_alone(database) {
        let world = World::synced(database, 2);
        let dir = world.data_dir();
        assert_eq!(mode(&dir), 0o700);
        for entry in std::fs::read_dir(&dir).expect("the folder").map(|entry| entry.expect("a file").path()) {
            assert_eq!(mode(&entry), 0o600, "{}", entry.display());
        }
        assert_eq!(dir.join("adelie.db").is_file(), !world.database.is_postgres());
    }
}
