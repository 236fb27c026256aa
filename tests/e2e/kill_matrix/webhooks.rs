//! How the program is hit while it delivers webhooks, and that each event arrives all the same.

use std::collections::{BTreeMap, BTreeSet};

use super::blows::{Blow, kill, stands_at};
use super::dice::Dice;
use super::stage::{SERVE, SYNC, Stage};
use crate::harness::{Receiver, Reply, eventually, text};

/// Killed when a receiver has got a webhook and holds its answer back.
pub fn unanswered(stage: &mut Stage, dice: &Dice) -> Blow {
    let endpoint = Endpoint::new(stage);
    endpoint.receiver.answers(Reply::Nothing);
    let victim = stage.victim(program(dice));
    eventually("a webhook comes", || (!endpoint.receiver.posts().is_empty()).then_some(()));
    endpoint.receiver.answers(Reply::Status(204, ""));
    let held = endpoint.receiver.posts().len();
    let blow = kill(stage, dice, victim);
    endpoint.has_everything(stage, held);
    blow
}

/// Killed when a receiver has answered and nothing of it is stored.
pub fn answered(stage: &mut Stage, dice: &Dice) -> Blow {
    const POINT: &str = "webhook.answered";
    let endpoint = Endpoint::new(stage);
    let (pass, program) = (dice.between(1, 2), program(dice));
    // A service does not end when there is only one batch of answers.
    let pass = if program == SERVE { 1 } else { pass };
    let mut victim = stage.victim_halted_at(&format!("{POINT}:{pass}"), program);
    if !stands_at(&mut victim, POINT) {
        // There was only one batch of answers.
        stage.change(dice);
        victim = stage.victim_halted_at(POINT, &SYNC);
        assert!(stands_at(&mut victim, POINT), "it never came to {POINT}:\n{}", victim.so_far(None));
    }
    let blow = kill(stage, dice, victim);
    endpoint.has_everything(stage, 0);
    blow
}

fn program(dice: &Dice) -> &'static [&'static str] {
    if dice.once_in(2) { &SERVE } else { &SYNC }
}

/// An endpoint of this round.
struct Endpoint {
    receiver: Receiver,
    id: String,
    /// The newest event before it was there.
    before: i64,
}

impl Endpoint {
    fn new(stage: &mut Stage) -> Self {
        stage.world.set("ADELIE_WEBHOOK_ALLOW_NETWORKS", "127.0.0.0/8");
        // So that the claim of a killed process ends soon.
        stage.world.set("ADELIE_WEBHOOK_TIMEOUT_SECONDS", "1");
        let receiver = Receiver::start();
        let before = stage.last_event();
        let added = receiver.subscribe(&stage.world, &["--event", "device*,assignment.*,sync.*"]);
        Self { receiver, id: added["id"].to_string(), before }
    }

    /// Fails unless every event has come, each with one content, and none that is not there; then takes the endpoint away.
    /// `held` of the first posts were not answered.
    fn has_everything(&self, stage: &Stage, held: usize) {
        let world = &stage.world;
        eventually("nothing waits any more", || {
            world.run(&SYNC);
            let shown = world.object(&["webhook", "show", &self.id]);
            (shown["pending"] == 0 && shown["retrying"] == 0).then_some(())
        });
        let events = format!(
            "-- events_since\nSELECT CAST(id AS text) FROM events WHERE id > {} AND (kind LIKE 'device%' \
             OR kind LIKE 'assignment.%' OR kind IN ('sync.completed', 'sync.failed'))",
            self.before
        );
        let truth: BTreeSet<String> = world.ledger().column(&events).into_iter().collect();
        let posts = self.receiver.posts();
        let mut contents: BTreeMap<&str, BTreeSet<&[u8]>> = BTreeMap::new();
        for post in &posts {
            contents.entry(post.id()).or_default().insert(&post.bytes);
            assert_eq!(post.id(), text(&post.body, "id"));
        }
        let number = |id: &str| id.rsplit('_').next().expect("a number").to_owned();
        let came: BTreeSet<String> = posts.iter().skip(held).map(|post| number(post.id())).collect();
        assert_eq!(came, truth, "the events that were received, and those that happened");
        for (id, contents) in contents {
            assert!(contents.len() == 1 || id_is_of_import(&posts, id), "{id} came with two contents");
        }
        world.run(&["webhook", "remove", &self.id]).exits(0);
    }
}

/// What is known of imported devices is told as it is when it is sent.
fn id_is_of_import(posts: &[crate::harness::Post], id: &str) -> bool {
    posts.iter().any(|post| post.id() == id && post.kind() == "devices.imported")
}
