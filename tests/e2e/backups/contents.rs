use std::fs;

use super::{backup, key_of};
use crate::keys::installation::Installation;
use crate::secrets::{assert_quiet, holds, unhex};

on_both_databases! {
    /// L46: a backup has no secret in it that is not sealed, and no master key: neither as text nor as binary data.
    fn no_secret_is_in_it(database) {
        let installation = Installation::new(database);
        let world = &installation.world;
        let file = backup(world, "all.backup");
        let unpacked = world.shell("zcat all.backup").exits(0).stdout;
        // Binary data stands there in hex digits; what is no binary data gives no sense.
        let binary: Vec<u8> = unpacked.split('"').flat_map(unhex).collect();
        let key = key_of(world);
        let key = key.trim().trim_start_matches("adelie-key-1:");
        let code = world.object(&["activation-lock", "code", &installation.serial, "--reason", "the test"]);
        let code = code["code"].as_str().expect("a code");
        for (what, bytes) in [
            ("the file", fs::read(&file).expect("the backup")),
            ("its text", unpacked.clone().into_bytes()),
            ("its binary data", binary.clone()),
        ] {
            assert_quiet(what, &bytes);
            for canary in ["canary-Horse7-battery", "whsec_", "adelie-key-1", key, code] {
                assert!(!holds(&bytes, canary.as_bytes()), "{canary} is in {what}");
            }
        }
        // The test would see them: a certificate stands there in the clear.
        assert!(holds(&binary, b"\x06\x03\x55\x04\x03"), "no name of a certificate was found");
        assert!(unpacked.contains("CK_"), "the test looks in the wrong place");
    }
}
