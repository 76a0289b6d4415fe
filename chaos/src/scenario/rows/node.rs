use std::time::Duration;

use offhook_core::{FailureClass, Stage};

use super::{NO_WORD_LOST, at_most, usual, with};
use crate::scenario::{
    Measure, Plan, Row,
    fault::{Fault, ReceiverTrouble, Timed, Trouble, When, Who},
    row::Form,
};

/// Attempts at a provider that is down, over all calls of a herd.
const HERD_ATTEMPTS: f64 = 60.0;

pub const ROWS: &[Row] = &[
    Row {
        name: "webhook_down",
        promise: "every server event is delivered after the receiver is back, in order per call, \
                  with an idempotency id; the call never waits for it",
        plan: webhook_down,
        bounds: &with::<6>(at_most(Measure::Undelivered, 0.0)),
        form: Form::Both,
    },
    Row {
        name: "outage_second_call",
        promise: "after one call saw the outage, later calls skip that provider at once (0 ms) \
                  until a probe off the call path succeeds",
        plan: outage_second_call,
        bounds: &with::<6>(at_most(Measure::AskedInVain, 0.0)),
        form: Form::Both,
    },
    Row {
        name: "breaker_recovers",
        promise: "the primary is used again after it is healthy, without a live caller as the \
                  guinea pig",
        plan: breaker_recovers,
        bounds: &with::<6>(at_most(Measure::LeftOut, 0.0)),
        form: Form::Both,
    },
    Row {
        name: "process_killed",
        promise: "kill -9 in mid-call: after restart (or on another node) the phone call continues \
                  within 3 s of the process being up, conversation intact, with a spoken bridge; \
                  calls that cannot be resumed end with a reason and their end-of-call report is \
                  delivered",
        plan: |seed| usual("process_killed", seed).0,
        bounds: &[
            at_most(Measure::WordsLost, 0.0),
            // Without marks, the last word that was heard is not known.
            at_most(Measure::WordsRepeated, 2.0),
            at_most(Measure::CallerWordsLost, 0.0),
            at_most(Measure::CallerWordsRepeated, 0.0),
            at_most(Measure::ToolsTwice, 0.0),
            at_most(Measure::Bridge, 3_000.0),
        ],
        form: Form::Sockets,
    },
    Row {
        name: "deploy",
        promise: "SIGTERM: no new calls, running ones finish or are handed over; none is cut off",
        plan: deploy,
        bounds: &NO_WORD_LOST,
        form: Form::Both,
    },
    Row {
        name: "disk_full",
        promise: "calls go on; what could not be journalled is counted and said",
        plan: disk_full,
        bounds: &NO_WORD_LOST,
        form: Form::Virtual,
    },
    Row {
        name: "store_slow",
        promise: "calls go on; what could not be journalled is counted and said",
        plan: store_slow,
        bounds: &NO_WORD_LOST,
        form: Form::Virtual,
    },
    Row {
        name: "clock_jumps",
        promise: "no effect on turn-taking beyond the lost audio itself",
        plan: clock_jumps,
        bounds: &NO_WORD_LOST,
        form: Form::Both,
    },
    Row {
        name: "thundering_herd",
        promise: "500 calls losing the same provider at once: no more than the breaker's budget of \
                  connection attempts, all calls served by the fallback",
        plan: thundering_herd,
        bounds: &with::<6>(at_most(Measure::Attempts, HERD_ATTEMPTS)),
        form: Form::Both,
    },
    Row {
        name: "dialer_killed",
        promise: "kill -9 at any instant of a campaign: nobody is dialled twice, nobody is \
                  forgotten",
        plan: |seed| usual("dialer_killed", seed).0,
        bounds: &NO_WORD_LOST,
        form: Form::Elsewhere("cargo nextest run --test campaigns --run-ignored all"),
    },
];

fn webhook_down(seed: u64) -> Plan {
    let (mut plan, chance) = usual("webhook_down", seed);
    let trouble = chance.pick(&[
        ReceiverTrouble::Down,
        ReceiverTrouble::Hangs,
        ReceiverTrouble::Answers(500),
        ReceiverTrouble::Answers(429),
    ]);
    let lasts = chance.between(Duration::from_secs(1), Duration::from_secs(90));
    let when = When::At(chance.between(Duration::ZERO, Duration::from_secs(12)));
    plan.faults.push(Timed { when, fault: Fault::Receiver { trouble, lasts } });
    plan
}

/// The provider that is down, of any stage.
fn outage(name: &'static str, seed: u64, lasts: Option<Duration>) -> Plan {
    let (mut plan, chance) = usual(name, seed);
    plan.cast.shared = true;
    plan.calls_before = 1;
    let stage = chance.pick(&[Stage::Transcriber, Stage::Voice, Stage::Model]);
    let who = Who { stage, nth: 1 };
    let trouble = Trouble::Refuses(FailureClass::Unavailable);
    let when = When::At(Duration::ZERO);
    plan.faults.push(Timed { when, fault: Fault::Trouble { who, trouble, lasts } });
    plan
}

fn outage_second_call(seed: u64) -> Plan {
    outage("outage_second_call", seed, None)
}

fn breaker_recovers(seed: u64) -> Plan {
    let mut plan = outage("breaker_recovers", seed, Some(Duration::from_secs(20)));
    plan.pause = Duration::from_secs(180);
    plan
}

fn deploy(seed: u64) -> Plan {
    let (mut plan, chance) = usual("deploy", seed);
    let when = When::At(chance.between(Duration::from_millis(100), Duration::from_secs(20)));
    plan.faults.push(Timed { when, fault: Fault::Drain });
    plan
}

fn disk_full(seed: u64) -> Plan {
    let (mut plan, chance) = usual("disk_full", seed);
    let lasts = chance.between(Duration::from_secs(1), Duration::from_secs(15));
    let when = When::At(chance.between(Duration::from_millis(50), Duration::from_secs(12)));
    plan.faults.push(Timed { when, fault: Fault::DiskFull { lasts } });
    plan
}

fn store_slow(seed: u64) -> Plan {
    let (mut plan, chance) = usual("store_slow", seed);
    let lasts = chance.between(Duration::from_millis(200), Duration::from_secs(10));
    let when = When::At(chance.between(Duration::from_millis(50), Duration::from_secs(12)));
    plan.faults.push(Timed { when, fault: Fault::DiskStalls { lasts } });
    plan
}

/// The process stands still for less than what is sent ahead of the caller's ear: a word that is cut
/// in two by silence is one that nobody understands, and no turn-taking can mend that.
fn clock_jumps(seed: u64) -> Plan {
    let (mut plan, chance) = usual("clock_jumps", seed);
    let time = chance.between(Duration::from_millis(20), Duration::from_millis(140));
    let when = When::At(chance.between(Duration::from_millis(500), Duration::from_secs(20)));
    plan.faults.push(Timed { when, fault: Fault::Standstill(time) });
    plan
}

/// All calls lose the same provider in the same moment.
fn thundering_herd(seed: u64) -> Plan {
    let (mut plan, chance) = usual("thundering_herd", seed);
    plan.calls = 50;
    plan.cast.shared = true;
    let who = chance.pick(&[Who::transcriber(1), Who::voice(1)]);
    let trouble = Trouble::Refuses(FailureClass::Unavailable);
    let when = When::At(chance.between(Duration::from_secs(4), Duration::from_secs(10)));
    plan.faults.push(Timed { when, fault: Fault::Trouble { who, trouble, lasts: None } });
    plan.faults.push(Timed { when, fault: Fault::Drop { who } });
    plan
}
