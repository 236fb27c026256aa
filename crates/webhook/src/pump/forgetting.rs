use std::time::Duration;

use super::PumpTools;
use super::deaf::Deaf;

/// Between two looks for what need not be kept.
const PAUSE: Duration = Duration::from_secs(15 * 60);
/// Rows that one transaction deletes.
const AT_ONCE: u32 = 1000;

/// Deletes deliveries that are too old, with what was sent and answered, until it is aborted. Several pumps may do so at
/// once.
pub(super) async fn forget(tools: PumpTools) {
    let mut deaf = Deaf::new("forget old webhooks");
    loop {
        let before = tools.clock.now() - tools.settings.keep;
        loop {
            let answer = tools.store.forget_deliveries(before, AT_ONCE).await;
            if deaf.hear(answer).is_none_or(|gone| gone == 0) {
                break;
            }
        }
        tools.clock.sleep(PAUSE).await;
    }
}
