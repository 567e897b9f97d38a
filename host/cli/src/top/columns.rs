//! Columns of the table of nodes: headings, widths and cells.
//!
//! Knows nothing of the rest of the screen.

use super::node_row::{Latest, NodeRow, State};
use super::units::{age, count, nanoseconds};
use crate::table::shorten;

/// Column behind that of the name.
struct Column {
    heading: &'static str,
    width: usize,
    /// Figures are aligned at their right ends, words at their left ends.
    align: Align,
    cell: fn(&NodeRow) -> String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Align {
    Left,
    Right,
}

/// Columns that fit into a width.
pub(super) struct Columns {
    name_width: usize,
    columns: Vec<&'static Column>,
}

impl Columns {
    /// Chooses the columns for a width and the longest name.
    pub(super) fn fitting(width: usize, longest_name: usize) -> Self {
        let mut columns: Vec<&Column> = NARROW.iter().collect();
        let widths = |columns: &[&Column]| columns.iter().map(|column| GAP.len() + column.width).sum::<usize>();
        if width >= widths(&columns) + widths(&WIDE.iter().collect::<Vec<_>>()) + NAME_MIN {
            columns.extend(WIDE.iter());
        }
        let name_width = width.saturating_sub(widths(&columns)).min(longest_name.max(NAME_MIN)).max(NAME_MIN);
        Self { name_width, columns }
    }

    pub(super) fn headings(&self) -> String {
        self.line("node", |column| column.heading.into())
    }

    pub(super) fn row(&self, row: &NodeRow) -> String {
        match &row.state {
            State::Up => self.line(&row.name, |column| (column.cell)(row)),
            State::Asked => format!("{}asked", self.name(&row.name)),
            State::Missing { word, .. } => format!("{}{word}", self.name(&row.name)),
        }
    }

    fn name(&self, name: &str) -> String {
        let width = self.name_width;
        format!("{:width$}{GAP}", shorten(name, width))
    }

    fn line(&self, name: &str, cell: impl Fn(&Column) -> String) -> String {
        let cells: Vec<String> = self
            .columns
            .iter()
            .map(|column| {
                let (text, width) = (shorten(&cell(column), column.width), column.width);
                match column.align {
                    Align::Left => format!("{text:width$}"),
                    Align::Right => format!("{text:>width$}"),
                }
            })
            .collect();
        self.name(name) + &cells.join(GAP)
    }
}

fn optional(figure: Option<f64>, text: fn(f64) -> String) -> String {
    figure.map_or_else(|| "-".into(), text)
}

fn latest(row: &NodeRow, text: impl Fn(&Latest) -> String) -> String {
    row.latest.as_ref().map_or_else(|| "-".into(), text)
}

const fn figure(heading: &'static str, width: usize, cell: fn(&NodeRow) -> String) -> Column {
    Column { heading, width, align: Align::Right, cell }
}

/// Columns of every screen: 69 columns with their gaps, which leaves 11 of 80 for names.
static NARROW: [Column; 8] = [
    figure("lines/s", 7, |row| optional(row.lines, count)),
    figure("p50", 5, |row| optional(row.p50_ns, nanoseconds)),
    figure("p99", 5, |row| optional(row.p99_ns, nanoseconds)),
    figure("sessions", 8, |row| latest(row, |latest| count(latest.sessions as f64))),
    figure("records", 7, |row| latest(row, |latest| count(latest.records as f64))),
    figure("generation", 10, |row| {
        latest(row, |latest| {
            let brief = |(id, digest): &(u64, String)| format!("{id} {}", digest.chars().take(6).collect::<String>());
            latest.generation.as_ref().map_or_else(|| "-".into(), brief)
        })
    }),
    figure("faults", 6, |row| latest(row, |latest| count(latest.faults as f64))),
    figure("links", 5, |row| latest(row, |latest| format!("{}/{}", latest.links_up, latest.links))),
];
/// Columns of a wide screen, behind those.
static WIDE: [Column; 5] = [
    figure("reports/s", 9, |row| optional(row.reports, count)),
    figure("per call", 8, |row| optional(row.decisions_of_call, |mean| format!("{mean:.1}"))),
    figure("up", 5, |row| latest(row, |latest| latest.uptime_s.map_or_else(|| "-".into(), age))),
    Column {
        heading: "version",
        width: 8,
        align: Align::Left,
        cell: |row| latest(row, |latest| latest.version.clone()),
    },
    Column { heading: "guest", width: 24, align: Align::Left, cell: |row| latest(row, |latest| latest.guest.clone()) },
];
/// Blanks between two columns.
const GAP: &str = "  ";
/// Least width of names: enough to tell them apart.
const NAME_MIN: usize = 8;
