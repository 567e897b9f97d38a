//! Commands of a load: their kinds, and the clients that they are about.
//!
//! Deterministic but for the time in an `IAMAT`: the same seed gives the same commands.

use std::fmt;
use std::io::Write;
use std::str::FromStr;

use herd_sys::clock::unix_now;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// Proportions of the kinds of commands. At least one is over 0.
///
/// ```
/// use herd_load::bench::Mix;
///
/// let mix: Mix = "iamat=90,whatsat=5,invalid=5".parse()?;
/// assert_eq!((mix.iamat, mix.whatsat, mix.invalid), (90, 5, 5));
/// # Ok::<(), String>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mix {
    /// `IAMAT` reports.
    pub iamat: u32,
    /// `WHATSAT` queries.
    pub whatsat: u32,
    /// Invalid commands.
    pub invalid: u32,
}

impl fmt::Display for Mix {
    /// Writes the kinds that occur, as they are parsed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kinds = [("iamat", self.iamat), ("whatsat", self.whatsat), ("invalid", self.invalid)];
        let mut separator = "";
        for (kind, count) in kinds.into_iter().filter(|(_, count)| *count > 0) {
            write!(f, "{separator}{kind}={count}")?;
            separator = ",";
        }
        Ok(())
    }
}

impl Default for Mix {
    fn default() -> Self {
        Self { iamat: 100, whatsat: 0, invalid: 0 }
    }
}

impl FromStr for Mix {
    type Err = String;

    /// Parses `iamat=90,whatsat=5,invalid=5`.
    fn from_str(text: &str) -> Result<Self, String> {
        let mut mix = Self { iamat: 0, whatsat: 0, invalid: 0 };
        for part in text.split(',') {
            let (kind, count) = part.split_once('=').ok_or("write it as iamat=90,whatsat=5,invalid=5")?;
            let count = count.parse().map_err(|_| format!("`{count}` is not a whole number"))?;
            match kind.trim() {
                "iamat" => mix.iamat = count,
                "whatsat" => mix.whatsat = count,
                "invalid" => mix.invalid = count,
                _ => return Err(format!("`{kind}` is not a kind of command; known are iamat, whatsat and invalid")),
            }
        }
        if mix.total() == 0 { Err("the mix is empty".into()) } else { Ok(mix) }
    }
}

impl Mix {
    fn total(self) -> u32 {
        self.iamat.saturating_add(self.whatsat).saturating_add(self.invalid)
    }
}

/// Distribution of commands over clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Distribution {
    /// All clients alike.
    Uniform,
    /// One client after another.
    Cyclic,
    /// Zipf: the n-th client with a weight of 1/n.
    Zipf,
}

impl fmt::Display for Distribution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Uniform => "uniform",
            Self::Cyclic => "cyclic",
            Self::Zipf => "zipf",
        })
    }
}

impl FromStr for Distribution {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "uniform" => Ok(Self::Uniform),
            "cyclic" => Ok(Self::Cyclic),
            "zipf" => Ok(Self::Zipf),
            _ => Err(format!("`{text}` is not a distribution; known are uniform, cyclic and zipf")),
        }
    }
}

/// Form of the answer to a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expect {
    /// One line that begins with `AT `.
    Report,
    /// An `AT` line and JSON up to an empty line, or one line that begins with `? `.
    Places,
    /// One line that begins with `? `.
    Invalid,
}

/// Generator of the commands of one connection.
pub(super) struct Commands {
    mix: Mix,
    clients: u64,
    distribution: Distribution,
    random: StdRng,
    next: u64,
}

impl Commands {
    /// Creates a generator. `clients` is at least 1; `seed` differs between connections.
    pub(super) fn new(mix: Mix, clients: u64, distribution: Distribution, seed: u64) -> Self {
        // Connections start at different clients, or all of them would report the same client at the same time.
        let next = seed.wrapping_mul(0x9e37_79b9) % clients;
        Self { mix, clients, distribution, random: StdRng::seed_from_u64(seed), next }
    }

    /// Appends the next command and returns the form of its answer.
    ///
    /// # Panics
    ///
    /// Never: a write to a vector cannot fail.
    pub(super) fn write(&mut self, out: &mut Vec<u8>) -> Expect {
        let client = self.client();
        let part = self.random.random_range(0..self.mix.total());
        let written = if part < self.mix.iamat {
            let now = unix_now();
            let (micro, seconds, ns) = (client % 1_000_000, now.as_secs(), now.subsec_nanos());
            (writeln!(out, "IAMAT bench-{client} +34.{micro:06}-118.445127 {seconds}.{ns:09}"), Expect::Report)
        } else if part < self.mix.iamat.saturating_add(self.mix.whatsat) {
            (writeln!(out, "WHATSAT bench-{client} 10 5"), Expect::Places)
        } else {
            (writeln!(out, "NONSENSE bench-{client}"), Expect::Invalid)
        };
        written.0.expect("a write to a vector cannot fail");
        written.1
    }

    fn client(&mut self) -> u64 {
        match self.distribution {
            Distribution::Uniform => self.random.random_range(0..self.clients),
            Distribution::Cyclic => {
                self.next = (self.next + 1) % self.clients;
                self.next
            }
            Distribution::Zipf => self.zipf(),
        }
    }

    /// Samples by inverting the continuous distribution with density 1/x on [1, n + 1): x = (n + 1)^u.
    #[allow(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "numbers of clients are far below 2^52, and a sample is between 1 and that number"
    )]
    fn zipf(&mut self) -> u64 {
        let sample = ((self.clients + 1) as f64).powf(self.random.random::<f64>());
        (sample as u64 - 1).min(self.clients - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mix_keeps_its_proportions() {
        let mix: Mix = "iamat=1,whatsat=1,invalid=2".parse().unwrap();
        let mut commands = Commands::new(mix, 10, Distribution::Uniform, 1);
        let mut out = vec![];
        let expected: Vec<Expect> = (0..4000).map(|_| commands.write(&mut out)).collect();
        let share = |kind| expected.iter().filter(|&&expect| expect == kind).count();
        assert!((900..1100).contains(&share(Expect::Report)) && (1900..2100).contains(&share(Expect::Invalid)));
        assert_eq!(mix.to_string(), "iamat=1,whatsat=1,invalid=2");
        assert_eq!(out.iter().filter(|&&byte| byte == b'\n').count(), 4000);
        for wrong in ["", "iamat", "iamat=x", "iamat=0", "other=1"] {
            assert!(wrong.parse::<Mix>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn distribution_stays_within_its_clients_and_zipf_prefers_the_first() {
        for distribution in [Distribution::Uniform, Distribution::Cyclic, Distribution::Zipf] {
            let mut commands = Commands::new(Mix::default(), 100, distribution, 7);
            let clients: Vec<u64> = (0..10_000).map(|_| commands.client()).collect();
            assert!(clients.iter().all(|&client| client < 100));
            let first = clients.iter().filter(|&&client| client == 0).count();
            assert_eq!(first > 1000, distribution == Distribution::Zipf, "{distribution:?}: {first}");
        }
    }
}
