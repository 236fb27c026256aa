use adelie_model::AssignState;
use adelie_store::configuration::Configuration;
use adelie_store::{DeviceFilter, DevicePosition, DeviceView, StoreError};

use super::object;
use crate::args::Matching;
use crate::commands::rule::named;
use crate::context::Context;
use crate::exit::Exit;
use crate::words::for_server;

/// Devices per query.
const PAGE: u64 = 1000;
/// Rows of a table unless told otherwise.
const SHOWN: u64 = 100;
/// The columns of CSV; the first is where every `--file` looks.
const CSV: [&str; 12] = [
    "Serial Number",
    "Server",
    "Family",
    "Model",
    "OS",
    "Asset Tag",
    "Tags",
    "Profile",
    "Revision",
    "At Apple",
    "State",
    "Reason",
];

/// How devices are printed.
enum Form {
    Table,
    Json,
    Csv(Box<csv::Writer<Vec<u8>>>),
}

pub async fn run(
    context: &Context,
    matching: Matching,
    limit: Option<u64>,
    csv: bool,
) -> anyhow::Result<Exit> {
    let filter = filter(context, matching).await?;
    let mut form = match (csv, context.out.json) {
        (true, _) => Form::Csv(Box::new(csv::Writer::from_writer(Vec::new()))),
        (false, true) => Form::Json,
        (false, false) => Form::Table,
    };
    if let Form::Csv(writer) = &mut form {
        writer.write_record(CSV)?;
    }
    let mut rows = Vec::new();
    let whole = limit.unwrap_or(if matches!(form, Form::Table) { SHOWN } else { u64::MAX });
    let more = walk(context, &filter, whole, |view| {
        match &mut form {
            Form::Json => context.out.object(&object(view))?,
            Form::Csv(writer) => {
                writer.write_record(record(view))?;
                // Little by little, so that a million devices take no more memory than a thousand.
                if writer.get_ref().len() > 64 << 10 {
                    print(context, writer)?;
                }
            }
            Form::Table => rows.push(row(view)),
        }
        Ok(())
    })
    .await?;
    match form {
        Form::Json => {}
        Form::Csv(mut writer) => print(context, &mut writer)?,
        Form::Table => {
            if more && limit.is_none() {
                context.out.note(&format!(
                    "there are more than these {SHOWN}: narrow the list, or use --limit, --csv or --json"
                ))?;
            }
            if rows.is_empty() {
                context.out.note("no device matches")?;
            } else {
                let header = [
                    "serial number",
                    "server",
                    "family",
                    "model",
                    "os",
                    "profile",
                    "at apple",
                    "state",
                    "reason",
                ];
                context.out.table(&header, rows)?;
            }
        }
    }
    Ok(Exit::Done)
}

fn print(context: &Context, writer: &mut csv::Writer<Vec<u8>>) -> anyhow::Result<()> {
    writer.flush()?;
    let done = std::mem::replace(writer, csv::Writer::from_writer(Vec::new()));
    context.out.data(&String::from_utf8(done.into_inner().map_err(|error| error.into_error())?)?)
}

/// Looks at up to `limit` devices that match; `true` when there are more.
pub async fn walk(
    context: &Context,
    filter: &DeviceFilter,
    limit: u64,
    mut look: impl FnMut(&DeviceView) -> anyhow::Result<()>,
) -> anyhow::Result<bool> {
    let mut left = limit;
    let mut after: Option<DevicePosition> = None;
    loop {
        // One more than is wanted, to know whether there are more.
        let size = PAGE.min(left.saturating_add(1));
        let page = context.store.devices(filter, after.as_ref(), u32::try_from(size)?).await?;
        for view in page.iter().take(usize::try_from(left.min(PAGE))?) {
            look(view)?;
        }
        let seen = page.len() as u64;
        if seen > left {
            return Ok(true);
        }
        left -= seen;
        match page.last() {
            Some(last) if seen == size => {
                after =
                    Some(DevicePosition { server: last.device.server, serial: last.device.serial.clone() });
            }
            _ => return Ok(false),
        }
    }
}

/// What matches, with the names that were given looked up.
pub async fn filter(context: &Context, matching: Matching) -> anyhow::Result<DeviceFilter> {
    let Matching { server, family, state, tag, rule, profile, query } = matching;
    let server = match server {
        Some(name) => Some(context.server(&name).await?.id),
        None => None,
    };
    let missing = |what, name: String, configuration: &Configuration| {
        named(StoreError::Missing { what, name }, configuration)
    };
    let mut filter = DeviceFilter { server, family, state, tag, query, ..DeviceFilter::default() };
    if rule.is_none() && profile.is_none() {
        return Ok(filter);
    }
    let configuration = context.store.configuration().await?;
    if let Some(name) = rule {
        let known = configuration.rule(&name);
        filter.rule = Some(known.ok_or_else(|| missing("rule", name.to_string(), &configuration))?.id);
    }
    if let Some(name) = profile {
        configuration.profile(&name).ok_or_else(|| missing("profile", name.to_string(), &configuration))?;
        filter.wanted = Some(name);
    }
    Ok(filter)
}

fn record(view: &DeviceView) -> [String; 12] {
    let (device, actual) = (&view.device, &view.device.actual);
    let (state, reason) = view.state();
    let text = |fact: &Option<String>| fact.clone().unwrap_or_default();
    [
        device.serial.to_string(),
        view.server.to_string(),
        actual.device_family.as_ref().map(ToString::to_string).unwrap_or_default(),
        text(&actual.model),
        text(&actual.os),
        text(&actual.asset_tag),
        device.tags.join(" "),
        view.wanted_profile.as_ref().map(ToString::to_string).unwrap_or_default(),
        view.wanted_revision.map(|revision| revision.to_string()).unwrap_or_default(),
        actual.profile_status.as_ref().map(ToString::to_string).unwrap_or_default(),
        state.to_string(),
        for_server(reason, &view.server),
    ]
}

fn row(view: &DeviceView) -> Vec<String> {
    let actual = &view.device.actual;
    let (state, reason) = view.state();
    let text = |fact: Option<&str>| fact.unwrap_or("-").to_owned();
    // A settled device needs no explanation in a table.
    let reason = if matches!(state, AssignState::Assigned | AssignState::Pushed) { "" } else { reason };
    vec![
        view.device.serial.to_string(),
        view.server.to_string(),
        text(actual.device_family.as_ref().map(|family| family.as_str())),
        text(actual.model.as_deref()),
        text(actual.os.as_deref()),
        text(view.wanted_profile.as_ref().map(|name| name.as_str())),
        text(actual.profile_status.as_ref().map(|status| status.as_str())),
        state.to_string(),
        for_server(reason, &view.server),
    ]
}
