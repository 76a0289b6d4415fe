use std::time::Duration;

use offhook_core::{FailureClass, Stage};

use super::{at_most, usual, with};
use crate::{
    chance::Chance,
    scenario::{
        Bound, Measure, Plan, Row,
        fault::{Fault, Timed, Trouble, When, Who},
        plan::Ending,
        row::Form,
    },
};

const FIRST: Who = Who::transcriber(1);

pub const ROWS: &[Row] = &[
    Row {
        name: "stt_drop_mid_utterance",
        promise: "0 words lost for any drop shorter than the ring (30 s); next provider \
                  transcribing within 300 ms of the error",
        plan: drop_mid_utterance,
        bounds: &with::<6>(at_most(Measure::TranscribingAgain, 300.0)),
        form: Form::Both,
    },
    Row {
        name: "stt_silent_half_open",
        promise: "a stream that stays silent while VAD hears speech is replaced within 1.5 s; 0 \
                  words lost",
        plan: silent_half_open,
        bounds: &with::<6>(at_most(Measure::SilenceNoticed, 1_500.0)),
        form: Form::Both,
    },
    Row {
        name: "stt_refuses_all",
        promise: "every candidate refused: the caller hears an apology, the call ends with the \
                  right reason within 5 s; nothing hangs",
        plan: refuses_all,
        bounds: &[at_most(Measure::End, 5_000.0), at_most(Measure::WordsRepeated, 0.0)],
        form: Form::Both,
    },
    Row {
        name: "stt_rate_capped_replay",
        promise: "a provider that closes on audio faster than 1.25x real time gets it at its own \
                  rate (or through its batch endpoint) and still loses nothing",
        plan: rate_capped_replay,
        bounds: NOTHING_LOST,
        form: Form::Both,
    },
];

const NOTHING_LOST: &[Bound] = &super::NO_WORD_LOST;

fn mid_utterance(chance: &Chance) -> When {
    When::Words { of: FIRST, count: (2 + chance.below(18)) as f32 }
}

/// The first transcriber drops its session, and refuses another in two of three runs.
fn drop_mid_utterance(seed: u64) -> Plan {
    let (mut plan, chance) = usual("stt_drop_mid_utterance", seed);
    let when = mid_utterance(&chance);
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

fn silent_half_open(seed: u64) -> Plan {
    let (mut plan, chance) = usual("stt_silent_half_open", seed);
    let trouble = chance.pick(&[Trouble::Mute, Trouble::HalfOpen]);
    let fault = Fault::Trouble { who: FIRST, trouble, lasts: None };
    plan.faults.push(Timed { when: mid_utterance(&chance), fault });
    plan
}

/// All refuse from the beginning, or from the middle of a sentence on.
fn refuses_all(seed: u64) -> Plan {
    let (mut plan, chance) = usual("stt_refuses_all", seed);
    plan.ending = Ending::Apology(Stage::Transcriber);
    let class = chance.pick(&[
        FailureClass::Unavailable,
        FailureClass::Quota,
        FailureClass::Unauthorized,
        FailureClass::Timeout,
    ]);
    let when = match chance.percent(50) {
        true => When::At(Duration::ZERO),
        false => mid_utterance(&chance),
    };
    for nth in 1..=plan.cast.providers {
        let who = Who::transcriber(nth);
        let trouble = Trouble::Refuses(class);
        plan.faults.push(Timed { when, fault: Fault::Trouble { who, trouble, lasts: None } });
        plan.faults.push(Timed { when, fault: Fault::Drop { who } });
    }
    plan
}

/// As a drop in mid-utterance, with seconds of audio to replay to a provider that is particular. All
/// refuse for a while, and not for as long as `stt_refuses_all` ends a call for.
fn rate_capped_replay(seed: u64) -> Plan {
    let (mut plan, chance) = usual("stt_rate_capped_replay", seed);
    plan.cast.stt_rate_capped = true;
    let when = mid_utterance(&chance);
    let lasts = Some(chance.between(Duration::from_millis(300), Duration::from_millis(1_400)));
    for nth in 1..=plan.cast.providers {
        let who = Who::transcriber(nth);
        let trouble = Trouble::Refuses(FailureClass::Unavailable);
        plan.faults.push(Timed { when, fault: Fault::Trouble { who, trouble, lasts } });
    }
    plan.faults.push(Timed { when, fault: Fault::Drop { who: FIRST } });
    plan
}
