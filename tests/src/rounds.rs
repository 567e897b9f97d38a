//! Medians and spreads of figures that are measured in rounds: the median counts, the smallest and the largest are printed.

/// Values of several rounds, sorted. Without values every statistic is NaN, which meets no bar.
#[derive(Clone, Debug)]
pub struct Rounds(Vec<f64>);

impl Rounds {
    /// Sorts the values of all rounds.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Self {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        Self(values)
    }

    /// Middle value, or the mean of the two in the middle.
    #[must_use]
    pub fn median(&self) -> f64 {
        let middle = self.0.len() / 2;
        match self.0.len() {
            0 => f64::NAN,
            length if length % 2 == 1 => self.0[middle],
            _ => f64::midpoint(self.0[middle - 1], self.0[middle]),
        }
    }

    /// Mean.
    #[must_use]
    #[allow(clippy::cast_precision_loss, reason = "a number of rounds")]
    pub fn mean(&self) -> f64 {
        self.0.iter().sum::<f64>() / self.0.len() as f64
    }

    /// Smallest value.
    #[must_use]
    pub fn smallest(&self) -> f64 {
        self.0.first().copied().unwrap_or(f64::NAN)
    }

    /// Largest value.
    #[must_use]
    pub fn largest(&self) -> f64 {
        self.0.last().copied().unwrap_or(f64::NAN)
    }

    /// Formats the median with the smallest and the largest: `3.1 ms (2.4 to 5.0)`.
    #[must_use]
    pub fn text(&self, digits: usize, unit: &str) -> String {
        let (median, smallest, largest) = (self.median(), self.smallest(), self.largest());
        format!("{median:.digits$}{unit} ({smallest:.digits$} to {largest:.digits$})")
    }
}
