//! State of the view: what is shown, what is selected, and how keys change that.
//!
//! Pure: a key goes in, and the next state comes out. Knows nothing of terminals but their keys.

use termion::event::Key;

use super::sort::{Sort, SortKey};

/// View of an operator: page, order and selection.
#[derive(Clone, Debug)]
pub(super) struct View {
    pub(super) page: Page,
    pub(super) sort: Sort,
    /// Name of the selected node; it stays selected when rows change places. `None`: the first row.
    pub(super) selected: Option<String>,
    /// Lines of the page above its first shown one, but for the page of nodes, which follows the selection.
    pub(super) scrolled: usize,
}

/// Page of the screen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Page {
    /// All nodes, and their links.
    Nodes,
    /// One node.
    Node(String),
    /// All links.
    Links,
}

/// Effect of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    /// The view is to be shown again.
    Shown,
    /// The command ends.
    Quit,
}

impl View {
    pub(super) fn new(sort: Sort) -> Self {
        Self { page: Page::Nodes, sort, selected: None, scrolled: 0 }
    }

    /// Changes the view by a key. `names` are the rows in their order, and a page has `page_lines` lines.
    pub(super) fn press(&mut self, key: Key, names: &[String], page_lines: usize) -> Effect {
        let page_lines = page_lines.max(1);
        match key {
            Key::Char('q') | Key::Ctrl('c' | 'd') => return Effect::Quit,
            Key::Up | Key::Char('k') => self.step(names, |at| at.saturating_sub(1)),
            Key::Down | Key::Char('j') => self.step(names, |at| at.saturating_add(1)),
            Key::PageUp => self.step(names, |at| at.saturating_sub(page_lines)),
            Key::PageDown | Key::Char(' ') => self.step(names, |at| at.saturating_add(page_lines)),
            Key::Home => self.step(names, |_| 0),
            Key::End => self.step(names, |_| usize::MAX),
            Key::Char('\n' | '\r') | Key::Right if self.page == Page::Nodes => {
                if let Some(name) = names.get(self.selected_row(names)) {
                    self.selected = Some(name.clone());
                    self.open(Page::Node(name.clone()));
                }
            }
            Key::Char('o') if self.page == Page::Nodes => self.open(Page::Links),
            Key::Esc | Key::Left | Key::Backspace | Key::Char('o') => self.open(Page::Nodes),
            Key::Char(letter) if self.page == Page::Nodes => {
                if let Some(key) = sort_key(letter) {
                    self.sort = self.sort.choose(key);
                }
            }
            _ => {}
        }
        Effect::Shown
    }

    /// Returns the row of the selected node; the first one if it is gone.
    pub(super) fn selected_row(&self, names: &[String]) -> usize {
        let selected = |selected: &String| names.iter().position(|name| name == selected);
        self.selected.as_ref().and_then(selected).unwrap_or_default()
    }

    fn open(&mut self, page: Page) {
        self.page = page;
        self.scrolled = 0;
    }

    /// Moves the selection, or scrolls a page that has none.
    fn step(&mut self, names: &[String], to: impl Fn(usize) -> usize) {
        if self.page == Page::Nodes {
            let row = to(self.selected_row(names)).min(names.len().saturating_sub(1));
            self.selected = names.get(row).cloned();
        } else {
            // The page knows its length: what draws it says how far it really is scrolled.
            self.scrolled = to(self.scrolled);
        }
    }
}

/// Returns the key that a letter chooses, which the help line shows as a capital.
fn sort_key(letter: char) -> Option<SortKey> {
    Some(match letter.to_ascii_lowercase() {
        'n' => SortKey::Node,
        'l' => SortKey::Lines,
        't' => SortKey::Time,
        's' => SortKey::Sessions,
        'r' => SortKey::Records,
        'g' => SortKey::Generation,
        'f' => SortKey::Faults,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> Vec<String> {
        ["Bernard", "Campbell", "Riley"].map(Into::into).into()
    }

    fn pressed(view: &mut View, keys: &[Key]) {
        keys.iter().for_each(|&key| assert_eq!(view.press(key, &names(), 10), Effect::Shown, "{key:?}"));
    }

    #[test]
    fn top_keeps_the_selected_node_when_rows_change_places() {
        let mut view = View::new(Sort::by(SortKey::Node));
        pressed(&mut view, &[Key::Down]);
        assert_eq!(view.selected.as_deref(), Some("Campbell"));
        let reordered = ["Riley", "Bernard", "Campbell"].map(String::from);
        assert_eq!(view.selected_row(&reordered), 2);
        pressed(&mut view, &[Key::Down, Key::Down, Key::Char('j')]);
        assert_eq!(view.selected.as_deref(), Some("Riley"));
        pressed(&mut view, &[Key::Home, Key::Up]);
        assert_eq!(view.selected_row(&names()), 0);
        assert_eq!(view.press(Key::Down, &[], 10), Effect::Shown);
    }

    #[test]
    fn top_opens_a_node_with_enter_and_returns_with_escape() {
        let mut view = View::new(Sort::by(SortKey::Node));
        pressed(&mut view, &[Key::Down, Key::Char('\n'), Key::Down, Key::Down]);
        assert_eq!((&view.page, view.scrolled), (&Page::Node("Campbell".into()), 2));
        // Letters sort nodes only where nodes are shown.
        pressed(&mut view, &[Key::Char('f'), Key::Esc]);
        assert_eq!((&view.page, view.sort), (&Page::Nodes, Sort::by(SortKey::Node)));
        pressed(&mut view, &[Key::Char('o')]);
        assert_eq!(view.page, Page::Links);
        pressed(&mut view, &[Key::Char('o'), Key::Char('x'), Key::Ctrl('z')]);
        assert_eq!(view.page, Page::Nodes);
    }

    #[test]
    fn top_reverses_an_order_that_is_chosen_again() {
        let mut view = View::new(Sort::by(SortKey::Node));
        pressed(&mut view, &[Key::Char('l')]);
        assert_eq!(view.sort, Sort { key: SortKey::Lines, reversed: false });
        pressed(&mut view, &[Key::Char('L')]);
        assert_eq!(view.sort, Sort { key: SortKey::Lines, reversed: true });
        for key in [Key::Char('q'), Key::Ctrl('c')] {
            assert_eq!(view.press(key, &names(), 10), Effect::Quit);
        }
    }
}
