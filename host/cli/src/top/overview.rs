//! Pages of the whole herd: its nodes with their links, and its links alone.
//!
//! Bounds: the size of the screen. Nodes keep most of it, and the selected one is always shown.

use std::time::Duration;

use super::columns::Columns;
use super::herd_model::HerdModel;
use super::node_row::{Latest, State};
use super::screen::{Line, Look, Screen, Size};
use super::sort::{Sort, SortKey};
use super::units::count;
use super::view::View;
use crate::numbers::counted;
use crate::status_links::link_table;

/// Draws the page of all nodes.
pub(super) fn nodes(model: &HerdModel, view: &View, every: Duration, (width, height): Size) -> Screen {
    let rows = model.rows(view.sort);
    let links = link_lines(model, width);
    let mut screen = Screen::default();
    screen.lines.push(head(model, &format!("every {}s, {}", every.as_secs_f64(), view.sort.text())));
    screen.lines.push(trouble(model));
    let longest = rows.iter().map(|row| row.name.chars().count()).max().unwrap_or_default();
    let columns = Columns::fitting(width, longest);
    screen.lines.push(Line::of(columns.headings(), Look::Bold));
    let (for_nodes, for_links) = share(height.saturating_sub(screen.lines.len() + 1), rows.len(), links.len());
    let names: Vec<String> = rows.iter().map(|row| row.name.clone()).collect();
    let selected = view.selected_row(&names);
    let first = (selected + 1).saturating_sub(for_nodes);
    for (index, row) in rows.iter().enumerate().skip(first).take(for_nodes) {
        let look = match &row.state {
            _ if index == selected => Look::Selected,
            State::Missing { .. } => Look::Bad,
            State::Asked | State::Up => Look::Plain,
        };
        // The whole width, so that the selected row is a bar.
        screen.lines.push(Line::of(format!("{:width$}", columns.row(row)), look));
    }
    if for_links > 1 {
        screen.lines.push(Line::default());
        let cut = links.len() > for_links - 1;
        let shown = if cut { for_links - 2 } else { links.len() };
        screen.lines.extend(links.iter().take(shown).cloned());
        if cut {
            screen.lines.push(Line::plain(format!("... {}: o", counted(links.len() - shown, "more line"))));
        }
    }
    screen.fit((width, height), Line::of(HELP, Look::Bold))
}

/// Draws the page of all links.
pub(super) fn links(model: &HerdModel, view: &View, (width, height): Size) -> Screen {
    let lines = link_lines(model, width);
    let head = head(model, &counted(lines.len().saturating_sub(1), "line"));
    scrolled(vec![head, Line::default()], lines, view, (width, height))
}

/// Puts the part of a page that is scrolled to below its head.
pub(super) fn scrolled(head: Vec<Line>, lines: Vec<Line>, view: &View, (width, height): Size) -> Screen {
    let room = height.saturating_sub(head.len() + 1);
    let first = view.scrolled.min(lines.len().saturating_sub(room));
    let mut screen = Screen { lines: head, scrolled: first };
    screen.lines.extend(lines.into_iter().skip(first).take(room));
    screen.fit((width, height), Line::of(HELP_PAGE, Look::Bold))
}

/// Returns the first line: the herd in one sentence, and how it is shown.
fn head(model: &HerdModel, how: &str) -> Line {
    let rows = model.rows(Sort::by(SortKey::Node));
    let up = rows.iter().filter(|row| row.state == State::Up).count();
    let sum = |of: fn(&Latest) -> u64| rows.iter().filter_map(|row| row.latest.as_ref()).map(of).sum::<u64>();
    let lines: f64 = rows.iter().filter_map(|row| row.lines).sum();
    let nodes = format!("{} of {} up", up, counted(rows.len(), "node"));
    let look = if up == rows.len() { Look::Bold } else { Look::Bad };
    Line::of(format!("{}: ", model.herd), Look::Bold).and(nodes, look).and(
        format!(
            ", {} lines/s, {} sessions, {} faults; {how}",
            count(lines),
            count(sum(|latest| latest.sessions) as f64),
            count(sum(|latest| latest.faults) as f64),
        ),
        Look::Plain,
    )
}

/// Returns a line about the first node that is missing, or the first fault that needs a person.
fn trouble(model: &HerdModel) -> Line {
    let troubles = model.troubles();
    match troubles.as_slice() {
        [] => Line::default(),
        [one] => Line::of(one, Look::Bad),
        [first, rest @ ..] => Line::of(format!("(+{}) {first}", rest.len()), Look::Bad),
    }
}

/// Returns the links with their headings, as `herd status` shows them; nothing if there are none.
pub(super) fn link_lines(model: &HerdModel, width: usize) -> Vec<Line> {
    let statuses = model.statuses();
    of_table(&link_table(&statuses, width).to_string())
}

/// Returns the lines of a table, with the headings in bold; nothing if it has no rows. Notes lie below their rows, indented.
pub(super) fn of_table(table: &str) -> Vec<Line> {
    let lines: Vec<&str> = table.lines().collect();
    if lines.len() < 2 {
        return Vec::new();
    }
    let look = |index: usize, line: &str| match index {
        0 => Look::Bold,
        _ if line.starts_with(' ') => Look::Warn,
        _ => Look::Plain,
    };
    lines.iter().enumerate().map(|(index, line)| Line::of(*line, look(index, line))).collect()
}

/// Shares lines between nodes and links, which have a blank line before them: two thirds for nodes if both need more.
fn share(room: usize, nodes: usize, links: usize) -> (usize, usize) {
    let links = if links == 0 { 0 } else { links + 1 };
    if nodes + links <= room {
        return (nodes, links);
    }
    let for_nodes = nodes.min((room * 2 / 3).max(room.saturating_sub(links)));
    // A heading, a row and a line that says how many more there are.
    let for_links = room - for_nodes.min(room);
    if for_links < 4 { (nodes.min(room), 0) } else { (for_nodes, for_links) }
}

/// Keys of the page of nodes, in 80 columns.
const HELP: &str = "q quit  j/k move  enter open  o links  sort: Node Lines Time Sess Rec Gen Faults";
/// Keys of the other pages.
const HELP_PAGE: &str = "q quit  j/k scroll  esc back";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn top_shares_a_screen_between_nodes_and_links() {
        // Nodes and links of the five-node herd fit into 80x24.
        assert_eq!(share(20, 5, 7), (5, 8));
        assert_eq!(share(20, 100, 300), (13, 7));
        assert_eq!(share(20, 100, 0), (20, 0));
        assert_eq!(share(20, 2, 300), (2, 18));
        assert_eq!(share(3, 5, 7), (3, 0));
        assert_eq!(share(0, 5, 7), (0, 0));
    }

    #[test]
    fn top_help_fits_eighty_columns() {
        assert!(HELP.len() <= 80, "{}", HELP.len());
    }
}
