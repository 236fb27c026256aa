//! Devices that the transaction of a page has made `sent` and that no request has taken yet.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use adelie_model::{RevisionId, SerialNumber, Timestamp};
use adelie_store::{Claim, page};
use tokio::sync::Notify;

use crate::assign::BATCH;

/// So many wait here before pages leave their devices due instead: an Apple that takes assignments slowly must not
/// make a heap of devices that a killed process would have to ask about.
const ROOM: usize = 6 * BATCH as usize;

/// The devices that wait. The syncer puts them in, the assigner takes them out.
#[derive(Debug, Default)]
pub(crate) struct Ready {
    waiting: Mutex<Waiting>,
    /// Rung when there may be room again.
    taken: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    closed: bool,
    by_revision: HashMap<RevisionId, VecDeque<(Timestamp, Claim)>>,
}

impl Waiting {
    fn has_room(&self) -> bool {
        self.by_revision.values().map(VecDeque::len).sum::<usize>() < ROOM
    }
}

impl Ready {
    /// Whether the next page may make its devices `sent`.
    pub(crate) fn has_room(&self) -> bool {
        let waiting = self.lock();
        !waiting.closed && waiting.has_room()
    }

    /// Waits until there is room, or until nobody makes any more.
    pub(crate) async fn room(&self) {
        while self.is_full() {
            self.taken.notified().await;
        }
    }

    fn is_full(&self) -> bool {
        let waiting = self.lock();
        !waiting.closed && !waiting.has_room()
    }

    /// Takes in what a page has made `sent`. It is not sent any more after `until`, when it is nearly time to read it
    /// back. Returns what nobody will send.
    pub(crate) fn add(&self, ready: Vec<page::Ready>, until: Timestamp) -> Vec<SerialNumber> {
        let mut waiting = self.lock();
        if waiting.closed {
            return ready.into_iter().flat_map(|ready| ready.claims).map(|claim| claim.serial).collect();
        }
        for page::Ready { revision, claims } in ready {
            let queue = waiting.by_revision.entry(revision).or_default();
            queue.extend(claims.into_iter().map(|claim| (until, claim)));
        }
        Vec::new()
    }

    /// How many wait for each revision.
    pub(crate) fn groups(&self) -> Vec<(RevisionId, u64)> {
        let waiting = self.lock();
        let queues = waiting.by_revision.iter().filter(|(_, queue)| !queue.is_empty());
        queues.map(|(revision, queue)| (*revision, queue.len() as u64)).collect()
    }

    /// Takes a batch for one request; without `partial` a full one or none. Those whose time is over are left to be
    /// read back.
    pub(crate) fn take(&self, revision: RevisionId, partial: bool, now: Timestamp) -> Vec<Claim> {
        let mut waiting = self.lock();
        let Some(queue) = waiting.by_revision.get_mut(&revision) else {
            return Vec::new();
        };
        queue.retain(|(until, _)| *until > now);
        self.taken.notify_one();
        if queue.len() < BATCH as usize && !partial {
            return Vec::new();
        }
        let batch = queue.len().min(BATCH as usize);
        queue.drain(..batch).map(|(_, claim)| claim).collect()
    }

    /// Takes out devices that Apple does not take now: of a device that left and came back while its request was under way,
    /// the answer is about both.
    pub(crate) fn forget(&self, throttled: &HashSet<&SerialNumber>) {
        for queue in self.lock().by_revision.values_mut() {
            queue.retain(|(_, claim)| !throttled.contains(&claim.serial));
        }
        self.taken.notify_one();
    }

    /// Takes all, because they are not to be sent now.
    pub(crate) fn take_back(&self, revision: Option<RevisionId>) -> Vec<SerialNumber> {
        let mut waiting = self.lock();
        let queues: Vec<_> = match revision {
            Some(revision) => waiting.by_revision.remove(&revision).into_iter().collect(),
            None => waiting.by_revision.drain().map(|(_, queue)| queue).collect(),
        };
        queues.into_iter().flatten().map(|(_, claim)| claim.serial).collect()
    }

    /// Takes all and nothing in any more, because nobody will send it.
    pub(crate) fn close(&self) -> Vec<SerialNumber> {
        self.lock().closed = true;
        self.taken.notify_one();
        self.take_back(None)
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_timestamp(seconds, 0).expect("a moment")
    }

    fn ready(revision: i64, devices: usize) -> Vec<page::Ready> {
        let claim = |number| Claim {
            serial: SerialNumber::from_apple(format!("R{revision}N{number}")),
            attempts: 1,
            drifted: false,
        };
        vec![page::Ready { revision: RevisionId(revision), claims: (0..devices).map(claim).collect() }]
    }

    #[test]
    fn full_batches_go_at_once_and_the_rest_when_it_may() {
        let waiting = Ready::default();
        assert!(waiting.add(ready(1, 1500), at(100)).is_empty());
        assert!(waiting.add(ready(2, 10), at(100)).is_empty());
        assert_eq!(waiting.take(RevisionId(1), false, at(0)).len(), 1000);
        assert!(waiting.take(RevisionId(1), false, at(0)).is_empty());
        assert_eq!(waiting.take(RevisionId(1), true, at(0)).len(), 500);
        assert_eq!(waiting.groups(), [(RevisionId(2), 10)]);
        assert!(waiting.take(RevisionId(3), true, at(0)).is_empty());
    }

    /// L29: what is about to be read back is not sent any more, or it could be sent twice.
    #[test]
    fn what_has_waited_too_long_is_not_sent() {
        let waiting = Ready::default();
        waiting.add(ready(1, 5), at(100));
        waiting.add(ready(1, 7), at(200));
        assert_eq!(waiting.take(RevisionId(1), true, at(100)).len(), 7);
    }

    /// L21: a device that came back while its former stay's request was under way is throttled as well.
    #[test]
    fn what_apple_throttles_meanwhile_is_not_sent() {
        let waiting = Ready::default();
        waiting.add(ready(1, 3), at(100));
        let throttled = SerialNumber::from_apple("R1N1".to_owned());
        waiting.forget(&HashSet::from([&throttled]));
        let left = waiting.take(RevisionId(1), true, at(0));
        assert_eq!(left.iter().map(|claim| claim.serial.as_str()).collect::<Vec<_>>(), ["R1N0", "R1N2"]);
    }

    #[test]
    fn only_so_many_wait_and_none_once_it_is_closed() {
        let waiting = Ready::default();
        waiting.add(ready(1, ROOM - 1), at(100));
        assert!(waiting.has_room());
        waiting.add(ready(2, 1), at(100));
        assert!(!waiting.has_room());
        assert_eq!(waiting.take_back(Some(RevisionId(2))).len(), 1);
        assert_eq!(waiting.close().len(), ROOM - 1);
        assert!(!waiting.has_room());
        assert_eq!(waiting.add(ready(1, 3), at(100)).len(), 3, "they are to be given back");
    }
}
