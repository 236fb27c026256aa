//! Webhooks: whoever must know, knows, once it is true and until it is received (field lessons L15, L60).

use std::collections::BTreeSet;

use adelie_simulator::Settings;
use serde_json::{Value, json};

use crate::harness::{Background, Database, LAB, Receiver, Reply, World, eventually, text};

const SERVE: [&str; 3] = ["serve", "--listen", "127.0.0.1:0"];

/// A world that was never synced, where webhooks may be posted to this machine.
fn unsynced(database: Database, devices: usize) -> World {
    let mut world = World::ready(database, Settings { devices, ..Settings::default() });
    world.set("ADELIE_WEBHOOK_ALLOW_NETWORKS", "127.0.0.0/8");
    world
}

/// Has something happen to a device: it gets a tag.
fn tag(world: &World, serial: &str, tag: &str) {
    world.run(&["device", "tag", serial, "--add", tag]).exits(0);
}

/// Delivers what is due, as a sync by cron does, whether the sync itself is allowed or not.
fn deliver(world: &World) {
    let run = world.run(&["sync", "lab"]);
    assert!(matches!(run.code, Some(0 | 3)), "{run}");
}

/// The first endpoint as it stands.
fn endpoint(world: &World, id: &str) -> Value {
    world.object(&["webhook", "show", id])
}

on_both_databases! {
    /// L15, L60: a sync without a service posts what it did before it ends: signed, with an id that says which event it
    /// is. A first import is told in batches of 100, with what is known of each device.
    fn a_sync_by_cron_delivers_before_it_ends(database) {
        let world = unsynced(database, 250);
        let receiver = Receiver::start();
        let added = receiver.subscribe(&world, &[]);
        world.run(&["sync", "lab"]).exits(0);
        world.assert_exact("lab", LAB);
        let imported = receiver.of("devices.imported");
        assert_eq!(imported.len(), 3, "100, 100 and 50 devices");
        let mut told = BTreeSet::new();
        for post in &imported {
            assert!(post.is_signed_by(text(&added, "secret")));
            assert!(post.bytes.len() < 20_000, "{} bytes", post.bytes.len());
            assert_eq!(text(&post.body, "id"), post.id());
            assert_eq!(text(&post.body, "mdm_server"), "lab");
            let serials = post.body["data"]["serial_numbers"].as_array().expect("a list");
            let devices = post.body["data"]["devices"].as_array().expect("what is known of them");
            assert_eq!(devices.len(), serials.len());
            assert!(devices.iter().all(|device| device["model"].is_string() && device["device_family"].is_string()));
            told.extend(serials.iter().map(|serial| serial.as_str().expect("a text").to_owned()));
        }
        assert_eq!(told, world.apple.devices(LAB).into_keys().collect());
        let assigned: usize = receiver.of("assignment.succeeded").iter()
            .map(|post| post.body["data"]["serial_numbers"].as_array().map_or(1, Vec::len)).sum();
        assert_eq!(assigned, 250);
        assert_eq!(receiver.of("sync.completed").len(), 1);
        let profile = &receiver.of("assignment.succeeded")[0].body["data"];
        assert_eq!((text(profile, "profile"), &profile["profile_revision"]), ("standard", &json!(1)));
        let schema: Value = serde_json::from_str(include_str!("../../docs/events.schema.json")).expect("JSON");
        for post in receiver.posts() {
            let described = &schema["$defs"][post.kind()]["properties"];
            for name in post.body["data"].as_object().expect("an object").keys() {
                assert!(described[name].is_object(), "the schema of {} lacks {name}", post.kind());
            }
        }
        assert_eq!(endpoint(&world, "1")["pending"], 0);
    }

    /// What a command changes while the service runs is posted at once, and only once.
    fn the_service_delivers_what_commands_do(database) {
        let world = World::with_webhooks(database, 10);
        let receiver = Receiver::start();
        receiver.subscribe(&world, &["--event", "device.*"]);
        let service = world.start(&SERVE);
        let serials = world.apple.some(LAB, 2);
        tag(&world, &serials[0], "new");
        let told = receiver.wait_for("device.tagged", 1).remove(0);
        assert_eq!(text(&told.body, "serial_number"), serials[0]);
        assert_eq!(told.body["data"]["tags"], json!(["new"]));
        tag(&world, &serials[1], "new");
        let second = receiver.wait_for("device.tagged", 2).remove(1);
        assert!(second.body["sequence"].as_i64() > told.body["sequence"].as_i64());
        service.terminate();
        service.wait().exits(0);
        assert_eq!(receiver.posts().len(), 2, "nothing else was subscribed to, and nothing came twice");
    }

    /// L60: a failed post is tried again, with the same id and another timestamp; the log shows requests and answers; a
    /// person can have it sent again at once.
    fn a_failure_is_logged_and_sent_again(database) {
        let world = World::with_webhooks(database, 5);
        let receiver = Receiver::start();
        receiver.subscribe(&world, &["--event", "device.tagged"]);
        receiver.answers_next(Reply::Status(500, ""));
        let serial = world.apple.some(LAB, 1).remove(0);
        tag(&world, &serial, "a");
        deliver(&world);
        let first = receiver.of("device.tagged");
        assert_eq!(first.len(), 1);
        let failed = world.objects(&["webhook", "log", "--failed"]);
        assert_eq!(failed.len(), 1);
        assert_eq!((text(&failed[0], "state"), &failed[0]["status"]), ("retrying", &json!(500)));
        let number = failed[0]["delivery"].to_string();
        let one = world.object(&["webhook", "log", &number]);
        let tried = &one["attempts"][0];
        assert!(text(tried, "request").contains(first[0].id()), "{tried}");
        assert!(!text(tried, "request").contains("v1,"), "no signature in the log");
        assert!(text(tried, "error").contains("500"), "{tried}");
        let warned = world.run(&["webhook", "list"]).exits(0);
        assert!(warned.stderr.contains("webhook log --failed"), "{warned}");

        world.run(&["webhook", "replay", "--failed"]).exits(0);
        deliver(&world);
        let posts = receiver.of("device.tagged");
        assert_eq!(posts.len(), 2);
        assert_eq!(posts[0].id(), posts[1].id());
        assert_eq!(posts[0].bytes, posts[1].bytes);
        assert_eq!(text(&world.object(&["webhook", "log", &number]), "state"), "delivered");
        assert_eq!(world.objects(&["webhook", "log", "--failed"]), Vec::<Value>::new());
        let shown = world.object(&["events", "show", posts[0].id()]);
        assert_eq!(text(&shown["deliveries"][0], "state"), "delivered");
    }

    /// 410 disables an endpoint at once; the others are told, doctor tells, and all that happened meanwhile arrives when
    /// it is resumed.
    fn an_endpoint_that_is_gone_is_disabled(database) {
        let world = World::with_webhooks(database, 5);
        let (gone, other) = (Receiver::start(), Receiver::start());
        gone.subscribe(&world, &["--event", "device.*"]);
        other.subscribe(&world, &["--event", "webhook.disabled"]);
        gone.answers(Reply::Status(410, ""));
        let serials = world.apple.some(LAB, 3);
        tag(&world, &serials[0], "a");
        deliver(&world);
        eventually("the other is told", || { deliver(&world); (!other.posts().is_empty()).then_some(()) });
        let told = &other.posts()[0].body;
        assert_eq!(text(&told["data"], "url"), gone.url());
        assert_eq!(text(told, "severity"), "error");
        let shown = endpoint(&world, "1");
        assert_eq!(text(&shown, "state"), "disabled");
        assert!(text(&shown["problems"][0], "remedy").contains("webhook resume 1"), "{shown}");
        let doctor = world.run(&["doctor"]).exits(1);
        assert!(doctor.stdout.contains("webhook resume 1"), "{doctor}");

        tag(&world, &serials[1], "a");
        deliver(&world);
        assert_eq!(gone.posts().len(), 1, "a disabled endpoint is left alone");
        gone.answers(Reply::Status(204, ""));
        world.run(&["webhook", "resume", "1"]).exits(0);
        deliver(&world);
        assert_eq!(gone.of("device.tagged").len(), 3);
    }

    /// A paused endpoint gets nothing until it is resumed, and then everything.
    fn a_pause_loses_nothing(database) {
        let world = World::with_webhooks(database, 5);
        let receiver = Receiver::start();
        receiver.subscribe(&world, &["--event", "device.tagged"]);
        world.run(&["webhook", "pause", &receiver.url(), "--reason", "new version"]).exits(0);
        assert_eq!(text(&endpoint(&world, "1"), "state"), "paused");
        let serial = world.apple.some(LAB, 1).remove(0);
        tag(&world, &serial, "a");
        deliver(&world);
        assert!(receiver.posts().is_empty());
        world.run(&["webhook", "resume", "1"]).exits(0);
        deliver(&world);
        assert_eq!(receiver.of("device.tagged").len(), 1);
        world.run(&["webhook", "remove", "1"]).exits(0);
        tag(&world, &serial, "b");
        deliver(&world);
        assert_eq!(receiver.posts().len(), 1);
        assert_eq!(world.objects(&["webhook", "list"]), Vec::<Value>::new());
    }

    /// After a rotation both secrets sign; one that is ended at once does not.
    fn both_secrets_sign_for_a_while(database) {
        let world = World::with_webhooks(database, 3);
        let receiver = Receiver::start();
        let old = receiver.subscribe(&world, &["--event", "webhook.test"]);
        let new = world.object(&["webhook", "rotate", "1"]);
        world.run(&["webhook", "test", "1"]).exits(0);
        let post = receiver.posts().remove(0);
        assert!(post.is_signed_by(text(&old, "secret")) && post.is_signed_by(text(&new, "secret")));
        let last = world.object(&["webhook", "rotate", "1", "--overlap", "0s"]);
        world.run(&["webhook", "test", "1"]).exits(0);
        let post = receiver.posts().remove(1);
        assert!(post.is_signed_by(text(&last, "secret")));
        assert!(!post.is_signed_by(text(&old, "secret")) && !post.is_signed_by(text(&new, "secret")));
    }

    /// A test says what came of it; also for an endpoint that is paused, and one that does not answer.
    fn a_test_says_what_came_of_it(database) {
        let world = World::with_webhooks(database, 3);
        let receiver = Receiver::start();
        receiver.subscribe(&world, &["--event", "token.*"]);
        world.run(&["webhook", "pause", "1"]).exits(0);
        let good = world.object(&["webhook", "test", "1"]);
        assert_eq!((text(&good, "state"), &good["status"]), ("delivered", &json!(204)));
        assert_eq!(receiver.posts()[0].kind(), "webhook.test");
        receiver.answers(Reply::Status(302, "location: http://127.0.0.1:1/\r\n"));
        let bad = world.run(&["webhook", "test", "1"]).exits(1);
        assert!(bad.stderr.contains("302"), "{bad}");
        assert_eq!(receiver.posts().len(), 2, "a redirect is not followed");
    }

    /// `listen` shows what arrives and verifies it, with a shared secret and with a public key.
    fn a_receiver_for_trying_out(database) {
        let world = World::with_webhooks(database, 3);
        for (signing, key) in [("hmac", "secret"), ("ed25519", "public_key")] {
            // The address is known only once it listens, and the secret only once the endpoint is added.
            let probe = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
            let address = probe.local_addr().expect("an address").to_string();
            drop(probe);
            let added = world.object(&["webhook", "add", &format!("http://{address}/"), "--signing", signing,
                "--event", "webhook.test"]);
            let listener: Background = world.start(&["webhook", "listen", "--listen", &address, "--secret",
                text(&added, key), "--json"]);
            eventually("it listens", || listener.log().contains("receiving at").then_some(()));
            let id = added["id"].to_string();
            world.run(&["webhook", "test", &id]).exits(0);
            let told = listener.so_far(None).objects().remove(0);
            assert_eq!((&told["verified"], text(&told["body"], "type")), (&json!(true), "webhook.test"));
            // A receiver with another secret refuses it, and says so.
            world.run(&["webhook", "rotate", &id, "--overlap", "0s"]).exits(0);
            world.run(&["webhook", "test", &id]).exits(1).complains("401");
        }
    }

    /// nanodep's receivers get its pages: the whole list, then the changes, with Apple's facts of each device.
    fn nanodeps_pages(database) {
        let world = unsynced(database, 30);
        let receiver = Receiver::start();
        receiver.subscribe(&world, &["--format", "nanodep"]);
        world.run(&["sync", "lab"]).exits(0);
        let pages = receiver.posts();
        assert!(pages.iter().all(|page| page.id() == text(&page.body, "event_id")));
        let listed = pages.iter().filter(|page| page.body["topic"] == "dep.FetchDevices");
        let mut serials = BTreeSet::new();
        for page in listed {
            let event = &page.body["device_response_event"];
            assert_eq!(text(event, "dep_name"), "lab");
            for device in event["device_response"]["devices"].as_array().into_iter().flatten() {
                assert!(device["model"].is_string() && device["device_family"].is_string(), "{device}");
                serials.insert(text(device, "serial_number").to_owned());
            }
        }
        assert_eq!(serials, world.apple.devices(LAB).into_keys().collect());
        receiver.forget();
        let new = world.apple.add_devices(LAB, 1).expect("a device").remove(0);
        world.run(&["sync", "lab", "--force"]).exits(0);
        let told = receiver.posts().into_iter().find_map(|page| {
            let response = &page.body["device_response_event"]["device_response"];
            let mut devices = response["devices"].as_array().into_iter().flatten();
            devices.find(|device| device["serial_number"] == new.as_str()).cloned()
        });
        assert_eq!(text(&told.expect("the new device in a page of changes"), "op_type"), "added");
    }

    /// Events of a time are sent again to a receiver that has lost them, with the ids that they had; a new endpoint gets
    /// what happened before it was there.
    fn a_time_range_is_sent_again(database) {
        let world = World::with_webhooks(database, 5);
        let serial = world.apple.some(LAB, 1).remove(0);
        tag(&world, &serial, "before");
        let receiver = Receiver::start();
        receiver.subscribe(&world, &["--event", "device.tagged"]);
        tag(&world, &serial, "after");
        deliver(&world);
        let first = receiver.of("device.tagged");
        assert_eq!(first.len(), 1);
        world.run(&["webhook", "replay", "--endpoint", "1", "--since", "1h"]).exits(0);
        deliver(&world);
        let all = receiver.of("device.tagged");
        assert_eq!(all.len(), 3);
        let ids: BTreeSet<&str> = all.iter().map(|post| post.id()).collect();
        assert_eq!(ids.len(), 2);
        assert!(ids.contains(first[0].id()));
    }

    /// What is due and cannot be sent in time waits; a command that delivers ends all the same.
    fn a_receiver_that_hangs_keeps_no_sync_waiting(database) {
        let mut world = World::with_webhooks(database, 5);
        world.set("ADELIE_WEBHOOK_TIMEOUT_SECONDS", "1");
        let receiver = Receiver::start();
        receiver.subscribe(&world, &["--event", "device.tagged"]);
        receiver.answers(Reply::Nothing);
        let serial = world.apple.some(LAB, 1).remove(0);
        tag(&world, &serial, "a");
        deliver(&world);
        let failed = world.objects(&["webhook", "log", "--failed"]);
        assert_eq!(text(&failed[0], "state"), "retrying");
        assert!(text(&failed[0], "error").contains("1"), "{failed:?}");
    }
}
