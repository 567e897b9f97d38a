//! Choice of the page that is drawn.

use std::time::Duration;

use super::herd_model::HerdModel;
use super::node_page;
use super::overview;
use super::screen::{Screen, Size};
use super::view::{Page, View};

/// Draws the page that the view shows. Nodes are asked `every` so often.
pub(super) fn draw(model: &HerdModel, view: &View, every: Duration, size: Size) -> Screen {
    match &view.page {
        Page::Nodes => overview::nodes(model, view, every, size),
        Page::Node(name) => node_page::node(model, name, view, size),
        Page::Links => overview::links(model, view, size),
    }
}
