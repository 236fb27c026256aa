use adelie_model::{
    Actual, AssignState, Assignment, Device, RunId, SerialNumber, ServerName, Tag, Timestamp,
};
use adelie_rules::Outcome;
use adelie_store::Wanted;
use adelie_store::configuration::Configuration;
use serde_json::{Value, json};

use crate::args::Facts;
use crate::context::Context;
use crate::exit::{Exit, wrong};

/// Says which rule decides for a device, as it is stored or as it is said to be.
pub async fn run(context: &Context, serial: &SerialNumber, facts: &Facts) -> anyhow::Result<Exit> {
    let configuration = context.store.configuration().await?;
    let views = context.store.device(serial).await?;
    let mut devices: Vec<(Device, ServerName)> = views
        .into_iter()
        .filter(|view| view.device.removed_at.is_none())
        .filter(|view| facts.server.as_ref().is_none_or(|server| *server == view.server))
        .map(|view| (view.device, view.server))
        .collect();
    if devices.is_empty() {
        devices = imagined(context, &configuration, serial, facts).await?;
    }
    for (index, (device, server)) in devices.iter_mut().enumerate() {
        lay_over(device, facts);
        let told = Told { configuration: &configuration, device, server };
        if context.out.json {
            context.out.object(&told.object()?)?;
            continue;
        }
        if index > 0 {
            context.out.line("")?;
        }
        tell(context, &told)?;
    }
    Ok(Exit::Done)
}

/// A device of which the rules are asked.
pub struct Told<'t> {
    pub configuration: &'t Configuration,
    pub device: &'t Device,
    pub server: &'t ServerName,
}

/// Writes a line for each rule, and one for what it comes to.
pub fn tell(context: &Context, told: &Told<'_>) -> anyhow::Result<()> {
    let policies = told.configuration.policies();
    let policy = policies.get(&told.device.server);
    context.out.line(&format!("{} at {}", told.device.serial, told.server))?;
    let explanation = policy.and_then(|policy| policy.explain(told.device));
    let rows: Vec<Vec<String>> = explanation
        .iter()
        .flat_map(|explanation| &explanation.steps)
        .map(|step| {
            let mark = if matches!(step.outcome, Outcome::Matched) { "->" } else { "" };
            vec![mark.to_owned(), step.rule.to_string(), step.outcome.to_string()]
        })
        .collect();
    if !rows.is_empty() {
        context.out.table(&["", "rule", "says"], rows)?;
    }
    let Some(wanted) = policy.map(|policy| policy.wanted(told.device)) else { return Ok(()) };
    let because = crate::words::for_server(&wanted.because, told.server);
    context.out.line(&match given(told.configuration, &wanted) {
        Some((profile, revision)) => format!("gets {profile}, revision {revision}: {because}"),
        None => format!("gets no profile: {because}"),
    })
}

impl Told<'_> {
    /// The profile that is given to the device, and the number of its revision.
    pub fn given(&self) -> Option<(String, u32)> {
        let policies = self.configuration.policies();
        given(self.configuration, &policies.get(&self.device.server)?.wanted(self.device))
    }

    /// The same as an object.
    pub fn object(&self) -> anyhow::Result<Value> {
        let policies = self.configuration.policies();
        let Some(policy) = policies.get(&self.device.server) else { return Ok(Value::Null) };
        let explanation = policy.explain(self.device);
        let wanted = policy.wanted(self.device);
        let given = given(self.configuration, &wanted);
        Ok(json!({
            "serial_number": self.device.serial,
            "server": self.server,
            "profile": given.as_ref().map(|(profile, _)| profile),
            "revision": given.as_ref().map(|(_, revision)| revision),
            "because": crate::words::for_server(&wanted.because, self.server),
            "rules": serde_json::to_value(explanation.map(|explanation| explanation.steps))?,
        }))
    }
}

fn given(configuration: &Configuration, wanted: &Wanted<'_>) -> Option<(String, u32)> {
    let (profile, revision) = configuration.given(wanted.revision?)?;
    Some((profile.to_string(), revision))
}

/// A device that is not here, at the MDM server that was named or the only one that there is.
async fn imagined(
    context: &Context,
    configuration: &Configuration,
    serial: &SerialNumber,
    facts: &Facts,
) -> anyhow::Result<Vec<(Device, ServerName)>> {
    let server = match (&facts.server, &configuration.servers[..]) {
        (Some(name), _) => {
            let server = context.server(name).await?;
            (server.id, server.name)
        }
        (None, [only]) => (only.id, only.name.clone()),
        (None, _) => {
            return Err(wrong(
                format!("nothing is stored of {serial}"),
                "check the serial number; for a device that is to come, say at which MDM server with --server NAME",
            ));
        }
    };
    context
        .out
        .note(&format!("nothing is stored of {serial} at {}: only what you say of it counts", server.1))?;
    let now: Timestamp = context.clock.now();
    let device = Device {
        server: server.0,
        serial: serial.clone(),
        actual: Actual::default(),
        op_date: None,
        op_digest: None,
        first_seen_at: now,
        last_seen_at: now,
        seen_run: RunId(0),
        removed_at: None,
        hold: None,
        tags: Vec::new(),
        assignment: Assignment {
            state: AssignState::Due,
            reason: String::new(),
            attempts: 0,
            next_attempt_at: None,
            wanted: None,
            rule: None,
        },
    };
    Ok(vec![(device, server.1)])
}

fn lay_over(device: &mut Device, facts: &Facts) {
    let actual = &mut device.actual;
    if let Some(family) = &facts.family {
        actual.device_family = Some(family.clone());
    }
    for (fact, said) in [
        (&mut actual.model, &facts.model),
        (&mut actual.os, &facts.os),
        (&mut actual.color, &facts.color),
        (&mut actual.description, &facts.description),
        (&mut actual.asset_tag, &facts.asset_tag),
        (&mut actual.device_assigned_by, &facts.assigned_by),
    ] {
        if said.is_some() {
            fact.clone_from(said);
        }
    }
    if facts.assigned_date.is_some() {
        actual.device_assigned_date = facts.assigned_date;
    }
    if !facts.tag.is_empty() {
        device.tags = facts.tag.iter().map(Tag::to_string).collect();
    }
}
