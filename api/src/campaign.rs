//! Campaigns: what their documents ask for, and who is on their list.

mod contact;
mod message;
mod rules;
pub mod variables;
mod zones;

use std::{collections::HashSet, sync::Arc};

use offhook_core::campaign::{LineId, Plan, WallTime};
use serde_json::Value;

use crate::{ServerTarget, lenient, time};

pub use self::{
    contact::{ContactRow, RowError, number_key, number_of},
    message::{contact_status, ended_reason, fact_message, phase_status, predial_message},
    zones::Zones,
};

/// Customers that one request may bring (`CreateCampaignDTO.customers`).
pub const CUSTOMERS_MAX: usize = 10_000;

/// What a campaign's document asks for.
#[derive(Clone, Debug)]
pub struct CampaignView {
    pub plan: Plan,
    /// Ids of the phone numbers that calls come from; a [`LineId`] is a place in it.
    pub lines: Vec<Arc<str>>,
    /// Phone numbers that take over where a carrier refuses a call, in their order.
    pub fallback_lines: Vec<Arc<str>>,
    pub assistant_id: Option<Arc<str>>,
    /// The zone of numbers that do not tell their own.
    pub time_zone: Option<String>,
    pub server: Option<ServerTarget>,
    messages: Option<HashSet<String>>,
}

impl CampaignView {
    /// Reads a document that the contract allows.
    ///
    /// # Errors
    ///
    /// Every setting that cannot be acted on, by its path.
    pub fn read(document: &Value) -> Result<Self, Vec<String>> {
        let mut problems = Vec::new();
        let dialing = lenient::get(document, "dialingPlan").unwrap_or(&Value::Null);
        let (lines, pools) = lines(document, dialing);
        let server = lenient::get(document, "server").and_then(ServerTarget::read);
        let predial = lenient::get(document, "predialPlan");
        let has_predial = predial.is_some_and(|plan| plan["enabled"].as_bool() != Some(false));
        if has_predial && server.is_none() {
            problems.push("predialPlan needs a server with a url to ask".into());
        }
        let mut plan = Plan { pools, has_predial, ..Plan::default() };
        rules::read(dialing, &mut plan, &mut problems);
        if let Some(concurrency) = lenient::get(document, "maxConcurrency").and_then(Value::as_f64)
        {
            plan.concurrency_max = lenient::count(concurrency);
        }
        let schedule = lenient::get(document, "schedulePlan").unwrap_or(&Value::Null);
        plan.earliest = moment(schedule, "earliestAt");
        plan.latest = moment(schedule, "latestAt");
        let time_zone = lenient::text(dialing, "timeZone").map(str::to_owned);
        if let Some(zone) = &time_zone
            && !zones::is_known(zone)
        {
            problems.push(format!(
                "dialingPlan.timeZone: `{zone}` is no IANA time zone, expected one like America/New_York"
            ));
        }
        let view = Self {
            plan,
            lines,
            fallback_lines: ids(dialing, "fallbackPhoneNumberIds").collect(),
            assistant_id: lenient::text(document, "assistantId").map(Into::into),
            time_zone,
            server,
            messages: lenient::get(document, "serverMessages")
                .and_then(Value::as_array)
                .map(|names| names.iter().filter_map(Value::as_str).map(str::to_owned).collect()),
        };
        if problems.is_empty() { Ok(view) } else { Err(problems) }
    }

    /// Whether its server is told of events of this name: of all, unless the document lists some.
    pub fn tells(&self, event: &str) -> bool {
        self.server.is_some()
            && self.messages.as_ref().is_none_or(|messages| messages.contains(event))
    }

    /// The phone number that a line stands for.
    pub fn line(&self, line: LineId) -> Option<&Arc<str>> {
        self.lines.get(usize::from(line.0))
    }
}

/// The customers of a document with the place of their line's pool, and where they stand in it.
pub fn customers(document: &Value) -> impl Iterator<Item = (String, u16, &Value)> {
    let plain = document.get("customers").map(listed).into_iter().flatten().enumerate();
    let plain = plain.map(|(index, customer)| (format!("customers.{index}"), 0, customer));
    let entries = document.get("dialPlan").map(listed).into_iter().flatten().enumerate();
    let entries = entries.flat_map(move |(pool, entry)| {
        let customers = entry.get("customers").map(listed).into_iter().flatten().enumerate();
        customers.map(move |(index, customer)| {
            let path = format!("dialPlan.{pool}.customers.{index}");
            (path, u16::try_from(pool).unwrap_or(u16::MAX), customer)
        })
    });
    plain.chain(entries)
}

fn listed(value: &Value) -> std::slice::Iter<'_, Value> {
    value.as_array().map_or(&[][..], Vec::as_slice).iter()
}

/// Takes the customers out of a document: they lie in rows of their own.
pub fn without_customers(document: &mut Value) {
    let Value::Object(fields) = document else { return };
    fields.shift_remove("customers");
    let entries = fields.get_mut("dialPlan").and_then(Value::as_array_mut);
    for entry in entries.into_iter().flatten() {
        if let Value::Object(entry) = entry {
            entry.shift_remove("customers");
        }
    }
}

/// The phone numbers of a campaign, and which of them take turns for whom.
fn lines(document: &Value, dialing: &Value) -> (Vec<Arc<str>>, Vec<Vec<LineId>>) {
    let mut lines: Vec<Arc<str>> = Vec::new();
    let mut line_of = |id: Arc<str>| {
        let place = lines.iter().position(|known| *known == id).unwrap_or_else(|| {
            lines.push(id);
            lines.len() - 1
        });
        LineId(u16::try_from(place).unwrap_or(u16::MAX))
    };
    let entries = lenient::get(document, "dialPlan").and_then(Value::as_array);
    let pools = match entries {
        Some(entries) => entries
            .iter()
            .map(|entry| lenient::text(entry, "phoneNumberId"))
            .map(|id| id.map(|id| line_of(id.into())).into_iter().collect())
            .collect(),
        None => {
            let first = lenient::text(document, "phoneNumberId").map(Arc::from);
            let turns = ids(dialing, "phoneNumberIds");
            let mut pool: Vec<LineId> = Vec::new();
            for line in first.into_iter().chain(turns).map(line_of) {
                if !pool.contains(&line) {
                    pool.push(line);
                }
            }
            vec![pool]
        }
    };
    (lines, pools)
}

fn ids<'v>(value: &'v Value, field: &str) -> impl Iterator<Item = Arc<str>> + use<'v> {
    let ids = lenient::get(value, field).and_then(Value::as_array);
    ids.into_iter().flatten().filter_map(Value::as_str).map(Arc::from)
}

fn moment(schedule: &Value, field: &str) -> Option<WallTime> {
    let at = time::parse(lenient::text(schedule, field)?)?;
    Some(WallTime::from_millis(u64::try_from(at.as_millisecond()).unwrap_or(0)))
}

#[cfg(test)]
mod tests;
