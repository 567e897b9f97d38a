//! The kind of a place.
//!
//! Owns the numbers of the kinds in the data file and their words in an answer. Knows nothing about rows.

/// Kind of a place. Settlements are classified by population alone, because the source has no better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum PlaceKind {
    /// Seat of the government of a country or territory, of any size.
    Capital,
    /// 100,000 inhabitants or more.
    City,
    /// 10,000 or more.
    Town,
    /// 1,000 or more.
    Village,
    /// Fewer than 1,000.
    Hamlet,
    /// A settlement of unknown population.
    Locality,
    /// An airport, airfield, heliport or seaplane base.
    Airport,
}

impl PlaceKind {
    /// All kinds, in the order of their numbers in the data file.
    pub(super) const ALL: [Self; 7] =
        [Self::Capital, Self::City, Self::Town, Self::Village, Self::Hamlet, Self::Locality, Self::Airport];

    /// Returns the word for an answer.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Capital => "capital",
            Self::City => "city",
            Self::Town => "town",
            Self::Village => "village",
            Self::Hamlet => "hamlet",
            Self::Locality => "locality",
            Self::Airport => "airport",
        }
    }
}
