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

    /// Returns the kind of a settlement that is no capital. `None` is an unknown population.
    pub(super) fn of_population(population: Option<f64>) -> Self {
        match population {
            None => Self::Locality,
            Some(population) if population >= 100_000.0 => Self::City,
            Some(population) if population >= 10_000.0 => Self::Town,
            Some(population) if population >= 1_000.0 => Self::Village,
            Some(_) => Self::Hamlet,
        }
    }

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
