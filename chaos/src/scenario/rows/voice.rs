use std::time::Duration;

use offhook_core::FailureClass;

use super::{at_most, usual, with};
use crate::scenario::{
    Measure, Plan, Row,
    fault::{Fault, Timed, Trouble, When, Who},
    row::Form,
};

const FIRST: Who = Who::voice(1);

pub const ROWS: &[Row] = &[
    Row {
        name: "tts_dies_mid_sentence",
        promise: "the fallback voice continues at the first word not delivered; no word twice, \
                  none missing; audible gap at most 400 ms, none where the leg still had audio to \
                  play",
        plan: dies_mid_sentence,
        bounds: &with::<6>(at_most(Measure::Gap, 400.0)),
        form: Form::Both,
    },
    Row {
        name: "tts_accepts_and_says_nothing",
        promise: "noticed on the first reply within 1.2 s, even when the socket reports no error",
        plan: says_nothing,
        bounds: &with::<6>(at_most(Measure::VoiceReplaced, 1_200.0)),
        form: Form::Both,
    },
];

/// Between two words or in the middle of one; the voice is gone for good in two of three runs.
fn dies_mid_sentence(seed: u64) -> Plan {
    let (mut plan, chance) = usual("tts_dies_mid_sentence", seed);
    let quarters = chance.below(4) as f32 / 4.0;
    let when = When::Words { of: FIRST, count: (1 + chance.below(34)) as f32 + quarters };
    if !chance.percent(33) {
        let class = chance.pick(&[
            FailureClass::Unavailable,
            FailureClass::Quota,
            FailureClass::Unauthorized,
        ]);
        let trouble = Trouble::Refuses(class);
        plan.faults
            .push(Timed { when, fault: Fault::Trouble { who: FIRST, trouble, lasts: None } });
    }
    plan.faults.push(Timed { when, fault: Fault::Drop { who: FIRST } });
    plan
}

fn says_nothing(seed: u64) -> Plan {
    let (mut plan, chance) = usual("tts_accepts_and_says_nothing", seed);
    let trouble = chance.pick(&[Trouble::Mute, Trouble::HalfOpen]);
    let when = When::At(Duration::ZERO);
    plan.faults.push(Timed { when, fault: Fault::Trouble { who: FIRST, trouble, lasts: None } });
    plan
}
