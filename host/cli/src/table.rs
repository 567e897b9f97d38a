//! Tables for a terminal.
//!
//! Owns widths: columns are as wide as their widest cell, and a table that has to fit shortens one column and moves notes below
//! their rows. Knows nothing of what the cells mean. Bound: the width to fit, unless the columns that may not be shortened exceed
//! it.

use std::fmt;

/// Rows below headings.
pub(super) struct Table {
    rows: Vec<Row>,
    /// Least width of the first column, for rows that come later.
    first_min: usize,
    fit: Option<Fit>,
    /// Rows that [`unprinted`](Self::unprinted) has returned, and the widths that they have.
    printed: Option<(usize, Vec<usize>)>,
}

struct Row {
    cells: Vec<String>,
    /// Text behind the last cell, or below the row if that would exceed the width.
    note: String,
}

/// Width of a terminal, and how a table gets there.
struct Fit {
    width: usize,
    /// Column whose cells are shortened.
    shortened: usize,
}

impl Table {
    pub(super) fn new(headings: &[&str]) -> Self {
        let headings = Row { cells: headings.iter().map(ToString::to_string).collect(), note: String::new() };
        Self { rows: vec![headings], first_min: 0, fit: None, printed: None }
    }

    /// Shortens the cells of a column, so that rows fit into a width.
    pub(super) fn fitting(mut self, width: usize, shortened: usize) -> Self {
        self.fit = Some(Fit { width, shortened });
        self
    }

    /// Makes the first column wide enough for cells that come after the first rows were printed.
    pub(super) fn with_first<T: AsRef<str>>(mut self, cells: impl IntoIterator<Item = T>) -> Self {
        self.first_min = cells.into_iter().map(|cell| cell.as_ref().chars().count()).max().unwrap_or_default();
        self
    }

    /// Returns true if there is no row below the headings.
    pub(super) fn is_empty(&self) -> bool {
        self.rows.len() == 1
    }

    /// Appends a row, which may have fewer cells than there are headings.
    pub(super) fn row<T: Into<String>>(&mut self, cells: impl IntoIterator<Item = T>) {
        self.row_with_note(cells, "");
    }

    /// Appends a row with a text behind its last cell, which has no column and may be long.
    pub(super) fn row_with_note<T: Into<String>>(&mut self, cells: impl IntoIterator<Item = T>, note: &str) {
        self.rows.push(Row { cells: cells.into_iter().map(Into::into).collect(), note: note.into() });
    }

    /// Appends a line across all columns, which does not widen them.
    pub(super) fn line(&mut self, text: &str) {
        self.row_with_note(Vec::<String>::new(), text);
    }

    /// Returns the text of the rows since the last call. The first call determines the widths.
    pub(super) fn unprinted(&mut self) -> String {
        let (begin, widths) = self.printed.take().unwrap_or_else(|| (0, self.widths()));
        let text = self.rows[begin..].iter().map(|row| self.text(row, &widths)).collect();
        self.printed = Some((self.rows.len(), widths));
        text
    }

    fn widths(&self) -> Vec<usize> {
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.cells.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or_default()
        };
        let mut widths: Vec<usize> = (0..self.rows[0].cells.len()).map(width).collect();
        widths[0] = widths[0].max(self.first_min);
        if let Some(Fit { width, shortened }) = self.fit {
            let excess = (widths.iter().sum::<usize>() + GAP.len() * (widths.len() - 1)).saturating_sub(width);
            widths[shortened] = widths[shortened].saturating_sub(excess).max(SHORTENED_MIN);
        }
        widths
    }

    /// Returns a row with its newlines.
    fn text(&self, row: &Row, widths: &[usize]) -> String {
        if row.cells.is_empty() {
            return format!("{}\n", row.note);
        }
        let cells = row.cells.iter().zip(widths).enumerate().map(|(column, (cell, &width))| {
            let shortened = self.fit.as_ref().is_some_and(|fit| fit.shortened == column);
            format!("{:width$}", if shortened { shorten(cell, width) } else { cell.clone() })
        });
        // Without trailing blanks, so that output can be compared and copied.
        let mut text = cells.collect::<Vec<_>>().join(GAP).trim_end().to_string();
        let note_begins = text.chars().count() + GAP.len();
        match &self.fit {
            _ if row.note.is_empty() => {}
            Some(fit) if note_begins + row.note.chars().count() > fit.width => {
                let indent = widths[0] + GAP.len();
                for line in wrap(&row.note, fit.width.saturating_sub(indent)) {
                    text += &format!("\n{:indent$}{line}", "");
                }
            }
            _ => text += &format!("{GAP}{}", row.note),
        }
        text + "\n"
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let widths = self.widths();
        self.rows.iter().try_for_each(|row| f.write_str(&self.text(row, &widths)))
    }
}

/// Returns the columns of the terminal: those that the environment says (`COLUMNS`), or else those of the terminal that
/// standard output is, or else [`WIDTH_USUAL`].
pub(super) fn terminal_width() -> usize {
    let said = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
    let measured = || terminal_size::terminal_size_of(std::io::stdout()).map(|(width, _)| width.0.into());
    said.or_else(measured).unwrap_or(WIDTH_USUAL).clamp(WIDTH_MIN, WIDTH_MAX)
}

/// Returns the text, or its beginning and an ellipsis if it is longer.
pub(super) fn shorten(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.into();
    }
    text.chars().take(width.saturating_sub(1)).chain(['…']).collect()
}

/// Breaks a text into lines between words. A word that is wider than a line is broken too.
pub(super) fn wrap(text: &str, width: usize) -> Vec<String> {
    let width = width.max(1);
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let mut rest: Vec<char> = word.chars().collect();
        while !rest.is_empty() {
            let last = lines.last_mut().expect("it has a line from the start");
            let used = last.chars().count() + usize::from(!last.is_empty());
            if used + rest.len() > width && !last.is_empty() {
                lines.push(String::new());
                continue;
            }
            if !last.is_empty() {
                last.push(' ');
            }
            last.extend(rest.drain(..rest.len().min(width)));
        }
    }
    lines
}

/// Blanks between two columns.
const GAP: &str = "  ";
/// Least width of a column that is shortened: enough to tell names apart.
const SHORTENED_MIN: usize = 5;
/// Width where neither the environment nor a terminal says another.
const WIDTH_USUAL: usize = 80;
/// Bounds of what the environment says: below, no table can be read; above, no terminal is.
const WIDTH_MIN: usize = 40;
const WIDTH_MAX: usize = 1000;

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let mut table = Table::new(&["node", "guest", "faults"]).fitting(30, 1);
        table.row(["Riley", "a guest with a long name", "0"]);
        table.row_with_note(["Campbell", "hello", "12"], "connection refused by the peer again");
        table.row_with_note(["Juzang", "-", "3"], "slow");
        table
    }

    #[test]
    fn table_fits_a_width_by_a_shorter_column_and_notes_below() {
        let wanted = [
            "node      guest         faults",
            "Riley     a guest wit…  0",
            "Campbell  hello         12",
            "          connection refused",
            "          by the peer again",
            "Juzang    -             3",
            "          slow",
        ];
        assert_eq!(table().to_string().lines().collect::<Vec<_>>(), wanted);
    }

    #[test]
    fn table_prints_late_rows_in_the_columns_of_the_early_ones() {
        let mut table = Table::new(&["node", "faults", "x"]).with_first(["Campbell"]);
        table.row(["Riley", "0", "y"]);
        assert_eq!(table.unprinted(), "node      faults  x\nRiley     0       y\n");
        table.row(["Campbell", "no answer"]);
        assert_eq!(table.unprinted(), "Campbell  no answer\n");
        assert_eq!(table.unprinted(), "");
    }

    #[test]
    fn wrap_breaks_between_words_and_long_words() {
        assert_eq!(wrap("one two three", 8), ["one two", "three"]);
        assert_eq!(wrap("one abcdefghijkl", 5), ["one", "abcde", "fghij", "kl"]);
        assert_eq!(wrap("", 5), [""]);
    }
}
