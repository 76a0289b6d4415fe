use std::time::Duration;

use offhook_core::FailureClass;

use super::{NO_WORD_LOST, at_most, usual, with};
use crate::{
    chance::Chance,
    scenario::{
        Measure, Plan, Row,
        fault::{Fault, ReceiverTrouble, Timed, Trouble, When, Who},
        plan::{Doing, Ending},
        row::Form,
        world::TOOL_TIMEOUT_S,
    },
};

const FIRST: Who = Who::model(1);

/// How long the caller waits for what a tool brings.
const TOOL_WAIT: Duration = Duration::from_secs(TOOL_TIMEOUT_S + 4);

/// Longest silence that a caller may meet while a model fails.
const DEAD_AIR_MS: f64 = 5_000.0;

pub const ROWS: &[Row] = &[
    Row {
        name: "llm_dies_mid_stream",
        promise: "the reply continues after what was already spoken; no clause twice; no tool \
                  called twice",
        plan: dies_mid_stream,
        bounds: &with::<6>(at_most(Measure::DeadAir, DEAD_AIR_MS)),
        form: Form::Both,
    },
    Row {
        name: "llm_slow",
        promise: "a hedge starts at the provider's rolling p95 time to first token (floor 400 ms, \
                  cap 1.2 s, at most 5 % extra requests); the loser is cancelled and its output \
                  never heard",
        plan: slow,
        bounds: &with::<6>(at_most(Measure::Hedge, 1_200.0)),
        form: Form::Both,
    },
    Row {
        name: "llm_5xx",
        promise: "next model, or the same after retry-after when that is shorter; the caller hears \
                  a filler after 2.5 s of our silence, never more than 5 s of dead air",
        plan: fails,
        bounds: &with::<6>(at_most(Measure::DeadAir, DEAD_AIR_MS)),
        form: Form::Both,
    },
    Row {
        name: "llm_429",
        promise: "next model, or the same after retry-after when that is shorter; the caller hears \
                  a filler after 2.5 s of our silence, never more than 5 s of dead air",
        plan: rate_limited,
        bounds: &with::<6>(at_most(Measure::DeadAir, DEAD_AIR_MS)),
        form: Form::Both,
    },
    Row {
        name: "tool_hangs",
        promise: "the tool's own time-out and spoken messages; the conversation goes on; the model \
                  is told the truth",
        plan: tool_hangs,
        bounds: &NO_WORD_LOST,
        form: Form::Both,
    },
    Row {
        name: "tool_5xx",
        promise: "the tool's own time-out and spoken messages; the conversation goes on; the model \
                  is told the truth",
        plan: tool_fails,
        bounds: &NO_WORD_LOST,
        form: Form::Both,
    },
];

/// In mid-reply, for good or for once.
fn dies_mid_stream(seed: u64) -> Plan {
    let (mut plan, chance) = usual("llm_dies_mid_stream", seed);
    let when = When::Words { of: FIRST, count: (1 + chance.below(20)) as f32 };
    if !chance.percent(33) {
        let trouble = Trouble::Refuses(FailureClass::Unavailable);
        plan.faults
            .push(Timed { when, fault: Fault::Trouble { who: FIRST, trouble, lasts: None } });
    }
    plan.faults.push(Timed { when, fault: Fault::Drop { who: FIRST } });
    plan
}

fn slow(seed: u64) -> Plan {
    let (mut plan, chance) = usual("llm_slow", seed);
    // The rolling p95 needs replies in usual time to roll over.
    plan.caller = (0..4).map(Doing::Ask).collect();
    let by = chance.between(Duration::from_secs(3), Duration::from_secs(9));
    let when = When::Words { of: FIRST, count: 30.0 };
    let fault = Fault::Trouble { who: FIRST, trouble: Trouble::Late(by), lasts: None };
    plan.faults.push(Timed { when, fault });
    plan
}

fn refused(plan: &mut Plan, chance: &Chance, class: FailureClass) {
    let lasts = chance
        .percent(50)
        .then(|| chance.between(Duration::from_millis(500), Duration::from_secs(20)));
    let when = match chance.percent(30) {
        true => When::At(Duration::ZERO),
        false => When::Words { of: FIRST, count: (1 + chance.below(12)) as f32 },
    };
    let trouble = Trouble::Refuses(class);
    plan.faults.push(Timed { when, fault: Fault::Trouble { who: FIRST, trouble, lasts } });
}

fn fails(seed: u64) -> Plan {
    let (mut plan, chance) = usual("llm_5xx", seed);
    refused(&mut plan, &chance, FailureClass::Unavailable);
    plan
}

fn rate_limited(seed: u64) -> Plan {
    let (mut plan, chance) = usual("llm_429", seed);
    let retry_after = chance
        .percent(70)
        .then(|| chance.between(Duration::from_millis(200), Duration::from_secs(30)));
    refused(&mut plan, &chance, FailureClass::RateLimited { retry_after });
    plan
}

fn asks_for_tool(name: &'static str, seed: u64, trouble: ReceiverTrouble) -> Plan {
    let (mut plan, _) = usual(name, seed);
    // Past the tool's time-out and what the model says then: the caller waits for it.
    plan.caller.splice(0..0, [Doing::AskForTool, Doing::Wait(TOOL_WAIT)]);
    plan.caller.retain(|doing| !matches!(doing, Doing::Interrupt { .. }));
    plan.ending = Ending::ToolFailed;
    plan.faults.push(Timed { when: When::At(Duration::ZERO), fault: Fault::Tool(trouble) });
    plan
}

fn tool_hangs(seed: u64) -> Plan {
    asks_for_tool("tool_hangs", seed, ReceiverTrouble::Hangs)
}

fn tool_fails(seed: u64) -> Plan {
    let trouble = match seed % 3 {
        0 => ReceiverTrouble::Down,
        1 => ReceiverTrouble::Answers(500),
        _ => ReceiverTrouble::Answers(503),
    };
    asks_for_tool("tool_5xx", seed, trouble)
}
