use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use adelie_model::Clock;
use bytes::Bytes;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::clock::{SimulatedClock, time_text};
use crate::control::{ControlError, TruthDevice};
use crate::faults::Faults;
use crate::http::Cut;
use crate::request_log::{LoggedRequest, RequestLog};
use crate::scenario::Step;
use crate::settings::Settings;
use crate::state::catalog::KINDS;
use crate::state::device::{DISOWNED, Device};
use crate::state::{Access, World};
use crate::token_file::{self, TokenFileError, TokenShape};

/// The simulated Apple. A handle: clones share everything.
#[derive(Clone)]
pub struct Simulator {
    shared: Arc<Shared>,
}

struct Shared {
    clock: SimulatedClock,
    started_ms: i64,
    settings: RwLock<Arc<Settings>>,
    /// Locks are held briefly, never across an await, and at most one at a time except world → access.
    world: RwLock<World>,
    access: Mutex<Access>,
    faults: Mutex<Faults>,
    log: Mutex<RequestLog>,
    steps: Mutex<Vec<Step>>,
    step_errors: Mutex<Vec<String>>,
}

/// Why no token was issued.
#[derive(Debug, thiserror::Error)]
pub enum IssueError {
    /// No such MDM server.
    #[error(transparent)]
    Server(#[from] ControlError),
    /// The certificate cannot be used.
    #[error(transparent)]
    Certificate(#[from] TokenFileError),
}

impl Simulator {
    /// Starts with one MDM server and its devices. Steps of a scenario for the start have happened then.
    #[must_use]
    pub fn new(settings: Settings, clock: Arc<dyn Clock>) -> Self {
        let clock = SimulatedClock::new(clock);
        let started_ms = clock.now_ms();
        let world = RwLock::new(World::new(&settings, started_ms));
        let steps = Mutex::new(settings.steps.clone());
        let simulator = Self {
            shared: Arc::new(Shared {
                clock,
                started_ms,
                settings: RwLock::new(Arc::new(settings)),
                world,
                access: Mutex::default(),
                faults: Mutex::default(),
                log: Mutex::default(),
                steps,
                step_errors: Mutex::default(),
            }),
        };
        simulator.take_steps();
        simulator
    }

    /// The service as a router: Apple's paths, and the control API under `/_control`.
    pub fn router(&self) -> axum::Router {
        crate::http::router(self.clone())
    }

    /// Serves on the listener until `shutdown` resolves, and lets scenario steps happen in time.
    ///
    /// # Errors
    /// When the listener fails.
    pub async fn serve(
        self,
        listener: TcpListener,
        shutdown: impl Future<Output = ()> + Send + 'static,
    ) -> std::io::Result<()> {
        use axum::serve::ListenerExt;
        let router = self.router();
        let ticker = tokio::spawn({
            let simulator = self.clone();
            async move {
                while simulator.steps_left() {
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    simulator.take_steps();
                }
            }
        });
        // Small answers must not wait for the acknowledgement of the ones before.
        let listener = listener.tap_io(|stream| drop(stream.set_nodelay(true)));
        let served = axum::serve(listener, router).with_graceful_shutdown(shutdown).await;
        ticker.abort();
        served
    }

    /// Answers one request to one of Apple's paths without a socket: the same way as over [`Simulator::router`],
    /// with faults and log. It waits for nothing but the clock that was passed in. The control API is not here;
    /// see [`Simulator::perform`].
    ///
    /// # Errors
    /// [`Cut`] where a fault closes the connection before the answer is whole.
    pub async fn answer(
        &self,
        request: axum::http::Request<Bytes>,
    ) -> Result<axum::http::Response<Bytes>, Cut> {
        crate::http::answer(self, request).await
    }

    /// Issues a server token for an MDM server, as the portal does for an uploaded certificate (PEM or
    /// DER), and gives the `.p7m` file. The token before is refused from now on with `signature_invalid`.
    ///
    /// # Errors
    /// When there is no such MDM server or the certificate cannot be used; the old token stays good then.
    pub fn issue_token(
        &self,
        server: &str,
        certificate_pem: &str,
        shape: TokenShape,
    ) -> Result<Vec<u8>, IssueError> {
        self.issue_token_for(server, certificate_pem.as_bytes(), &shape)
    }

    pub(crate) fn issue_token_for(
        &self,
        server: &str,
        certificate: &[u8],
        shape: &TokenShape,
    ) -> Result<Vec<u8>, IssueError> {
        token_file::check(certificate)?;
        let now_ms = self.clock().now_ms();
        let token = {
            let mut world = self.world_mut();
            let number = world.server_number(server)?;
            world.issue_token(number, now_ms).ok_or_else(|| ControlError::UnknownServer(server.to_owned()))?
        };
        Ok(token_file::build(&token, certificate, shape)?)
    }

    /// The devices of an MDM server as they truly are, oldest assignment first.
    ///
    /// # Errors
    /// When there is no such MDM server.
    pub fn truth(&self, server: &str) -> Result<Vec<TruthDevice>, ControlError> {
        let world = self.world();
        let number = world.server_number(server)?;
        let listing = world.server(number).map(|server| server.listing.devices()).into_iter().flatten();
        Ok(listing.filter_map(|number| world.device(number)).map(|device| truth_of(&world, device)).collect())
    }

    /// One device as it truly is, wherever it is.
    #[must_use]
    pub fn truth_of(&self, serial: &str) -> Option<TruthDevice> {
        let world = self.world();
        let device = world.device(world.find(serial)?)?;
        Some(truth_of(&world, device))
    }

    /// The last requests, oldest first.
    #[must_use]
    pub fn requests(&self) -> Vec<LoggedRequest> {
        self.log().entries().cloned().collect()
    }

    /// How many requests to Apple's paths there have been, also those that the log no longer has.
    #[must_use]
    pub fn request_count(&self) -> u64 {
        self.log().total()
    }

    /// Lets simulated time pass.
    pub fn advance_clock(&self, by: Duration) {
        self.clock().advance(by);
        self.take_steps();
    }

    /// The settings in force.
    #[must_use]
    pub fn settings(&self) -> Arc<Settings> {
        Arc::clone(&self.shared.settings.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// A summary, as `GET /_control/state` gives it.
    #[must_use]
    pub fn state(&self) -> Value {
        let settings = self.settings();
        let clock = self.clock();
        let servers: Vec<Value> = {
            let world = self.world();
            let server = |server: &crate::state::Server| {
                json!({
                    "name": server.name,
                    "server_uuid": server.uuid,
                    "organization": server.organization,
                    "devices": server.listing.live(),
                    "events": server.events.len(),
                    "consumer_key": server.consumer_key,
                    "token": if server.token.is_some() { json!(server.token_switch) } else { Value::Null },
                    "token_expires": server.token.as_ref().map(|token| time_text(token.expires_ms / 1000)),
                    "terms": server.terms,
                    "may_release": server.may_release,
                })
            };
            world.servers.iter().map(server).collect()
        };
        let (devices, profiles) = {
            let world = self.world();
            (world.devices.len(), world.profiles.len())
        };
        let (requests, counts) = {
            let log = self.log();
            (log.total(), log.counts().clone())
        };
        json!({
            "now": time_text(clock.now_ms().div_euclid(1000)),
            "clock_ahead_seconds": clock.offset_ms().div_euclid(1000),
            "servers": servers,
            "devices": devices,
            "profiles": profiles,
            "sessions": self.access().live(),
            "requests": requests,
            "requests_by_outcome": counts,
            "faults": self.faults().waiting(),
            "steps_left": lock(&self.shared.steps).len(),
            "step_errors": *lock(&self.shared.step_errors),
            "settings": *settings,
        })
    }

    /// Waits on the clock that was passed in. The steps whose time has come then have happened.
    pub(crate) async fn pause(&self, duration: Duration) {
        self.clock().sleep(duration).await;
        self.take_steps();
    }

    /// Lets the steps happen whose time has come.
    pub(crate) fn take_steps(&self) {
        let since = self.clock().now_ms().saturating_sub(self.shared.started_ms);
        let since = u64::try_from(since.div_euclid(1000)).unwrap_or(0);
        let due: Vec<Step> = {
            let mut steps = lock(&self.shared.steps);
            if steps.is_empty() {
                return;
            }
            let (mut due, later): (Vec<_>, Vec<_>) =
                std::mem::take(&mut *steps).into_iter().partition(|step| step.after_seconds <= since);
            *steps = later;
            due.sort_by_key(|step| step.after_seconds);
            due
        };
        for step in due {
            let name = format!("{:?}", step.command);
            if let Err(error) = self.perform(step.command) {
                tracing::warn!(step = name, error = %error, "a step of the scenario failed");
                lock(&self.shared.step_errors).push(error.to_string());
            }
        }
    }

    fn steps_left(&self) -> bool {
        !lock(&self.shared.steps).is_empty()
    }

    pub(crate) fn replace_settings(&self, settings: Settings) {
        *self.shared.settings.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(settings);
    }

    pub(crate) fn clock(&self) -> &SimulatedClock {
        &self.shared.clock
    }

    pub(crate) fn world(&self) -> RwLockReadGuard<'_, World> {
        self.shared.world.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn world_mut(&self) -> RwLockWriteGuard<'_, World> {
        self.shared.world.write().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn access(&self) -> MutexGuard<'_, Access> {
        lock(&self.shared.access)
    }

    pub(crate) fn faults(&self) -> MutexGuard<'_, Faults> {
        lock(&self.shared.faults)
    }

    pub(crate) fn log(&self) -> MutexGuard<'_, RequestLog> {
        lock(&self.shared.log)
    }
}

impl std::fmt::Debug for Simulator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Simulator").field("devices", &self.world().devices.len()).finish_non_exhaustive()
    }
}

/// A panic while a lock was held leaves the state usable: every change is small and complete in itself.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(crate) fn truth_of(world: &World, device: &Device) -> TruthDevice {
    TruthDevice {
        serial_number: device.serial.as_str().to_owned(),
        server: world.server(device.owner).map(|server| server.name.clone()),
        device_family: KINDS.get(usize::from(device.kind)).map_or("", |kind| kind.family).to_owned(),
        profile_status: device.status.as_str().to_owned(),
        profile_uuid: world.profiles.name(device.profile).map(str::to_owned),
        assigns: device.assigns,
        disowned: device.has(DISOWNED),
    }
}
