use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use adelie_model::{Clock, Timestamp, to_millis};
use adelie_simulator::control::Nothing;
use adelie_simulator::{Arrival, Command, Departure, Fault, Settings, Simulator, TruthDevice};
use async_trait::async_trait;
use tokio::net::TcpListener;

/// The machine's clock, which the copies read, too.
struct SystemClock;

#[async_trait]
impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the copies read the real clock, so Apple must too")]
    fn now(&self) -> Timestamp {
        to_millis(chrono::Utc::now())
    }

    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}

/// The simulated Apple, and what has happened in its portal.
pub struct Apple {
    simulator: Simulator,
    pub url: String,
    /// The names of the MDM servers in the portal.
    pub servers: Vec<String>,
    /// How often each device may have been assigned when nothing is done twice.
    expected: BTreeMap<String, u32>,
    /// Devices that have left the MDM server at this place in the list.
    gone: HashSet<(usize, String)>,
    moved: HashSet<String>,
}

impl Apple {
    /// Starts one in this process.
    pub async fn start(servers: usize, devices: usize, seed: u64) -> anyhow::Result<Self> {
        let settings = Settings {
            devices,
            seed,
            max_limit: 20,
            latency: Duration::from_millis(5),
            log_size: 10,
            ..Settings::default()
        };
        let simulator = Simulator::new(settings, Arc::new(SystemClock));
        let mut names = vec!["Lab".to_owned()];
        for number in 2..=servers {
            let name = format!("Lab {number}");
            simulator.add_server(&name)?;
            simulator.add_devices(&name, devices)?;
            names.push(name);
        }
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        tokio::spawn(simulator.clone().serve(listener, std::future::pending()));
        let mut apple = Self {
            simulator,
            url,
            servers: names,
            expected: BTreeMap::new(),
            gone: HashSet::new(),
            moved: HashSet::new(),
        };
        for place in 0..servers {
            let there: Vec<_> = apple.truth(place)?.into_keys().collect();
            apple.expected.extend(there.into_iter().map(|serial| (serial, 1)));
        }
        Ok(apple)
    }

    pub fn simulator(&self) -> &Simulator {
        &self.simulator
    }

    /// The devices of an MDM server as they truly are.
    pub fn truth(&self, place: usize) -> anyhow::Result<BTreeMap<String, TruthDevice>> {
        let devices = self.simulator.truth(&self.servers[place])?;
        Ok(devices.into_iter().map(|device| (device.serial_number.clone(), device)).collect())
    }

    /// All devices that there ever were.
    pub fn devices(&self) -> usize {
        self.expected.len()
    }

    /// How often each device may have been assigned when nothing is done twice.
    pub fn expected(&self) -> &BTreeMap<String, u32> {
        &self.expected
    }

    /// Whether a device has left an MDM server.
    pub fn has_left(&self, place: usize, serial: &str) -> bool {
        self.gone.contains(&(place, serial.to_owned()))
    }

    pub fn buy(&mut self, place: usize, count: usize) -> anyhow::Result<()> {
        let new = self.simulator.add_devices(&self.servers[place], count)?;
        self.expected.extend(new.into_iter().map(|serial| (serial, 1)));
        Ok(())
    }

    /// A device goes from one MDM server to another. None comes back to where it was.
    pub fn hand_over(
        &mut self,
        from: usize,
        to: usize,
        serial: &str,
        arrival: Arrival,
    ) -> anyhow::Result<()> {
        if from == to || !self.moved.insert(serial.to_owned()) {
            return Ok(());
        }
        let serials = [serial.to_owned()];
        self.simulator.move_devices(&self.servers[from], &self.servers[to], &serials, arrival)?;
        self.gone.insert((from, serial.to_owned()));
        *self.expected.entry(serial.to_owned()).or_default() += 1;
        Ok(())
    }

    pub fn release(&mut self, place: usize, serial: &str) -> anyhow::Result<()> {
        self.simulator.remove_devices(&self.servers[place], &[serial.to_owned()], Departure::Deleted)?;
        self.gone.insert((place, serial.to_owned()));
        Ok(())
    }

    pub fn fault(&self, fault: Fault) -> anyhow::Result<()> {
        self.simulator.perform(Command::AddFault(Box::new(fault)))?;
        Ok(())
    }

    /// Nothing goes wrong any more.
    pub fn calm(&self) -> anyhow::Result<()> {
        self.simulator.perform(Command::ClearFaults(Nothing {}))?;
        Ok(())
    }
}
