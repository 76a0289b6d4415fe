//! What lists of campaigns and of contacts are asked for.

use std::collections::BTreeMap;

use axum::response::Response;
use offhook_actors::campaign::ContactsAsk;
use offhook_api::{PageQuery, campaign::contact_status};
use offhook_core::campaign::ContactStatus;
use offhook_store::{Document, Kind, ListFilter};
use serde_json::Value;

use super::{
    super::{App, reply},
    shown,
};

/// Campaigns of one organisation that a list looks at.
const CAMPAIGNS_MAX: usize = 10_000;

/// Contacts on a page unless the client says otherwise.
const CONTACTS_DEFAULT: usize = 100;
const CONTACTS_MAX: usize = 1_000;

/// A page of campaigns, and what surrounds it. Archived ones are shown to those who ask for them.
pub async fn page(
    app: &App,
    org: &str,
    pairs: &[(String, String)],
    passed_over: &[&str],
) -> Result<(Value, Vec<Document>), Response> {
    let value =
        |name: &str| pairs.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str());
    let own = ["id", "status"];
    let rest = pairs.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let rest = rest.filter(|(name, _)| !own.contains(name) && !passed_over.contains(name));
    let query = PageQuery::parse(rest).map_err(reply::bad_request)?;
    let wanted = value("status");
    let known = ["scheduled", "in-progress", "ended", "cancelled", "archived"];
    if wanted.is_some_and(|status| !known.contains(&status)) {
        let known = known.join(", ");
        return Err(reply::bad_request(vec![format!(
            "status must be one of the following values: {known}"
        )]));
    }
    let filter =
        ListFilter { limit: CAMPAIGNS_MAX, ..super::super::calls::list_filter(&query.list) };
    let id = value("id").map(str::to_owned);
    let is_it =
        move |document: &Document| id.as_ref().is_none_or(|id| document.id.to_string() == *id);
    let store = app.node.store();
    let listed = store.list(org, Kind::Campaign, filter, Some(Box::new(is_it))).await;
    let mut found: BTreeMap<String, Document> = BTreeMap::new();
    let mut bodies = Vec::new();
    for document in listed.map_err(reply::store)? {
        let status = match shown::status(&document.body) {
            Some(status) => status.to_owned(),
            None if wanted.is_none() => String::new(),
            None => {
                let summary = shown::summary(app, &document, false).await?;
                summary["status"].as_str().unwrap_or_default().to_owned()
            }
        };
        let fits = match wanted {
            Some(wanted) => status == wanted,
            None => status != "archived",
        };
        if fits && query.is_in(&document.body, &["name"]) {
            let id = document.id.to_string();
            bodies.push(Value::from(id.clone()));
            found.insert(id, document);
        }
    }
    let page = query.cut(bodies);
    let ids = page["results"].as_array().map_or(&[][..], Vec::as_slice);
    let shown = ids.iter().filter_map(|id| found.remove(id.as_str()?)).collect();
    Ok((page, shown))
}

pub fn includes_counters(pairs: &[(String, String)]) -> Result<bool, Response> {
    match pairs.iter().find(|(name, _)| name == "includeCounters").map(|(_, it)| it.as_str()) {
        Some("true") => Ok(true),
        Some("false") | None => Ok(false),
        Some(_) => Err(reply::bad_request(vec!["includeCounters must be a boolean value".into()])),
    }
}

pub fn contacts_ask(pairs: &[(String, String)]) -> Result<(ContactsAsk, usize), Response> {
    let mut ask = ContactsAsk { max: CONTACTS_DEFAULT, ..ContactsAsk::default() };
    let (mut page, mut problems) = (1, Vec::new());
    for (name, value) in pairs {
        match (name.as_str(), value.as_str()) {
            ("status" | "status[]", statuses) => {
                for name in statuses.split(',') {
                    match status_named(name) {
                        Some(status) => ask.statuses.push(status),
                        None => problems.push(format!(
                            "each value in status must be one of the following values: {}",
                            STATUSES.map(contact_status).join(", ")
                        )),
                    }
                }
            }
            ("limit", number) => match whole_number(number, CONTACTS_MAX) {
                Some(limit) => ask.max = limit,
                None => problems.push(format!("limit must be from 1 to {CONTACTS_MAX}")),
            },
            ("page", number) => match whole_number(number, u32::MAX as usize) {
                Some(number) => page = number,
                None => problems.push("page must be an integer number not less than 1".into()),
            },
            ("sortBy", "position") => ask.by_status = false,
            ("sortBy", "status") => ask.by_status = true,
            ("sortBy", _) => {
                problems.push("sortBy must be one of the following values: position, status".into())
            }
            (other, _) => problems.push(format!("property {other} should not exist")),
        }
    }
    ask.skip = (page - 1).saturating_mul(ask.max);
    if problems.is_empty() { Ok((ask, page)) } else { Err(reply::bad_request(problems)) }
}

const STATUSES: [ContactStatus; 6] = [
    ContactStatus::Pending,
    ContactStatus::Dispatched,
    ContactStatus::Completed,
    ContactStatus::Failed,
    ContactStatus::Skipped,
    ContactStatus::PredialFailed,
];

fn status_named(name: &str) -> Option<ContactStatus> {
    STATUSES.into_iter().find(|&status| contact_status(status) == name)
}

/// Numbers may be written as `2.0`: one of the official clients does.
fn whole_number(text: &str, max: usize) -> Option<usize> {
    let number: f64 = text.parse().ok()?;
    (number.fract() == 0.0 && (1.0..=max as f64).contains(&number)).then_some(number as usize)
}
