//! Serial numbers that somebody names: as arguments, or in a CSV file as resellers send it.

use std::collections::HashSet;
use std::io::Read;
use std::path::Path;

use adelie_model::SerialNumber;

use crate::args::Serials;
use crate::exit::wrong;

/// Mistakes of a file that are told; the rest is counted.
const TOLD: usize = 10;

/// All serial numbers that are named, each once, in their order. There may be none.
pub fn named(devices: &Serials) -> anyhow::Result<Vec<SerialNumber>> {
    let mut all = devices.serials.clone();
    if let Some(path) = &devices.file {
        all.extend(from_file(path)?);
    }
    let mut known = HashSet::with_capacity(all.len());
    all.retain(|serial| known.insert(serial.clone()));
    Ok(all)
}

/// As [`named`], where there must be some.
pub fn required(devices: &Serials) -> anyhow::Result<Vec<SerialNumber>> {
    let all = named(devices)?;
    if all.is_empty() {
        return Err(wrong("no device is named", "give serial numbers, or a file with --file CSV"));
    }
    Ok(all)
}

fn from_file(path: &Path) -> anyhow::Result<Vec<SerialNumber>> {
    let (name, bytes) = if path == Path::new("-") {
        let mut bytes = Vec::new();
        ("standard input".to_owned(), std::io::stdin().lock().read_to_end(&mut bytes).map(|_| bytes))
    } else {
        (path.display().to_string(), std::fs::read(path))
    };
    let bytes = bytes.map_err(|error| wrong(format!("{name} cannot be read: {error}"), "check the path"))?;
    let text = std::str::from_utf8(&bytes).map_err(|error| {
        let line = bytes.iter().take(error.valid_up_to()).filter(|byte| **byte == b'\n').count() + 1;
        wrong(
            format!("{name} is no text in UTF-8: see line {line}"),
            "save it as CSV in UTF-8; a spreadsheet file itself is not read",
        )
    })?;
    match parse(text) {
        Ok(serials) if serials.is_empty() => {
            Err(wrong(format!("{name} has no serial number in it"), "one serial number per line is enough"))
        }
        Ok(serials) => Ok(serials),
        Err(mistakes) => {
            let more = mistakes.len().saturating_sub(TOLD);
            let mut text = format!("{name} has mistakes, and nothing was done");
            for (line, mistake) in mistakes.iter().take(TOLD) {
                text.push_str(&format!("\n  line {line}: {mistake}"));
            }
            if more > 0 {
                text.push_str(&format!("\n  and {more} more"));
            }
            Err(wrong(
                text,
                "mend the file: with several columns, its first row names one of them `Serial Number`",
            ))
        }
    }
}

/// The serial numbers of a CSV text, or what is wrong with which line.
fn parse(text: &str) -> Result<Vec<SerialNumber>, Vec<(u64, String)>> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut rows = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .trim(csv::Trim::All)
        .delimiter(delimiter(text))
        .from_reader(text.as_bytes());
    let (mut serials, mut mistakes) = (Vec::new(), Vec::new());
    let mut column = None;
    for row in rows.records() {
        let row = match row {
            Ok(row) => row,
            Err(error) => {
                let line = error.position().map_or(0, csv::Position::line);
                mistakes.push((line, error.to_string()));
                continue;
            }
        };
        if row.iter().all(str::is_empty) {
            continue;
        }
        let Some(at) = column else {
            // The first row may say where the serial numbers are; else it is already a device.
            let named = row.iter().position(is_title);
            if named.is_none() && row.iter().filter(|cell| !cell.is_empty()).count() > 1 {
                // Any column would be a guess, and asset tags look like serial numbers.
                let line = row.position().map_or(0, csv::Position::line);
                return Err(vec![(line, "none of the columns is called `Serial Number`".to_owned())]);
            }
            column = Some(named.unwrap_or(0));
            if named.is_none() {
                take(&row, 0, &mut serials, &mut mistakes);
            }
            continue;
        };
        take(&row, at, &mut serials, &mut mistakes);
    }
    if mistakes.is_empty() { Ok(serials) } else { Err(mistakes) }
}

fn take(
    row: &csv::StringRecord,
    column: usize,
    serials: &mut Vec<SerialNumber>,
    mistakes: &mut Vec<(u64, String)>,
) {
    let line = row.position().map_or(0, csv::Position::line);
    match row.get(column).unwrap_or_default() {
        "" => mistakes.push((line, "the serial number is missing".to_owned())),
        text => match text.parse() {
            Ok(serial) => serials.push(serial),
            Err(error) => mistakes.push((line, format!("{error}"))),
        },
    }
}

/// Whether a cell is the title of the column with the serial numbers: `Serial Number`, `serial_number`, `SERIAL`.
fn is_title(cell: &str) -> bool {
    let letters: String = cell.chars().filter(char::is_ascii_alphanumeric).collect();
    letters.eq_ignore_ascii_case("serial") || letters.eq_ignore_ascii_case("serialnumber")
}

/// Spreadsheets in much of the world write semicolons, and some tools write tabs.
fn delimiter(text: &str) -> u8 {
    let first = text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
    [b',', b';', b'\t'].into_iter().find(|byte| first.as_bytes().contains(byte)).unwrap_or(b',')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn serials(text: &str) -> Vec<String> {
        parse(text).expect("a good file").iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_column_is_found_by_its_title_or_is_the_only_one() {
        for text in [
            "A1\nb2\n",
            "A1,\nB2,\n",
            "\u{feff}Model,Serial Number\r\nMac,A1\r\nMac, b2 \r\n",
            "model;serial_number\n\"Mac; 13\";a1\nMac;B2\n",
            "SERIAL\tnote\nA1\t\n\nB2\tx\n",
            "\n\"serial\"\n\"A1\"\nB2",
        ] {
            assert_eq!(serials(text), ["A1", "B2"], "{text:?}");
        }
        assert!(serials("\u{feff}").is_empty());
    }

    #[test]
    fn every_mistake_is_told_with_its_line() {
        let lines =
            |text| parse(text).expect_err("mistakes").into_iter().map(|(line, _)| line).collect::<Vec<_>>();
        assert_eq!(lines("serial,x\nA1,\ntwo words,\n,y\nB2,\n"), [3, 4]);
        assert_eq!(lines("Asset Tag,Name\nA1,x\n"), [1]);
        assert_eq!(lines("A1,x\nB2,y\n"), [1]);
        assert_eq!(lines("a,serial\nonly one\n"), [2]);
    }
}
