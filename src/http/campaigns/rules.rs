//! Whether a campaign can be carried out as it is asked for: nothing is dialled before that is clear.

use std::collections::{BTreeSet, HashMap};

use axum::response::Response;
use offhook_api::{
    campaign::{self, CampaignView, ContactRow, Zones, variables::Lacking},
    contract::MAX_VIOLATIONS,
    time,
};
use offhook_core::campaign::{NumberKey, Outside, Problem, WallTime, ZoneId};
use offhook_store::Kind;
use serde_json::Value;

use super::super::{App, now_ms, reply, resources};

/// Fields that this version does not act on, and what would work.
const NOT_YET: &[(&str, &str)] = &[
    ("squadId", "name one assistant with assistantId"),
    ("squadOverrides", "name one assistant with assistantId"),
    ("workflowId", "name one assistant with assistantId"),
];

/// Warnings that a campaign keeps: beyond that they say nothing new.
const WARNINGS_MAX: usize = 20;

/// A campaign that can be carried out.
pub struct Checked {
    pub contacts: Vec<ContactRow>,
    pub warnings: Vec<String>,
}

/// Checks a document with its customers. `is_begun`: it is to be carried out as it is.
pub async fn check(
    app: &App,
    org: &str,
    document: &Value,
    is_begun: bool,
) -> Result<Checked, Response> {
    let mut problems = refusals(document);
    let view = match CampaignView::read(document) {
        Ok(view) => Some(view),
        Err(found) => {
            problems.extend(found);
            None
        }
    };
    let mut assistant = Value::Null;
    if let Some(id) = document["assistantId"].as_str() {
        match resources::find(app, org, Kind::Assistant, id).await? {
            Some(found) => assistant = found,
            None => problems.push(format!("assistantId {id} does not name an assistant")),
        }
    }
    let mut lines = Vec::new();
    if let Some(view) = &view {
        lines.extend_from_slice(&view.lines);
        lines.extend_from_slice(&view.fallback_lines);
    }
    for id in lines {
        if resources::find(app, org, Kind::PhoneNumber, &id).await?.is_none() {
            problems.push(format!("phoneNumberId {id} does not name a phone number"));
        }
    }
    let mut listed = List::new(&assistant, document);
    let customers: Vec<_> = campaign::customers(document).collect();
    if customers.len() > campaign::CUSTOMERS_MAX {
        let max = campaign::CUSTOMERS_MAX;
        problems.push(format!(
            "customers must be no more than {max} at once; add further ones with POST /campaign/:id/contacts while the campaign is paused"
        ));
    }
    for (path, pool, customer) in customers {
        listed.add(&path, pool, customer, &mut problems);
    }
    if let Some(view) = &view {
        problems.extend(problems_of(view, &listed.contacts, is_begun));
    }
    if !problems.is_empty() {
        problems.truncate(MAX_VIOLATIONS);
        return Err(reply::bad_request(problems));
    }
    Ok(listed.checked())
}

/// Checks that a campaign may be begun whose contacts lie in the store.
pub fn check_start(view: &CampaignView, zones: Zones, of: BTreeSet<ZoneId>) -> Vec<String> {
    say(view.plan.problems(now(), of, &Clocks(&zones)), &zones)
}

/// Customers on their way onto a list.
pub struct List {
    pub contacts: Vec<ContactRow>,
    lacking: Lacking,
    paths: HashMap<NumberKey, String>,
    warnings: Vec<String>,
    needs_zone: bool,
    time_zone: Option<String>,
}

impl List {
    pub fn new(assistant: &Value, document: &Value) -> Self {
        let dialing = &document["dialingPlan"];
        let windows = dialing["windows"].as_array().is_some_and(|windows| !windows.is_empty());
        let holidays = dialing["holidays"].as_array().is_some_and(|days| !days.is_empty());
        Self {
            contacts: Vec::new(),
            lacking: Lacking::new(assistant, document.get("assistantOverrides")),
            paths: HashMap::new(),
            warnings: Vec::new(),
            needs_zone: windows || holidays,
            time_zone: dialing["timeZone"].as_str().map(str::to_owned),
        }
    }

    /// Takes a customer, or says what is wrong with it. A number is taken once.
    pub fn add(&mut self, path: &str, pool: u16, customer: &Value, problems: &mut Vec<String>) {
        let row = match ContactRow::read(customer, pool) {
            Ok(row) => row,
            Err(problem) => {
                problems.push(format!("{path}.{problem}"));
                return;
            }
        };
        if customer["numberE164CheckEnabled"].as_bool() == Some(false) {
            problems.push(format!(
                "{path}.numberE164CheckEnabled must be true: a campaign calls numbers in E.164 format"
            ));
        }
        if customer.get("squadOverrides").is_some_and(|it| !it.is_null()) {
            problems.push(format!(
                "{path}.squadOverrides is not acted on by this version; use assistantOverrides"
            ));
        }
        let credentials = &customer["assistantOverrides"]["credentials"];
        if !credentials.is_null() {
            problems.push(format!(
                "{path}.assistantOverrides.credentials should not exist; give credentials in the campaign's assistantOverrides"
            ));
        }
        let (own, plan) = (row.time_zone.as_deref(), self.time_zone.as_deref());
        if self.needs_zone && !Zones::can_tell(row.number, own, plan) {
            problems.push(format!(
                "{path}.number does not tell its time zone; give timeZone, or dialingPlan.timeZone for all such numbers"
            ));
        }
        if let Some(first) = self.paths.get(&row.number) {
            self.warnings.push(format!("{path}.number is that of {first}: it is called once"));
            return;
        }
        self.paths.insert(row.number, path.to_owned());
        self.lacking.see(customer);
        self.contacts.push(row);
    }

    pub fn checked(self) -> Checked {
        let mut warnings = self.warnings;
        let more = warnings.len().saturating_sub(WARNINGS_MAX);
        warnings.truncate(WARNINGS_MAX);
        if more > 0 {
            warnings.push(format!("{more} further numbers are repeated: each is called once"));
        }
        warnings.extend(self.lacking.warnings().take(WARNINGS_MAX));
        Checked { contacts: self.contacts, warnings }
    }
}

fn refusals(document: &Value) -> Vec<String> {
    let given = |field: &str| document.get(field).is_some_and(|value| !value.is_null());
    let not_yet = NOT_YET.iter().filter(|(field, _)| given(field));
    let mut problems: Vec<String> = not_yet
        .map(|(field, instead)| format!("{field} is not acted on by this version; {instead}"))
        .collect();
    if !given("assistantId") && !given("squadId") && !given("workflowId") {
        problems.push("assistantId must be given: a campaign's calls need an assistant".into());
    }
    match (given("phoneNumberId"), given("dialPlan")) {
        (true, true) => {
            problems.push("phoneNumberId and dialPlan cannot be given together".into());
        }
        (false, false) => problems.push("phoneNumberId or dialPlan must be given".into()),
        (true, false) | (false, true) => {}
    }
    if given("dialPlan") && given("customers") {
        problems.push("customers must be in the entries of dialPlan when there is one".into());
    }
    problems
}

fn problems_of(view: &CampaignView, contacts: &[ContactRow], is_begun: bool) -> Vec<String> {
    let mut zones = Zones::default();
    let plan_zone = view.time_zone.as_deref();
    let of: BTreeSet<ZoneId> = contacts
        .iter()
        .map(|row| zones.of(row.number, row.time_zone.as_deref(), plan_zone))
        .collect();
    let problems = view.plan.problems(now(), of, &Clocks(&zones));
    let matters = |problem: &Problem| is_begun || *problem != Problem::NoContacts;
    say(problems.into_iter().filter(matters), &zones)
}

fn say(problems: impl IntoIterator<Item = Problem>, zones: &Zones) -> Vec<String> {
    let said = problems.into_iter().map(|problem| match problem {
        Problem::NeverOpens { zone } => {
            format!("dialingPlan: no calling window ever opens in {}", zones.name(zone))
        }
        Problem::OpensTooLate { zone, opens } => {
            let opens = i64::try_from(opens.as_millis()).unwrap_or(i64::MAX);
            format!(
                "dialingPlan: the first calling window in {} opens at {}, not before schedulePlan.latestAt",
                zones.name(zone),
                time::iso8601(opens)
            )
        }
        Problem::NoContacts => "customers must be given: there is nobody to call".into(),
        Problem::NoLines { .. }
        | Problem::NoConcurrency
        | Problem::NoRate { .. }
        | Problem::BadShare { .. }
        | Problem::Attempts { .. }
        | Problem::NoAttemptsBy { .. }
        | Problem::BadWindow { .. }
        | Problem::LatestBeforeEarliest
        | Problem::TooLate => problem.to_string(),
    });
    said.collect()
}

fn now() -> WallTime {
    WallTime::from_millis(u64::try_from(now_ms()).unwrap_or_default())
}

/// Clocks alone: who may be called is asked when somebody is.
struct Clocks<'z>(&'z Zones);

impl Outside for Clocks<'_> {
    fn offsets_s(&self, zone: ZoneId, at: WallTime) -> (i32, i32) {
        self.0.offsets_s(zone, at)
    }

    fn is_barred(&self, _: NumberKey) -> bool {
        false
    }

    fn calls_elsewhere(&self, _: NumberKey, _: WallTime) -> u32 {
        0
    }
}
