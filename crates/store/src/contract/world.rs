//! One MDM server with a token and a lease, and short words for what cases do with it.

use std::sync::Arc;
use std::time::Duration;

use adelie_model::{
    Actual, AssignState, Counts, Cursor, Device, DeviceFamily, DriftMode, OpType, ProfileName, ProfileStatus,
    ProfileUuid, RevisionId, RunOutcome, SerialNumber, ServerId, ServerName, ServerTokenId, SyncKind,
    SyncPhase, SyncRun, Timestamp, TokenKeyId, TokenState, Trigger, to_millis,
};
use adelie_rules::Scope;
use uuid::Uuid;

use super::{Failed, Fixture, StoredEvent};
use crate::configuration::{Change, NewRevision, NewRule, Version};
use crate::page::Record;
use crate::{
    Details, DeviceFilter, DeviceView, Lease, LeaseAnswer, NewServer, NewServerToken, Operator, PageCommit,
    PublishOutcome, Result, Revision, RunEnd, RunStart, Sealed, Settlement, Store, StoredKey, SyncPosition,
    SyncSettings, TokenSeen, WorkEnd,
};

/// Long enough for every case.
pub(super) const TTL: Duration = Duration::from_secs(600);

/// A moment of the suite: `seconds` after its beginning, which has milliseconds.
pub(super) fn at(seconds: i64) -> Timestamp {
    to_millis(Timestamp::UNIX_EPOCH) + chrono::TimeDelta::milliseconds(1_770_000_000_789 + seconds * 1000)
}

pub(super) fn serial(text: &str) -> SerialNumber {
    SerialNumber::from_apple(text.to_owned())
}

pub(super) fn serials<const N: usize>(texts: [&str; N]) -> Vec<SerialNumber> {
    texts.into_iter().map(serial).collect()
}

pub(super) fn server_name(text: &str) -> ServerName {
    text.parse().expect("a good server name")
}

pub(super) fn profile_name(text: &str) -> ProfileName {
    text.parse().expect("a good profile name")
}

pub(super) fn uuid(text: &str) -> ProfileUuid {
    ProfileUuid(text.to_owned())
}

/// An iPhone without a profile, as a listing shows it.
pub(super) fn phone(text: &str) -> Record {
    Record {
        serial: serial(text),
        actual: Actual {
            model: Some("iPhone 15".to_owned()),
            description: Some("IPHONE 15 BLACK 128GB".to_owned()),
            color: Some("BLACK".to_owned()),
            device_family: Some(DeviceFamily::IPhone),
            os: Some("iOS".to_owned()),
            profile_status: Some(ProfileStatus::Empty),
            ..Actual::default()
        },
        op_type: None,
        op_date: None,
    }
}

pub(super) fn mac(text: &str) -> Record {
    let mut record = phone(text);
    record.actual.model = Some("MacBook Pro".to_owned());
    record.actual.device_family = Some(DeviceFamily::Mac);
    record.actual.os = Some("OSX".to_owned());
    record
}

/// A record that shows a profile.
pub(super) fn showing(mut record: Record, status: ProfileStatus, profile: &str) -> Record {
    record.actual.profile_status = Some(status);
    record.actual.profile_uuid = Some(uuid(profile));
    record
}

/// A record of a sync page.
pub(super) fn event(record: Record, op_type: OpType, seconds: i64) -> Record {
    Record { op_type: Some(op_type), op_date: Some(at(seconds)), ..record }
}

/// A revision with that text as its content.
pub(super) fn says(text: &str) -> NewRevision {
    NewRevision {
        content: [("profile_name".to_owned(), text.into())].into_iter().collect(),
        content_hash: format!("hash of {text}"),
        ..NewRevision::default()
    }
}

/// A new rule for all MDM servers.
pub(super) fn rule(name: &str, conditions: &[&str], gives: &str) -> NewRule {
    NewRule {
        name: name.parse().expect("a good rule name"),
        only: None,
        conditions: conditions.iter().map(|text| text.parse().expect("a good condition")).collect(),
        profile: profile_name(gives),
    }
}

/// The change that puts a new rule behind all others.
pub(super) fn add_rule(rule: NewRule) -> Change {
    Change::AddRule { rule, before: None }
}

pub(super) fn settlement(serial: &SerialNumber, state: AssignState) -> Settlement {
    Settlement {
        serial: serial.clone(),
        state,
        reason: String::new(),
        next_attempt_at: None,
        profile_uuid: None,
        drifted: false,
    }
}

/// The operator of the suite, at a moment.
pub(super) fn operator(seconds: i64) -> Operator {
    Operator::new("kim", at(seconds))
}

/// What was found out about the token in use, with its cause.
pub(super) fn seen(state: TokenState, detail: &str) -> TokenSeen<'_> {
    TokenSeen { detail: Some(detail), ..state.into() }
}

/// A run that the schedule begins.
pub(super) fn start(kind: SyncKind, seconds: i64) -> RunStart {
    RunStart {
        kind,
        trigger: Trigger::Schedule,
        requested_by: None,
        removals_accepted: false,
        restart: false,
        now: at(seconds),
    }
}

/// What Apple says of single devices in a read-back.
pub(super) fn details<const N: usize, const M: usize>(records: [Record; N], gone: [&str; M]) -> Details {
    Details { records: records.into(), gone: serials(gone), add: false }
}

/// The end of work without trouble.
pub(super) fn end(seconds: i64) -> WorkEnd {
    WorkEnd { now: at(seconds), not_before: None }
}

/// Adds an MDM server with a current token.
pub(super) async fn add_server(store: &dyn Store, name: &str) -> Result<ServerId> {
    let new = NewServer {
        name: server_name(name),
        base_url: "https://mdmenrollment.apple.com".to_owned(),
        paused: false,
    };
    let server = store.add_server(&new, &operator(0)).await?;
    let (key, token) = token(server, 1);
    store.add_token_key(&key, &operator(0)).await?;
    store.import_token(&token, &TokenState::Valid.into(), &operator(0)).await?;
    Ok(server)
}

/// A key and a token of that server; `number` tells several apart.
pub(super) fn token(server: ServerId, number: u8) -> (StoredKey, NewServerToken) {
    let id = u128::from(server.0.unsigned_abs()) << 8 | u128::from(number);
    let key = StoredKey {
        id: TokenKeyId(Uuid::from_u128(id)),
        server,
        certificate: vec![0x30, number, 0, 255],
        private_key: Sealed(vec![1, number, 0, 254]),
        created_at: at(i64::from(number)),
    };
    let token = NewServerToken {
        id: ServerTokenId(Uuid::from_u128(id)),
        server,
        key: key.id,
        consumer_key: format!("CK_{number}"),
        secrets: Sealed(vec![2, number, 0, 253]),
        expires_at: at(365 * 86_400),
        account: None,
    };
    (key, token)
}

/// The events about devices, without those about the server's settings.
pub(super) async fn told(fixture: &dyn Fixture) -> Vec<StoredEvent> {
    let mut events = fixture.events().await;
    events.retain(|event| {
        ["device", "assignment.", "drift."].iter().any(|about| event.kind.starts_with(about))
    });
    events
}

/// Takes a lease that must be free.
pub(super) async fn lease(store: &dyn Store, server: ServerId, owner: &str) -> Result<Lease> {
    match store.acquire_lease(server, owner, TTL).await? {
        LeaseAnswer::Ours(lease) => Ok(lease),
        LeaseAnswer::Held { owner: other, .. } => panic!("{other} holds the lease that {owner} was to get"),
    }
}

/// The world of a case.
pub(super) struct World {
    pub(super) store: Arc<dyn Store>,
    pub(super) server: ServerId,
    pub(super) lease: Lease,
}

impl World {
    /// An MDM server `lab` with a token, leased.
    pub(super) async fn new(fixture: &dyn Fixture) -> Result<Self, Failed> {
        let store = fixture.store();
        let server = add_server(&*store, "lab").await?;
        let lease = lease(&*store, server, "us").await?;
        Ok(Self { store, server, lease })
    }

    /// The same with a profile `one`, published as `UUID-1`, as the default for any family.
    pub(super) async fn with_default(fixture: &dyn Fixture) -> Result<(Self, Revision), Failed> {
        let world = Self::new(fixture).await?;
        let revision = world.default(Scope::Any, "one").await?;
        world.publish(&revision, "UUID-1").await?;
        Ok((world, revision))
    }

    pub(super) async fn profile(&self, name: &str) -> Result<Revision> {
        self.store.add_profile(&profile_name(name), says(name), &operator(0)).await
    }

    /// Adds a profile, makes it a default and decides everything by it.
    pub(super) async fn default(&self, scope: Scope, name: &str) -> Result<Revision> {
        let revision = self.profile(name).await?;
        self.store.set_defaults(self.server, &[(scope, Some(revision.name.clone()))], &operator(0)).await?;
        self.decide_all(0).await?;
        Ok(revision)
    }

    /// The lease of somebody who takes over, as after the death of whoever has it.
    pub(super) async fn taken_over(&self) -> Result<Lease> {
        self.store.renew_lease(&self.lease, Duration::ZERO).await?;
        lease(&*self.store, self.server, "them").await
    }

    /// Leaves all devices to be decided anew, without any that is decided otherwise.
    pub(super) async fn undecide(&self, now: i64) -> Result<()> {
        let server = self.store.server_by_id(self.server).await?;
        let drift = match server.and_then(|server| server.sync.drift) {
            None => Some(DriftMode::Report),
            Some(_) => None,
        };
        let settings = SyncSettings { drift, ..SyncSettings::default() };
        self.store.set_sync_settings(self.server, &settings, &operator(now)).await
    }

    /// Changes what people decide, and decides everything by it.
    pub(super) async fn configure(&self, changes: &[Change], now: i64) -> Result<Version> {
        let version = self.store.configure(changes, None, &operator(now)).await?;
        self.decide_all(now).await?;
        Ok(version)
    }

    pub(super) async fn decide_all(&self, now: i64) -> Result<()> {
        while !self.store.decide_anew(&self.lease, at(now), 1000).await? {}
        Ok(())
    }

    pub(super) async fn publish(&self, revision: &Revision, profile: &str) -> Result<()> {
        let outcome = PublishOutcome::Defined { uuid: uuid(profile), differs: None };
        self.store.set_published(&self.lease, revision.id, &outcome, at(0)).await
    }

    pub(super) async fn begin(&self, kind: SyncKind, now: i64) -> Result<SyncRun> {
        self.store.begin_run(&self.lease, &start(kind, now)).await
    }

    /// The commit of a page, not yet made.
    pub(super) async fn commit(
        &self,
        run: &SyncRun,
        phase: SyncPhase,
        records: Vec<Record>,
        now: i64,
    ) -> Result<PageCommit> {
        let position = self.position().await?;
        Ok(PageCommit {
            run: run.id,
            seen_run: position.full.map_or(run.id, |full| full.generation),
            phase,
            records,
            cursor: Cursor(format!("{phase} cursor at {now}")),
            more: false,
            fetched_until: Some(at(now)),
            now: at(now),
        })
    }

    /// Stores a page of a run that has more to come in its listing.
    pub(super) async fn fetch_page(&self, run: &SyncRun, records: Vec<Record>, now: i64) -> Result<Counts> {
        let page = PageCommit { more: true, ..self.commit(run, SyncPhase::Fetch, records, now).await? };
        self.store.commit_page(&self.lease, &page).await
    }

    pub(super) async fn sync_page(&self, run: &SyncRun, records: Vec<Record>, now: i64) -> Result<Counts> {
        let page = self.commit(run, SyncPhase::Sync, records, now).await?;
        self.store.commit_page(&self.lease, &page).await
    }

    pub(super) async fn end(&self, run: &SyncRun, full_completed: bool, now: i64) -> Result<()> {
        let end = RunEnd {
            run: run.id,
            outcome: RunOutcome::Done,
            error: None,
            full_completed,
            attention: None,
            next_sync_at: at(now + 900),
            now: at(now),
        };
        self.store.end_run(&self.lease, &end).await
    }

    /// A whole full sync whose listing has one page. Removes nothing.
    pub(super) async fn full(&self, records: Vec<Record>, now: i64) -> Result<SyncRun> {
        let run = self.begin(SyncKind::Full, now).await?;
        let page = self.commit(&run, SyncPhase::Fetch, records, now).await?;
        self.store.commit_page(&self.lease, &page).await?;
        self.sync_page(&run, Vec::new(), now).await?;
        self.end(&run, true, now).await?;
        Ok(run)
    }

    /// A whole delta sync of one page.
    pub(super) async fn delta(&self, records: Vec<Record>, now: i64) -> Result<Counts> {
        let run = self.begin(SyncKind::Delta, now).await?;
        let counts = self.sync_page(&run, records, now).await?;
        self.end(&run, false, now).await?;
        Ok(counts)
    }

    pub(super) async fn position(&self) -> Result<SyncPosition> {
        self.store.position(self.server).await
    }

    /// Claims all that is due for a revision; what is not heard of is read back 300 seconds later.
    pub(super) async fn claim(&self, revision: &Revision, now: i64) -> Result<Vec<SerialNumber>> {
        let claims = self.store.claim_due(&self.lease, revision.id, 1000, at(now), at(now + 300)).await?;
        let mut claimed: Vec<_> = claims.into_iter().map(|claim| claim.serial).collect();
        claimed.sort();
        Ok(claimed)
    }

    /// Stores what Apple shows for devices when it is asked.
    pub(super) async fn read_back<const N: usize>(&self, records: [Record; N], now: i64) -> Result<()> {
        self.store.commit_details(&self.lease, &details(records, []), at(now)).await
    }

    pub(super) async fn settle(&self, settlements: &[Settlement], now: i64) -> Result<()> {
        let revision = self.wanted(settlements).await?;
        self.store.settle(&self.lease, revision, settlements, at(now)).await
    }

    /// The revision that the first of these devices is to have, which is what it was sent for.
    async fn wanted(&self, settlements: &[Settlement]) -> Result<RevisionId> {
        for settlement in settlements {
            for view in self.store.device(&settlement.serial).await? {
                if let Some(revision) = view.device.assignment.wanted {
                    return Ok(revision);
                }
            }
        }
        Ok(RevisionId(0))
    }

    /// Claims and settles a revision as assigned, as when Apple answers with success.
    pub(super) async fn assign(
        &self,
        revision: &Revision,
        profile: &str,
        now: i64,
    ) -> Result<Vec<SerialNumber>> {
        let claimed = self.claim(revision, now).await?;
        let settlements: Vec<_> = claimed
            .iter()
            .map(|serial| Settlement {
                profile_uuid: Some(uuid(profile)),
                ..settlement(serial, AssignState::Assigned)
            })
            .collect();
        self.settle(&settlements, now).await?;
        Ok(claimed)
    }

    pub(super) async fn view(&self, serial: &str) -> Result<DeviceView> {
        let mut views = self.store.device(&self::serial(serial)).await?;
        views.retain(|view| view.device.server == self.server);
        assert_eq!(views.len(), 1, "{serial} stands once at the server");
        Ok(views.remove(0))
    }

    pub(super) async fn device(&self, serial: &str) -> Result<Device> {
        Ok(self.view(serial).await?.device)
    }

    /// The state of assignment as stored.
    pub(super) async fn state(&self, serial: &str) -> Result<AssignState> {
        Ok(self.device(serial).await?.assignment.state)
    }

    pub(super) async fn all(&self) -> Result<Vec<DeviceView>> {
        self.store.devices(&DeviceFilter::default(), None, 10_000).await
    }
}
