use offhook_core::campaign::{Calendar, NumberKey, Opening};
use serde_json::json;

use super::*;

#[test]
fn a_document_becomes_a_plan() {
    let view = CampaignView::read(&json!({
        "name": "x", "assistantId": "a", "phoneNumberId": "p", "maxConcurrency": 7,
        "schedulePlan": {"earliestAt": "2026-12-01T09:00:00Z", "latestAt": "2026-12-02T09:00:00Z"},
        "server": {"url": "https://a.example"}, "serverMessages": ["contact.completed"],
        "predialPlan": {},
        "dialingPlan": {
            "windows": [{"days": ["mon", "fri"], "from": "09:30", "to": "24:00"}],
            "holidays": ["1970-01-02"], "timeZone": "Europe/Berlin", "callsPerSecond": 2.5,
            "attempts": {"perContact": 3, "perContactPerDay": 1, "perNumberPerWeek": 9},
            "retries": {"noAnswer": {"retries": 2, "backoffSeconds": 60}},
            "phoneNumberIds": ["q", "p"], "fallbackPhoneNumberIds": ["r"],
        },
    }))
    .unwrap();
    let plan = &view.plan;
    assert_eq!((plan.concurrency_max, plan.calls_per_second_max), (7, 2.5));
    assert!(plan.has_predial && plan.earliest < plan.latest);
    assert_eq!(plan.calendar.windows[0].days.0, [true, false, false, false, true, false, false]);
    let window = plan.calendar.windows[0];
    assert_eq!((window.from_minute, window.to_minute), (9 * 60 + 30, 24 * 60));
    assert_eq!(plan.calendar.holidays.first().unwrap().0, 1);
    assert_eq!((plan.caps.attempts, plan.caps.per_day), (3, Some(1)));
    assert_eq!(plan.retries.no_answer.wait(2).unwrap().as_secs(), 120);
    assert_eq!(plan.retries.busy.wait(1), None);
    assert_eq!(plan.pools, [[LineId(0), LineId(1)]]);
    assert_eq!(&*view.lines[1], "q");
    assert!(view.tells("contact.completed") && !view.tells("campaign.started"));
}

#[test]
fn every_setting_that_cannot_be_acted_on_is_named() {
    let problems = CampaignView::read(&json!({
        "predialPlan": {"enabled": true},
        "dialingPlan": {
            "windows": [{"from": "9 am", "to": "17:00"}, {"from": "09:00", "to": "25:00"}],
            "holidays": ["Christmas"], "timeZone": "Middle Earth",
        },
    }))
    .unwrap_err();
    assert_eq!(
        problems,
        [
            "predialPlan needs a server with a url to ask",
            "dialingPlan.windows.0.from must be a time of day like 09:00, at most 24:00",
            "dialingPlan.windows.1.to must be a time of day like 09:00, at most 24:00",
            "dialingPlan.holidays.0 must be a date like 2026-12-25",
            "dialingPlan.timeZone: `Middle Earth` is no IANA time zone, expected one like America/New_York",
        ]
    );
}

#[test]
fn entries_of_a_dial_plan_have_lines_of_their_own() {
    let document = json!({"dialPlan": [
        {"phoneNumberId": "p", "customers": [{"number": "+14155550100"}]},
        {"phoneNumberId": "q", "customers": [{"number": "+14155550101"}, {"number": "+14155550102"}]},
    ]});
    let view = CampaignView::read(&document).unwrap();
    assert_eq!(view.plan.pools, [[LineId(0)], [LineId(1)]]);
    let all: Vec<_> = customers(&document).map(|(path, pool, _)| (path, pool)).collect();
    assert_eq!(all[2], ("dialPlan.1.customers.1".into(), 1));
    let mut rest = document;
    without_customers(&mut rest);
    assert_eq!(rest, json!({"dialPlan": [{"phoneNumberId": "p"}, {"phoneNumberId": "q"}]}));
}

#[test]
fn a_contact_comes_back_from_its_row() {
    let customer = json!({"number": "+4930123456", "name": "Ada", "timeZone": "Asia/Tokyo"});
    let row = ContactRow::read(&customer, 3).unwrap();
    let bytes = row.encode();
    assert_eq!(ContactRow::decode(&bytes), Some(row));
    let head = ContactRow::decode_head(&bytes).unwrap();
    assert_eq!(head, (NumberKey(4_930_123_456), 3, Some("Asia/Tokyo")));
    assert_eq!(ContactRow::decode(&bytes[..9]), None);
}

#[test]
fn whoever_cannot_be_called_is_told_why() {
    for (customer, expected) in [
        (json!({}), RowError::NoNumber),
        (json!({"sipUri": "sip:a@b"}), RowError::Sip),
        (json!({"number": "4155550100"}), RowError::NotE164),
        (json!({"number": "+0155550100"}), RowError::NotE164),
        (json!({"number": "+1 415 555 0100"}), RowError::NotE164),
        (json!({"number": "+1415555010012345"}), RowError::NotE164),
        (json!({"number": "+14155550100", "timeZone": "PST8"}), RowError::Zone("PST8".into())),
    ] {
        assert_eq!(ContactRow::read(&customer, 0), Err(expected), "{customer}");
    }
}

#[test]
fn numbers_that_may_be_in_two_zones_have_the_clocks_of_both() {
    let mut zones = Zones::default();
    let lisbon = zones.of(NumberKey(351_912_345_678), None, None);
    let summer = WallTime::from_millis(1_782_900_000_000);
    assert_eq!(zones.offsets_s(lisbon, summer), (0, 3_600));
    let free = zones.of(NumberKey(18_005_550_100), None, Some("America/Denver"));
    assert_eq!(zones.name(free), "America/Denver");
    assert!(!Zones::can_tell(NumberKey(18_005_550_100), None, None));
    let own = zones.of(NumberKey(351_912_345_678), Some("Asia/Tokyo"), None);
    assert_eq!(zones.offsets_s(own, summer), (32_400, 32_400));
    let always = Calendar::default();
    let opening = always.opening(summer, |at| zones.offsets_s(own, at));
    assert!(matches!(opening, Opening::Open { .. }));
}
