//! What people did by hand: written with every command, shown, checked, exported.

use adelie_simulator::Settings;
use serde_json::{Value, json};

use crate::harness::{Database, World, text};

/// The entries after a number, oldest first.
#[track_caller]
fn entries(world: &World, after: i64) -> Vec<Value> {
    let mut entries = world.objects(&["audit", "list", "--limit", "1000"]);
    entries.retain(|entry| entry["number"].as_i64().expect("a number") > after);
    entries.reverse();
    entries
}

fn words(entries: &[Value]) -> Vec<String> {
    let word = |entry: &Value| {
        let object = &entry["object"];
        format!("{} {}:{}", text(entry, "action"), text(object, "kind"), text(object, "name"))
    };
    entries.iter().map(word).collect()
}

/// The number of the last entry.
#[track_caller]
fn last(world: &World) -> i64 {
    entries(world, 0).last().map_or(0, |entry| entry["number"].as_i64().expect("a number"))
}

/// Takes away what keeps entries from being changed, and changes something.
fn tamper(world: &World, statements: &str) {
    let unlock = if world.database.is_postgres() {
        "ALTER TABLE audit DISABLE TRIGGER USER; ALTER TABLE audit_head DISABLE TRIGGER USER;"
    } else {
        "DROP TRIGGER IF EXISTS audit_is_not_changed; DROP TRIGGER IF EXISTS audit_is_not_deleted;
         DROP TRIGGER IF EXISTS audit_head_goes_forward;"
    };
    world.ledger().run(&format!("-- tamper\n{unlock} {statements}"));
}

/// A few servers, so that there are a few entries.
fn with_servers(database: Database) -> World {
    let world = World::empty(database, Settings::default());
    for name in ["a", "b", "c", "d", "e"] {
        world.run(&["server", "add", name, "--base-url", &world.apple.url]).exits(0);
    }
    world
}

on_both_databases! {
    /// L32: every command leaves its entries, with who, why and one id for the run; and one that changes nothing leaves
    /// none.
    fn commands_leave_entries(database) {
        let world = World::synced(database, 3);
        let serials = world.apple.some("Lab", 2);
        let all = words(&entries(&world, 0));
        for expected in ["server.added server:lab", "profile.added profile:standard", "server.defaults_changed server:lab"] {
            assert!(all.iter().any(|word| word == expected), "{expected} is not in {all:?}");
        }
        let mark = last(&world);

        world.run(&["server", "pause", "lab", "--reason", " ticket 7 "]).exits(0);
        world.run(&["server", "pause", "lab", "--reason", "again"]).exits(0);
        world.run_with(&[("ADELIE_REASON", "from the script")], &["server", "resume", "lab"]).exits(0);
        world.run(&["assign", "hold", &serials[0], &serials[1], "--reason", "in repair"]).exits(0);
        world.run(&["rule", "add", "macs", "--when", "family=mac", "--profile", "standard"]).exits(0);
        world.run(&["sync", "lab"]).exits(3);
        world.run(&["sync", "lab", "--force", "--reason", "now"]).exits(0);
        world.run(&["sync", "lab", "--accept-removals"]).exits(0);
        world.run(&["device", "undo"]).exits(0);
        let entries = entries(&world, mark);
        let held: Vec<_> = serials.iter().map(|serial| format!("device.held device:{serial}")).collect();
        let undone: Vec<_> = serials.iter().map(|serial| format!("device.unheld device:{serial}")).collect();
        let mut found = words(&entries);
        // Devices of one change come in any order.
        found[3..5].sort();
        let place = found.len() - 3;
        found[place..place + 2].sort();
        let expected = [
            vec!["server.paused server:lab".to_owned(), "server.resumed server:lab".to_owned(), "bulk.begun bulk:1".to_owned()],
            held,
            vec!["rule.added rule:macs".to_owned(), "sync.forced server:lab".to_owned(), "sync.forced server:lab".to_owned(),
                "sync.removals_accepted server:lab".to_owned()],
            undone,
            vec!["bulk.undone bulk:1".to_owned()],
        ]
        .concat();
        assert_eq!(found, expected);

        let reasons: Vec<_> = entries.iter().map(|entry| entry["reason"].clone()).collect();
        let some = ["ticket 7", "from the script", "in repair", "in repair", "in repair"];
        assert_eq!(reasons[..5], some.map(Value::from));
        assert_eq!((&reasons[5], &reasons[6], &reasons[7]), (&Value::Null, &"now".into(), &Value::Null));
        let request = |place: usize| text(&entries[place], "request");
        assert!(request(2) == request(3) && request(3) == request(4), "one run has one id");
        assert!(request(0) != request(1) && request(1) != request(2), "and another run has another");
        assert!(entries.iter().all(|entry| !text(entry, "actor").is_empty()));
        assert_eq!((&entries[0]["before"], &entries[0]["after"]), (&json!({ "paused": false }), &json!({ "paused": true })));
        let device = world.device(&serials[0]);
        assert!(device["hold"].is_null(), "{device}");

        let number = entries[0]["number"].to_string();
        let shown = world.run(&["audit", "show", &number]).exits(0).stdout;
        for part in ["paused: false -> true", "ticket 7", "An MDM server was paused.", "server:lab"] {
            assert!(shown.contains(part), "{part} is not in {shown}");
        }
        assert_eq!(world.object(&["audit", "show", &number]), entries[0]);
        let table = world.run(&["audit", "list", "--action", "device.*", "--object", &serials[0]]).exits(0).stdout;
        assert!(table.contains("in repair") && !table.contains(&serials[1]), "{table}");
        let list = |options: &[&str]| words(&world.objects(&[&["audit", "list"], options].concat()));
        assert_eq!(list(&["--object", "rule:", "--since", "1h"]), ["rule.added rule:macs"]);
        assert_eq!(list(&["--object", "server:lab", "--action", "server.paused,server.resumed", "--limit", "1"]),
            ["server.resumed server:lab"]);
        assert_eq!(list(&["--actor", "nobody-of-that-name"]), [""; 0]);
        assert_eq!(list(&["--request", request(2)]).len(), 3);
        assert_eq!(list(&["--request", "00000000-0000-0000-0000-000000000000"]), [""; 0]);
        world.run(&["device", "refresh", &serials[0], "--reason", "ticket 8"]).exits(0);
        let asked = world.objects(&["audit", "list", "--action", "device.refreshed"]);
        assert_eq!(words(&asked), [format!("device.refreshed device:{}", serials[0])]);
        assert_eq!((&asked[0]["reason"], &asked[0]["after"]), (&"ticket 8".into(), &json!({ "server": "lab" })));
        assert_eq!(list(&["--since", "2999-01-01"]), [""; 0]);
    }

    /// What is done to the tables past the program is found, by the first entry that does not fit.
    fn verify_finds_tampering(database) {
        let world = with_servers(database);
        let run = world.run(&["audit", "verify"]).exits(0);
        assert!(run.stdout.contains("5 entries fit"), "{run}");
        let good = world.object(&["audit", "verify"]);
        let head = text(&good, "head").to_owned();
        assert_eq!((&good["good"], &good["good_until"]), (&true.into(), &5.into()), "{good}");
        assert!(run.stdout.contains(&format!("head: {head}")), "{run}");
        world.run(&["audit", "verify", "--head", &head]).exits(0);
        assert!(world.run(&["doctor"]).stdout.contains("ok   audit: its last 5 entries fit"));
        // The database itself refuses.
        let refused = world.ledger().attempt("-- refused\nDELETE FROM audit WHERE number = 5");
        assert!(refused.is_err(), "an entry was deleted");

        let broken = |statements: &str, says: &str, good_until: i64| {
            tamper(&world, statements);
            world.run(&["audit", "verify"]).exits(1).complains(says);
            let object = world.run(&["audit", "verify", "--json"]).exits(1).object();
            assert_eq!((&object["good"], &object["good_until"]), (&false.into(), &good_until.into()), "{object}");
            let doctor = world.run(&["doctor"]).exits(1).stdout;
            assert!(doctor.contains("BAD  audit: ") && doctor.contains(says), "{doctor}");
        };
        broken("UPDATE audit_head SET number = 4", "entry 5 is there, and the head of the chain is 4", 5);
        broken("UPDATE audit_head SET number = 5; DELETE FROM audit WHERE number = 5",
            "the entries end with 4, and 5 were written", 4);
        world.run(&["audit", "show", "5"]).exits(2).complains("audit verify");
        broken("UPDATE audit SET actor = 'somebody else' WHERE number = 4", "entry 4 does not fit", 3);
        broken("DELETE FROM audit WHERE number = 2", "entry 2 is missing: 3 comes after 1", 1);

        // All of it gone, and the head at the beginning: an empty audit is good, unless a head was kept.
        let zeros = "0".repeat(64);
        tamper(&world, &format!("DELETE FROM audit; UPDATE audit_head SET number = 0, hash = '{zeros}'"));
        world.run(&["audit", "verify"]).exits(0);
        world.run(&["audit", "verify", "--head", &head]).exits(1).complains("entry 5 was kept, and the audit ends with 0");
    }

    /// The program in docs/audit.md checks an export as we do.
    fn an_export_is_verified_by_python(database) {
        let world = with_servers(database);
        world.run(&["server", "pause", "a", "--reason", "\"ü\" \\ 🐧 \u{2028}"]).exits(0);
        let docs = include_str!("../../docs/audit.md");
        let program = docs.split("```python\n").nth(1).and_then(|rest| rest.split("```").next()).expect("a program");
        world.write("check.py", program);
        let check = |file: &str| world.shell(&format!("python3 check.py {file}"));

        let file = world.path("audit.jsonl");
        let run = world.run(&["audit", "export", "--out", &file]).exits(0);
        let head = text(&world.object(&["audit", "verify"]), "head").to_owned();
        assert!(run.stdout.contains("wrote 6 entries") && run.stdout.contains(&head), "{run}");
        let checked = check("audit.jsonl").exits(0).stdout;
        assert_eq!(checked.trim(), format!("all entries fit; the head is {head}"));
        let whole = std::fs::read_to_string(&file).expect("the export");
        assert_eq!(world.run(&["audit", "export"]).exits(0).stdout, whole);
        world.run(&["audit", "export", "--out", &file]).exits(2).complains("is there already");
        assert_eq!(std::fs::read_to_string(&file).expect("the export"), whole);

        world.write("changed.jsonl", whole.replacen("\"paused\\\":false", "\"paused\\\":true ", 1));
        check("changed.jsonl").exits(1).complains("entry 1 does not fit");
        let lines: Vec<_> = whole.lines().collect();
        world.write("gap.jsonl", [&lines[..2], &lines[3..]].concat().join("\n"));
        check("gap.jsonl").exits(1).complains("entry 3 does not fit");

        // From the middle on.
        let since = text(&entries(&world, 3)[0], "at").to_owned();
        let part = world.run(&["audit", "export", "--since", &since]).exits(0).stdout;
        assert!(whole.ends_with(&part) && part.lines().count() >= 3, "{part}");
        world.write("part.jsonl", &part);
        assert!(check("part.jsonl").exits(0).stdout.contains(&head));
        let none = world.run(&["audit", "export", "--since", "2999-01-01"]).exits(0);
        assert!(none.stdout.is_empty() && none.stderr.contains(&head), "{none}");
    }

    /// L46: what an endpoint, a profile and the keys have of secrets is not in the audit.
    fn no_secret_is_in_the_audit(database) {
        const CANARY: &str = "Canary4711canary";
        let world = World::with_webhooks(database, 2);
        let url = format!("http://127.0.0.1:9/hook?token={CANARY}");
        let secret = format!("whsec_{}", "Q2FuYXJ5NDcxMWNhbmFyeUNhbmFyeTQ3MTFjYW5hcnk=");
        let file = world.write("secret.txt", &secret);
        let added = world.run(&["webhook", "add", &url, "--secret-file", &file]).exits(0);
        let profile = format!(
            "name = \"Staff\"\nplatforms = [\"macOS 26.1\"]\nurl = \"https://mdm.example.org/enroll\"\n\n[accounts.administrator]\n\
             short_name = \"localadmin\"\npassword = {{ given = \"{CANARY}\" }}\n"
        );
        let profile = world.write("staff.toml", profile);
        world.run(&["profile", "new", "Staff", "--file", &profile]).exits(0);
        let told = world.run(&["audit", "export"]).exits(0).stdout;
        assert!(told.contains("webhook.added") && told.contains("http://127.0.0.1:9/hook?(not kept)"), "{told}");
        assert!(told.contains("\"name\":\"Staff\""), "{told}");
        for secret in [CANARY, secret.as_str(), "Q2FuYXJ5"] {
            assert!(!told.contains(secret), "{secret} is in {told}\n{added}");
        }
    }
}
