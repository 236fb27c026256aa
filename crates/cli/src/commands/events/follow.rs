use std::collections::BTreeSet;
use std::time::Duration;

use adelie_model::EventId;
use adelie_store::{EventFilter, StoredEvent};
use chrono::TimeDelta;
use tokio_util::sync::CancellationToken;

use super::{Telling, filter};
use crate::args::Which;
use crate::commands::sync::stop_on_signal;
use crate::context::Context;
use crate::exit::Exit;
use crate::happened::Profiles;

/// Events per query.
const PAGE: u32 = 1000;
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(500);
/// Transactions do not commit in the order of their numbers: a smaller number may still come for so long.
const SETTLED: TimeDelta = TimeDelta::seconds(15);

/// Prints what happens from now on, in the order in which it becomes visible.
pub async fn run(context: &Context, which: &Which) -> anyhow::Result<Exit> {
    let filter = filter(context, which).await?;
    let stop = CancellationToken::new();
    stop_on_signal(stop.clone());
    let mut followed = Followed::from(context, &filter).await?;
    while !stop.is_cancelled() {
        let events = followed.news(context, &filter).await?;
        if !events.is_empty() {
            let telling = Telling::new(context).await?;
            let profiles = Profiles::of(context, &events).await?;
            for event in &events {
                if context.out.json {
                    context.out.object(&telling.object(event, &profiles))?;
                } else {
                    context.out.line(&telling.row(event, &profiles).join("  "))?;
                }
            }
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(PAUSE) => {}
        }
    }
    Ok(Exit::Done)
}

/// What has been told already.
struct Followed {
    /// Up to here nothing can come any more.
    floor: EventId,
    /// Those after it that were told.
    told: BTreeSet<EventId>,
}

impl Followed {
    /// From now on; with `--since` from then on.
    async fn from(context: &Context, filter: &EventFilter) -> anyhow::Result<Self> {
        if filter.since.is_some() {
            return Ok(Self { floor: EventId(0), told: BTreeSet::new() });
        }
        let recent = EventFilter { since: Some(context.clock.now() - SETTLED), ..EventFilter::default() };
        let latest = context.store.events_before(&EventFilter::default(), None, 1).await?;
        let newest = latest.first().map_or(EventId(0), |event| event.id);
        let mut told = BTreeSet::new();
        let mut before = None;
        loop {
            let page = context.store.events_before(&recent, before, PAGE).await?;
            let Some(last) = page.last() else { break };
            before = Some(last.id);
            told.extend(page.iter().map(|event| event.id));
        }
        let floor = told.first().map_or(newest, |first| EventId(first.0 - 1));
        Ok(Self { floor, told })
    }

    async fn news(&mut self, context: &Context, filter: &EventFilter) -> anyhow::Result<Vec<StoredEvent>> {
        let settled = context.clock.now() - SETTLED;
        let mut news = Vec::new();
        let mut after = self.floor;
        loop {
            let page = context.store.events_after(filter, after, PAGE).await?;
            let Some(last) = page.last().map(|event| event.id) else { break };
            for event in page {
                if event.at < settled {
                    self.floor = self.floor.max(event.id);
                }
                if self.told.insert(event.id) {
                    news.push(event);
                }
            }
            after = last;
        }
        self.told = self.told.split_off(&self.floor);
        Ok(news)
    }
}
