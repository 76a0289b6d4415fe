//! Where the people of a campaign live, as far as their clocks go.

use std::collections::HashMap;

use jiff::{Timestamp, tz::TimeZone};
use offhook_core::campaign::{NumberKey, WallTime, ZoneId};

use super::number_of;
use crate::phone_zones;

/// The zones of a campaign; a [`ZoneId`] is a place in it. Where a number's digits mean one of several
/// zones, these are one.
#[derive(Clone, Debug, Default)]
pub struct Zones {
    zones: Vec<Zone>,
    places: HashMap<String, ZoneId>,
}

#[derive(Clone, Debug)]
struct Zone {
    /// Its IANA names.
    name: String,
    clocks: Vec<TimeZone>,
}

/// What a number is filed under whose zone nobody knows and that no plan tells.
const UNKNOWN: &str = "UTC";

/// Whether there is a time zone of this IANA name.
pub fn is_known(name: &str) -> bool {
    TimeZone::get(name).is_ok()
}

impl Zones {
    /// The zone of a number: its own, that of its digits, or the plan's.
    pub fn of(&mut self, number: NumberKey, own: Option<&str>, plan: Option<&str>) -> ZoneId {
        if let Some(own) = own {
            return self.named(&[own]);
        }
        let zones = phone_zones(&number_of(number));
        if zones.is_empty() { self.named(&[plan.unwrap_or(UNKNOWN)]) } else { self.named(&zones) }
    }

    /// Whether somebody's zone can be told at all.
    pub fn can_tell(number: NumberKey, own: Option<&str>, plan: Option<&str>) -> bool {
        own.is_some() || plan.is_some() || !phone_zones(&number_of(number)).is_empty()
    }

    /// How far clocks are ahead of UTC, in seconds, the least and the most.
    pub fn offsets_s(&self, zone: ZoneId, at: WallTime) -> (i32, i32) {
        let at = i64::try_from(at.as_millis()).ok();
        let at = at.and_then(|ms| Timestamp::from_millisecond(ms).ok()).unwrap_or(Timestamp::MAX);
        let clocks = self.zones.get(usize::from(zone.0)).map_or(&[][..], |zone| &zone.clocks);
        let offsets = clocks.iter().map(|clock| clock.to_offset(at).seconds());
        let (least, most) = (offsets.clone().min(), offsets.max());
        (least.unwrap_or_default(), most.unwrap_or_default())
    }

    /// The IANA names of a zone.
    pub fn name(&self, zone: ZoneId) -> &str {
        self.zones.get(usize::from(zone.0)).map_or(UNKNOWN, |zone| &zone.name)
    }

    fn named(&mut self, names: &[&str]) -> ZoneId {
        let name = names.join(", ");
        if let Some(&known) = self.places.get(&name) {
            return known;
        }
        // There are some hundred zones, and fewer combinations of them in the table of numbers.
        let id = ZoneId(u16::try_from(self.zones.len()).expect("zones are few"));
        let clocks = names.iter().filter_map(|name| TimeZone::get(name).ok()).collect();
        self.zones.push(Zone { name: name.clone(), clocks });
        self.places.insert(name, id);
        id
    }
}
