//! The session of a server token: opened once, shared, rotated, renewed.
//!
//! Apple may put a new session on any answer, and it is not known whether the old one stays valid then, nor
//! whether two may live side by side (protocol section 2.2). Three rules make every case come out right:
//!
//! 1. A session has a generation. An answer may only replace the session that its own request was sent with;
//!    the late answer of an older session changes nothing. If Apple meant that one, the next request finds
//!    out by a 401 and renews.
//! 2. A request that must open or renew the session is alone: it takes all permits, so that nothing else of
//!    this server token is under way. Those who waited behind it find the newer generation and do not renew.
//! 3. Several requests are under way at once until Apple refuses one because an answer to another has changed
//!    the session meanwhile. From then on every request is alone: each answer makes the session of the others void.

use std::num::NonZeroU64;
use std::sync::Mutex;
use std::sync::atomic::Ordering;

use adelie_model::Secret;
use secrecy::ExposeSecret;
use tokio::sync::SemaphorePermit;

use super::exchange::{Auth, Prepared, Raw};
use super::{Shared, locked};
use crate::endpoints::session::{METHOD, PATH, parse};
use crate::error::{Answer, Call, Error};
use crate::oauth;

pub(super) const CALL: Call = Call { method: METHOD, path: PATH };

/// A session and how many there were before it.
#[derive(Clone, Debug)]
pub(super) struct Session {
    pub(super) value: Secret,
    generation: u64,
    /// Whether it came with an answer, in place of one that had not ended.
    rotated: bool,
}

#[derive(Default)]
pub(super) struct Sessions(Mutex<Option<Session>>);

impl Sessions {
    fn current(&self) -> Option<Session> {
        locked(&self.0).clone()
    }

    /// The current session, to be cut out of texts.
    pub(super) fn value(&self) -> Option<Secret> {
        self.current().map(|session| session.value)
    }

    /// Puts a freshly opened session in place.
    fn install(&self, value: Secret) -> Session {
        let mut current = locked(&self.0);
        let generation = current.as_ref().map_or(0, |old| old.generation + 1);
        let session = Session { value, generation, rotated: false };
        *current = Some(session.clone());
        session
    }

    /// Takes over a session from an answer, if the request was sent with the current one.
    fn rotate(&self, used: &Session, value: &str) {
        let mut current = locked(&self.0);
        if let Some(current) = current.as_mut().filter(|current| current.generation == used.generation) {
            let generation = used.generation + 1;
            *current = Session { value: Secret::from(value), generation, rotated: true };
        }
    }
}

/// The right to have requests under way.
struct Lane<'a> {
    _permit: SemaphorePermit<'a>,
    alone: bool,
}

impl Shared {
    /// Sends a request in the session, which is opened or renewed as needed. The answer may be a refusal.
    pub(super) async fn send_in_session(&self, prepared: &Prepared<'_>) -> Result<Raw, Error> {
        let mut lane = self.lane(self.rotation_voids.load(Ordering::Acquire)).await?;
        if self.rotation_voids.load(Ordering::Acquire) {
            // It was found out while this request was waiting for its turn.
            lane = self.alone(lane).await?;
        }
        let (mut may_take_newer, mut may_renew) = (true, true);
        let mut session = match self.sessions.current() {
            Some(session) => session,
            None => {
                lane = self.alone(lane).await?;
                match self.sessions.current() {
                    Some(session) => session,
                    None => {
                        // Opened this moment: if Apple refuses it, another would not fare better.
                        may_renew = false;
                        self.open().await?
                    }
                }
            }
        };
        loop {
            let raw = self.exchange(prepared, Auth::Session(&session)).await?;
            self.note_rotation(&session, &raw);
            if !raw.session_has_ended() {
                return Ok(raw);
            }
            // Before the wait for the others: those who queue in front of this one must know it too.
            if self.newer(&session).is_some_and(|newer| newer.rotated) {
                self.rotation_voids.store(true, Ordering::Release);
            }
            lane = self.alone(lane).await?;
            let newer = self.newer(&session);
            session = match newer {
                Some(newer) if may_take_newer => {
                    may_take_newer = false;
                    newer
                }
                _ if may_renew => {
                    may_renew = false;
                    self.open().await?
                }
                _ => return Ok(raw),
            };
        }
    }

    /// Opens a session. Only to be called alone.
    async fn open(&self) -> Result<Session, Error> {
        let mut random = [0; 16];
        self.entropy.fill(&mut random);
        let nonce = format!("{:032x}", u128::from_be_bytes(random));
        let seconds = u64::try_from(self.clock.now().timestamp()).ok().and_then(NonZeroU64::new);
        // A clock at or before 1970 is wrong whatever is sent; Apple then says so.
        let timestamp = seconds.unwrap_or(NonZeroU64::MIN);
        let url = self.url(PATH, &[]);
        let header = Secret::from(oauth::authorization(&self.token, METHOD, &url, timestamp, &nonce));

        let prepared =
            Prepared { call: CALL, query: Vec::new(), body: None, writes: false, may_leave: &|| true };
        let raw = self.exchange(&prepared, Auth::OAuth(&header)).await?;
        if !(200..300).contains(&raw.status) {
            return Err(self.session_refusal(&raw));
        }
        match parse(&raw.body) {
            Ok(response) => Ok(self.sessions.install(response.auth_session_token)),
            Err(source) => {
                // The body may be a session, so nothing of it is kept.
                let answer = Answer { call: CALL, status: raw.status, code: None, excerpt: String::new() };
                Err(Error::Malformed {
                    answer: Box::new(answer),
                    writes: false,
                    source: super::classify::mute(source),
                })
            }
        }
    }

    /// The session that has taken the place of this one.
    fn newer(&self, used: &Session) -> Option<Session> {
        self.sessions.current().filter(|current| current.generation != used.generation)
    }

    fn note_rotation(&self, used: &Session, raw: &Raw) {
        let Some(new) = raw.new_session.as_ref().map(ExposeSecret::expose_secret) else { return };
        if new != used.value.expose_secret() {
            self.sessions.rotate(used, new);
        }
    }

    async fn lane(&self, alone: bool) -> Result<Lane<'_>, Error> {
        let count = if alone { self.options.lanes() } else { 1 };
        match self.lanes.acquire_many(count).await {
            Ok(permit) => Ok(Lane { _permit: permit, alone }),
            // Nothing closes it.
            Err(source) => Err(Error::Setting { setting: "in_flight", source: Some(source.into()) }),
        }
    }

    /// Gives the permit back and waits for all of them: two who each kept one would wait for ever.
    async fn alone<'a>(&'a self, lane: Lane<'a>) -> Result<Lane<'a>, Error> {
        if lane.alone {
            return Ok(lane);
        }
        drop(lane);
        self.lane(true).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(sessions: &Sessions) -> String {
        sessions.current().expect("a session").value.expose_secret().to_owned()
    }

    #[test]
    fn a_late_answer_of_an_older_session_changes_nothing() {
        let sessions = Sessions::default();
        let first = sessions.install(Secret::from("one"));
        sessions.rotate(&first, "two");
        assert_eq!(value(&sessions), "two");
        sessions.rotate(&first, "late");
        assert_eq!(value(&sessions), "two");
        let renewed = sessions.install(Secret::from("three"));
        sessions.rotate(&first, "later still");
        assert_eq!(value(&sessions), "three");
        sessions.rotate(&renewed, "four");
        assert_eq!(value(&sessions), "four");
    }
}
