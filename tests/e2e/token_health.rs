//! How server tokens stand: what is found out about them, when they are asked about again, and what is told.

use std::time::Duration;

use adelie_simulator::{Fault, Terms, TokenSwitch};
use serde_json::Value;

use crate::harness::{LAB, Ledger, World, eventually, text};

const SERVE: [&str; 3] = ["serve", "--listen", "127.0.0.1:0"];

fn state(world: &World, server: &str) -> String {
    text(&world.object(&["token", "show", server]), "state").to_owned()
}

/// The types of the events about tokens and terms, oldest first.
fn told(world: &World) -> Vec<String> {
    let mut events = world.objects(&["events", "list", "--type", "token.*,terms.*"]);
    events.reverse();
    let kinds = events.iter().map(|event| text(event, "type").to_owned());
    kinds.filter(|kind| kind != "token.renewed").collect()
}

/// Makes the stored token of an MDM server unreadable.
fn damage(world: &World) {
    let nothing = match world.ledger() {
        Ledger::Sqlite(_) => "x'00'",
        Ledger::Postgres(_) => r"'\x00'",
    };
    world.ledger().run(&format!(
        "-- damage\nUPDATE server_tokens SET secrets = {nothing}
         WHERE server_id = (SELECT id FROM mdm_servers WHERE name = 'lab')"
    ));
}

/// Lets the stored tokens expire in so many days.
fn expire_in(world: &World, days: i64) {
    let at = match world.ledger() {
        Ledger::Sqlite(_) => {
            format!("(CAST(strftime('%s', 'now') AS INTEGER) + {} + 3600) * 1000", days * 86_400)
        }
        Ledger::Postgres(_) => format!("date_trunc('second', now()) + interval '{days} days 1 hour'"),
    };
    world.ledger().run(&format!("-- expire\nUPDATE server_tokens SET expires_at = {at}"));
}

on_both_databases! {
    /// L44: accepted terms are found out at once when somebody asks, told once, and what was held up is due.
    fn accepted_terms_are_seen_on_demand(database) {
        let world = World::synced(database, 3);
        world.run(&["token", "check", "lab"]).exits(0);
        world.apple.terms(Terms::Unsigned);
        let run = world.run(&["token", "check", "lab"]).exits(1).complains("accept the new terms");
        assert!(run.stdout.contains("terms_not_signed"), "{run}");
        let shown = world.object(&["token", "show", "lab"]);
        assert!(shown["next_check_at"].is_string() && shown["since"].is_string(), "{shown}");
        assert!(text(&shown, "remedy").contains("adelie token check lab"), "{shown}");
        world.run(&["token", "check", "--all"]).exits(1);
        world.apple.terms(Terms::Signed);
        let checked = world.run(&["token", "check", "lab", "--json"]).exits(0).object();
        assert_eq!((text(&checked, "state"), &checked["error"]), ("valid", &Value::Null));
        assert_eq!(told(&world), ["terms.required", "terms.accepted"]);
        world.run(&["token", "check"]).exits(2);
        world.run(&["token", "check", "nobody"]).exits(2).complains("no MDM server");
    }

    /// L43, L44: terms that are accepted while the network is down are told as accepted all the same, and a token that
    /// stays revoked over an outage is told once.
    fn an_outage_hides_nothing(database) {
        let mut world = World::synced(database, 3);
        world.set("ADELIE_REQUEST_TIMEOUT_SECONDS", "2");
        let cut = || world.apple.fault(Fault { cut: true, times: Some(0), ..Fault::default() });
        world.apple.terms(Terms::Unsigned);
        world.run(&["token", "check", "lab"]).exits(1);
        cut();
        world.run(&["token", "check", "lab"]).exits(1);
        assert_eq!(state(&world, "lab"), "terms_not_signed", "a dead network takes nothing back");
        world.apple.clear_faults();
        world.apple.terms(Terms::Signed);
        world.run(&["token", "check", "lab"]).exits(0);
        world.apple.token(LAB, TokenSwitch::Rejected);
        world.run(&["token", "check", "lab"]).exits(1);
        cut();
        world.run(&["token", "check", "lab"]).exits(1);
        world.apple.clear_faults();
        world.run(&["token", "check", "lab"]).exits(1);
        assert_eq!(told(&world), ["terms.required", "terms.accepted", "token.invalid"]);
    }

    /// L44: the service tries a refused token slowly, by one question and not by every due sync, and goes on by itself
    /// when the trouble is over.
    fn a_refused_token_is_tried_slowly_by_itself(database) {
        let mut world = World::synced(database, 3);
        world.set("ADELIE_DELTA_INTERVAL_SECONDS", "1");
        world.set("ADELIE_TERMS_INTERVAL_SECONDS", "3600");
        world.apple.terms(Terms::Unsigned);
        world.run(&["token", "check", "lab"]).exits(1);
        world.apple.add_devices(LAB, 2).expect("devices");
        let mark = world.apple.mark();
        let service = world.start(&SERVE);
        eventually("the service runs", || service.log().contains("listen=").then_some(()));
        // Work is made due, and what people decide is still looked at: devices that are known get their new profile decided.
        world.add_profile_of("Other");
        world.run(&["server", "set", "lab", "--default", "any=Other"]).exits(0);
        let open = "-- to_decide\nSELECT name FROM mdm_servers WHERE decide_after IS NOT NULL";
        eventually("it is decided", || world.ledger().column(open).is_empty().then_some(()));
        std::thread::sleep(Duration::from_secs(3));
        assert_eq!(world.apple.since(mark).len(), 0, "Apple is left alone: {:#?}", world.apple.since(mark));
        service.terminate();
        service.wait().exits(0);

        world.set("ADELIE_TERMS_INTERVAL_SECONDS", "1");
        world.run(&["token", "check", "lab"]).exits(1);
        let service = world.start(&SERVE);
        let mark = world.apple.mark();
        eventually("it asks by itself", || (world.apple.mark() > mark + 1).then_some(()));
        let asked: Vec<_> = world.apple.since(mark).into_iter().map(|request| request.path).collect();
        assert!(asked.iter().all(|path| path == "/session" || path == "/account"), "{asked:?}");
        world.apple.terms(Terms::Signed);
        eventually("the devices that came meanwhile", || world.compare("lab", LAB).ok());
        assert_eq!(told(&world), ["terms.required", "terms.accepted"]);
        service.terminate();
        service.wait().exits(0);
    }

    /// L42: a stored token that does not open stops neither the service nor another token, and is told.
    fn a_damaged_token_stops_nothing_else(database) {
        let mut world = World::synced(database, 3);
        world.set("ADELIE_DELTA_INTERVAL_SECONDS", "1");
        world.apple.add_server("Branch").expect("a new MDM server");
        world.onboard("branch", "Branch");
        world.run(&["server", "set", "branch", "--default", "any=standard"]).exits(0);
        damage(&world);
        let service = world.start(&SERVE);
        world.apple.add_devices("Branch", 3).expect("devices");
        eventually("the other server", || {
            (world.table("branch").len() == 3).then(|| world.compare("branch", "Branch").ok()).flatten()
        });
        service.terminate();
        service.wait().exits(0);
        world.run(&["sync", "branch", "--force"]).exits(0);
        let doctor = world.run(&["doctor", "--check", "tokens"]).exits(1).stdout;
        assert!(doctor.contains("BAD  token of lab: the stored server token cannot be opened"), "{doctor}");
        // It stands first, with why and what to do; the other one is as it was.
        world.run(&["server", "add", "none", "--base-url", &world.apple.url]).exits(0);
        let remedy = "or get a new token with `adelie token renew lab`";
        for (command, of_token) in [("server", "token"), ("token", "")] {
            let name = if command == "server" { "name" } else { "server" };
            let listed = world.objects(&[command, "list"]);
            let token = |place: usize| if of_token.is_empty() { &listed[place] } else { &listed[place][of_token] };
            assert_eq!((text(&listed[0], name), text(token(0), "state")), ("lab", "damaged"), "{listed:?}");
            assert!(text(token(0), "detail").contains("cannot be opened"), "{listed:?}");
            assert!(text(token(0), "remedy").contains(remedy), "{listed:?}");
            let branch = (0..listed.len()).find(|place| text(&listed[*place], name) == "branch").expect("it is listed");
            assert_eq!((text(token(branch), "state"), &token(branch)["detail"]), ("valid", &Value::Null), "{listed:?}");
            let table = world.run(&[command, "list"]).exits(0).stdout;
            let first = table.lines().nth(1).expect("a row");
            assert!(first.starts_with("lab ") && first.contains("damaged") && first.contains("cannot be opened"), "{table}");
        }
        assert_eq!(world.objects(&["server", "list"])[0]["alerts"][0]["code"], "token_damaged");
        let shown = world.run(&["server", "show", "lab"]).exits(0).stdout;
        assert!(shown.contains("PROBLEM the stored server token cannot be opened") && shown.contains(remedy), "{shown}");
        world.run(&["token", "check", "lab"]).exits(1).complains("adelie token renew lab");
        world.run(&["token", "check", "branch"]).exits(0);
        world.run(&["token", "show", "lab"]).exits(0).complains("adelie token renew lab");
        // It is mended by another one, whatever has become of the old.
        let file = world.issue("lab", LAB, &world.token_key("lab"));
        world.run(&["token", "renew", "lab", &file]).exits(0);
        let doctor = world.run(&["doctor", "--check", "tokens"]).stdout;
        assert!(doctor.contains("ok   token of lab: valid until"), "{doctor}");
        world.run(&["sync", "lab", "--force"]).exits(0);
        world.assert_exact("lab", LAB);
    }

    /// L43: the expiry is told in steps, once each, without a service and without Apple.
    fn the_expiry_is_told_without_apple(database) {
        let mut world = World::synced(database, 2);
        world.set("ADELIE_REQUEST_TIMEOUT_SECONDS", "2");
        world.apple.fault(Fault { cut: true, times: Some(0), ..Fault::default() });
        let days = |world: &World| -> Vec<i64> {
            let mut events = world.objects(&["events", "list", "--type", "token.expir*"]);
            events.reverse();
            events.iter().map(|event| event["data"]["days"].as_i64().expect("a rung")).collect()
        };
        for (left, rungs) in [(61, &[][..]), (59, &[60]), (58, &[60]), (6, &[60, 7]), (0, &[60, 7, 1]), (-1, &[60, 7, 1, 0])] {
            expire_in(&world, left);
            world.run(&["token", "check", "lab"]).exits(1);
            assert_eq!(days(&world), rungs, "{left} days before");
        }
        assert_eq!(state(&world, "lab"), "expired");
        world.apple.clear_faults();
        let service = world.start(&SERVE);
        expire_in(&world, -3);
        eventually("the service tells, too", || (days(&world) == [60, 7, 1, 0, -2]).then_some(()));
        service.terminate();
        service.wait().exits(0);
    }

    /// Monitoring: the state is the exit code, and only what was asked for is looked at.
    fn exit_codes_are_for_monitoring(database) {
        let world = World::synced(database, 2);
        world.apple.add_server("Branch").expect("a new MDM server");
        world.onboard("branch", "Branch");
        world.run(&["doctor", "--check", "tokens"]).exits(0);
        let checks = world.run(&["doctor", "--check", "tokens", "--json"]).exits(0).objects();
        assert!(checks.iter().all(|one| one["check"] == "database" || text(one, "check").starts_with("token of ")));
        world.run(&["doctor", "--check", "taste"]).exits(2).complains("tokens");
        expire_in(&world, 20);
        world.run(&["doctor", "--check", "tokens"]).exits(0);
        world.run(&["token", "check", "--all"]).exits(0);
        expire_in(&world, 10);
        world.run(&["doctor", "--check", "tokens"]).exits(1);
        world.run(&["token", "check", "--all"]).exits(1);
        // Apple's word weighs more than the calendar's; the worst stands first.
        world.apple.token("Branch", TokenSwitch::Rejected);
        world.run(&["token", "check", "branch"]).exits(1);
        let listed: Vec<_> = world.objects(&["token", "list"]).iter()
            .map(|token| (text(token, "server").to_owned(), text(token, "state").to_owned(), token["days_left"].clone()))
            .collect();
        let row = |server: &str, state: &str| (server.to_owned(), state.to_owned(), Value::from(10));
        assert_eq!(listed, [row("branch", "rejected"), row("lab", "expiring")]);
        let servers = world.objects(&["server", "list"]);
        assert_eq!(servers.iter().map(|server| text(server, "name")).collect::<Vec<_>>(), ["branch", "lab"]);
        world.run(&["doctor", "--check", "rules", "--check", "key"]).exits(0);
    }

    /// L43: a clock that is off is named as that, with what to do, before and after Apple refuses requests for it.
    fn a_clock_that_is_off_is_named(database) {
        let world = World::synced(database, 2);
        let ahead = "Fri, 01 Jan 2100 00:00:00 GMT".to_owned();
        let headers: std::collections::BTreeMap<_, _> = [("Date".to_owned(), ahead)].into();
        world.apple.fault(Fault { times: Some(0), headers: headers.clone(), ..Fault::default() });
        world.run(&["token", "check", "lab"]).exits(1).complains("set the clock of this machine right");
        let shown = world.object(&["token", "show", "lab"]);
        assert!(shown["clock_skew_seconds"].as_i64().expect("a number") > 1_000_000, "{shown}");
        assert_eq!(text(&shown, "state"), "valid");
        let doctor = world.run(&["doctor", "--check", "tokens"]).exits(1).stdout;
        assert!(doctor.contains("seconds behind Apple's") && doctor.contains("NTP"), "{doctor}");
        world.apple.clear_faults();
        world.apple.fault(Fault {
            times: Some(0),
            status: Some(401),
            body: Some("timestamp_refused".to_owned()),
            headers,
            ..Fault::default()
        });
        world.run(&["token", "check", "lab"]).exits(1).complains("clock");
        assert_eq!(state(&world, "lab"), "valid", "it says nothing about the token");
        world.apple.clear_faults();
        world.run(&["sync", "lab", "--force"]).exits(0);
        assert_eq!(world.object(&["token", "show", "lab"])["clock_skew_seconds"], Value::Null);
    }

    /// L45: the User-Agent is that of the settings, on `/session` too, and one that Apple refuses is named.
    fn the_user_agent_is_a_setting(database) {
        let mut world = World::synced(database, 2);
        world.set("ADELIE_USER_AGENT", "School/7");
        world.run(&["token", "check", "lab"]).exits(0);
        world.set("ADELIE_USER_AGENT", "nanodep-godep/0");
        let run = world.run(&["token", "check", "lab", "--json"]).exits(1).object();
        assert!(text(&run, "error").contains("nanodep-godep/0") && text(&run, "error").contains("/session"), "{run}");
        assert_eq!(text(&run, "state"), "valid", "it says nothing about the token");
    }
}
