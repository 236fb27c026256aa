//! Pages of devices, details of devices and results of assignments as Apple may send them one day.
#![no_main]

use adelie_dep::Endpoint;
use adelie_dep::endpoints::{assign_profile, device_details, fetch_devices, sync_devices};
use adelie_fuzz::within_memory;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|body: &[u8]| {
    within_memory(|| {
        // Which of them is an error is not asked here; that none of them panics is.
        let _ = fetch_devices::Request::parse(body);
        let _ = sync_devices::Request::parse(body);
        let _ = device_details::Request::parse(body);
        let _ = assign_profile::Request::parse(body);
    });
});
