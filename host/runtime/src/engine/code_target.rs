//! Targets of machine code: a platform, features of its processor, and the address space that memories reserve.
//!
//! Owns their names, as people type them and as files of code carry them, and which code a machine runs. Knows no compiler, but the names
//! of its flags. Bounds: the table of features.

use std::collections::BTreeSet;
use std::env::consts;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Target of machine code, or of a machine that runs it.
///
/// Displayed and parsed as one word: a platform, then `+` and a name for each level or feature of the processor, then `+small` for small
/// reservations. The levels of x86-64 are those of its ABI. The C library is no part of it, because guests have none, so triples of Rust
/// are understood as well.
///
/// # Examples
///
/// ```
/// use herd_runtime::CodeTarget;
///
/// let target: CodeTarget = "x86_64-unknown-linux-musl+v2+avx".parse()?;
/// assert_eq!(target.to_string(), "x86_64-linux+v2+avx");
/// assert!("x86_64-linux+v3".parse::<CodeTarget>()?.check_runs(&target).is_ok());
/// assert!(target.check_runs(&"x86_64-linux+v3".parse()?).is_err());
/// # Ok::<(), herd_runtime::UnknownTarget>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CodeTarget {
    platform: String,
    features: BTreeSet<&'static str>,
    reservation: Reservation,
}

/// Address space that the memory of an instance reserves. Code is compiled for one of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Reservation {
    /// Some 4 GiB, all that a memory can address, so that code checks no bounds; and a pool for all instances.
    #[default]
    Large,
    /// Some 16 MiB, for emulators and machines with little address space. Code checks bounds, and each instance is allocated by itself.
    Small,
}

/// A word is no target.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnknownTarget {
    /// The platform is none that code is compiled for.
    #[error("unknown platform `{name}`; {advice}")]
    Platform {
        /// The name.
        name: String,
        /// The nearest platform, or all of them.
        advice: String,
    },
    /// The processors of the platform have no such feature or level.
    #[error("{platform} has no feature `{name}`; {advice}")]
    Feature {
        /// The platform.
        platform: String,
        /// The name.
        name: String,
        /// The nearest feature or level, or all of them.
        advice: String,
    },
}

/// A machine cannot run code of a target.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WrongTarget {
    /// Another operating system or processor.
    #[error("it was compiled for {code}, and this node runs on {own}")]
    Platform {
        /// Platform of the code.
        code: String,
        /// Platform of the machine.
        own: String,
    },
    /// The processor lacks features.
    #[error("it uses {missing}, which this processor has not")]
    Features {
        /// The features, with commas.
        missing: String,
    },
    /// Memories reserve another amount of address space.
    #[error("it was compiled for {} reservations of memory, and this node has `runtime.reservation = \"{}\"`", .code.name(), .own.name())]
    Reservation {
        /// That of the code.
        code: Reservation,
        /// That of the engine.
        own: Reservation,
    },
}

impl CodeTarget {
    /// Returns what this machine runs: its platform, and all features of its processor that the compiler knows.
    #[must_use]
    pub fn of_this_machine(reservation: Reservation) -> Self {
        let platform = format!("{}-{}", consts::ARCH, consts::OS);
        let features = features_of(&platform).filter(|feature| (feature.is_here)()).map(|feature| feature.name);
        Self { features: features.collect(), platform, reservation }
    }

    /// Returns the address space that memories reserve.
    #[must_use]
    pub fn reservation(&self) -> Reservation {
        self.reservation
    }

    /// Returns this target rounded down to a level of its processor, which also older machines of its kind run.
    #[must_use]
    pub fn rounded(&self) -> Self {
        let level = levels_of(&self.platform).iter().rev().find(|level| level.is_within(&self.features));
        let features = level.map_or_else(|| self.features.clone(), |level| level.features().collect());
        Self { features, ..self.clone() }
    }

    /// Checks that a machine of this target runs code of another one.
    ///
    /// # Errors
    ///
    /// It does not, for the first reason of platform, features and reservation.
    pub fn check_runs(&self, code: &Self) -> Result<(), WrongTarget> {
        if code.platform != self.platform {
            return Err(WrongTarget::Platform { code: code.platform.clone(), own: self.platform.clone() });
        }
        let missing: Vec<&str> = code.features.difference(&self.features).copied().collect();
        if !missing.is_empty() {
            return Err(WrongTarget::Features { missing: missing.join(", ") });
        }
        if code.reservation != self.reservation {
            return Err(WrongTarget::Reservation { code: code.reservation, own: self.reservation });
        }
        Ok(())
    }

    /// Returns the triple by which the compiler knows the platform.
    #[cfg(feature = "compiler")]
    pub(crate) fn triple(&self) -> String {
        let (processor, system) = self.platform.split_once('-').unwrap_or((&self.platform, consts::OS));
        format!("{processor}-unknown-{system}-gnu")
    }

    /// Returns the flags by which the compiler knows the features.
    #[cfg(feature = "compiler")]
    pub(crate) fn flags(&self) -> impl Iterator<Item = &'static str> {
        features_of(&self.platform).filter(|feature| self.features.contains(feature.name)).map(|feature| feature.flag)
    }
}

impl fmt::Display for CodeTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.platform)?;
        let level = levels_of(&self.platform).iter().rev().find(|level| level.is_within(&self.features));
        let said: BTreeSet<&str> = level.into_iter().flat_map(|level| level.features()).collect();
        let names = level.map(|level| level.name).into_iter().chain(self.features.difference(&said).copied());
        let small = (self.reservation == Reservation::Small).then_some(SMALL);
        names.chain(small).try_for_each(|name| write!(f, "+{name}"))
    }
}

impl FromStr for CodeTarget {
    type Err = UnknownTarget;

    fn from_str(word: &str) -> Result<Self, UnknownTarget> {
        let mut names = word.split('+');
        let name = names.next().unwrap_or_default();
        let platform = PLATFORMS.iter().find(|platform| platform.is_named(name)).ok_or_else(|| {
            let known = PLATFORMS.iter().map(|platform| platform.name);
            UnknownTarget::Platform { name: name.into(), advice: advice(name, known) }
        })?;
        let (mut features, mut reservation) = (BTreeSet::new(), Reservation::Large);
        for name in names {
            if name == SMALL {
                reservation = Reservation::Small;
            } else if let Some(level) = platform.levels.iter().find(|level| level.name == name) {
                features.extend(level.features());
            } else if let Some(feature) = platform.features.iter().find(|feature| feature.name == name) {
                features.insert(feature.name);
            } else {
                let known = platform.levels.iter().map(|level| level.name);
                let known = known.chain(platform.features.iter().map(|feature| feature.name)).chain([SMALL]);
                let advice = advice(name, known);
                return Err(UnknownTarget::Feature { platform: platform.name.into(), name: name.into(), advice });
            }
        }
        Ok(Self { platform: platform.name.into(), features, reservation })
    }
}

impl Reservation {
    fn name(self) -> &'static str {
        match self {
            Self::Large => "large",
            Self::Small => SMALL,
        }
    }
}

struct Platform {
    name: &'static str,
    /// Names of Rust for it.
    triples: &'static [&'static str],
    features: &'static [Feature],
    /// From the lowest to the highest.
    levels: &'static [&'static Level],
}

/// Feature of a processor that the compiler has instructions for.
struct Feature {
    /// As the standard library of Rust and cpuinfo of Linux have it, but for dots.
    name: &'static str,
    /// As the compiler has it.
    #[cfg_attr(not(feature = "compiler"), expect(dead_code, reason = "read by the compiler"))]
    flag: &'static str,
    is_here: fn() -> bool,
}

/// Name for the features that many machines have.
struct Level {
    name: &'static str,
    below: Option<&'static Level>,
    adds: &'static [&'static str],
}

impl Platform {
    fn is_named(&self, name: &str) -> bool {
        self.name == name || self.triples.contains(&name)
    }
}

impl Level {
    fn features(&self) -> impl Iterator<Item = &'static str> + use<> {
        let below = self.below.into_iter().flat_map(|level| level.features().collect::<Vec<_>>());
        below.chain(self.adds.iter().copied())
    }

    fn is_within(&self, features: &BTreeSet<&'static str>) -> bool {
        self.features().all(|feature| features.contains(feature))
    }
}

fn features_of(platform: &str) -> impl Iterator<Item = &'static Feature> + use<> {
    let processor = platform.split('-').next().unwrap_or_default();
    let features: &[Feature] = match processor {
        "x86_64" => X86_64,
        "aarch64" => AARCH64,
        _ => &[],
    };
    features.iter()
}

fn levels_of(platform: &str) -> &'static [&'static Level] {
    if platform.starts_with("x86_64-") { &X86_64_LEVELS } else { &[] }
}

/// Returns the nearest known name, or all of them if none is near.
fn advice(name: &str, known: impl Iterator<Item = &'static str>) -> String {
    let known: Vec<&str> = known.collect();
    let distance = |other: &&str| strsim::damerau_levenshtein(name, other);
    match known.iter().copied().min_by_key(distance) {
        Some(nearest) if distance(&nearest) <= (name.len() / 2).max(1) => format!("the nearest is `{nearest}`"),
        _ => format!("known are {}", known.join(", ")),
    }
}

/// Lists features by name and flag, with a test of this processor. On another kind of processor the test fails.
macro_rules! features {
    ($arch:literal, $detected:ident, [$($name:tt $flag:literal),+ $(,)?]) => {
        &[$(Feature {
            name: $name,
            flag: $flag,
            is_here: || {
                #[cfg(target_arch = $arch)]
                return std::arch::$detected!($name);
                #[cfg(not(target_arch = $arch))]
                false
            },
        }),+]
    };
}

const X86_64: &[Feature] = features!(
    "x86_64",
    is_x86_feature_detected,
    [
        "avx" "has_avx",
        "avx2" "has_avx2",
        "avx512bitalg" "has_avx512bitalg",
        "avx512dq" "has_avx512dq",
        "avx512f" "has_avx512f",
        "avx512vbmi" "has_avx512vbmi",
        "avx512vl" "has_avx512vl",
        "avx512vnni" "has_avx512vnni",
        "avxvnni" "has_avx_vnni",
        "bmi1" "has_bmi1",
        "bmi2" "has_bmi2",
        "cmpxchg16b" "has_cmpxchg16b",
        "fma" "has_fma",
        "lzcnt" "has_lzcnt",
        "popcnt" "has_popcnt",
        "sse3" "has_sse3",
        "sse4.1" "has_sse41",
        "sse4.2" "has_sse42",
        "ssse3" "has_ssse3",
    ]
);

const AARCH64: &[Feature] = features!(
    "aarch64",
    is_aarch64_feature_detected,
    [
        "dotprod" "has_dotprod",
        "fp16" "has_fp16",
        "i8mm" "has_i8mm",
        "lse" "has_lse",
        "paca" "has_pauth",
    ]
);

/// Processors since 2009.
static V2: Level =
    Level { name: "v2", below: None, adds: &["cmpxchg16b", "popcnt", "sse3", "sse4.1", "sse4.2", "ssse3"] };
/// Most processors of servers since 2013.
static V3: Level = Level { name: "v3", below: Some(&V2), adds: &["avx", "avx2", "bmi1", "bmi2", "fma", "lzcnt"] };
/// From the lowest to the highest.
static X86_64_LEVELS: [&Level; 2] = [&V2, &V3];

static PLATFORMS: [Platform; 2] = [
    Platform {
        name: "x86_64-linux",
        triples: &["x86_64-unknown-linux-gnu", "x86_64-unknown-linux-musl"],
        features: X86_64,
        levels: &X86_64_LEVELS,
    },
    Platform {
        name: "aarch64-linux",
        triples: &["aarch64-unknown-linux-gnu", "aarch64-unknown-linux-musl"],
        features: AARCH64,
        levels: &[],
    },
];

const SMALL: &str = "small";

#[cfg(test)]
mod tests {
    use super::*;

    fn target(word: &str) -> CodeTarget {
        word.parse().unwrap()
    }

    #[test]
    fn code_target_is_one_word_that_reads_back() {
        for (typed, shown) in [
            ("x86_64-linux", "x86_64-linux"),
            ("x86_64-unknown-linux-musl", "x86_64-linux"),
            ("x86_64-linux+sse4.2+popcnt", "x86_64-linux+popcnt+sse4.2"),
            ("x86_64-linux+v3+avx512f", "x86_64-linux+v3+avx512f"),
            ("x86_64-linux+v2+bmi2+v3", "x86_64-linux+v3"),
            ("x86_64-linux+small+v2", "x86_64-linux+v2+small"),
            ("aarch64-unknown-linux-gnu+lse+fp16", "aarch64-linux+fp16+lse"),
        ] {
            assert_eq!(target(typed).to_string(), shown);
            assert_eq!(target(shown), target(typed));
        }
    }

    #[test]
    fn code_target_that_is_unknown_is_refused_with_the_nearest() {
        for (typed, refusal) in [
            ("x86_64-linx", "unknown platform `x86_64-linx`; the nearest is `x86_64-linux`"),
            ("wasm32", "unknown platform `wasm32`; known are x86_64-linux, aarch64-linux"),
            ("x86_64-linux+ssse4.2", "x86_64-linux has no feature `ssse4.2`; the nearest is `sse4.2`"),
            ("aarch64-linux+v3", "aarch64-linux has no feature `v3`; known are dotprod, fp16, i8mm, lse, paca, small"),
            ("x86_64-linux+", "x86_64-linux has no feature ``; "),
        ] {
            let found = typed.parse::<CodeTarget>().unwrap_err().to_string();
            assert!(found.starts_with(refusal), "{found}");
        }
    }

    #[test]
    fn code_target_runs_what_needs_no_more_than_it_has() {
        let own = target("x86_64-linux+v2+avx");
        assert_eq!(own.check_runs(&target("x86_64-linux+popcnt")), Ok(()));
        for (code, why) in [
            ("aarch64-linux", "it was compiled for aarch64-linux, and this node runs on x86_64-linux"),
            ("x86_64-linux+v2+bmi2+avx2", "it uses avx2, bmi2, which this processor has not"),
            (
                "x86_64-linux+v2+small",
                "it was compiled for small reservations of memory, and this node has `runtime.reservation = \"large\"`",
            ),
        ] {
            assert_eq!(own.check_runs(&target(code)).unwrap_err().to_string(), why);
        }
        assert_eq!(own.rounded(), target("x86_64-linux+v2"));
    }

    #[test]
    fn code_target_of_this_machine_reads_back() {
        let own = CodeTarget::of_this_machine(Reservation::Small);
        assert_eq!(target(&own.to_string()), own);
        assert_eq!(own.check_runs(&own.rounded()), Ok(()));
    }
}
