//! Whatever the bytes, `decrypt` gives an answer.

use std::sync::LazyLock;

use crate::ber::{Form, message};
use crate::common::{KEYS, inner, smime};
use adelie_token::{DecryptError, decrypt};
use proptest::prelude::*;
use proptest::sample::Index;

static VALID: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let apple = message(&[&KEYS[0]], &inner(), &Form::default());
    let der =
        message(&[&KEYS[0]], &inner(), &Form { indefinite: [false; 5], piece: None, ..Form::default() });
    let pieces = message(&[&KEYS[1], &KEYS[0]], &inner(), &Form { piece: Some(16), ..Form::default() });
    vec![smime(&apple), apple, der, pieces]
});

/// One change to a file.
#[derive(Clone, Debug)]
enum Change {
    Set(Index, u8),
    Flip(Index, u8),
    Insert(Index, Vec<u8>),
    Remove(Index, usize),
    Repeat(Index, usize),
    Cut(Index),
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Change::Set(at, byte)),
        (any::<Index>(), 0..8_u8).prop_map(|(at, bit)| Change::Flip(at, bit)),
        (any::<Index>(), prop::collection::vec(any::<u8>(), 1..20))
            .prop_map(|(at, new)| Change::Insert(at, new)),
        (any::<Index>(), 1..40_usize).prop_map(|(at, count)| Change::Remove(at, count)),
        (any::<Index>(), 1..40_usize).prop_map(|(at, count)| Change::Repeat(at, count)),
        any::<Index>().prop_map(Change::Cut),
    ]
}

fn apply(file: &mut Vec<u8>, change: &Change) {
    if file.is_empty() {
        return;
    }
    match change {
        Change::Set(at, byte) => *at.get_mut(file) = *byte,
        Change::Flip(at, bit) => *at.get_mut(file) ^= 1 << bit,
        Change::Insert(at, new) => {
            let at = at.index(file.len());
            file.splice(at..at, new.iter().copied());
        }
        Change::Remove(at, count) => {
            let at = at.index(file.len());
            file.drain(at..(at + count).min(file.len()));
        }
        Change::Repeat(at, count) => {
            let at = at.index(file.len());
            let piece = file[at..(at + count).min(file.len())].to_vec();
            file.splice(at..at, piece);
        }
        Change::Cut(at) => file.truncate(at.index(file.len())),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_bytes_are_answered(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
        prop_assert!(decrypt(&bytes, &KEYS[..]).is_err());
    }

    #[test]
    fn arbitrary_text_is_answered(text in "(-----BEGIN [A-Z]{3} ?-----|[A-Za-z0-9+/=]{0,9}|[:{}\"\r\n \u{1}\u{feff}é-]){0,60}") {
        prop_assert!(decrypt(text.as_bytes(), &KEYS[..]).is_err());
    }

    /// A message that goes wrong in the middle: the frame of an encrypted message and noise in it.
    #[test]
    fn noise_in_the_frame_of_a_message_is_answered(
        noise in prop::collection::vec(prop_oneof![any::<u8>(), Just(0), Just(0x30), Just(0x80), Just(0xa0), Just(4)], 0..300),
    ) {
        let frame = b"\x30\x80\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x03\xa0\x80\x30\x80";
        let file = [&frame[..], &noise, &[0; 6]].concat();
        prop_assert!(decrypt(&file, &KEYS[..]).is_err());
    }

    /// CBC does not notice every change, so a changed file may even open; but it never panics.
    #[test]
    fn changed_files_are_answered(
        which in any::<Index>(),
        changes in prop::collection::vec(change(), 1..6),
    ) {
        let mut file = which.get(&VALID).clone();
        for change in &changes {
            apply(&mut file, change);
        }
        let _ = decrypt(&file, &KEYS[..]);
    }
}

/// Deep nesting neither overflows the stack nor takes time that grows with its square.
#[test]
fn deep_nesting_is_refused() {
    let opening = b"\x30\x80\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x03".to_vec();
    for step in [[0xa0, 0x80], [0x30, 0x80], [0x24, 0x80]] {
        let mut file = opening.clone();
        file.extend(step.repeat(200_000));
        assert!(decrypt(&file, &KEYS[..]).is_err());
        file.extend([0, 0].repeat(200_001));
        assert!(decrypt(&file, &KEYS[..]).is_err());
    }
    let json = format!("{{\"consumer_key\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
    let error = decrypt(&message_of(&json), &KEYS[..]).map(|_| ()).expect_err("no token");
    assert!(matches!(error, DecryptError::Fields { .. }), "{error:?}");
}

fn message_of(json: &str) -> Vec<u8> {
    // Too long for the test encoder's lengths of two bytes, so the pieces are small and all lengths indefinite.
    message(&[&KEYS[0]], json.as_bytes(), &Form { piece: Some(1000), ..Form::default() })
}
