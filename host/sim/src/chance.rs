//! Chance: the only source of randomness in a simulation, so that its seed replays it.
//!
//! Owns the generator (SplitMix64), which no library can change from under a seed that somebody wrote down.

/// Random numbers from a seed.
///
/// ```rust
/// use herd_sim::Chance;
///
/// let (mut left, mut right) = (Chance::new(7), Chance::new(7));
/// assert_eq!(left.below(1000), right.below(1000));
/// ```
#[derive(Clone, Debug)]
pub struct Chance(u64);

impl Chance {
    /// Creates the numbers of a seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        // Mixed once, so that seeds 1, 2, 3 do not begin alike.
        let mut chance = Self(seed ^ 0x9e37_79b9_7f4a_7c15);
        Self(chance.draw())
    }

    /// Returns the next number.
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Returns a number below `bound`; 0 if that is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        // The bias of the remainder is below 2^-40 for every bound that is used here.
        self.draw() % bound.max(1)
    }

    /// Returns an index of a list of this length.
    pub fn index(&mut self, length: usize) -> usize {
        self.below(length as u64) as usize
    }

    /// Returns a number from `low` to `high`, both included.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high.saturating_sub(low) + 1)
    }

    /// Returns true in `percent` of 100 cases.
    pub fn percent(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// Returns one of the items.
    ///
    /// # Panics
    ///
    /// If none are given.
    pub fn pick<T: Copy>(&mut self, items: &[T]) -> T {
        items[self.index(items.len())]
    }

    /// Returns an item, each as often as its weight says.
    ///
    /// # Panics
    ///
    /// All weights are 0.
    pub fn weighted<T: Copy>(&mut self, items: &[(T, u64)]) -> T {
        let all: u64 = items.iter().map(|(_, weight)| weight).sum();
        let mut at = self.below(all);
        for &(item, weight) in items {
            match at.checked_sub(weight) {
                Some(rest) => at = rest,
                None => return item,
            }
        }
        unreachable!("the weights add up to more than any number below their sum")
    }
}
