//! Screen of `herd top`: lines of text with the looks of their parts, cut to the size of a terminal.
//!
//! Knows no terminal and no node. Texts that other hosts sent are sanitized here, so no view can forget it. Bound: the size.

use herd_audit::sanitize;

use crate::table::shorten;

/// Columns and lines of a screen.
pub(super) type Size = (usize, usize);

/// Lines of a screen, from its top.
#[derive(Debug, Default)]
pub(super) struct Screen {
    pub(super) lines: Vec<Line>,
    /// Lines of the page above the first shown one: no more than there are.
    pub(super) scrolled: usize,
}

/// Line of a screen, as parts that look alike.
#[derive(Clone, Debug, Default)]
pub(super) struct Line(pub(super) Vec<(String, Look)>);

/// Look of a text. Without colours every one but [`Bad`](Self::Bad) and [`Warn`](Self::Warn), whose words say the same, can still be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    Plain,
    /// Headings and names.
    Bold,
    /// The selected row.
    Selected,
    /// Something that may pass by itself.
    Warn,
    /// Something that a person should look at.
    Bad,
}

impl Line {
    pub(super) fn of(text: impl Into<String>, look: Look) -> Self {
        Self(vec![(text.into(), look)])
    }

    pub(super) fn plain(text: impl Into<String>) -> Self {
        Self::of(text, Look::Plain)
    }

    /// Appends a part.
    #[must_use]
    pub(super) fn and(mut self, text: impl Into<String>, look: Look) -> Self {
        self.0.push((text.into(), look));
        self
    }

    /// Returns the text without looks.
    pub(super) fn text(&self) -> String {
        self.0.iter().map(|(text, _)| text.as_str()).collect()
    }

    /// Cuts the line at a width, with an ellipsis, and replaces what would control a terminal.
    fn fit(&mut self, width: usize) {
        let mut left = width;
        for (text, _) in &mut self.0 {
            *text = if left == 0 { String::new() } else { shorten(&sanitize(text), left) };
            left -= text.chars().count().min(left);
        }
        self.0.retain(|(text, _)| !text.is_empty());
    }
}

impl Screen {
    /// Cuts the lines to a size, fills the height, and puts a line at the bottom.
    pub(super) fn fit(mut self, (width, height): Size, bottom: Line) -> Self {
        self.lines.truncate(height.saturating_sub(1));
        self.lines.resize(height.saturating_sub(1), Line::default());
        self.lines.push(bottom);
        self.lines.iter_mut().for_each(|line| line.fit(width));
        self
    }

    /// Returns the text, without looks and without blanks at the ends of lines.
    #[cfg(test)]
    pub(super) fn text(&self) -> String {
        self.lines.iter().map(|line| format!("{}\n", line.text().trim_end())).collect()
    }
}
