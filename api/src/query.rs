//! The parameters of list operations.

use serde_json::Value;

use crate::time;

/// Filters that only the list of calls has; each compares a top-level field for equality.
pub const CALL_FILTERS: &[&str] = &["id", "assistantId", "phoneNumberId"];

/// Documents that a list answers with when the client does not say how many.
pub const LIMIT_DEFAULT: usize = 100;
/// Documents that a list answers with at most.
pub const LIMIT_MAX: usize = 1_000;

/// Bounds of a time, in epoch milliseconds.
///
/// A query may have microseconds, documents have not: the bounds are rounded so that comparing
/// milliseconds with them gives the same answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bounds {
    pub gt: Option<i64>,
    pub lt: Option<i64>,
    pub ge: Option<i64>,
    pub le: Option<i64>,
}

impl Bounds {
    pub fn contains(&self, epoch_ms: i64) -> bool {
        self.gt.is_none_or(|bound| epoch_ms > bound)
            && self.lt.is_none_or(|bound| epoch_ms < bound)
            && self.ge.is_none_or(|bound| epoch_ms >= bound)
            && self.le.is_none_or(|bound| epoch_ms <= bound)
    }

    fn set(&mut self, which: &str, text: &str) -> bool {
        let Some(bound) = time::parse(text) else { return false };
        let nanoseconds = bound.as_nanosecond();
        // A nanosecond count of jiff's range divided by a million fits.
        let floor = nanoseconds.div_euclid(1_000_000) as i64;
        let ceiling = floor + i64::from(nanoseconds.rem_euclid(1_000_000) != 0);
        match which {
            "Gt" => self.gt = Some(floor),
            "Le" => self.le = Some(floor),
            "Lt" => self.lt = Some(ceiling),
            _ => self.ge = Some(ceiling),
        }
        true
    }
}

/// What a client asked a list for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListQuery {
    pub limit: usize,
    pub created: Bounds,
    pub updated: Bounds,
    /// Fields that must equal a value, from the operation's own filters.
    pub equals: Vec<(&'static str, String)>,
}

impl Default for ListQuery {
    fn default() -> Self {
        Self {
            limit: LIMIT_DEFAULT,
            created: Bounds::default(),
            updated: Bounds::default(),
            equals: Vec::new(),
        }
    }
}

impl ListQuery {
    /// Reads decoded query parameters; `filters` are those that this operation has besides the
    /// common ones.
    ///
    /// # Errors
    ///
    /// One message for each parameter that is unknown or out of range.
    pub fn parse<'a>(
        pairs: impl IntoIterator<Item = (&'a str, &'a str)>,
        filters: &[&'static str],
    ) -> Result<Self, Vec<String>> {
        let mut query = Self::default();
        let mut messages = Vec::new();
        for (name, value) in pairs {
            if name == "limit" {
                match limit(value) {
                    Ok(limit) => query.limit = limit,
                    Err(message) => messages.push(message.into()),
                }
            } else if let Some(filter) = filters.iter().find(|filter| **filter == name) {
                query.equals.push((filter, value.into()));
            } else if let Some((bounds, which)) = query.bounds(name) {
                if !bounds.set(which, value) {
                    messages.push(format!("{name} must be a valid ISO 8601 date string"));
                }
            } else {
                messages.push(format!("property {name} should not exist"));
            }
        }
        if messages.is_empty() { Ok(query) } else { Err(messages) }
    }

    /// Whether a document answers the query, its limit aside.
    pub fn matches(&self, document: &Value) -> bool {
        let within = |bounds: &Bounds, field: &str| {
            *bounds == Bounds::default()
                || document
                    .get(field)
                    .and_then(Value::as_str)
                    .and_then(time::parse)
                    .is_some_and(|at| bounds.contains(at.as_millisecond()))
        };
        within(&self.created, "createdAt")
            && within(&self.updated, "updatedAt")
            && self.matches_fields(document)
    }

    /// Whether a document answers the operation's own filters.
    pub fn matches_fields(&self, document: &Value) -> bool {
        self.equals
            .iter()
            .all(|(field, value)| document.get(field).and_then(Value::as_str) == Some(value))
    }

    fn bounds<'n>(&mut self, name: &'n str) -> Option<(&mut Bounds, &'n str)> {
        let (bounds, which) = match name.strip_prefix("createdAt") {
            Some(which) => (&mut self.created, which),
            None => (&mut self.updated, name.strip_prefix("updatedAt")?),
        };
        ["Gt", "Lt", "Ge", "Le"].contains(&which).then_some((bounds, which))
    }
}

/// Numbers may be written as `2.0`: one of the official clients does.
fn limit(value: &str) -> Result<usize, &'static str> {
    let Ok(number) = value.parse::<f64>() else {
        return Err("limit must be a number conforming to the specified constraints");
    };
    if number.is_nan() || number < 0.0 {
        return Err("limit must not be less than 0");
    }
    if number > LIMIT_MAX as f64 {
        return Err("limit must not be greater than 1000");
    }
    if number.fract() != 0.0 {
        return Err("limit must be an integer number");
    }
    Ok(number as usize)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parse(pairs: &[(&'static str, &'static str)]) -> Result<ListQuery, Vec<String>> {
        ListQuery::parse(pairs.iter().copied(), CALL_FILTERS)
    }

    #[test]
    fn a_list_has_a_hundred_documents_unless_told() {
        assert_eq!(parse(&[]).unwrap().limit, 100);
        assert_eq!(parse(&[("limit", "1000")]).unwrap().limit, 1_000);
        assert_eq!(parse(&[("limit", "2.0")]).unwrap().limit, 2);
        assert_eq!(parse(&[("limit", "0")]).unwrap().limit, 0);
    }

    #[test]
    fn every_bad_parameter_is_named() {
        assert_eq!(
            parse(&[
                ("limit", "1001"),
                ("createdAtGt", "soon"),
                ("foo", "1"),
                ("createdAtXx", "2024-01-01"),
                ("limit", "-1"),
                ("limit", "many"),
                ("limit", "1.5"),
                ("limit", "NaN"),
            ]),
            Err([
                "limit must not be greater than 1000",
                "createdAtGt must be a valid ISO 8601 date string",
                "property foo should not exist",
                "property createdAtXx should not exist",
                "limit must not be less than 0",
                "limit must be a number conforming to the specified constraints",
                "limit must be an integer number",
                "limit must not be less than 0",
            ]
            .map(String::from)
            .to_vec())
        );
        assert_eq!(
            ListQuery::parse([("assistantId", "a")], &[]),
            Err(vec!["property assistantId should not exist".into()])
        );
    }

    #[test]
    fn bounds_are_compared_as_if_documents_had_microseconds() {
        let query = parse(&[
            ("createdAtGt", "2024-01-01T00:00:00.001500Z"),
            ("createdAtLt", "2024-01-01T01:00:00.003500+01:00"),
        ])
        .unwrap();
        let at = |ms: i64| query.created.contains(1_704_067_200_000 + ms);
        assert_eq!([1, 2, 3, 4].map(at), [false, true, true, false]);

        let query = parse(&[
            ("updatedAtGe", "2024-01-01T00:00:00.001500Z"),
            ("updatedAtLe", "2024-01-01T00:00:00.003500Z"),
        ])
        .unwrap();
        let at = |ms: i64| query.updated.contains(1_704_067_200_000 + ms);
        assert_eq!([1, 2, 3, 4].map(at), [false, true, true, false]);
    }

    #[test]
    fn a_document_must_answer_every_filter() {
        let query = parse(&[("assistantId", "a"), ("createdAtGe", "2024-01-01")]).unwrap();
        let call = |assistant: &str, at: &str| json!({"assistantId": assistant, "createdAt": at});
        assert!(query.matches(&call("a", "2024-01-01T00:00:00.000Z")));
        assert!(!query.matches(&call("b", "2024-01-01T00:00:00.000Z")));
        assert!(!query.matches(&call("a", "2023-12-31T23:59:59.999Z")));
        assert!(!query.matches(&json!({"assistantId": "a"})));
    }
}
