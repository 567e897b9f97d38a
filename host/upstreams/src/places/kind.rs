//! The kind of a place.

/// What sort of place a row is. Settlements are told apart by population alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum PlaceKind {
    /// Seat of the government of a country or territory, of whatever size.
    Capital,
    /// 100,000 inhabitants or more.
    City,
    /// 10,000 or more.
    Town,
    /// 1,000 or more.
    Village,
    /// Fewer than 1,000.
    Hamlet,
    /// A settlement whose population is not known.
    Locality,
    /// An airport, airfield, heliport or seaplane base.
    Airport,
}

impl PlaceKind {
    /// Every kind, in the order of their numbers in the data file.
    pub(super) const ALL: [Self; 7] =
        [Self::Capital, Self::City, Self::Town, Self::Village, Self::Hamlet, Self::Locality, Self::Airport];

    /// Returns the word an answer uses for it.
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
