//! What models take, as data: a refused parameter costs the caller a round trip.

/// Models that take the same parameters.
#[derive(Debug)]
pub(super) struct Family {
    /// How the names of its models begin; an empty one fits all.
    pub prefix: &'static str,
    /// How it is kept from thinking, or as near to it as can be: the caller waits.
    pub quiet: Quiet,
    /// How it is told to think.
    pub depth: Depth,
    /// Whether `temperature` is taken, where it does not think.
    pub takes_temperature: bool,
    /// Whether it goes on from a last message of the assistant: refused since Claude 4.6.
    pub prefills: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Quiet {
    /// It does not think unless it is told to.
    Unasked,
    /// `thinking: disabled`.
    Disabled,
    /// `thinking: between_tools`, which replaces `disabled`.
    BetweenTools,
    /// It always thinks; `output_config.effort: low` keeps it short.
    LowEffort,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Depth {
    /// `thinking: enabled`, with a budget in tokens.
    Budget,
    /// `thinking: adaptive`; a budget is refused.
    Adaptive,
}

const EARLY: Family = Family {
    prefix: "",
    quiet: Quiet::Unasked,
    depth: Depth::Budget,
    takes_temperature: true,
    prefills: true,
};

const LATE: Family = Family {
    prefix: "",
    quiet: Quiet::Disabled,
    depth: Depth::Adaptive,
    takes_temperature: false,
    prefills: false,
};

/// Anthropic's models, by the pages Adaptive thinking and What's new in Claude 5.5.
const FAMILIES: &[Family] = &[
    Family { prefix: "claude-opus-5-5", quiet: Quiet::LowEffort, ..LATE },
    Family { prefix: "claude-fable", quiet: Quiet::LowEffort, ..LATE },
    Family { prefix: "claude-mythos", quiet: Quiet::LowEffort, ..LATE },
    Family { prefix: "claude-sonnet-5-5", quiet: Quiet::BetweenTools, ..LATE },
    Family { prefix: "claude-opus-5", ..LATE },
    Family { prefix: "claude-sonnet-5", ..LATE },
    Family { prefix: "claude-haiku-5", ..LATE },
    Family { prefix: "claude-opus-4-7", quiet: Quiet::Unasked, ..LATE },
    Family { prefix: "claude-opus-4-8", quiet: Quiet::Unasked, ..LATE },
    Family { prefix: "claude-opus-4-6", prefills: false, ..EARLY },
    Family { prefix: "claude-sonnet-4-6", prefills: false, ..EARLY },
    EARLY,
];

/// The first family whose prefix fits.
pub(super) fn find(model: &str) -> &'static Family {
    FAMILIES
        .iter()
        .find(|family| model.starts_with(family.prefix))
        .expect("the table ends with a family that fits all")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_finds_the_row_that_is_most_its_own() {
        let quiet = |model| find(model).quiet;
        assert_eq!(quiet("claude-3-5-haiku-20241022"), Quiet::Unasked);
        assert_eq!(quiet("claude-sonnet-4-5-20250929"), Quiet::Unasked);
        assert_eq!(quiet("claude-sonnet-5"), Quiet::Disabled);
        assert_eq!(quiet("claude-sonnet-5-5"), Quiet::BetweenTools);
        assert_eq!(quiet("claude-opus-5-5"), Quiet::LowEffort);
        assert_eq!(quiet("claude-haiku-5-5"), Quiet::Disabled);
        assert!(find("claude-haiku-4-5").prefills && !find("claude-sonnet-4-6").prefills);
        assert_eq!(find("claude-opus-4-6").depth, Depth::Budget);
        assert_eq!(find("claude-opus-4-7").depth, Depth::Adaptive);
    }

    #[test]
    fn the_table_ends_with_a_row_that_fits_all_models() {
        assert_eq!(FAMILIES.last().unwrap().prefix, "");
    }
}
