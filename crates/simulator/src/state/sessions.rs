use std::collections::{HashMap, HashSet};

use adelie_model::Entropy;

use super::random_hex;
use crate::settings::Settings;

/// Why a session was refused (protocol section 2.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SessionError {
    /// 401 `UNAUTHORIZED`: there was such a session.
    Over,
    /// 403 `FORBIDDEN`: no such session.
    Unknown,
}

#[derive(Debug)]
struct Session {
    server: u16,
    /// The server token that it was opened with.
    token: u32,
    used_ms: i64,
    responses: u32,
    over: bool,
}

/// Sessions and used nonces.
#[derive(Default)]
pub(crate) struct Access {
    sessions: HashMap<String, Session>,
    nonces: HashMap<i64, HashSet<(u32, String)>>,
}

/// More dead sessions than this are forgotten: their owners then get 403 instead of 401.
const KEPT: usize = 10_000;

impl Access {
    /// Opens a session.
    pub(crate) fn open(
        &mut self,
        server: u16,
        token: u32,
        settings: &Settings,
        now_ms: i64,
        entropy: &dyn Entropy,
    ) -> String {
        if settings.one_session_per_token {
            self.end(Some(server));
        }
        if self.sessions.len() > KEPT {
            self.sessions.retain(|_, session| !session.over && session.used_ms + 86_400_000 > now_ms);
        }
        let name = random_hex(entropy, 24);
        self.sessions
            .insert(name.clone(), Session { server, token, used_ms: now_ms, responses: 0, over: false });
        name
    }

    /// Uses a session: its MDM server and token, and now and then a new session in its place.
    pub(crate) fn enter(
        &mut self,
        name: Option<&str>,
        settings: &Settings,
        now_ms: i64,
        entropy: &dyn Entropy,
    ) -> Result<(u16, u32, Option<String>), SessionError> {
        let name = name.filter(|name| !name.is_empty()).ok_or(SessionError::Over)?;
        let session = self.sessions.get_mut(name).ok_or(SessionError::Unknown)?;
        let idle = now_ms.saturating_sub(session.used_ms);
        if session.over || idle > i64::try_from(settings.session_lifetime.as_millis()).unwrap_or(i64::MAX) {
            session.over = true;
            return Err(SessionError::Over);
        }
        session.used_ms = now_ms;
        session.responses += 1;
        let (server, token) = (session.server, session.token);
        let rotate = settings.rotate_every > 0 && session.responses.is_multiple_of(settings.rotate_every);
        if !rotate {
            return Ok((server, token, None));
        }
        session.over = !settings.old_session_stays_valid;
        let next = random_hex(entropy, 24);
        self.sessions
            .insert(next.clone(), Session { server, token, used_ms: now_ms, responses: 0, over: false });
        Ok((server, token, Some(next)))
    }

    /// Ends the sessions of an MDM server, or of all: their next use is 401.
    pub(crate) fn end(&mut self, server: Option<u16>) -> usize {
        let mut ended = 0;
        for session in self.sessions.values_mut().filter(|s| server.is_none_or(|server| s.server == server)) {
            ended += usize::from(!session.over);
            session.over = true;
        }
        ended
    }

    /// Forgets the sessions of an MDM server, or of all: their next use is 403.
    pub(crate) fn forget(&mut self, server: Option<u16>) -> usize {
        let before = self.sessions.len();
        self.sessions.retain(|_, session| server.is_some_and(|server| session.server != server));
        before - self.sessions.len()
    }

    /// Remembers a nonce of a server token and a timestamp (RFC 5849); false when it was used before.
    pub(crate) fn fresh_nonce(&mut self, token: u32, timestamp: i64, nonce: &str, oldest: i64) -> bool {
        self.nonces.retain(|remembered, _| *remembered >= oldest);
        self.nonces.entry(timestamp).or_default().insert((token, nonce.to_owned()))
    }

    /// Sessions that are not over.
    pub(crate) fn live(&self) -> usize {
        self.sessions.values().filter(|session| !session.over).count()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use adelie_model::SeededEntropy;

    use super::*;

    #[test]
    fn sessions_expire_and_rotate() {
        let entropy = SeededEntropy::new(1);
        let settings = Settings {
            rotate_every: 2,
            old_session_stays_valid: false,
            session_lifetime: Duration::from_secs(10),
            ..Settings::default()
        };
        let mut access = Access::default();
        let first = access.open(0, 1, &settings, 0, &entropy);
        assert_eq!(access.enter(Some(&first), &settings, 10_000, &entropy), Ok((0, 1, None)));
        let (_, _, second) = access.enter(Some(&first), &settings, 10_000, &entropy).expect("still good");
        assert_eq!(access.enter(Some(&first), &settings, 10_000, &entropy), Err(SessionError::Over));
        assert!(access.enter(second.as_deref(), &settings, 20_000, &entropy).is_ok());
        assert_eq!(access.enter(second.as_deref(), &settings, 30_001, &entropy), Err(SessionError::Over));
        assert_eq!(access.enter(Some("made up"), &settings, 0, &entropy), Err(SessionError::Unknown));
        assert_eq!(access.enter(None, &settings, 0, &entropy), Err(SessionError::Over));
    }

    #[test]
    fn a_nonce_counts_per_token_and_timestamp() {
        let mut access = Access::default();
        assert!(access.fresh_nonce(1, 100, "a", 0));
        assert!(!access.fresh_nonce(1, 100, "a", 0));
        assert!(access.fresh_nonce(1, 101, "a", 0));
        assert!(access.fresh_nonce(2, 100, "a", 0));
    }
}
