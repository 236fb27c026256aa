use adelie_store::seal::{Column, SEALED};
use openssl::base64::decode_block;
use openssl::symm::{Cipher, decrypt_aead, encrypt_aead};

use super::installation::Installation;
use crate::harness::{Ledger, World};

/// Puts everything back to the form of versions whose data keys had no numbers.
fn go_back(world: &World) {
    let ledger = world.ledger();
    let text = std::fs::read_to_string(world.data_dir().join("master.key")).expect("the key file");
    let master = decode_block(text.trim().trim_start_matches("adelie-key-1:")).expect("a key");
    let hex = |what: &str| match ledger {
        Ledger::Sqlite(_) => format!("hex({what})"),
        Ledger::Postgres(_) => format!("encode({what}, 'hex')"),
    };
    let literal = |bytes: &[u8]| match ledger {
        Ledger::Sqlite(_) => format!("X'{}'", hex::encode(bytes)),
        Ledger::Postgres(_) => format!("'\\x{}'::bytea", hex::encode(bytes)),
    };
    let uuid = |what: &str| match ledger {
        Ledger::Sqlite(_) => format!("lower(hex({what}))"),
        Ledger::Postgres(_) => format!("replace(CAST({what} AS text), '-', '')"),
    };
    let stored = ledger.column(&format!("-- data_key\nSELECT {} FROM data_keys", hex("sealed")));
    let stored = hex::decode(&stored[0]).expect("bytes");
    let (id, sealed) = stored.split_at(stored.iter().position(|byte| *byte == b':').expect("a colon"));
    let id = std::str::from_utf8(id).expect("an id");
    let data_key = open(&master, format!("\x02data key 1 under {id}").as_bytes(), &sealed[2..]);
    let old =
        [id.as_bytes(), b":\x01", &seal(&master, &format!("\x01data key under {id}"), &data_key)].concat();
    ledger.run(&format!("-- old_data_key\nUPDATE data_keys SET sealed = {}", literal(&old)));
    for Column { table, column, row } in SEALED {
        let rows = ledger.rows(&format!(
            "-- sealed\nSELECT {}, {} FROM {table} WHERE {column} IS NOT NULL",
            uuid(row),
            hex(column)
        ));
        assert!(!rows.is_empty(), "{table}.{column}");
        for found in rows {
            let id = uuid::Uuid::parse_str(&found[0]).expect("a UUID");
            let sealed = hex::decode(&found[1]).expect("bytes");
            let place = format!("{table}.{column}/{id}");
            let bound_to = [&sealed[..5], place.as_bytes()].concat();
            let plain = open(&data_key, &bound_to, &sealed[5..]);
            let old = [b"\x01".as_slice(), &seal(&data_key, &format!("\x01{place}"), &plain)].concat();
            let same = match ledger {
                Ledger::Sqlite(_) => format!("X'{}'", found[0]),
                Ledger::Postgres(_) => format!("'{id}'"),
            };
            ledger.run(&format!(
                "-- old_seal\nUPDATE {table} SET {column} = {} WHERE {row} = {same}",
                literal(&old)
            ));
        }
    }
}

fn open(key: &[u8], bound_to: &[u8], sealed: &[u8]) -> Vec<u8> {
    let (nonce, rest) = sealed.split_at(12);
    let (ciphertext, tag) = rest.split_at(rest.len() - 16);
    decrypt_aead(Cipher::aes_256_gcm(), key, Some(nonce), bound_to, ciphertext, tag).expect("it opens")
}

fn seal(key: &[u8], bound_to: &str, plain: &[u8]) -> Vec<u8> {
    let (nonce, mut tag) = ([7; 12], [0; 16]);
    let sealed = encrypt_aead(Cipher::aes_256_gcm(), key, Some(&nonce), bound_to.as_bytes(), plain, &mut tag);
    [&nonce[..], &sealed.expect("sealed"), &tag].concat()
}

on_both_databases! {
    /// What an older version has sealed opens, and a rotation seals it anew.
    fn an_older_database(database) {
        let installation = Installation::new(database);
        go_back(&installation.world);
        let before = installation.secrets();
        installation.opens();
        let every: u64 = installation.secrets().values().sum();
        installation.rotate(&[]).exits(0);
        assert_eq!(before.keys().copied().collect::<Vec<_>>(), [1]);
        assert_eq!(installation.secrets().into_iter().collect::<Vec<_>>(), [(1, 0), (2, every)]);
        installation.opens();
    }
}
