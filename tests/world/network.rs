//! The network between the copies and Apple. A request waits in it until the test decides on its fate.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use adelie_dep::{Delivery, Transport, TransportError};
use adelie_model::{Clock, Timestamp};
use adelie_simulator::{InProcess, Simulator};
use async_trait::async_trait;
use bytes::Bytes;
use chrono::TimeDelta;
use http::Request;
use tokio::sync::oneshot;

use crate::call::Call;
use crate::clock::WorldClock;
use crate::executor::{NETWORK, Owner, Spawner};
use crate::locked;
use crate::operation::{Fate, Lie};
use crate::witness::Witness;

/// After so long a client gives a request up, as it does over a real network.
const PATIENCE: TimeDelta = TimeDelta::seconds(60);

type Answer = Result<Delivery, TransportError>;

/// What is on its way.
pub struct Network {
    apple: InProcess,
    clock: WorldClock,
    spawner: Spawner,
    witness: Arc<Witness>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    next: u64,
    waiting: BTreeMap<u64, Waiting>,
    /// What Apple's next answers of a kind leave out or add.
    lies: Vec<(usize, Lie)>,
}

struct Waiting {
    since: Timestamp,
    largest_answer: usize,
    call: Call,
    /// What is on the way: the request, or the answer once Apple has worked on it.
    on_the_way: OnTheWay,
    client: oneshot::Sender<Answer>,
}

enum OnTheWay {
    Request(Box<Request<Bytes>>),
    Answer(Box<Answer>),
}

impl Network {
    pub fn new(apple: Simulator, clock: WorldClock, spawner: Spawner, witness: Arc<Witness>) -> Arc<Self> {
        Arc::new(Self { apple: InProcess::new(apple), clock, spawner, witness, state: Mutex::default() })
    }

    /// How many requests and answers are on their way.
    pub fn waiting(&self) -> usize {
        locked(&self.state).waiting.len()
    }

    /// The n-th that is on its way meets its fate; a number that is too large begins again at the first.
    pub fn decide(self: &Arc<Self>, nth: usize, fate: Fate) {
        let waiting = {
            let mut state = locked(&self.state);
            let Some(place) = nth.checked_rem(state.waiting.len()) else { return };
            let Some(id) = state.waiting.keys().nth(place).copied() else { return };
            state.waiting.remove(&id)
        };
        if let Some(waiting) = waiting {
            self.meet(waiting, fate);
        }
    }

    /// What has been on its way for too long is lost.
    pub fn lose_late(self: &Arc<Self>) {
        let late = self.clock.now() - PATIENCE;
        let lost: Vec<Waiting> = {
            let mut state = locked(&self.state);
            let all = std::mem::take(&mut state.waiting);
            let (lost, waiting) = all.into_iter().partition(|(_, waiting)| waiting.since <= late);
            state.waiting = waiting;
            let lost: BTreeMap<u64, Waiting> = lost;
            lost.into_values().collect()
        };
        lost.into_iter().for_each(|waiting| self.meet(waiting, Fate::LoseRequest));
    }

    pub fn lie(&self, server: usize, lie: Lie) {
        locked(&self.state).lies.push((server, lie));
    }

    pub fn be_honest(&self) {
        locked(&self.state).lies.clear();
    }

    fn meet(self: &Arc<Self>, waiting: Waiting, fate: Fate) {
        let lost = || Err(TransportError::no_answer("the connection was lost"));
        // A client that is gone does not mind.
        match (waiting.on_the_way, fate) {
            (OnTheWay::Answer(answer), Fate::Deliver | Fate::HoldAnswer) => {
                drop(waiting.client.send(*answer));
            }
            (OnTheWay::Answer(_), _) | (OnTheWay::Request(_), Fate::LoseRequest) => {
                drop(waiting.client.send(lost()));
            }
            (OnTheWay::Request(_), Fate::Refuse) => {
                drop(waiting.client.send(Err(TransportError::unreachable("nobody listens"))));
            }
            (OnTheWay::Request(request), fate) => {
                let network = Arc::clone(self);
                let Waiting { since, largest_answer, call, client, .. } = waiting;
                self.spawner.spawn(NETWORK, async move {
                    let answer = network.apple.round_trip(*request, largest_answer).await;
                    network.witness.effect(&call, &answer);
                    let answer = network.lied_to(&call, answer);
                    match fate {
                        Fate::LoseAnswer => drop(client.send(lost())),
                        Fate::HoldAnswer => {
                            let on_the_way = OnTheWay::Answer(Box::new(answer));
                            network.park(Waiting { since, largest_answer, call, on_the_way, client });
                        }
                        _ => drop(client.send(answer)),
                    }
                });
            }
        }
    }

    fn park(&self, waiting: Waiting) {
        let mut state = locked(&self.state);
        let id = state.next;
        state.next += 1;
        state.waiting.insert(id, waiting);
    }

    /// The answer as Apple gives it on a bad day.
    fn lied_to(&self, call: &Call, answer: Answer) -> Answer {
        let mut state = locked(&self.state);
        let fits = |(server, lie): &(usize, Lie)| *server == call.server && lie.path() == call.path;
        let Some(place) = state.lies.iter().position(fits) else { return answer };
        let Ok(mut delivery) = answer else { return answer };
        if delivery.head.status != 200 {
            return Ok(delivery);
        }
        let (_, lie) = state.lies.remove(place);
        if let Some(body) = lie.tell(&delivery.body) {
            self.witness.lied(call, lie);
            delivery.body = body.into();
        }
        Ok(delivery)
    }
}

/// The way of one copy into the network.
pub struct Gate {
    pub copy: Owner,
    pub network: Arc<Network>,
}

#[async_trait]
impl Transport for Gate {
    async fn round_trip(&self, request: Request<Bytes>, largest_answer: usize) -> Answer {
        let network = &self.network;
        let call = Call::of(self.copy, &request);
        network.witness.request(&call);
        let (client, answer) = oneshot::channel();
        let on_the_way = OnTheWay::Request(Box::new(request));
        let since = network.clock.now();
        network.park(Waiting { since, largest_answer, call: call.clone(), on_the_way, client });
        let answer = answer.await.unwrap_or_else(|_| Err(TransportError::no_answer("the world ended")));
        network.witness.answered(&call, &answer);
        answer
    }
}
