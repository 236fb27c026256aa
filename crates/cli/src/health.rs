//! What is wrong with an MDM server, for every command that shows it: the scheduler's alerts and nothing else.

use adelie_scheduler::{Alert, Severity, alerts};
use adelie_store::{MdmServer, StateCount};

use crate::context::Context;

/// What is wrong with a server, worst first. Without `counts` its devices are left out.
pub fn of(context: &Context, server: &MdmServer, counts: &[StateCount]) -> Vec<Alert> {
    let settings = context.settings.engine.of_server(&server.sync);
    alerts(&settings, server, counts, context.clock.now())
}

/// What somebody has to do something about.
pub fn problems(alerts: &[Alert]) -> Vec<&Alert> {
    alerts.iter().filter(|alert| alert.severity == Severity::Problem).collect()
}

/// The remedy of an alert, unless its text tells the same command already.
pub fn fix(alert: &Alert) -> Option<&str> {
    let told = alert.remedy.split('`').skip(1).step_by(2).any(|command| alert.text.contains(command));
    (!told).then_some(&alert.remedy)
}

/// What is so, without what to do about it: for tables whose remedies stand below.
pub fn fact(text: &str) -> &str {
    text.split_once(": check the portal").map_or(text, |(fact, _)| fact)
}

/// The texts of alerts in one line; `None` when there are none.
pub fn line(alerts: &[&Alert]) -> Option<String> {
    let texts: Vec<_> = alerts.iter().map(|alert| alert.text.as_str()).collect();
    (!texts.is_empty()).then(|| texts.join("; "))
}

/// The worst alert in one line, and how many more there are; empty when there are none.
pub fn first(alerts: &[Alert]) -> String {
    match alerts {
        [] => String::new(),
        [one] => fact(&one.text).to_owned(),
        [one, more @ ..] => format!("{} (+{} more)", fact(&one.text), more.len()),
    }
}
