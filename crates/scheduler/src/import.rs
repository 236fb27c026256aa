//! Pages of a first import that come faster than they can be stored: their assignments are sent first, and each device
//! is written once, with Apple's answer.
//!
//! Nothing of such a page is stored before but the intent to send, and the cursor stays where it was: a process that is
//! killed leaves devices that Apple is asked about, and a page that is fetched again. While the requests of one group of
//! pages are under way, the group before is stored and the next is worked out.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use adelie_model::{ProfileUuid, RevisionId, SerialNumber, Timestamp, halt};
use adelie_store::page::{Answer, Intended};
use adelie_store::{Before, Claim, PageCommit, SendAhead, Turn};
use fastbloom::BloomFilter;
use futures_util::StreamExt;
use futures_util::stream::{self, FuturesUnordered};
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};

use crate::assign::{self, BATCH, Outcome, Sent};
use crate::job::Job;
use crate::{Progress, WorkError, read_back};

/// How long a group of pages waits for Apple's answers once it is its turn to be stored, for each round of requests that
/// are under way at once; and not less than for two. After that it is stored as sent, and answers that come late are
/// stored by themselves: no page waits for an Apple that is slow to assign.
const PATIENCE: Duration = Duration::from_millis(250);

/// Pages whose assignments are under way.
pub(crate) struct Flight {
    intended: Intended,
    patience: Duration,
    /// `None` when there was nothing to send.
    landing: Option<oneshot::Receiver<Landed>>,
}

/// What is to be sent of pages.
pub(crate) struct Departure {
    batches: Vec<Batch>,
    /// After that it is not sent any more, because it is nearly time to read it back.
    until: Timestamp,
    landing: oneshot::Sender<Landed>,
    /// Let go of when everything is answered.
    _sky: OwnedSemaphorePermit,
}

/// Devices for one request.
struct Batch {
    revision: RevisionId,
    uuid: ProfileUuid,
    claims: Vec<Claim>,
}

/// What became of the devices of pages.
#[derive(Default)]
struct Landed {
    sent: Vec<Sent>,
    /// Those that have not left.
    unsent: Vec<SerialNumber>,
}

/// The serial numbers of a listing so far, for an MDM server of which nothing was stored before it: what is not among
/// them is certainly new. Of a million devices one in 200,000 is taken for known without being so, which costs nothing
/// but that its pages are stored before anything is sent.
pub(crate) struct Listed(BloomFilter);

impl Listed {
    /// 4 MiB: enough for two or three million devices.
    const BITS: usize = 1 << 25;
    const HASHES: u32 = 8;

    pub(crate) fn new() -> Self {
        Self(BloomFilter::with_num_bits(Self::BITS).hashes(Self::HASHES))
    }

    /// Takes in the devices of pages. `true` when all of them are certainly new.
    pub(crate) fn takes_in(&mut self, pages: &[PageCommit]) -> bool {
        let mut new = true;
        for record in pages.iter().flat_map(|page| &page.records) {
            new &= !self.0.insert(record.serial.as_str());
        }
        new
    }
}

/// Works out pages of new devices and stores the intent to send. The pages come back when they have to be stored before
/// anything is sent. `sky` is the leave to have assignments under way until the last is answered.
pub(crate) async fn intend(
    job: &Job<'_>,
    pages: Vec<PageCommit>,
    sky: OwnedSemaphorePermit,
) -> Result<Result<(Flight, Option<Departure>), Vec<PageCommit>>, WorkError> {
    let now = job.now();
    let ahead = SendAhead { verify_at: now + job.settings.verify_after };
    let intended = match job.store().intend_pages(&job.lease, pages, ahead).await? {
        Ok(intended) => intended,
        Err(pages) => return Ok(Err(pages)),
    };
    let batches = batches(&intended);
    let rounds = batches.len().div_ceil(at_once(job)).max(2);
    let patience = PATIENCE * u32::try_from(rounds).unwrap_or(u32::MAX);
    if batches.is_empty() {
        return Ok(Ok((Flight { intended, patience, landing: None }, None)));
    }
    let (landing, landed) = oneshot::channel();
    // Half of the time is for the requests themselves.
    let departure = Departure { batches, until: now + job.settings.verify_after / 2, landing, _sky: sky };
    Ok(Ok((Flight { intended, patience, landing: Some(landed) }, Some(departure))))
}

/// How many requests are under way at once.
fn at_once(job: &Job<'_>) -> usize {
    job.settings.assigns_in_flight.max(1)
}

fn batches(intended: &Intended) -> Vec<Batch> {
    let mut by_revision: BTreeMap<RevisionId, Vec<Claim>> = BTreeMap::new();
    for ready in &intended.ready {
        by_revision.entry(ready.revision).or_default().extend_from_slice(&ready.claims);
    }
    let mut batches = Vec::new();
    for (revision, claims) in by_revision {
        // Only what Apple has is ready.
        let Some(uuid) = intended.policy.published.get(&revision) else { continue };
        for claims in claims.chunks(BATCH as usize) {
            batches.push(Batch { revision, uuid: uuid.clone(), claims: claims.to_vec() });
        }
    }
    batches
}

/// Sends what is to be sent, until no more can come and everything is answered.
pub(crate) async fn fly(job: &Job<'_>, mut departures: mpsc::Receiver<Departure>) -> Result<(), WorkError> {
    let mut under_way = FuturesUnordered::new();
    let mut more = true;
    while more || !under_way.is_empty() {
        tokio::select! {
            departure = departures.recv(), if more => match departure {
                Some(departure) => under_way.push(depart(job, departure)),
                None => more = false,
            },
            Some(landed) = under_way.next() => landed?,
        }
    }
    Ok(())
}

/// Sends batches, several at once, until one meets with trouble, it is too late, or the work is to end.
async fn depart(job: &Job<'_>, departure: Departure) -> Result<(), WorkError> {
    let Departure { batches, until, landing, _sky } = departure;
    let trouble = AtomicBool::new(false);
    let send = async |Batch { revision, uuid, claims }| {
        let _assigning = job.assigning.acquire().await;
        if trouble.load(Ordering::SeqCst) || job.stopping() || job.now() >= until {
            return Ok(Err(claims));
        }
        let outcome = assign::send(job, &claims, &uuid).await?;
        if !matches!(outcome, Outcome::Settled(_)) {
            trouble.store(true, Ordering::SeqCst);
        }
        Ok::<_, WorkError>(Ok(Sent { revision, claims, outcome }))
    };
    let mut landed = Landed::default();
    let mut sending = pin!(stream::iter(batches).map(send).buffer_unordered(at_once(job)));
    while let Some(batch) = sending.next().await {
        match batch? {
            Ok(sent) => landed.sent.push(sent),
            Err(claims) => landed.unsent.extend(claims.into_iter().map(|claim| claim.serial)),
        }
    }
    match landing.send(landed) {
        Ok(()) => Ok(()),
        Err(late) => store_late(job, late).await,
    }
}

/// Stores pages with what Apple has answered, in their turn.
pub(crate) async fn store(
    job: &Job<'_>,
    flight: Flight,
    mut turn: Turn,
    before: Before,
) -> Result<(), WorkError> {
    let Flight { intended, patience, mut landing } = flight;
    let mut landed = match &mut landing {
        Some(landing) => {
            // While the pages before are being stored nothing is lost by waiting.
            let mut in_vain = pin!(async {
                turn.come().await?;
                job.engine.clock.sleep(patience).await;
                Ok::<_, WorkError>(())
            });
            tokio::select! {
                biased;
                // Without a sender the work has failed elsewhere, and that is told.
                landed = landing => Some(landed.unwrap_or_default()),
                waited = &mut in_vain => {
                    waited?;
                    None
                }
            }
        }
        None => Some(Landed::default()),
    };
    let counts: Vec<_> = intended.plans.iter().map(|plan| plan.counts.records).collect();
    let answers = landed.iter().flat_map(|landed| &landed.sent).filter_map(Sent::answer).collect();
    job.store().commit_intended(&job.lease, intended, answers, job.now(), turn).await?;
    before.stored();
    halt::point("page.after_commit");
    for records in counts {
        job.notice(Progress::Page { records });
    }
    if let Some(landed) = landed.take() {
        return conclude(job, landed).await;
    }
    // From now on whoever sends stores a late answer, but for one that has come while the pages were stored.
    let late = landing.and_then(|mut landing| {
        landing.close();
        landing.try_recv().ok()
    });
    match late {
        Some(late) => store_late(job, late).await,
        None => Ok(()),
    }
}

/// Stores answers whose devices are stored as sent.
async fn store_late(job: &Job<'_>, late: Landed) -> Result<(), WorkError> {
    for Answer { revision, settlements } in late.sent.iter().filter_map(Sent::answer) {
        job.store().settle(&job.lease, revision, &settlements, job.now()).await?;
    }
    conclude(job, late).await
}

/// Hands what is stored to the assigner, which counts it and does what is to be done about trouble.
async fn conclude(job: &Job<'_>, landed: Landed) -> Result<(), WorkError> {
    assign::give_back(job, &landed.unsent).await?;
    job.answers.add(landed.sent);
    job.page_stored.notify_one();
    Ok(())
}

/// Asks Apple about devices that were being assigned when a process ended, before their pages are fetched again; and
/// with them about stored ones of which the same is true.
pub(crate) async fn clear_up(job: &Job<'_>) -> Result<(), WorkError> {
    let serials = job.store().open_intents(job.server.id).await?;
    if serials.is_empty() {
        return Ok(());
    }
    let room = BATCH - u32::try_from(serials.len() % BATCH as usize).unwrap_or(0);
    let others = job.store().to_read_back(&job.lease, job.now(), room).await?;
    tracing::info!(
        server = %job.server.name, devices = serials.len(),
        "Apple is asked about devices that were being assigned when a process ended"
    );
    read_back::intended(job, &serials, &others).await?;
    Ok(job.store().close_intents(&job.lease).await?)
}

#[cfg(test)]
mod tests {
    use adelie_model::{Actual, Cursor, RunId, SyncPhase};
    use adelie_store::page::Record;

    use super::*;

    fn page(serials: impl Iterator<Item = usize>) -> PageCommit {
        let record = |number| Record {
            serial: SerialNumber::from_apple(format!("C02{number:09}")),
            actual: Actual::default(),
            op_type: None,
            op_date: None,
        };
        PageCommit {
            run: RunId(1),
            seen_run: RunId(1),
            phase: SyncPhase::Fetch,
            records: serials.map(record).collect(),
            cursor: Cursor("next".to_owned()),
            more: true,
            fetched_until: None,
            now: Timestamp::UNIX_EPOCH,
        }
    }

    #[test]
    fn no_device_that_was_listed_is_taken_for_new() {
        let mut listed = Listed::new();
        assert!(listed.takes_in(&[page(0..1000), page(1000..2000)]));
        assert!(!listed.takes_in(&[page(1999..2001)]), "one of them is in an earlier page");
        assert!(!listed.takes_in(&[page(3000..3005), page(3004..3006)]), "one of them is in both");
        assert!(!listed.takes_in(&[page([4000, 4000].into_iter())]), "one is twice in a page");
    }

    /// So many that nearly every group of pages of a large listing is written once.
    #[test]
    fn few_new_devices_are_taken_for_known() {
        let mut listed = Listed::new();
        let groups = (0..100).map(|number| page(number * 3000..(number + 1) * 3000));
        assert_eq!(groups.filter(|group| !listed.takes_in(std::slice::from_ref(group))).count(), 0);
    }
}
