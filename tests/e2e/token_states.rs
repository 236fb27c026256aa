//! Tokens that Apple does not take, and terms that nobody has accepted.

use adelie_simulator::{Settings, Terms, TokenSwitch};
use serde_json::Value;

use crate::harness::{World, text};

on_both_databases! {
    /// L43: each trouble has its state, its remedy and exit code 1; the table stays as it was; and when the
    /// trouble is over, the next sync is good without force (L44).
    fn every_trouble_has_its_name_and_passes(database) {
        let world = World::synced(database, 4);
        for (switch, state, remedy) in [
            (TokenSwitch::Expired, "expired", "token renew"),
            (TokenSwitch::Rejected, "rejected", "revoked"),
            (TokenSwitch::Replaced, "superseded", "newer token"),
        ] {
            world.apple.token("Lab", switch);
            let run = world.run(&["sync", "lab", "--force"]).exits(1).complains("warning: ").complains("hint: ");
            assert!(run.stdout.contains("failed"), "{run}");
            let token = world.object(&["token", "show", "lab"]);
            assert_eq!(text(&token, "state"), state);
            assert!(text(&token, "remedy").contains(remedy), "{token}");
            assert!(text(&token, "since").ends_with('Z') && token["detail"].is_string(), "{token}");
            world.run(&["token", "show", "lab"]).exits(0).complains("hint: ");
            assert_eq!(world.objects(&["server", "list"])[0]["token"]["state"], state);
            world.run(&["doctor"]).exits(1);

            world.apple.token("Lab", TokenSwitch::Live);
            world.run(&["sync", "lab", "--force"]).exits(0);
            let token = world.object(&["token", "show", "lab"]);
            assert_eq!((text(&token, "state"), &token["remedy"]), ("valid", &Value::Null));
            world.assert_exact("lab", "Lab");
        }
    }

    /// L43 and L17: terms that nobody has accepted are told as such, whichever request they stop, without a
    /// storm of requests. L44: once they are accepted the next sync clears it.
    fn terms_that_nobody_has_accepted(database) {
        let world = World::synced(database, 4);
        for state in [Terms::Unsigned, Terms::UnsignedAfterSession] {
            world.apple.terms(state);
            let mark = world.apple.mark();
            world.run(&["sync", "lab", "--force"]).exits(1).complains("terms");
            assert!(world.apple.since(mark).len() <= 4, "{:#?}", world.apple.since(mark));
            let token = world.object(&["token", "show", "lab"]);
            assert_eq!(text(&token, "state"), "terms_not_signed");
            assert!(text(&token, "remedy").contains("terms"), "{token}");

            world.apple.terms(Terms::Signed);
            world.run(&["sync", "lab", "--force"]).exits(0);
            assert_eq!(text(&world.object(&["token", "show", "lab"]), "state"), "valid");
        }
    }

    /// Terms that wait at the very first import do not make the token useless: it is kept and used later.
    fn terms_that_wait_at_the_import(database) {
        let world = World::empty(database, Settings { devices: 2, ..Settings::default() });
        world.run(&["server", "add", "lab", "--base-url", &world.apple.url]).exits(0);
        world.apple.terms(Terms::Unsigned);
        let file = world.issue("lab", "Lab", &world.token_key("lab"));
        world.run(&["token", "import", "lab", &file]).exits(1).complains("terms");
        assert_eq!(text(&world.object(&["token", "show", "lab"]), "state"), "terms_not_signed");
        world.apple.terms(Terms::Signed);
        world.add_profile("standard", crate::harness::STANDARD);
        world.run(&["server", "set", "lab", "--default", "any=standard"]).exits(0);
        world.run(&["sync", "lab"]).exits(0);
        world.assert_exact("lab", "Lab");
    }

    /// L40: a renewed token that Apple does not take is not imported; the one in use goes on working.
    fn a_bad_renewal_leaves_the_old_token_in_use(database) {
        let world = World::synced(database, 2);
        let before = world.object(&["token", "show", "lab"]);
        let file = world.issue("lab", "Lab", &world.token_key("lab"));
        world.apple.token("Lab", TokenSwitch::Rejected);
        world.run(&["token", "import", "lab", &file]).exits(1).complains("token in use stays");
        let after = world.object(&["token", "show", "lab"]);
        assert_eq!((&after["state"], &after["imported_at"]), (&before["state"], &before["imported_at"]));
        world.apple.token("Lab", TokenSwitch::Live);
        world.run(&["token", "import", "lab", &file]).exits(0);
        world.run(&["sync", "lab", "--force"]).exits(0);
    }

    /// L42: a bad token does not stop another MDM server.
    fn one_bad_token_stops_no_other_server(database) {
        let world = World::ready(database, Settings { devices: 3, ..Settings::default() });
        world.apple.add_server("Branch").expect("a new MDM server");
        world.apple.add_devices("Branch", 4).expect("devices");
        world.onboard("branch", "Branch");
        world.run(&["server", "set", "branch", "--default", "any=standard"]).exits(0);
        world.apple.token("Lab", TokenSwitch::Rejected);
        let run = world.run(&["sync", "--json"]).exits(1);
        let reports = run.objects();
        assert_eq!(reports.len(), 2, "one object for each MDM server\n{run}");
        world.assert_exact("branch", "Branch");
        assert_eq!(text(&world.object(&["token", "show", "lab"]), "state"), "rejected");
        assert_eq!(text(&world.object(&["token", "show", "branch"]), "state"), "valid");
        let listed = world.objects(&["server", "list"]);
        let names: Vec<_> = listed.iter().map(|server| text(server, "name")).collect();
        assert_eq!(names, ["lab", "branch"], "what needs somebody stands first");
    }

    /// Apple that cannot be reached is told as that, and is no fault of the token.
    fn apple_cannot_be_reached(database) {
        let mut world = World::synced(database, 2);
        world.set("ADELIE_REQUEST_TIMEOUT_SECONDS", "2");
        // Every request ends without an answer.
        world.apple.fault(adelie_simulator::Fault { cut: true, times: Some(0), ..Default::default() });
        world.run(&["sync", "lab", "--force"]).exits(1).complains("hint: ");
        assert_eq!(text(&world.object(&["token", "show", "lab"]), "state"), "unreachable");
        world.apple.clear_faults();
        world.run(&["sync", "lab", "--force"]).exits(0);
        assert_eq!(text(&world.object(&["token", "show", "lab"]), "state"), "valid");
    }
}
