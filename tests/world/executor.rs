//! Runs the tasks of all copies on one thread, one poll at a time and in a fixed order, so that a world repeats itself
//! exactly and so that a copy can be stopped or crashed between any two of its steps.

use std::collections::{BTreeMap, VecDeque};
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};

use crate::locked;

/// Whose task it is: the number of a copy, or [`NETWORK`].
pub type Owner = usize;

/// What is on its way between a copy and Apple belongs to nobody who can be stopped.
pub const NETWORK: Owner = usize::MAX;

type Work = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Takes new tasks from everywhere, also from within tasks.
#[derive(Clone, Default)]
pub struct Spawner(Arc<Mutex<Vec<(Owner, Work)>>>);

impl Spawner {
    pub fn spawn(&self, owner: Owner, work: impl Future<Output = ()> + Send + 'static) {
        locked(&self.0).push((owner, Box::pin(work)));
    }
}

#[derive(Default)]
pub struct Executor {
    spawner: Spawner,
    tasks: BTreeMap<u64, Task>,
    ready: Arc<Mutex<VecDeque<u64>>>,
    stopped: Vec<Owner>,
    next: u64,
}

struct Task {
    owner: Owner,
    work: Work,
    bell: Arc<Bell>,
}

struct Bell {
    task: u64,
    rung: AtomicBool,
    ready: Arc<Mutex<VecDeque<u64>>>,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        if !self.rung.swap(true, Ordering::SeqCst) {
            locked(&self.ready).push_back(self.task);
        }
    }
}

impl Executor {
    pub fn spawner(&self) -> Spawner {
        self.spawner.clone()
    }

    /// Polls the next task that can go on. `false` when none can.
    pub fn step(&mut self) -> bool {
        self.take_new();
        let Some(id) = self.next_ready() else { return false };
        let Some(task) = self.tasks.get_mut(&id) else { return true };
        task.bell.rung.store(false, Ordering::SeqCst);
        let waker = Waker::from(Arc::clone(&task.bell));
        if let Poll::Ready(()) = task.work.as_mut().poll(&mut Context::from_waker(&waker)) {
            self.tasks.remove(&id);
        }
        true
    }

    /// The tasks of a copy do not go on until it is resumed, whatever happens to them.
    pub fn stop(&mut self, owner: Owner) {
        if !self.stopped.contains(&owner) {
            self.stopped.push(owner);
        }
    }

    pub fn resume(&mut self, owner: Owner) {
        self.stopped.retain(|stopped| *stopped != owner);
    }

    pub fn is_stopped(&self, owner: Owner) -> bool {
        self.stopped.contains(&owner)
    }

    /// The tasks of a copy are no more.
    pub fn crash(&mut self, owner: Owner) {
        self.take_new();
        self.tasks.retain(|_, task| task.owner != owner);
        self.resume(owner);
    }

    fn take_new(&mut self) {
        let new = std::mem::take(&mut *locked(&self.spawner.0));
        for (owner, work) in new {
            let task = self.next;
            self.next += 1;
            let bell = Arc::new(Bell { task, rung: AtomicBool::new(false), ready: Arc::clone(&self.ready) });
            Arc::clone(&bell).wake();
            self.tasks.insert(task, Task { owner, work, bell });
        }
    }

    fn next_ready(&self) -> Option<u64> {
        let mut ready = locked(&self.ready);
        let can_go_on = |id: &u64| self.tasks.get(id).is_none_or(|task| !self.stopped.contains(&task.owner));
        let place = ready.iter().position(can_go_on)?;
        ready.remove(place)
    }
}

/// Lets the other tasks go first: a moment at which the one who waits can be stopped or crash.
pub async fn step_back() {
    let mut been = false;
    std::future::poll_fn(|context| {
        if std::mem::replace(&mut been, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
