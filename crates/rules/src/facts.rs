use crate::days;
use crate::{Field, Subject, fold};

/// Parts two tags. No text has it: it occurs nowhere in UTF-8.
const SEPARATOR: u8 = 0xFF;

/// The facts about one device in lower case. Each is made when it is first asked for, at most once.
pub(crate) struct Facts<'s> {
    subject: &'s Subject<'s>,
    /// Where in `texts` a fact begins and ends.
    places: [Option<(usize, usize)>; Field::ALL.len()],
    texts: Vec<u8>,
}

impl<'s> Facts<'s> {
    /// The facts about this device.
    pub(crate) fn new(subject: &'s Subject<'s>) -> Self {
        Self { subject, places: [None; Field::ALL.len()], texts: Vec::with_capacity(128) }
    }

    /// The device itself.
    pub(crate) fn subject(&self) -> &'s Subject<'s> {
        self.subject
    }

    /// The number of the UTC day on which the device was assigned.
    pub(crate) fn day(&self) -> Option<i32> {
        self.subject.assigned_date.map(days::number)
    }

    /// Calls `look` with each of the field's texts, and says whether there was any.
    pub(crate) fn each(&mut self, field: Field, mut look: impl FnMut(&[u8])) -> bool {
        let (start, end) = match self.places[field as usize] {
            Some(place) => place,
            None => self.make(field),
        };
        let text = &self.texts[start..end];
        match field {
            _ if text.is_empty() && !field.is_always_known() => return false,
            Field::Tag => text.split(|byte| *byte == SEPARATOR).for_each(look),
            _ => look(text),
        }
        true
    }

    fn make(&mut self, field: Field) -> (usize, usize) {
        let start = self.texts.len();
        if field == Field::Tag {
            for tag in self.subject.tags() {
                if self.texts.len() > start {
                    self.texts.push(SEPARATOR);
                }
                fold::push(&mut self.texts, tag);
            }
        } else if let Some(text) = self.subject.text(field) {
            fold::push(&mut self.texts, text);
        }
        let place = (start, self.texts.len());
        self.places[field as usize] = Some(place);
        place
    }
}
