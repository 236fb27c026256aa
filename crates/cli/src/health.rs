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

/// The texts of alerts in one line; `None` when there are none.
pub fn line(alerts: &[&Alert]) -> Option<String> {
    let texts: Vec<_> = alerts.iter().map(|alert| alert.text.as_str()).collect();
    (!texts.is_empty()).then(|| texts.join("; "))
}
