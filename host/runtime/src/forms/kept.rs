//! Choice of the converters that outlive their generation.
//!
//! A record stays in the form in which it was written until its client reports again. The guest that wrote it may have been
//! rolled back, replaced, or cancelled as a canary meanwhile, and only its code can convert the record for other guests. So a
//! node keeps the converters of guests that wrote records: code, and an instance per worker once a record is converted.
//!
//! Knows nothing of conversions. Bounds: [`RETIRED_MAX`] converters besides those of live generations, of which
//! [`RETIRED_PER_FORM_MAX`] of one form. Forms without records lose theirs first.

/// Properties of a converter on which the choice depends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Standing {
    pub(crate) form: u32,
    /// Its generation is live: it goes with that, whatever the limits.
    pub(crate) is_live: bool,
}

/// Removes converters beyond the limits. `converters` are in the order in which they began to serve.
pub(crate) fn trim<T>(converters: &mut Vec<T>, standing: impl Fn(&T) -> Standing, has_records: impl Fn(u32) -> bool) {
    loop {
        let retired: Vec<(usize, u32)> = converters
            .iter()
            .map(&standing)
            .enumerate()
            .filter(|(_, standing)| !standing.is_live)
            .map(|(index, standing)| (index, standing.form))
            .collect();
        let same_form = |form: u32| retired.iter().filter(|(_, other)| *other == form).count();
        // An author who rebuilds a guest all day must not displace the converters of other forms.
        let crowded = retired.iter().find(|(_, form)| same_form(*form) > RETIRED_PER_FORM_MAX);
        let surplus = || {
            let unused = retired.iter().find(|(_, form)| !has_records(*form));
            unused.or(retired.first()).filter(|_| retired.len() > RETIRED_MAX)
        };
        let Some(&(evicted, _)) = crowded.or_else(surplus) else { return };
        converters.remove(evicted);
    }
}

/// Some hundred KiB to a few MiB of code each. A herd that is between more forms than that has not been reported to for long.
pub(crate) const RETIRED_MAX: usize = 4;
/// Two builds of one form: if the newer one cannot convert to every form, the older one may.
const RETIRED_PER_FORM_MAX: usize = 2;

#[cfg(test)]
mod tests {
    use super::*;

    /// Converters by name, of these forms; those in capitals are live.
    fn trimmed(converters: &[(&'static str, u32)], forms_with_records: &[u32]) -> Vec<&'static str> {
        let mut left = converters.to_vec();
        let is_live = |name: &str| name.chars().all(char::is_uppercase);
        trim(
            &mut left,
            |(name, form)| Standing { form: *form, is_live: is_live(name) },
            |form| forms_with_records.contains(&form),
        );
        left.into_iter().map(|(name, _)| name).collect()
    }

    #[test]
    fn kept_converters_are_bounded_and_forms_without_records_go_first() {
        let five = [("a", 1), ("b", 2), ("c", 3), ("d", 4), ("e", 5)];
        assert_eq!(trimmed(&five[..4], &[]), ["a", "b", "c", "d"], "within the limit nothing goes");
        assert_eq!(trimmed(&five, &[1, 2, 4, 5]), ["a", "b", "d", "e"]);
        assert_eq!(trimmed(&five, &[1, 2, 3, 4, 5]), ["b", "c", "d", "e"], "or else the oldest");
    }

    #[test]
    fn kept_converters_of_one_form_displace_no_other_form() {
        let rebuilt = [("a", 1), ("v", 2), ("w", 2), ("x", 2), ("Y", 2), ("Z", 2)];
        assert_eq!(trimmed(&rebuilt, &[2]), ["a", "w", "x", "Y", "Z"]);
    }

    #[test]
    fn kept_converters_of_live_generations_always_stay() {
        let live = [("A", 1), ("B", 1), ("C", 1), ("d", 2), ("e", 3), ("f", 4), ("g", 5), ("h", 6)];
        assert_eq!(trimmed(&live, &[]), ["A", "B", "C", "e", "f", "g", "h"]);
    }
}
