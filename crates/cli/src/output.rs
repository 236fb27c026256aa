//! Printing: data to stdout, all else to stderr.

use std::io::{IsTerminal, Write};

use comfy_table::{Cell, ColumnConstraint, ContentArrangement, Table, presets};
use serde::Serialize;

/// How a command prints.
#[derive(Clone, Copy, Debug)]
pub struct Output {
    /// JSON instead of tables.
    pub json: bool,
    /// No notes.
    pub quiet: bool,
}

impl Output {
    /// Printing as the settings say.
    pub fn new(json: bool) -> Self {
        Self { json, quiet: false }
    }

    /// One JSON object on one line.
    pub fn object(&self, value: &impl Serialize) -> anyhow::Result<()> {
        let mut text = serde_json::to_string(value)?;
        text.push('\n');
        self.data(&text)
    }

    /// Text for people, to stdout.
    pub fn line(&self, text: &str) -> anyhow::Result<()> {
        self.data(&format!("{text}\n"))
    }

    /// Anything to stdout, as it is.
    pub fn data(&self, text: &str) -> anyhow::Result<()> {
        let mut stdout = std::io::stdout().lock();
        stdout.write_all(text.as_bytes())?;
        Ok(stdout.flush()?)
    }

    /// Something worth knowing that is not the answer, to stderr.
    pub fn note(&self, text: &str) -> anyhow::Result<()> {
        if self.quiet {
            return Ok(());
        }
        Ok(writeln!(std::io::stderr(), "note: {text}")?)
    }

    /// Something to do something about, to stderr.
    pub fn warn(&self, text: &str) -> anyhow::Result<()> {
        Ok(writeln!(std::io::stderr(), "warning: {text}")?)
    }

    /// Text as it is, to stderr.
    pub fn aside(&self, text: &str) -> anyhow::Result<()> {
        Ok(writeln!(std::io::stderr(), "{text}")?)
    }

    /// What to do next, to stderr.
    pub fn hint(&self, text: &str) -> anyhow::Result<()> {
        Ok(writeln!(std::io::stderr(), "hint: {text}")?)
    }

    /// A table for people.
    pub fn table(&self, header: &[&str], rows: Vec<Vec<String>>) -> anyhow::Result<()> {
        self.cells(header, rows.into_iter().map(|row| row.into_iter().map(Cell::new).collect()).collect())
    }

    /// A table with colours, which only a terminal shows.
    pub fn cells(&self, header: &[&str], rows: Vec<Vec<Cell>>) -> anyhow::Result<()> {
        let mut table = Table::new();
        table.set_header(header.iter().map(|name| name.to_uppercase()));
        table.add_rows(rows);
        self.data(&laid_out(table))
    }

    /// Names and values of one thing.
    pub fn facts(&self, facts: &[(&str, String)]) -> anyhow::Result<()> {
        let mut table = Table::new();
        for (name, value) in facts.iter().filter(|(_, value)| !value.is_empty()) {
            table.add_row([(*name).to_owned(), value.clone()]);
        }
        self.data(&laid_out(table))
    }
}

/// Columns narrower than this are not worth wrapping: the terminal may do it.
const NARROWEST: u16 = 20;

/// A table as text. In a terminal its last column, which has the sentences, is wrapped between words; no other is,
/// because a serial number that is cut in two can be neither copied nor searched.
fn laid_out(mut table: Table) -> String {
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    let width = if std::io::stdout().is_terminal() { table.width() } else { None };
    let widths = table.column_max_content_widths();
    if let (Some(width), Some((_, others))) = (width, widths.split_last()) {
        // Each column has a blank on both sides.
        let taken: u16 = others.iter().fold(2, |sum, one| sum.saturating_add(*one).saturating_add(2));
        if width.saturating_sub(taken) >= NARROWEST {
            table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
            for column in table.column_iter_mut().take(others.len()) {
                column.set_constraint(ColumnConstraint::ContentWidth);
            }
        }
    }
    if std::env::var_os("NO_COLOR").is_some_and(|set| !set.is_empty()) {
        table.force_no_tty();
    }
    trimmed(&table)
}

/// A table without the blanks at the ends of its lines, which would wrap in a narrow terminal.
fn trimmed(table: &Table) -> String {
    let mut text = String::new();
    for line in table.lines() {
        text.push_str(line.strip_prefix(' ').unwrap_or(&line).trim_end());
        text.push('\n');
    }
    text
}
