use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::ops::Deref;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use adelie_model::{Clock, Timestamp, to_millis};
use adelie_simulator::control::{Choice, FailDevices, Nothing, SetTerms, SetToken, ThrottleDevices};
use adelie_simulator::{Command, Fault, LoggedRequest, Settings, Simulator, Terms, TokenSwitch, TruthDevice};
use async_trait::async_trait;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

/// The name of the first MDM server in the portal.
pub const LAB: &str = "Lab";

pub static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().expect("a runtime"));

pub struct RealClock;

#[async_trait]
impl Clock for RealClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "the binary under test reads the real clock, so Apple must too"
    )]
    fn now(&self) -> Timestamp {
        to_millis(chrono::Utc::now())
    }

    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}

/// The simulated Apple, listening on a port of its own.
pub struct Apple {
    simulator: Simulator,
    pub url: String,
    stop: CancellationToken,
}

impl Deref for Apple {
    type Target = Simulator;

    fn deref(&self) -> &Simulator {
        &self.simulator
    }
}

impl Drop for Apple {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Apple {
    pub fn start(settings: Settings) -> Self {
        let simulator = Simulator::new(settings, Arc::new(RealClock));
        let listener = RUNTIME.block_on(TcpListener::bind("127.0.0.1:0")).expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let stop = CancellationToken::new();
        RUNTIME.spawn(simulator.clone().serve(listener, stop.clone().cancelled_owned()));
        Self { simulator, url, stop }
    }

    /// Carries out a command that must be right.
    pub fn tell(&self, command: Command) {
        self.simulator.perform(command).expect("a command that the simulator takes");
    }

    pub fn fault(&self, fault: Fault) {
        self.tell(Command::AddFault(Box::new(fault)));
    }

    pub fn clear_faults(&self) {
        self.tell(Command::ClearFaults(Nothing {}));
    }

    pub fn fail(&self, serials: &[String], times: u32) {
        self.tell(Command::FailDevices(FailDevices { choice: these(serials), times }));
    }

    pub fn throttle(&self, serials: &[String], seconds: Option<u64>) {
        self.tell(Command::ThrottleDevices(ThrottleDevices { choice: these(serials), seconds }));
    }

    pub fn token(&self, server: &str, state: TokenSwitch) {
        self.tell(Command::SetToken(SetToken { server: Some(server.to_owned()), state }));
    }

    pub fn terms(&self, state: Terms) {
        self.tell(Command::SetTerms(SetTerms { server: Some(LAB.to_owned()), state }));
    }

    /// The devices of an MDM server as they truly are, by serial number.
    pub fn devices(&self, server: &str) -> BTreeMap<String, TruthDevice> {
        let devices = self.simulator.truth(server).expect("an MDM server of the portal");
        devices.into_iter().map(|device| (device.serial_number.clone(), device)).collect()
    }

    /// The first serial numbers of an MDM server.
    pub fn some(&self, server: &str, count: usize) -> Vec<String> {
        let serials: Vec<_> = self.devices(server).into_keys().take(count).collect();
        assert_eq!(serials.len(), count, "too few devices at {server}");
        serials
    }

    /// The serial numbers of a family at an MDM server, in order.
    pub fn family(&self, server: &str, family: &str) -> Vec<String> {
        let devices = self.devices(server).into_values();
        let serials: Vec<_> = devices
            .filter(|device| device.device_family == family)
            .map(|device| device.serial_number)
            .collect();
        assert!(serials.len() >= 3, "too few devices of {family} at {server}");
        serials
    }

    /// A place in the log of requests.
    pub fn mark(&self) -> u64 {
        self.simulator.request_count()
    }

    /// The requests after a place in the log, oldest first.
    pub fn since(&self, mark: u64) -> Vec<LoggedRequest> {
        self.simulator.requests().into_iter().filter(|request| request.number > mark).collect()
    }

    /// How many requests went to a path after a place in the log.
    pub fn count(&self, mark: u64, method: &str, path: &str) -> usize {
        self.since(mark).iter().filter(|request| request.method == method && request.path == path).count()
    }

    /// The assignments after a place in the log, oldest first: the profile, and the devices in their order.
    pub fn assignments(&self, mark: u64) -> Vec<(String, Vec<String>)> {
        #[derive(serde::Deserialize)]
        struct Assign {
            profile_uuid: String,
            devices: Vec<String>,
        }
        let sent = self.since(mark).into_iter().filter(|request| request.path == "/profile/devices");
        sent.map(|request| {
            let Assign { profile_uuid, mut devices } =
                serde_json::from_str(&request.body).expect("an assignment that is short enough for the log");
            devices.sort_unstable();
            (profile_uuid, devices)
        })
        .collect()
    }

    /// How many requests of a kind mention a serial number after a place in the log.
    pub fn mentions(&self, mark: u64, path: &str, serial: &str) -> usize {
        self.since(mark)
            .iter()
            .filter(|request| request.path == path && request.body.contains(serial))
            .count()
    }
}

/// A choice of devices by serial number, wherever they are.
pub fn these(serials: &[String]) -> Choice {
    Choice { serials: serials.to_vec(), ..Choice::default() }
}

/// Status and body of a GET request to a loopback address.
pub fn get(url: &str) -> (u16, String) {
    let (host, path) = url.trim_start_matches("http://").split_once('/').expect("a path");
    let mut stream = TcpStream::connect(host).unwrap_or_else(|error| panic!("{url}: {error}"));
    write!(stream, "GET /{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").expect("a request");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    let (head, body) = answer.split_once("\r\n\r\n").expect("headers");
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    (status.expect("a status"), body.to_owned())
}
