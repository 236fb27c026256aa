//! Whatever touches secrets is done, well and badly.

use adelie_simulator::control::EndSessions;
use adelie_simulator::{Command, Fault, Terms, TokenSwitch};

use super::peers::Peer;
use super::scene::{DATABASE_PASSWORD, PROXY_PASSWORD, REASON, REFUSED, Scene};
use crate::harness::{LAB, Reply, eventually, get, text};

/// All of it.
pub fn everything(scene: &mut Scene) {
    secrets_of_devices(scene);
    tokens(scene);
    the_service(scene);
    apple_repeats_what_it_was_sent(scene);
    wrong_inputs(scene);
    other_servers(scene);
    panics(scene);
    keys(scene);
    folders(scene);
    backups(scene);
    looks(scene);
}

fn secrets_of_devices(scene: &Scene) {
    let (world, mac) = (&scene.world, scene.macs[0].as_str());
    world.run(&["activation-lock", "lock", mac, "--yes"]).exits(0);
    let made = world.object(&["password", "make", mac, "--guid", "GUID-1", "--out", &scene.plist]);
    world.run(&["password", "settle", text(&made, "id")]).exits(0);
    world.run(&["password", "rotate", mac]).exits(0);
    world.run(&["password", "show", mac]).exits(2);
    world.run(&["activation-lock", "code", mac]).exits(2);
    for run in scene.both(&[&["password", "show", mac][..], &REASON].concat()) {
        run.exits(0);
    }
    for run in scene.both(&[&["activation-lock", "code", mac][..], &REASON].concat()) {
        run.exits(0);
    }
    for run in scene.both(&["profile", "command", "staff", "--serial", mac]) {
        run.exits(0);
    }
    world.run(&["profile", "command", "each", "--serial", mac, "--password-out", &scene.password]).exits(0);
    world.run(&["profile", "command", "each", "--serial", mac, "--password-out", &scene.password]).exits(2);
}

fn tokens(scene: &Scene) {
    let world = &scene.world;
    for run in scene.both(&["token", "jwt", "lab"]) {
        run.exits(0);
    }
    for run in scene.both(&["server", "beta-tokens", "lab"]) {
        run.exits(0);
    }
    for run in scene.both(&["server", "enrollment-url", "lab"]) {
        run.exits(0);
    }
    world.run(&["token", "renew", "lab"]).exits(1);
    world.run(&["token", "renew", "lab", "--reuse-key", "--json"]).exits(1);
    let file = world.issue("new", LAB, &world.token_key("lab"));
    world.run(&["token", "renew", "lab", &file]).exits(0);
    world.run(&["token", "restore", "lab"]).exits(1);
    let folder = world.path("files");
    std::fs::create_dir(&folder).expect("a folder");
    std::fs::copy(&file, format!("{folder}/same.p7m")).expect("a copy");
    world.run(&["token", "renew", "--folder", &folder, "--json"]).exits(0);
}

/// What the service says while all goes well, and while Apple and receivers do not do as they should.
fn the_service(scene: &mut Scene) {
    let (world, serial) = (&scene.world, &scene.macs[1]);
    scene.repeating.answers(Reply::Echo(500));
    let service = world.start(&["serve", "--listen", "127.0.0.1:0"]);
    let address = eventually("the service listens", || {
        let (_, rest) = service.log().split_once("listen=").map(|(_, rest)| ((), rest.to_owned()))?;
        rest.contains('\n').then(|| rest.split_whitespace().next().map(str::to_owned))?
    });
    world.run(&["device", "tag", serial, "--add", "canary"]).exits(0);
    scene.good.wait_for("device.tagged", 1);
    scene.signed_by_key.wait_for("device.tagged", 1);
    scene.repeating.wait_for("device.tagged", 1);
    let mut health = String::new();
    let mut looks = || {
        health += &get(&format!("http://{address}/healthz")).1;
        health += &get(&format!("http://{address}/readyz")).1;
        world.run(&["server", "show", "lab"]).exits(0);
    };
    looks();
    for (path, status) in [
        ("/devices/sync", 502),
        ("/devices/sync", 400),
        ("/devices/sync", 200),
        ("/session", 503),
        ("/session", 401),
    ] {
        let mark = world.apple.mark();
        scene.repeat(path, status, 1);
        world.apple.tell(Command::EndSessions(EndSessions { server: None, forget: true }));
        let hit = || world.apple.since(mark).iter().any(|request| request.fault).then_some(());
        eventually("the service meets the fault", hit);
        eventually("it is told", || service.log().contains(&format!("status={status}")).then_some(()));
        looks();
        world.run(&["token", "check", "lab"]).exits(0);
        world.run(&["sync", "lab", "--force"]).exits(0);
    }
    for (state, terms) in [("rejected", false), ("terms_not_signed", true)] {
        if terms {
            world.apple.terms(Terms::Unsigned);
        } else {
            world.apple.token(LAB, TokenSwitch::Rejected);
        }
        world.apple.tell(Command::EndSessions(EndSessions { server: None, forget: false }));
        eventually(state, || {
            (text(&world.object(&["token", "show", "lab"]), "state") == state).then_some(())
        });
        looks();
        world.apple.token(LAB, TokenSwitch::Live);
        world.apple.terms(Terms::Signed);
        world.run(&["token", "check", "lab"]).exits(0);
    }
    scene.repeating.answers(Reply::Status(410, ""));
    world.run(&["device", "tag", serial, "--remove", "canary"]).exits(0);
    scene.good.wait_for("webhook.disabled", 1);
    service.terminate();
    service.wait().exits(0);
    scene.health = health;
}

/// Commands that Apple answers with what it was sent.
fn apple_repeats_what_it_was_sent(scene: &Scene) {
    let (world, mac) = (&scene.world, scene.macs[2].as_str());
    let file = world.issue("again", LAB, &world.token_key("lab"));
    world.run(&["token", "renew", "lab", &file]).exits(0);
    let sync = ["sync", "lab", "--force"];
    for (path, status, args) in [
        // What may pass is tried again for a while, so that a sync meets only what does not.
        ("/devices/sync", 400, &sync[..]),
        ("/devices/sync", 403, &sync),
        ("/account", 200, &["token", "check", "lab"]),
        ("/account", 302, &["token", "check", "lab"]),
        ("/account", 502, &["token", "check", "lab", "--json"]),
        ("/session", 200, &["token", "check", "lab"]),
        ("/session", 401, &["token", "check", "lab", "--json"]),
        ("/session", 403, &["token", "renew", "lab", &file, "--json"]),
        ("/account", 404, &["token", "check", "lab"]),
        ("/os-beta-enrollment/tokens", 200, &["server", "beta-tokens", "lab"]),
        ("/os-beta-enrollment/tokens", 500, &["server", "beta-tokens", "lab"]),
    ] {
        scene.repeat(path, status, 0);
        let run = world.run(args);
        assert_ne!(run.code, Some(0), "{run}");
        world.apple.clear_faults();
    }
    scene.repeat("/device/activationlock", 500, 0);
    world.run(&["activation-lock", "lock", mac, "--yes", "--json"]).exits(1);
    world.apple.clear_faults();
    // Successes that do not read, with a secret in them.
    for (path, body, args) in [
        ("/session", format!(r#"{{"auth_session_token": ["{REFUSED}"]}}"#), &["sync", "lab", "--force"][..]),
        (
            "/os-beta-enrollment/tokens",
            format!(r#"{{"betaEnrollmentTokens": [{{"token": "{REFUSED}", "title": 7}}]}}"#),
            &["server", "beta-tokens", "lab"],
        ),
    ] {
        world.apple.fault(Fault {
            path: Some(path.to_owned()),
            body: Some(body),
            times: Some(0),
            ..Fault::default()
        });
        world.run(args).exits(1);
        world.apple.clear_faults();
    }
    world.run(&["token", "check", "lab"]).exits(0);
}

/// Files and options that are refused, with a secret in them.
fn wrong_inputs(scene: &Scene) {
    let (world, mac) = (&scene.world, scene.macs[0].as_str());
    let good = format!(
        r#"{{"consumer_key":"CK_1","consumer_secret":"CS_{REFUSED}","access_token":"AT_{REFUSED}","access_secret":"AS_{REFUSED}","access_token_expiry":"2099-01-01T00:00:00Z"}}"#
    );
    for (name, content) in [
        ("broken.p7m", good.trim_end_matches('}').to_owned()),
        ("unquoted.p7m", good.replace(&format!("\"AS_{REFUSED}\""), &format!("AS_{REFUSED}"))),
        ("field.p7m", good.replace(&format!("\"AT_{REFUSED}\""), &format!("[\"{REFUSED}\"]"))),
        ("expiry.p7m", good.replace("2099-01-01T00:00:00Z", REFUSED)),
        ("list.p7m", format!("[{good}]")),
    ] {
        let file = scene.sealed(name, &content);
        // It was opened, and what is in it is refused.
        world.run(&["token", "import", "lab", &file, "--force"]).exits(2).complains("decrypted");
    }
    world.run(&["token", "import", "lab", &world.write("readable.p7m", &good)]).exits(2);
    // One that is as it should be, of which Apple does not know.
    let file = scene.sealed("unknown.p7m", &good);
    world.run(&["token", "import", "lab", &file, "--force"]).exits(1);
    world.run(&["token", "restore", "lab"]).exits(2);
    world.run(&["token", "restore", "lab", "--force"]).exits(0);

    for secret in [format!("whsec_{REFUSED}"), REFUSED.to_owned(), format!("whsk_{REFUSED}{REFUSED}")] {
        let file = world.write("bad.secret", &secret);
        world.run(&["webhook", "add", &scene.good.url(), "--secret-file", &file]).exits(2);
        world.run(&["webhook", "listen", "--listen", "127.0.0.1:0", "--secret", &secret]).exits(2);
    }
    for url in [
        "ftp://example.org/?t={}",
        "https://me:{}@example.org/",
        "https://example.org/?t={}#x",
        "https://127.0.0.1:x/{}",
        "http://10.1.2.3/?t={}",
    ] {
        world.run(&["webhook", "add", &url.replace("{}", REFUSED)]).exits(2);
    }
    world.run(&["webhook", "show", "4711"]).exits(2);
    for url in [
        "https://me:{}@example.org",
        "https://:{}@example.org",
        "https://example.org/?t={}",
        "ftp://example.org/?t={}",
    ] {
        world.run(&["server", "add", "wrong", "--base-url", &url.replace("{}", REFUSED)]).exits(2);
    }
    world.run(&["activation-lock", "new", "--of", REFUSED]).exits(2);
    for key in
        [format!("adelie-key-1:{REFUSED}"), REFUSED.to_owned(), format!("{} {REFUSED}", scene.master.trim())]
    {
        world.run_with(&[("ADELIE_MASTER_KEY", &key)], &["key", "show"]).exits(1);
        world.run_with(&[("ADELIE_MASTER_KEY", &key)], &["sync", "lab", "--force"]).exits(2);
        let file = world.write("bad.key", &key);
        world.run(&["key", "rotate", "--to", &file]).exits(2);
    }
    for (name, content) in [
        ("unquoted.toml", "[accounts.administrator]\npassword = { given = {} }\n"),
        ("open.toml", "[accounts.administrator]\npassword = { given = \"{}\n"),
        ("alone.toml", "[accounts.administrator]\npassword = \"{}\"\n"),
        ("misspelt.toml", "[accounts.administrator]\npasword = \"{}\"\npassword = { gven = \"{}\" }\n"),
        ("list.json", "{\"accounts\": {\"administrator\": {\"password\": {\"given\": [\"{}\"]}}}}"),
        ("open.json", "{\"accounts\": {\"administrator\": {\"password\": {\"given\": \"{}\n\"}}}}"),
        ("twice.yaml", "accounts:\n  administrator:\n    password: {given: '{}', given: '{}'}\n"),
        ("open.yaml", "accounts:\n  administrator:\n    password: {given: '{}\n"),
    ] {
        let file = world.write(name, content.replace("{}", REFUSED));
        for run in scene.both(&["profile", "validate", &file]) {
            assert_ne!(run.code, Some(0), "{run}");
        }
        world.run(&["profile", "new", "wrong", "--file", &file]).exits(2);
        world.run(&["profile", "edit", "staff", "--file", &file]).exits(2);
    }
    let prestage = format!(
        r#"{{"displayName": "Macs", "accountSettings": {{"payloadConfigured": true, "localAdminAccountEnabled": true,
            "adminUsername": "admin", "adminPassword": "{REFUSED}"}}}}"#
    );
    let file = world.write("prestage.json", prestage);
    scene.both(&["profile", "import", &file]);
    world.run(&["password", "make", mac, "--guid", "GUID-1", "--out", "/nowhere/x.plist"]).exits(2);
}

/// A database and a proxy that are shown a password, and settings that are wrong beside one.
fn other_servers(scene: &Scene) {
    let world = &scene.world;
    let peer = Peer::database();
    let url = format!("postgres://adelie:{DATABASE_PASSWORD}@127.0.0.1:{}/adelie", peer.port);
    let run = world.run_with(&[("ADELIE_DATABASE_URL", &url)], &["server", "list"]);
    assert_eq!(peer.password(), DATABASE_PASSWORD);
    assert_ne!(run.code, Some(0), "{run}");
    let wrong = |end: &str| format!("postgres://adelie:{DATABASE_PASSWORD}@{end}");
    for url in [
        wrong("127.0.0.1:1/adelie"),
        wrong("[/adelie"),
        wrong("127.0.0.1:99999/adelie"),
        wrong("h/d?sslmode=no"),
        format!("mysql://u:{DATABASE_PASSWORD}@h/d"),
    ] {
        let run = world.run_with(&[("ADELIE_DATABASE_URL", &url)], &["doctor", "--json"]);
        assert_ne!(run.code, Some(0), "{run}");
        let run = world.run_with(&[("ADELIE_DATABASE_URL", "")], &["server", "list", "--database", &url]);
        assert_ne!(run.code, Some(0), "{run}");
    }
    let url = wrong("127.0.0.1:1/adelie");
    for content in [
        format!("databse = \"{url}\"\n"),
        format!("database = {url}\n"),
        format!("database = \"{url}\n"),
        format!("database = [\"{url}\"]\n"),
        format!("database = \"{url}\"\ndatabase = 1\n"),
    ] {
        let file = world.write("wrong.toml", content);
        world.run(&["server", "list", "--config", &file]).exits(2).complains("wrong.toml");
    }

    let peer = Peer::proxy();
    let proxy = format!("http://adelie:{PROXY_PASSWORD}@127.0.0.1:{}", peer.port);
    world.run(&["server", "add", "proxied", "--base-url", "https://apple.invalid"]).exits(0);
    let file = world.issue("proxied", LAB, &world.token_key("proxied"));
    let env = [("https_proxy", proxy.as_str()), ("http_proxy", proxy.as_str())];
    world.run_with(&env, &["token", "import", "proxied", &file, "--force"]).exits(1);
    assert_eq!(peer.password(), format!("adelie:{PROXY_PASSWORD}"));
    world.run_with(&env, &["sync", "proxied", "--force"]).exits(1);
    // What was downloaded for it has ended the token of the lab.
    let file = world.issue("last", LAB, &world.token_key("lab"));
    world.run(&["token", "renew", "lab", &file]).exits(0);
}

/// A panic where secrets are in memory.
fn panics(scene: &Scene) {
    let (world, mac) = (&scene.world, scene.macs[3].as_str());
    let file = world.issue("panic", LAB, &world.token_key("lab"));
    let plist = world.path("panic.plist");
    world.run(&["device", "tag", mac, "--add", "panic"]).exits(0);
    for (point, args) in [
        ("token.proven", &["token", "renew", "lab", &file][..]),
        ("fetch.after", &["sync", "lab", "--force"]),
        ("activation_lock.escrowed", &["activation-lock", "lock", mac, "--yes"]),
        ("password.escrowed", &["password", "make", mac, "--guid", "GUID-1", "--out", &plist]),
        ("key.before_batch", &["key", "rotate"]),
        ("webhook.answered", &["sync", "lab", "--force"]),
    ] {
        let run = world.run_with(&[("ADELIE_PANIC_AT", point)], args);
        run.complains(&format!("a panic at {point} was asked for"));
        // What was downloaded for it has ended the token in use.
        world.run(&["token", "renew", "lab", &file]).exits(0);
    }
    world.run(&["sync", "lab", "--force"]).exits(0);
}

fn keys(scene: &Scene) {
    let world = &scene.world;
    for args in [&["key", "rotate"][..], &["key", "show"]] {
        for run in scene.both(args) {
            run.exits(0);
        }
    }
    let other = world.path("other.key");
    world.run(&["key", "make", &other, "--json"]).exits(0);
    world.run(&["key", "rotate", "--to", &other]).exits(2);
    let endpoint = scene.endpoint_that_fails();
    world.run(&["webhook", "resume", &endpoint]).exits(0);
    world.run(&["webhook", "rotate", &endpoint]).exits(0);
}

fn folders(scene: &Scene) {
    let world = &scene.world;
    world.run(&["export", &scene.folder]).exits(0);
    for run in scene.both(&["plan", &scene.folder]) {
        run.exits(0);
    }
    let staff = format!("{}/profiles/staff.toml", scene.folder);
    let exported = std::fs::read_to_string(&staff).expect("a profile");
    let other = exported.replace("\"stored\"", &format!("{{ given = \"{REFUSED}\" }}"));
    assert_ne!(other, exported);
    std::fs::write(&staff, other).expect("written");
    for run in scene.both(&["plan", &scene.folder]) {
        run.exits(2);
    }
    scene.both(&["profile", "diff", "staff", "--file", &staff]);
    std::fs::write(&staff, exported).expect("written");
    world.run(&["apply", &scene.folder, "--yes"]).exits(0);
    world.run(&["audit", "export", "--out", &scene.audit]).exits(0);
}

fn backups(scene: &Scene) {
    let world = &scene.world;
    world.run(&["backup", &scene.backup]).exits(0);
    world.run(&["backup", &scene.backup, "--force", "--json"]).exits(0);
    for run in scene.both(&["restore", &scene.backup, "--check"]) {
        run.exits(0);
    }
    world.run(&["restore", &scene.backup]).exits(2);
    // What is printed is looked at.
    let unpacked = world.shell("zcat all.backup").exits(0).stdout;
    assert!(unpacked.contains("{\"table\":\"server_tokens\""), "this is no backup");
}

/// Every command that only looks.
fn looks(scene: &Scene) {
    let (world, mac) = (&scene.world, scene.macs[0].as_str());
    let endpoint = scene.endpoint_that_fails();
    world.run(&["webhook", "replay", "--failed"]).exits(0);
    scene.repeating.answers(Reply::Echo(418));
    world.run(&["webhook", "test", &endpoint]).exits(1);
    let number: i64 = endpoint.parse().expect("a number");
    let deliveries = world.objects(&["webhook", "log"]);
    let failed = world.objects(&["webhook", "log", "--failed"]);
    assert!(!failed.is_empty());
    for delivery in deliveries.iter().chain(&failed) {
        if delivery["endpoint"] == number || delivery["delivery"] == 1 {
            scene.both(&["webhook", "log", &delivery["delivery"].to_string()]);
        }
    }
    let event = world.objects(&["events", "list", "--type", "webhook.*"]);
    let event = text(&event[0], "id").to_owned();
    for args in [
        &["server", "list"][..],
        &["server", "show", "lab"],
        &["server", "show", "proxied"],
        &["token", "list"],
        &["token", "show", "lab"],
        &["token", "history", "lab"],
        &["token", "check", "--all"],
        &["sync", "history"],
        &["device", "list"],
        &["device", "show", mac],
        &["device", "explain", mac],
        &["device", "history", mac],
        &["assign", "status"],
        &["password", "list"],
        &["activation-lock", "list"],
        &["profile", "list"],
        &["profile", "show", "staff"],
        &["profile", "show", "staff", "--file", "toml"],
        &["profile", "history", "staff"],
        &["changes"],
        &["events", "list", "--limit", "1000"],
        &["events", "show", &event],
        &["webhook", "list"],
        &["webhook", "show", &endpoint],
        &["webhook", "log"],
        &["webhook", "log", "--failed"],
        &["audit", "list", "--limit", "1000"],
        &["audit", "verify"],
        &["audit", "export"],
        &["key", "show"],
        &["doctor"],
        &["doctor", "--check", "tokens"],
    ] {
        for run in scene.both(args) {
            assert!(matches!(run.code, Some(0 | 1)), "{run}");
        }
    }
}
