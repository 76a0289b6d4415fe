//! Which documents a list asks for.

/// How many documents a list holds when nobody says otherwise, as in the API's contract.
pub const LIST_LIMIT_DEFAULT: usize = 100;

/// What a list asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListFilter {
    /// The most documents it holds.
    pub limit: usize,
    pub created: Bounds,
    pub updated: Bounds,
}

impl Default for ListFilter {
    fn default() -> Self {
        Self { limit: LIST_LIMIT_DEFAULT, created: Bounds::default(), updated: Bounds::default() }
    }
}

/// Limits of a time, in milliseconds since the Unix epoch; all that are given hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bounds {
    pub gt: Option<i64>,
    pub lt: Option<i64>,
    pub ge: Option<i64>,
    pub le: Option<i64>,
}

impl Bounds {
    /// Whether a time is within all limits.
    pub fn contain(&self, ms: i64) -> bool {
        self.gt.is_none_or(|limit| ms > limit)
            && self.lt.is_none_or(|limit| ms < limit)
            && self.ge.is_none_or(|limit| ms >= limit)
            && self.le.is_none_or(|limit| ms <= limit)
    }

    /// The first and the last time within all limits; `None` when there is none.
    pub(super) fn range(&self) -> Option<(i64, i64)> {
        let above = self.gt.map(|limit| limit.checked_add(1));
        let below = self.lt.map(|limit| limit.checked_sub(1));
        if above == Some(None) || below == Some(None) {
            return None;
        }
        let first = self.ge.max(above.flatten()).unwrap_or(i64::MIN);
        let last = [self.le, below.flatten()].into_iter().flatten().min().unwrap_or(i64::MAX);
        (first <= last).then_some((first, last))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn limit() -> impl Strategy<Value = Option<i64>> {
        prop_oneof![
            Just(None),
            (-3_i64..4).prop_map(Some),
            Just(Some(i64::MIN)),
            Just(Some(i64::MAX))
        ]
    }

    proptest! {
        #[test]
        fn the_range_holds_exactly_what_is_within_the_limits(
            gt in limit(), lt in limit(), ge in limit(), le in limit(),
        ) {
            let bounds = Bounds { gt, lt, ge, le };
            for ms in (-5..6).chain([i64::MIN, i64::MIN + 1, i64::MAX - 1, i64::MAX]) {
                let in_range = bounds.range().is_some_and(|(a, b)| (a..=b).contains(&ms));
                prop_assert_eq!(bounds.contain(ms), in_range, "{:?} at {}", bounds, ms);
            }
        }
    }
}
