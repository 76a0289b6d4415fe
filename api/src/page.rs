//! The parameters of lists that come in pages (`/v2/...`), and what surrounds a page.

use serde_json::{Value, json};

use crate::query::{LIMIT_MAX, ListQuery};

/// What a paged list takes besides the filters of every list.
const FILTERS: &[&str] = &["search", "page", "sortOrder", "sortBy"];

/// Longest text that is searched for, in characters.
const SEARCH_CHARS_MAX: usize = 100;

/// What a client asked a paged list for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageQuery {
    /// Its limit is the size of a page.
    pub list: ListQuery,
    /// From 1.
    pub page: usize,
    /// Oldest first.
    pub is_ascending: bool,
    /// In lower case.
    pub search: Option<String>,
}

impl PageQuery {
    /// Reads decoded query parameters.
    ///
    /// # Errors
    ///
    /// One message for each parameter that is unknown, out of range, or means nothing for documents
    /// that have neither a duration nor a cost.
    pub fn parse<'a>(
        pairs: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self, Vec<String>> {
        let mut list = ListQuery::parse(pairs, FILTERS)?;
        let mut messages = Vec::new();
        let (mut page, mut is_ascending, mut search) = (1, false, None);
        for (name, value) in std::mem::take(&mut list.equals) {
            match (name, value.as_str()) {
                ("page", number) => match page_number(number) {
                    Some(number) => page = number,
                    None => messages.push("page must be an integer number not less than 1".into()),
                },
                ("sortOrder", "ASC") => is_ascending = true,
                ("sortOrder", "DESC") => is_ascending = false,
                ("sortOrder", _) => {
                    messages.push("sortOrder must be one of the following values: ASC, DESC".into())
                }
                ("sortBy", "createdAt") => {}
                ("sortBy", _) => {
                    messages.push("sortBy must be one of the following values: createdAt".into());
                }
                (_, text) if text.chars().count() > SEARCH_CHARS_MAX => messages.push(format!(
                    "search must be shorter than or equal to {SEARCH_CHARS_MAX} characters"
                )),
                (_, text) => search = Some(text.to_lowercase()).filter(|text| !text.is_empty()),
            }
        }
        if messages.is_empty() {
            Ok(Self { list, page, is_ascending, search })
        } else {
            Err(messages)
        }
    }

    /// Whether one of these fields of a document has what is searched for.
    pub fn is_in(&self, document: &Value, fields: &[&str]) -> bool {
        let Some(search) = &self.search else { return true };
        let texts = fields.iter().filter_map(|field| document.get(field)?.as_str());
        texts.map(str::to_lowercase).any(|text| text.contains(search.as_str()))
    }

    /// The page of all that answer the query, which come newest first.
    pub fn cut(&self, mut all: Vec<Value>) -> Value {
        let (total, limit) = (all.len(), self.list.limit);
        if self.is_ascending {
            all.reverse();
        }
        let skipped = (self.page - 1).saturating_mul(limit);
        let results: Vec<Value> = all.into_iter().skip(skipped).take(limit).collect();
        json!({
            "results": results,
            "metadata": {
                "itemsPerPage": limit,
                "totalItems": total,
                "currentPage": self.page,
                "totalPages": if limit == 0 { 0 } else { total.div_ceil(limit) },
                "hasNextPage": limit > 0 && skipped.saturating_add(limit) < total,
                "sortOrder": if self.is_ascending { "ASC" } else { "DESC" },
            },
        })
    }
}

/// Numbers may be written as `2.0`: one of the official clients does.
fn page_number(text: &str) -> Option<usize> {
    let number: f64 = text.parse().ok()?;
    // Past this every list is empty.
    let is_page = number.fract() == 0.0 && (1.0..=(LIMIT_MAX * LIMIT_MAX) as f64).contains(&number);
    is_page.then_some(number as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_says_how_many_there_are() {
        let query = PageQuery::parse([("limit", "2"), ("page", "2.0")]).unwrap();
        let page = query.cut((0..5).map(Value::from).collect());
        assert_eq!(page["results"], json!([2, 3]));
        assert_eq!(
            page["metadata"],
            json!({"itemsPerPage": 2, "totalItems": 5, "currentPage": 2, "totalPages": 3,
                "hasNextPage": true, "sortOrder": "DESC"})
        );
        let query = PageQuery::parse([("limit", "2"), ("page", "3"), ("sortOrder", "ASC")]);
        let page = query.unwrap().cut((0..5).map(Value::from).collect());
        assert_eq!(
            (&page["results"], &page["metadata"]["hasNextPage"]),
            (&json!([0]), &json!(false))
        );
        let none = PageQuery::parse([("limit", "0")]).unwrap().cut(vec![json!(1)]);
        assert_eq!((&none["results"], &none["metadata"]["totalPages"]), (&json!([]), &json!(0)));
    }

    #[test]
    fn a_search_looks_for_a_part_of_some_fields_in_any_case() {
        let query = PageQuery::parse([("search", "FRONT")]).unwrap();
        assert!(query.is_in(&json!({"name": "The front desk"}), &["number", "name"]));
        assert!(!query.is_in(&json!({"name": "back", "other": "front"}), &["number", "name"]));
        assert!(PageQuery::parse([]).unwrap().is_in(&json!({}), &["name"]));
    }

    #[test]
    fn every_bad_parameter_of_a_page_is_named() {
        let long = "x".repeat(101);
        let pairs = [("page", "0"), ("sortOrder", "up"), ("sortBy", "cost"), ("search", &long)];
        let messages = PageQuery::parse(pairs).unwrap_err();
        let names: Vec<&str> = messages.iter().filter_map(|it| it.split(' ').next()).collect();
        assert_eq!(names, ["page", "sortOrder", "sortBy", "search"]);
        assert!(PageQuery::parse([("sortBy", "createdAt"), ("createdAtGt", "2026-01-01")]).is_ok());
        assert_eq!(
            PageQuery::parse([("cursor", "x")]).unwrap_err(),
            ["property cursor should not exist"]
        );
    }
}
