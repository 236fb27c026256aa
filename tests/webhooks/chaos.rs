use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::{Duration, Instant};

use adelie_model::{Entropy, SeededEntropy};
use anyhow::Context as _;
use serde_json::{Value, json};

use crate::installation::{Installation, Place, free_address};
use crate::note;

/// Between two blows to the receiver.
const RECEIVER_LIVES: Duration = Duration::from_secs(2);
/// How long the service lives, at least and at most.
const SERVICE_LIVES: (u64, u64) = (3, 9);
/// Nothing new for so long means that it never comes.
const PATIENCE: Duration = Duration::from_secs(180);

/// Every event must arrive, with one id and one content, although the receiver answers 20 % with 5xx, resets 5 %, and is
/// killed every two seconds, and the service is killed too.
pub async fn run(adelie: &Path, place: &Place, events: usize, seed: u64) -> anyhow::Result<Value> {
    let mut installation = Installation::synced(adelie, place, events).await?;
    // The ladder of a day would take days.
    installation.set("ADELIE_WEBHOOK_RETRY_SECONDS", &vec!["1"; 60].join(","));
    let address = free_address()?;
    installation.subscribe(address, "hook", 50).await?;
    let dice = SeededEntropy::new(seed);
    let began = Instant::now();
    let (mut receiver, mut service) = (None, Some(installation.serve()?));
    let tagging = {
        let command = installation
            .command(&["device", "tag", "--matching", "--server", "lab", "--add", "chaos"])
            .spawn()?;
        tokio::spawn(async move { command.wait_with_output().await })
    };
    let (mut receivers, mut services) = (0_u32, 0_u32);
    let mut service_dies = Instant::now() + life(&dice);
    let (mut last, mut progress) = (0, Instant::now());
    loop {
        // Whoever is dropped is killed.
        drop(receiver.take());
        let seed = dice.below(u64::MAX).to_string();
        receiver =
            Some(installation.receiver(address, &["--fail", "20", "--reset", "5", "--seed", &seed]).await?);
        receivers += 1;
        tokio::time::sleep(RECEIVER_LIVES).await;
        if Instant::now() >= service_dies {
            drop(service.take());
            service = Some(installation.serve()?);
            services += 1;
            service_dies = Instant::now() + life(&dice);
        }
        let arrived: BTreeSet<String> =
            installation.noted()?.into_iter().filter(|one| one.good).map(|one| one.id).collect();
        if arrived.len() > last {
            (last, progress) = (arrived.len(), Instant::now());
            note(&format!(
                "{}: {last} of {events} events after {:.0} s",
                place.name(),
                began.elapsed().as_secs_f64()
            ));
        }
        if last >= events && tagging.is_finished() || progress.elapsed() > PATIENCE {
            break;
        }
    }
    let tagged = tagging.await?.context("tagging did not end")?;
    anyhow::ensure!(tagged.status.success(), "tagging failed");
    // What was answered and not stored is sent once more, and then nothing is left.
    let mut waiting = installation.waiting().await?;
    let quiet = Instant::now();
    drop(receiver.take());
    let _calm = installation.receiver(address, &[]).await?;
    while waiting > 0 && quiet.elapsed() < PATIENCE {
        tokio::time::sleep(Duration::from_secs(1)).await;
        waiting = installation.waiting().await?;
    }
    drop(service);
    let seconds = began.elapsed().as_secs_f64();
    let truth: BTreeSet<String> = installation.made("device.tagged").await?.into_keys().collect();
    let noted = installation.noted()?;
    let mut contents: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for one in &noted {
        contents.entry(&one.id).or_default().insert(&one.hash);
    }
    let good: BTreeSet<&str> = noted.iter().filter(|one| one.good).map(|one| one.id.as_str()).collect();
    let lost = truth.iter().filter(|id| !good.contains(id.as_str())).count();
    let unknown = good.iter().filter(|id| !truth.contains(**id)).count();
    let changed = contents.values().filter(|hashes| hashes.len() > 1).count();
    let answered = noted.iter().filter(|one| one.good).count();
    Ok(json!({
        "what": "chaos",
        "database": place.name(),
        "seed": seed,
        "events": truth.len(),
        "posts": noted.len(),
        "refused": noted.len() - answered,
        "received_again": answered - good.len(),
        "receiver_killed": receivers,
        "service_killed": services,
        "seconds": seconds.round(),
        "lost": lost,
        "unknown_ids": unknown,
        "changed_contents": changed,
        "left_waiting": waiting,
        "good": truth.len() == events && lost == 0 && unknown == 0 && changed == 0 && waiting == 0,
    }))
}

fn life(dice: &SeededEntropy) -> Duration {
    let (least, most) = SERVICE_LIVES;
    Duration::from_secs(least + dice.below(most - least + 1))
}
