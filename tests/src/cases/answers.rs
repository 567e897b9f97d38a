//! Answers of the stand-in for the places service in a case, in the layout of the real service.

use std::time::Duration;

use crate::Behaviour;

/// An answer of the stand-in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Results(Results),
    Slow(Duration),
    Body(Vec<u8>),
    Status(u16),
    Refuse,
}

/// An answer with places.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Results {
    pub(super) count: usize,
    pub(super) status: String,
    pub(super) blank_lines: BlankLines,
    /// Name of every place, escaped as in JSON. `None` numbers the places.
    pub(super) called: Option<Vec<u8>>,
}

/// Empty lines within an answer and after it, which a node must not pass on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BlankLines {
    With,
    Without,
}

impl Default for Results {
    fn default() -> Self {
        Self { count: 20, status: "OK".into(), blank_lines: BlankLines::Without, called: None }
    }
}

impl Default for Answer {
    fn default() -> Self {
        Self::Results(Results::default())
    }
}

impl Answer {
    /// Body of the answer, if the case defines one; otherwise empty.
    pub(super) fn body(&self) -> String {
        match self {
            Self::Results(results) => results.body(),
            Self::Body(bytes) => String::from_utf8_lossy(bytes).into_owned(),
            Self::Slow(_) | Self::Status(_) | Self::Refuse => String::new(),
        }
    }

    pub(super) fn behaviour(&self) -> Behaviour {
        match self {
            Self::Results(_) | Self::Body(_) => Behaviour::Chunked(self.body()),
            Self::Slow(delay) => Behaviour::Slow(*delay),
            Self::Status(status) => Behaviour::Status(*status),
            Self::Refuse => Behaviour::Close,
        }
    }
}

impl Results {
    fn body(&self) -> String {
        let blank = match self.blank_lines {
            BlankLines::With => "\n\n",
            BlankLines::Without => "",
        };
        let place = |number| {
            let numbered = || format!("Place {number}");
            let name = self.called.as_ref().map_or_else(numbered, |name| String::from_utf8_lossy(name).into_owned());
            format!(
                "      {{\n         \"name\" : \"{name}\",{blank}\n         \"vicinity\" : \"Los Angeles\"\n      }}"
            )
        };
        let places = (0..self.count).map(place).collect::<Vec<_>>().join(",\n");
        format!(
            "{{\n   \"html_attributions\" : [],{blank}\n   \"next_page_token\" : \"CvQ...L2E\",\n   \"results\" : [\n{places}\n   \
             ],\n   \"status\" : \"{}\"\n}}\n{blank}",
            self.status
        )
    }
}
