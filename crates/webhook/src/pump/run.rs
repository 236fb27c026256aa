use std::sync::Arc;
use std::time::Duration;

use adelie_store::Result;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::task::JoinHandle;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use super::attempt::{Words, deliver};
use super::deaf::Deaf;
use super::desk::{Desk, Finished};
use super::lane::Lanes;
use super::room::room;
use super::settler::settle;
use super::{Drained, HEARTBEAT, PumpTools};

/// One run of the pump, from its start to its stop.
pub(super) struct Run {
    desk: Arc<Desk>,
    lanes: Lanes,
    /// The name of the database that ids of events carry; read once.
    installation: Option<Uuid>,
    tasks: TaskTracker,
    results: UnboundedSender<Finished>,
    settler: JoinHandle<()>,
    words: Words,
    deaf: Deaf,
    turn: usize,
}

/// What a look into the store came to.
pub(super) enum Round {
    /// So many were claimed, and so long it is until something more is due.
    Claimed(usize, Option<Duration>),
    /// It did not answer.
    Deaf,
}

impl Round {
    /// Whether nothing is due that could be sent.
    pub(super) fn found_nothing(&self) -> bool {
        matches!(self, Self::Claimed(0, _))
    }

    pub(super) fn next(&self) -> Option<Duration> {
        if let Self::Claimed(_, next) = self { *next } else { None }
    }
}

impl Run {
    pub(super) fn start(tools: &PumpTools) -> Self {
        let desk = Arc::new(Desk::new(tools.clone()));
        let (results, received) = unbounded_channel();
        Self {
            settler: tokio::spawn(settle(Arc::clone(&desk), received)),
            desk,
            lanes: Lanes::default(),
            installation: None,
            tasks: TaskTracker::new(),
            results,
            words: Words::default(),
            deaf: Deaf::new("say which webhooks are due"),
            turn: 0,
        }
    }

    /// Rings whenever somebody may have written deliveries. Listening has a task of its own, because what is written while
    /// nobody listens may be missed.
    pub(super) fn listen(&self) -> JoinHandle<()> {
        let desk = Arc::clone(&self.desk);
        tokio::spawn(async move {
            let mut deaf = Deaf::new("be listened to for new webhooks");
            loop {
                let answer = desk.tools.store.wait_for_deliveries().await;
                if deaf.hear(answer).is_none() {
                    desk.tools.clock.sleep(HEARTBEAT).await;
                }
                desk.again.notify_one();
            }
        })
    }

    /// Returns when there may be something to do.
    pub(super) async fn woken(&self) {
        self.desk.again.notified().await;
    }

    /// Whether nothing is claimed of which the outcome is not stored.
    pub(super) fn is_idle(&self) -> bool {
        self.desk.open_count() == 0
    }

    /// Claims what is due, as far as there is room for it, and starts on it.
    pub(super) async fn round(&mut self) -> Round {
        let answer = self.claim().await;
        self.deaf.hear(answer).unwrap_or(Round::Deaf)
    }

    async fn claim(&mut self) -> Result<Round> {
        let tools = &self.desk.tools;
        let now = tools.clock.now();
        let (due, next) = tools.store.due_webhooks(now).await?;
        let next = next.and_then(|next| (next - now).to_std().ok()).filter(|next| !next.is_zero());
        if due.is_empty() {
            return Ok(Round::Claimed(0, next));
        }
        self.lanes.refresh(&due, &*tools.store, &tools.keyring, now).await?;
        let installation = match self.installation {
            Some(known) => known,
            None => tools.store.installation().await?,
        };
        self.installation = Some(installation);
        self.turn = self.turn.wrapping_add(1);
        let loads = self.lanes.loads(&due, now);
        let room = room(&loads, self.desk.open_count(), tools.settings.at_once, self.turn);
        if room.is_empty() {
            return Ok(Round::Claimed(0, next));
        }
        let claimed = tools.store.claim_deliveries(&room, now, now + tools.settings.claim).await?;
        let count = claimed.len();
        for one in claimed {
            // Only what there is room for is claimed, and only for endpoints that are known.
            let Some(lane) = self.lanes.get(one.webhook) else { continue };
            let (id, claim) = (one.id, one.claim);
            self.desk.opened(id, claim);
            let held = lane.traffic.hold(&self.desk);
            let (desk, results) = (Arc::clone(&self.desk), self.results.clone());
            let (lane, words) = (Arc::clone(lane), self.words.clone());
            self.tasks.spawn(async move {
                let finished = deliver(&desk, &lane, one, installation, &words).await;
                drop(held);
                // The settler goes only after everybody has finished, or when time is over.
                if results.send(finished).is_err() {
                    desk.closed(id, claim);
                }
            });
        }
        Ok(Round::Claimed(count, next))
    }

    /// Claims nothing more, gives what is under way its time, stores what came of it and gives the rest back.
    pub(super) async fn finish(self) -> Drained {
        let Self { desk, tasks, results, mut settler, words, .. } = self;
        let tools = &desk.tools;
        words.stop.cancel();
        tasks.close();
        tokio::select! {
            () = tasks.wait() => {}
            () = tools.clock.sleep(tools.settings.grace) => {
                let left = tasks.len();
                tracing::warn!(left, "posts of webhooks take too long and are given up; they are sent again");
                words.abort.cancel();
                tasks.wait().await;
            }
        }
        drop(results);
        tokio::select! {
            // The only way for it to fail is to panic, which was told already.
            _ = &mut settler => {}
            () = tools.clock.sleep(tools.settings.grace) => settler.abort(),
        }
        let left = desk.open_claims();
        if !left.is_empty() {
            tracing::warn!(left = left.len(), "results of webhooks could not be stored: they are sent again");
            if let Err(error) = tools.store.release_deliveries(&left, tools.clock.now()).await {
                tracing::warn!(
                    error = crate::chain(&error),
                    "claims could not be given back; they end by themselves"
                );
            }
        }
        desk.counted()
    }
}
