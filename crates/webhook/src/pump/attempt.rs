use adelie_model::{DeliveryId, Mask, Timestamp};
use adelie_store::event::{event_type, public_id, short_name};
use adelie_store::{Attempt, Attempted, ClaimedDelivery, DeliveryOutcome, StoreError};
use bytes::Bytes;
use chrono::TimeDelta;
use serde_json::Value;
use tokio::sync::SemaphorePermit;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::desk::{Desk, Finished};
use super::lane::Lane;
use super::telling::Telling;
use super::{PumpTools, request};
use crate::format::{Notice, render};
use crate::sender::Post;
use crate::{DisableReason, Endpoint, Failure, History, Next, Secret, Signed, Tried, judge, sign};

/// How long an endpoint that is to be disabled is kept quiet by ourselves: until the store knows it.
const UNTIL_STORED: TimeDelta = TimeDelta::seconds(5);

/// The two words that end what a claim does.
#[derive(Clone, Default)]
pub(super) struct Words {
    /// Nothing new is sent.
    pub(super) stop: CancellationToken,
    /// What is being sent is given up.
    pub(super) abort: CancellationToken,
}

/// Waits for its turn, posts, and judges what came of it.
pub(super) async fn deliver(
    desk: &Desk,
    lane: &Lane,
    claimed: ClaimedDelivery,
    installation: Uuid,
    words: &Words,
) -> Finished {
    let unsent = Finished::Unsent { delivery: claimed.id, claim: claimed.claim };
    let turn = tokio::select! {
        biased;
        () = words.stop.cancelled() => None,
        turn = turn(desk, lane) => turn,
    };
    let Some(_turn) = turn else { return unsent };
    let now = desk.tools.clock.now();
    // Somebody else may take it at that moment, and two posts at once would be in no order.
    let fits = now + desk.tools.sender.deadline() <= claimed.until;
    if !fits || lane.traffic.is_quiet(now) {
        return unsent;
    }
    let (attempted, endpoint) = tokio::select! {
        biased;
        // It may have arrived. It is sent again, and has the same id.
        () = words.abort.cancelled() => return unsent,
        tried = once(&desk.tools, &desk.telling, lane, &claimed, installation) => tried,
    };
    let disable = match endpoint {
        Endpoint::Unchanged => None,
        Endpoint::SlowDown(until) => {
            lane.traffic.quiet(until);
            None
        }
        Endpoint::Disable(why) => {
            lane.traffic.quiet(desk.tools.clock.now() + UNTIL_STORED);
            Some(why)
        }
    };
    Finished::Tried { attempted, disable }
}

/// First the endpoint's own turn, so that nobody who waits for a slow receiver holds a place that others could use.
async fn turn<'d>(desk: &'d Desk, lane: &'d Lane) -> Option<(SemaphorePermit<'d>, SemaphorePermit<'d>)> {
    let own = lane.traffic.slots.acquire().await.ok()?;
    Some((own, desk.slots.acquire().await.ok()?))
}

/// Posts once and judges.
async fn once(
    tools: &PumpTools,
    telling: &Telling,
    lane: &Lane,
    claimed: &ClaimedDelivery,
    installation: Uuid,
) -> (Attempted, Endpoint) {
    let at = tools.clock.now();
    let prepared = match telling.details(&*tools.store, &claimed.event).await {
        Ok(details) => Prepared::new(lane, claimed, &details, installation, at),
        Err(error) => Err(Unprepared { why: crate::chain(&error), hopeless: false }),
    };
    let (tried, request, hopeless) = match prepared {
        Ok(Prepared { post, request }) => (tools.sender.send(post, at).await, request, false),
        Err(Unprepared { why, hopeless }) => {
            (Tried { failure: Some(Failure::Ours(why)), ..Tried::default() }, String::new(), hopeless)
        }
    };
    let now = tools.clock.now();
    let history =
        History { attempts: claimed.failures.saturating_add(1), failing_since: lane.webhook.failing_since };
    let verdict = judge(&tried, history, &tools.settings.ladder, now, &*tools.entropy);
    let outcome = match verdict.delivery {
        Next::Delivered => DeliveryOutcome::Delivered,
        Next::Retry(_) if hopeless => DeliveryOutcome::Dead,
        Next::Retry(at) => DeliveryOutcome::Retry(at),
        Next::Dead => DeliveryOutcome::Dead,
    };
    let wait_until = if let Endpoint::SlowDown(until) = verdict.endpoint { Some(until) } else { None };
    let attempt = Attempt {
        at,
        duration: tried.took,
        status: tried.status,
        error: tried.failure.map(|failure| failure.to_string()),
        request,
        answer: tried.excerpt,
    };
    let attempted = Attempted {
        delivery: claimed.id,
        webhook: claimed.webhook,
        claim: claimed.claim,
        attempt,
        outcome,
        wait_until,
    };
    (attempted, verdict.endpoint)
}

struct Prepared<'p> {
    post: Post<'p>,
    request: String,
}

/// Why nothing could be posted.
struct Unprepared {
    why: String,
    /// Whether another attempt would end the same, whatever an operator does.
    hopeless: bool,
}

impl<'p> Prepared<'p> {
    fn new(
        lane: &'p Lane,
        claimed: &ClaimedDelivery,
        details: &Value,
        installation: Uuid,
        at: Timestamp,
    ) -> Result<Self, Unprepared> {
        let event = &claimed.event;
        let id = public_id(installation, event.id);
        let installation = short_name(installation);
        let notice = Notice {
            id: &id,
            kind: &event.kind,
            severity: event_type(&event.kind).map_or("info", |known| known.severity.as_str()),
            at: event.at,
            sequence: event.id.0,
            installation: &installation,
            server: claimed.server.as_ref().map(adelie_model::ServerName::as_str),
            serial: event.serial.as_ref().map(adelie_model::SerialNumber::as_str),
            data: details,
        };
        let webhook = &lane.webhook;
        let rendered = render(webhook.format, webhook.thin, &notice)
            .map_err(|error| Unprepared { why: crate::chain(&error), hopeless: true })?;
        let body: Bytes = rendered.body;
        let mendable = |why| Unprepared { why, hopeless: false };
        let secrets = lane.signing(at).map_err(mendable)?;
        let signed = sign(&secrets, &id, at, &body).map_err(|error| mendable(crate::chain(&error)))?;
        let request = request::describe(&signed, rendered.content_type, &body);
        let hidden = hidden(&webhook.url, &signed, &secrets);
        let post = Post { url: &webhook.url, signed, content_type: rendered.content_type, body, hidden };
        Ok(Self { post, request })
    }
}

/// What a receiver may repeat in its answer: what came with the post, and the secrets that it may have in its settings.
fn hidden(url: &str, signed: &Signed, secrets: &[Secret]) -> Mask {
    let signatures =
        signed.signature.iter().flat_map(|all| all.split(' ')).filter_map(|one| one.split_once(','));
    let query = url.split_once('?').map(|(_, query)| query.split('#').next().unwrap_or_default());
    let parts = query.into_iter().flat_map(|query| query.split('&'));
    // A short value is no secret, and stands in other words.
    let values = parts
        .filter_map(|part| part.split_once('='))
        .map(|(_, value)| value)
        .filter(|value| value.len() >= 8);
    let secrets = secrets.iter().filter_map(|secret| secret.to_text().ok());
    let secrets = secrets.map(|text| adelie_model::Secret::from(text.as_str()));
    let all = signatures.map(|(_, one)| one).chain(query).chain(values).map(adelie_model::Secret::from);
    Mask::new(&all.chain(secrets).collect::<Vec<_>>())
}

/// Claims one delivery, posts it and stores what came of it.
pub(super) async fn send_one(tools: &PumpTools, id: DeliveryId) -> Result<Option<Attempted>, StoreError> {
    let now = tools.clock.now();
    let Some(claimed) = tools.store.claim_one(id, now, now + tools.settings.claim).await? else {
        return Ok(None);
    };
    let installation = tools.store.installation().await?;
    let rows = tools.store.webhooks().await?;
    let Some(webhook) = rows.into_iter().find(|row| row.id == claimed.webhook) else { return Ok(None) };
    let lane = Lane::single(webhook, &tools.keyring).await;
    let (attempted, endpoint) = once(tools, &Telling::default(), &lane, &claimed, installation).await;
    tools.store.settle_deliveries(std::slice::from_ref(&attempted), tools.clock.now()).await?;
    if let Endpoint::Disable(why @ DisableReason::Gone) = endpoint {
        tools.store.disable_webhook(claimed.webhook, &why.to_string(), tools.clock.now()).await?;
    }
    Ok(Some(attempted))
}
