use std::collections::HashSet;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use adelie_dep::endpoints::{
    account, assign_profile, beta_tokens, define_profile, device_details, sync_devices,
};
use adelie_dep::{AppleCode, Client, DeviceResult, Error, Options};
use adelie_model::{Clock, ManualClock, ProfileUuid, SeededEntropy};
use adelie_simulator::control::AddDevices;
use adelie_simulator::{Command, Fault, InProcess, Settings, Simulator, Step};
use serde_json::json;

use crate::our_client::{client, fetch_all};
use crate::support::{Apple, Token};

const ASSIGN: &str = "/profile/devices";
const ACCOUNT: &str = "/account";

/// A simulator without a socket, our client of it, and the clock of both.
struct World {
    simulator: Simulator,
    client: Client,
    clock: ManualClock,
}

impl World {
    fn new(settings: Settings) -> Self {
        Self::with(settings, |_| {})
    }

    fn with(settings: Settings, change: impl FnOnce(&mut Options)) -> Self {
        let clock = ManualClock::new("2026-03-01T10:00:00Z".parse().expect("a moment"));
        let simulator = Simulator::new(settings, Arc::new(clock.clone()));
        let token = Token::issue(&simulator, "Lab").server_token();
        let mut options = Options::default();
        change(&mut options);
        let client = Client::with_transport(
            token,
            options,
            Arc::new(InProcess::new(simulator.clone())),
            Arc::new(clock.clone()),
            Arc::new(SeededEntropy::new(1)),
        );
        Self { simulator, client: client.expect("a client"), clock }
    }

    fn fault(&self, fault: Fault) {
        self.simulator.perform(Command::AddFault(fault.into())).expect("a fault");
    }
}

/// Runs without sockets and timers: either would panic here.
fn without_network_and_time<T>(test: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().expect("a runtime").block_on(test)
}

async fn define(client: &Client) -> ProfileUuid {
    let profile = json!({"profile_name": "All", "url": "https://mdm.example.org/"});
    let profile = profile.as_object().cloned().expect("an object");
    let request = define_profile::Request { profile, devices: Vec::new() };
    client.send(&request).await.expect("defined").profile_uuid
}

#[test]
fn it_goes_the_whole_way_without_a_socket() {
    let settings = Settings {
        devices: 2300,
        rotate_every: 3,
        old_session_stays_valid: false,
        gzip: true,
        ..Settings::default()
    };
    let world = World::new(settings);
    without_network_and_time(async {
        let client = &world.client;
        let account = client.send(&account::Request).await.expect("an account");
        assert_eq!(account.server_name.as_deref(), Some("Lab"));
        let (serials, cursor) = fetch_all(client).await;
        assert_eq!(serials.iter().collect::<HashSet<_>>().len(), 2300);

        let new = world.simulator.add_devices("Lab", 2).expect("added");
        let request = sync_devices::Request { cursor, limit: Some(1000) };
        let page = client.send(&request).await.expect("a page").into_devices();
        assert_eq!(page.iter().map(|device| device.serial_number.as_str()).collect::<Vec<_>>(), new);

        let profile_uuid = define(client).await;
        let devices: Vec<_> = serials[..1000].to_vec();
        let request = assign_profile::Request { profile_uuid: profile_uuid.clone(), devices };
        let answer = client.send(&request).await.expect("assigned");
        assert_eq!(answer.devices.len(), 1000);
        assert!(answer.devices.values().all(|result| *result == DeviceResult::Success));

        let request = device_details::Request { devices: serials[..3].to_vec() };
        let details = client.send(&request).await.expect("details");
        assert_eq!(details.devices.len(), 3);
        let truth = world.simulator.truth_of(serials[0].as_str()).expect("there");
        assert_eq!((truth.profile_uuid, truth.assigns), (Some(profile_uuid.0), 1));
    });
    let log = world.simulator.requests();
    assert_eq!(log.iter().filter(|entry| entry.path == "/session").count(), 1);
    assert_eq!(world.client.requests(), log.len() as u64);
    assert!(
        log.iter().all(|entry| entry.user_agent.as_deref() == Some(Options::default().user_agent.as_str()))
    );
}

/// L29: a request that was cut may have taken effect, and the client says so in either case.
#[test]
fn a_cut_leaves_open_what_has_taken_effect() {
    let world = World::new(Settings { devices: 1, ..Settings::default() });
    without_network_and_time(async {
        let profile_uuid = define(&world.client).await;
        let (devices, _) = fetch_all(&world.client).await;
        let request = assign_profile::Request { profile_uuid, devices: devices.clone() };
        for (effect, assigns) in [(false, 0), (true, 1)] {
            world.fault(Fault { path: Some(ASSIGN.into()), cut: true, effect, ..Fault::default() });
            let error = world.client.send(&request).await.expect_err("cut");
            assert!(matches!(&error, Error::Ambiguous { writes: true, .. }), "{error}");
            assert!(error.may_have_taken_effect() && error.is_retryable());
            let truth = world.simulator.truth_of(devices[0].as_str()).expect("there");
            assert_eq!(truth.assigns, assigns, "effect {effect}");
        }
    });
    let cut = world.simulator.requests();
    assert_eq!(cut.iter().filter(|entry| entry.status == 0 && entry.fault).count(), 2);
}

/// What became of a request and of the one after it, as far as a caller sees it.
async fn seen(client: &Client, request: &assign_profile::Request) -> String {
    let mut seen = String::new();
    for _ in 0..2 {
        let text = match client.send(request).await {
            Ok(_) => "done".to_owned(),
            Err(error) => {
                let effect = if error.may_have_taken_effect() { ", perhaps done" } else { "" };
                // The cause below is the network's or the simulator's, and differs.
                format!("{error}{effect}")
            }
        };
        seen = format!("{seen}{text}\n");
    }
    seen
}

/// Every fault means to a client without a socket what it means to one with a socket.
#[tokio::test]
async fn a_fault_means_the_same_with_and_without_a_socket() {
    let fault = Fault { path: Some(ASSIGN.into()), ..Fault::default() };
    let faults = [
        Fault { cut: true, ..fault.clone() },
        Fault { cut: true, effect: true, ..fault.clone() },
        Fault { truncate_to: Some(0), ..fault.clone() },
        Fault { truncate_to: Some(7), ..fault.clone() },
        Fault { truncate_to: Some(1_000_000), ..fault.clone() },
        Fault { empty: true, ..fault.clone() },
        Fault { empty: true, truncate_to: Some(5), ..fault.clone() },
        Fault { status: Some(401), body: Some("UNAUTHORIZED".into()), ..fault.clone() },
        Fault { status: Some(404), ..fault.clone() },
        Fault { status: Some(500), effect: true, ..fault.clone() },
        Fault { status: Some(429), retry_after_seconds: Some(9), ..fault.clone() },
        Fault { status: Some(503), retry_after_date: Some(9), ..fault.clone() },
        // The wish to wait comes through, although the rest of the answer does not.
        Fault {
            status: Some(503),
            body: Some("WAIT".into()),
            truncate_to: Some(2),
            retry_after_seconds: Some(9),
            ..fault
        },
    ];
    let mut kinds = HashSet::new();
    for (number, fault) in faults.into_iter().enumerate() {
        let settings = Settings { devices: 1, ..Settings::default() };
        let apple = Apple::start(settings.clone()).await;
        let token = apple.token();
        let over_a_socket = client(&apple, &token, 1);
        let world = World::new(settings);
        let mut outcomes = Vec::new();
        for (client, simulator) in [(&over_a_socket, &apple.simulator), (&world.client, &world.simulator)] {
            let (devices, _) = fetch_all(client).await;
            let request = assign_profile::Request { profile_uuid: define(client).await, devices };
            simulator.perform(Command::AddFault(fault.clone().into())).expect("a fault");
            let seen = seen(client, &request).await;
            let serial = request.devices[0].as_str();
            outcomes.push((seen, simulator.truth_of(serial).expect("there").assigns, client.requests()));
        }
        assert_eq!(outcomes[0], outcomes[1], "fault {number}: {fault:?}");
        kinds.insert(outcomes.remove(0));
    }
    assert!(kinds.len() >= 8, "the faults differ: {kinds:#?}");
}

#[test]
fn a_code_in_the_reason_phrase_and_a_limit_are_kept() {
    let world = World::new(Settings { beta_program: false, ..Settings::default() });
    without_network_and_time(async {
        let error = world.client.send(&beta_tokens::Request).await.expect_err("switched off");
        assert_eq!(error.code(), Some(&AppleCode::AppleSeedTurnedOff), "{error}");
    });
    let world = World::with(Settings::default(), |options| options.max_answer = 200);
    without_network_and_time(async {
        let error = world.client.send(&account::Request).await.expect_err("too large");
        assert!(matches!(&error, Error::Malformed { writes: false, .. }), "{error}");
    });
}

/// Latency and delays pass on the shared clock, and a step of a scenario has happened when its time has come.
#[test]
fn time_is_the_clock_that_was_passed_in() {
    let command = Command::AddDevices(AddDevices { count: 3, ..AddDevices::default() });
    let steps = vec![Step { after_seconds: 30, command }];
    let world = World::new(Settings { latency: Duration::from_millis(20), steps, ..Settings::default() });
    world.fault(Fault { path: Some(ACCOUNT.into()), delay_ms: 60_000, ..Fault::default() });
    without_network_and_time(async {
        let start = world.clock.now();
        let mut answer = Box::pin(world.client.send(&account::Request));
        // The clock is moved only when there is nothing else to do.
        let account = std::future::poll_fn(|context| {
            let polled = answer.as_mut().poll(context);
            if polled.is_pending() {
                world.clock.advance(Duration::from_millis(20));
                context.waker().wake_by_ref();
            }
            polled
        });
        account.await.expect("an account");
        let passed = world.clock.now() - start;
        assert_eq!(passed.num_milliseconds(), 20 + 20 + 60_000, "session, account and the delay");
        assert_eq!(world.simulator.truth("Lab").expect("there").len(), 3);
    });
}
