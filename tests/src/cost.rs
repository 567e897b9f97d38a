//! Cost of a feature: processor time an answer with it, against without it, in windows that take turns.
//!
//! On a machine that others use too, its speed changes by more than what is measured, over seconds. So windows are short and many, and each
//! window with the feature is compared with the two around it, whose ratio shows what the machine did meanwhile.

use anyhow::Result;

use crate::Rounds;

/// Processor time an answer with a feature, in times of that without it, and the same of two windows without it.
#[derive(Clone, Debug)]
pub struct Cost {
    ratio: Rounds,
    same: Rounds,
}

impl Cost {
    /// Measures in turns. Each measurement returns answers for a second of processor time, and lasts for about [`COST_WINDOW_S`].
    ///
    /// # Errors
    ///
    /// A measurement fails.
    pub fn measure(
        mut without: impl FnMut() -> Result<f64>,
        mut with: impl FnMut() -> Result<f64>,
        mut again: impl FnMut() -> Result<f64>,
    ) -> Result<Self> {
        let (mut ratios, mut selves) = (vec![], vec![]);
        for _ in 0..TURNS {
            let (without, with, again) = (without()?, with()?, again()?);
            ratios.push((1.0 / with) / f64::midpoint(1.0 / without, 1.0 / again));
            selves.push(without / again);
        }
        Ok(Self { ratio: Rounds::of(ratios), same: Rounds::of(selves) })
    }

    /// Returns whether the median is at most this.
    #[must_use]
    pub fn is_at_most(&self, bar: f64) -> bool {
        self.ratio.median() <= bar
    }

    /// Formats the ratio beside that of two windows alike, named `same`.
    #[must_use]
    pub fn text(&self, same: &str) -> String {
        let noise = self.same.largest().max(1.0 / self.same.smallest());
        let noisy = if noise > SLACK { ", noisy" } else { "" };
        format!("{} ({same} {}{noisy})", self.ratio.text(3, ""), self.same.text(3, ""))
    }
}

/// Seconds of a window.
pub const COST_WINDOW_S: f64 = 0.8;
const TURNS: usize = 25;
/// Difference of two windows alike above which figures are called noisy.
const SLACK: f64 = 1.02;
