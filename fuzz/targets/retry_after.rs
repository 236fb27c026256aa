//! The header `Retry-After`: seconds, dates, and anything else that a proxy may put there.
#![no_main]

use adelie_fuzz::within_memory;
use adelie_model::Timestamp;
use libfuzzer_sys::fuzz_target;

/// No answer of Apple's silences an MDM server for longer.
const LONGEST: u64 = 7 * 24 * 60 * 60;

fuzz_target!(|value: &str| {
    within_memory(|| {
        for seconds in [0, 1_800_000_000, 253_402_300_799] {
            let now = Timestamp::from_timestamp(seconds, 0).expect("a moment");
            if let Some(wait) = adelie_dep::fuzzing::retry_after(value, now) {
                assert!(wait.as_secs() <= LONGEST);
            }
        }
    });
});
