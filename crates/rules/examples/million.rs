//! How long it takes to decide for a million devices over 200 rules, on one core.
//!
//! ```text
//! cargo run --release -p adelie-rules --example million -- [DEVICES]
//! ```
//!
//! The rules are of the kinds that organizations write: ranges of serial numbers, lists of them (one with 100,000),
//! tags, families, models, asset tags, people, dates, MDM servers. About six devices in ten reach the defaults, so
//! that most devices are compared with all 200 rules.

#![expect(clippy::print_stdout, reason = "a program that prints its result")]

use std::error::Error;
use std::time::Instant;

use adelie_model::{DeviceFamily, RevisionId, SerialNumber, ServerId, ServerName};
use adelie_rules::{Condition, Defaults, Field, OnlyServer, Rule, Rules, Scope, Subject};
use fastrand::Rng;

const RULES: i64 = 200;
const SERVERS: i64 = 4;
const LETTERS: &[u8] = b"CDFGHJKLMNPQRTVWXY0123456789";

fn main() -> Result<(), Box<dyn Error>> {
    let devices: usize = std::env::args().nth(1).map_or(Ok(1_000_000), |text| text.parse())?;
    let mut rng = Rng::with_seed(1);

    let names: Vec<ServerName> =
        (0..SERVERS).map(|at| format!("School {at}").parse()).collect::<Result<_, _>>()?;
    let fleet: Vec<Device> = (0..devices).map(|_| Device::new(&mut rng)).collect();
    let listed: Vec<&str> = fleet.iter().step_by(10).map(|device| device.serial.as_str()).collect();

    let begin = Instant::now();
    let rules = (0..RULES).map(|at| rule(at, &names, &listed, &mut rng)).collect::<Result<Vec<_>, _>>()?;
    let defaults =
        Defaults::new([(Scope::Any, RevisionId(900)), (Scope::Family(DeviceFamily::Mac), RevisionId(901))]);
    let rules = Rules::new(rules, defaults);
    println!("{RULES} rules made ready in {:.3} s", begin.elapsed().as_secs_f64());

    for round in 1..=3 {
        let begin = Instant::now();
        let (mut by_rule, mut sum) = (0_usize, 0_i64);
        for device in &fleet {
            let ruling = rules.decide(&device.subject(&names));
            by_rule += usize::from(ruling.rule.is_some());
            sum += ruling.wanted.map_or(0, |revision| revision.0);
        }
        let took = begin.elapsed().as_secs_f64();
        println!(
            "round {round}: {devices} devices in {took:.3} s, {:.0} ns each; {by_rule} by a rule, {} by a default \
             (sum {sum})",
            took * 1e9 / devices as f64,
            devices - by_rule
        );
    }

    let begin = Instant::now();
    let findings = rules.findings().len();
    println!("{findings} findings in {:.3} s", begin.elapsed().as_secs_f64());
    Ok(())
}

/// One rule of 20 kinds.
fn rule(at: i64, names: &[ServerName], listed: &[&str], rng: &mut Rng) -> Result<Rule, Box<dyn Error>> {
    let mut letters = |count| (0..count).map(|_| pick(rng, LETTERS) as char).collect::<String>();
    let (one, other) = (letters(4), letters(3));
    let condition = |text: String| text.parse::<Condition>();
    let conditions = match at % 20 {
        // A list of 100,000, and some of a few dozen.
        0 if at == 100 => vec![Condition::values(Field::Serial, listed)?],
        0 => vec![Condition::values(Field::Serial, (0..40).map(|n| format!("ZZ{at:04}{n:06}")))?],
        1 => vec![condition(format!("serial={one}*,{other}X*"))?],
        2 => vec![condition(format!("tag=building-{at}"))?],
        3 => vec![condition("family=ipad".into())?, condition(format!("tag=class-{at}"))?],
        4 => vec![condition("family=mac".into())?, condition(format!("serial={one}*"))?],
        5 => vec![condition(format!("asset-tag=LAB-{at}-*"))?],
        6 => vec![condition(format!("model=*Studio {at}*"))?],
        7 => vec![condition(format!("assigned-by=person{at}@example.org"))?, condition("family=mac".into())?],
        8 => vec![condition("os=iOS,iPadOS".into())?, condition(format!("tag=loan-{at},pool-{at}"))?],
        9 => vec![
            condition("assigned-date=2026-01-01..2026-06-30".into())?,
            condition(format!("asset-tag=NEW-{at}*"))?,
        ],
        10 => vec![condition(format!("description=MBP 14.{at}*"))?],
        11 => vec![condition("color=SILVER".into())?, condition(format!("tag=exec-{at}"))?],
        12 => vec![condition("server=School 1,School 2".into())?, condition(format!("tag=floor-{at}"))?],
        13 => vec![condition(format!("serial={one}??{}*", &other[..1]))?],
        14 => vec![condition("asset-tag=".into())?, condition(format!("serial={one}*"))?],
        15 => vec![condition("family=appletv".into())?, condition(format!("tag=room-{at}"))?],
        16 => vec![condition(format!("serial=*{other}"))?, condition("family=iphone".into())?],
        17 => vec![condition(format!("tag=*-{at}-*"))?],
        18 => vec![condition(format!("assigned-date=<2019-01-{:02}", at % 28 + 1))?],
        _ => vec![condition(format!("tag=dept-{at}"))?, condition("model=MacBook*,iMac*,Mac mini*".into())?],
    };
    let server = at % SERVERS;
    let limited = at % 5 == 0 && at != 100;
    let only = limited.then(|| OnlyServer { id: ServerId(server), name: names[server as usize].clone() });
    Ok(Rule { name: format!("rule {at}").parse()?, only, conditions, gives: RevisionId(at) })
}

/// A device with all facts that Apple usually sends.
struct Device {
    server: i64,
    serial: SerialNumber,
    kind: &'static (DeviceFamily, &'static str, &'static str, &'static str),
    color: &'static str,
    asset_tag: Option<String>,
    assigned_by: String,
    assigned_date: adelie_model::Timestamp,
    tags: Vec<String>,
}

const KINDS: &[(DeviceFamily, &str, &str, &str)] = &[
    (DeviceFamily::Mac, "MacBook Pro (14-inch, M5)", "OSX", "MBP 14.2 SPACE BLACK"),
    (DeviceFamily::Mac, "Mac mini (2024)", "OSX", "MAC MINI M4 16GB"),
    (DeviceFamily::IPad, "iPad (A16)", "iPadOS", "IPAD A16 WIFI 128GB BLUE"),
    (DeviceFamily::IPad, "iPad Air 11-inch (M3)", "iPadOS", "IPAD AIR 11 WIFI 128GB"),
    (DeviceFamily::IPhone, "iPhone 17", "iOS", "IPHONE 17 BLACK 256GB"),
    (DeviceFamily::AppleTv, "Apple TV 4K", "tvOS", "APPLE TV 4K 128GB"),
];

impl Device {
    fn new(rng: &mut Rng) -> Self {
        let serial: String = (0..12).map(|_| pick(rng, LETTERS) as char).collect();
        let tags = match rng.u8(..4) {
            0 => vec![],
            1 => vec![format!("building-{}", rng.u16(..2000))],
            _ => vec![format!("class-{}", rng.u16(..2000)), "year-2026".to_owned(), "lend".to_owned()],
        };
        let day = rng.i64(0..3650);
        let start = adelie_model::Timestamp::UNIX_EPOCH + std::time::Duration::from_secs(1_450_000_000);
        Self {
            server: rng.i64(0..SERVERS),
            serial: SerialNumber::from_apple(serial),
            kind: &KINDS[rng.usize(..KINDS.len())],
            color: pick(rng, &["SILVER", "SPACE GRAY", "BLUE", "PINK"]),
            asset_tag: rng.bool().then(|| format!("LAB-{}-{}", rng.u16(..2000), rng.u16(..))),
            assigned_by: format!("person{}@example.org", rng.u16(..500)),
            assigned_date: start + std::time::Duration::from_secs(day as u64 * 86_400),
            tags,
        }
    }

    fn subject<'a>(&'a self, names: &'a [ServerName]) -> Subject<'a> {
        let (family, model, os, description) = self.kind;
        Subject {
            server: ServerId(self.server),
            server_name: &names[self.server as usize],
            serial: &self.serial,
            family: Some(family),
            model: Some(model),
            os: Some(os),
            color: Some(self.color),
            description: Some(description),
            asset_tag: self.asset_tag.as_deref(),
            assigned_by: Some(&self.assigned_by),
            assigned_date: Some(self.assigned_date),
            tags: &self.tags,
        }
    }
}

fn pick<T: Copy>(rng: &mut Rng, from: &[T]) -> T {
    from[rng.usize(..from.len())]
}
