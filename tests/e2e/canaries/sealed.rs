//! Everything that is sealed in an installation, opened with its master key: past the program, as its owner could.

use std::collections::BTreeMap;

use adelie_model::Clock as _;
use adelie_store::seal::{SEALED, StoredDataKey};
use adelie_store::{MasterKeys, Sealed, Vault};
use openssl::symm::{Cipher, decrypt_aead};
use uuid::Uuid;

use crate::harness::{Ledger, RealClock, World};

/// What a column holds, by its name, like `token_keys.private_key`.
pub type Opened = BTreeMap<String, Vec<Vec<u8>>>;

/// Opens every row of every sealed column, and the data keys.
pub fn open(world: &World, master: &str) -> Opened {
    let ledger = world.ledger();
    let masters = MasterKeys::parse(master, "the test").expect("a master key");
    let data_keys = data_keys(&ledger);
    let vault = Vault::open(&masters, &data_keys).expect("the master key fits");
    let mut opened = Opened::new();
    for column in SEALED {
        let rows = ledger.rows(&format!(
            "-- sealed\nSELECT {}, {} FROM {} WHERE {} IS NOT NULL",
            hex_of(&ledger, column.row),
            hex_of(&ledger, column.column),
            column.table,
            column.column,
        ));
        let open = |row: Vec<String>| {
            let id = Uuid::parse_str(&row[0]).expect("a UUID");
            let sealed = Sealed(hex::decode(&row[1]).expect("bytes"));
            vault.unseal(column.at(id), &sealed).expect("it opens").to_vec()
        };
        opened.insert(column.to_string(), rows.into_iter().map(open).collect());
    }
    let plain = data_keys.iter().map(|key| data_key(master, key)).collect();
    opened.insert("data_keys.sealed".to_owned(), plain);
    opened
}

fn data_keys(ledger: &Ledger) -> Vec<StoredDataKey> {
    let sealed = if let Ledger::Sqlite(_) = ledger { "hex(sealed)" } else { "encode(sealed, 'hex')" };
    let rows = ledger.rows(&format!(
        "-- data_keys\nSELECT CAST(version AS text), {sealed} FROM data_keys ORDER BY version"
    ));
    let read = |row: Vec<String>| StoredDataKey {
        version: row[0].parse().expect("a number"),
        sealed: hex::decode(&row[1]).expect("bytes"),
        created_at: RealClock.now(),
        completed_at: None,
        retired_at: None,
    };
    rows.into_iter().map(read).collect()
}

/// A data key as it seals. The library gives none out.
fn data_key(master: &str, stored: &StoredDataKey) -> Vec<u8> {
    let id = stored.master_id();
    let (head, rest) = stored.sealed[id.len() + 1..].split_at(1);
    let (nonce, rest) = rest.split_at(12);
    let (ciphertext, tag) = rest.split_at(rest.len() - 16);
    let bound_to = [head, format!("data key {} under {id}", stored.version).as_bytes()].concat();
    let key = master_bytes(master);
    let plain = decrypt_aead(Cipher::aes_256_gcm(), &key, Some(nonce), &bound_to, ciphertext, tag);
    plain.expect("it opens")
}

/// The bytes of a master key.
pub fn master_bytes(text: &str) -> Vec<u8> {
    let encoded = text.trim().strip_prefix("adelie-key-1:").expect("the text of a key");
    let mut bytes = openssl::base64::decode_block(encoded).expect("base64");
    // What stands for the padding is decoded, too.
    bytes.truncate(32);
    bytes
}

/// A column with bytes or a UUID as hex digits.
fn hex_of(ledger: &Ledger, column: &str) -> String {
    match ledger {
        Ledger::Sqlite(_) => format!("hex({column})"),
        Ledger::Postgres(_) => format!("regexp_replace(CAST({column} AS text), '^.x|-', '', 'g')"),
    }
}
