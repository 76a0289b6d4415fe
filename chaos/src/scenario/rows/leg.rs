use std::time::Duration;

use super::{NO_WORD_LOST, at_most, usual};
use crate::{
    chance::Chance,
    scenario::{
        Bound, Measure, Plan, Row,
        fault::{Fault, Timed, When},
        plan::{Doing, Ending},
        row::Form,
    },
};

/// A leg that is silent for 5 s is lost; its client may be back within 30 s after that.
const LEG_LOST_MS: f64 = 36_000.0;

pub const ROWS: &[Row] = &[
    Row {
        name: "leg_half_open",
        promise: "a carrier socket silent for 5 s is resumed or ended with the right reason; never \
                  a zombie",
        plan: half_open,
        bounds: &[at_most(Measure::End, LEG_LOST_MS)],
        form: Form::Both,
    },
    Row {
        name: "leg_reconnects",
        promise: "a dropped media socket is resumed by the carrier's own means (websocket client \
                  reconnect within 30 s) and the conversation goes on where it was",
        plan: reconnects,
        bounds: GOES_ON,
        form: Form::Both,
    },
    Row {
        name: "packet_loss",
        promise: "no effect on turn-taking beyond the lost audio itself",
        plan: packet_loss,
        bounds: &NO_WORD_LOST,
        form: Form::Virtual,
    },
    Row {
        name: "out_of_order",
        promise: "no effect on turn-taking beyond the lost audio itself",
        plan: late_audio,
        bounds: &NO_WORD_LOST,
        form: Form::Virtual,
    },
];

/// Words heard twice at the seam, at most: without marks, the last word that was heard is not known.
const SEAM_WORDS: usize = 2;

const GOES_ON: &[Bound] = &[
    at_most(Measure::WordsLost, 0.0),
    at_most(Measure::WordsRepeated, SEAM_WORDS as f64),
    at_most(Measure::CallerWordsLost, 0.0),
    at_most(Measure::CallerWordsRepeated, 0.0),
    at_most(Measure::ToolsTwice, 0.0),
];

/// The client does not come back.
fn half_open(seed: u64) -> Plan {
    let (mut plan, chance) = usual("leg_half_open", seed);
    plan.ending = Ending::LegLost;
    let when = When::At(chance.between(Duration::from_secs(1), Duration::from_secs(15)));
    plan.faults.push(Timed { when, fault: Fault::LegHalfOpen { back_after: None } });
    plan
}

/// While the agent greets the caller: what one says without a socket is lost with it. A greeting is
/// two seconds long, and not asked of the voice again in the next call.
fn while_agent_speaks(chance: &Chance) -> When {
    When::At(chance.between(Duration::from_millis(600), Duration::from_millis(2_000)))
}

fn reconnects(seed: u64) -> Plan {
    let (mut plan, chance) = usual("leg_reconnects", seed);
    let back_after = chance.between(Duration::from_millis(200), Duration::from_secs(20));
    // Who has no line says nothing; what the agent still has to say comes when the line is back.
    let wait = back_after + Duration::from_secs(10);
    plan.caller = vec![Doing::Wait(wait), Doing::Ask(0), Doing::Ask(1)];
    plan.seam_words = SEAM_WORDS;
    let back_after = Some(back_after);
    let fault = match chance.percent(30) {
        true => Fault::LegHalfOpen { back_after },
        false => Fault::LegBreaks { back_after },
    };
    plan.faults.push(Timed { when: while_agent_speaks(&chance), fault });
    plan
}

/// Frames of silence are lost: no word is, and nothing else may be.
fn packet_loss(seed: u64) -> Plan {
    let (mut plan, chance) = usual("packet_loss", seed);
    plan.caller.retain(|doing| !matches!(doing, Doing::Interrupt { .. }));
    let frames = 1 + chance.below(20) as u32;
    let fault = Fault::LostFrames(frames);
    plan.faults.push(Timed { when: while_agent_speaks(&chance), fault });
    plan
}

/// Audio comes late and in a heap: a websocket keeps the order of what it carries.
fn late_audio(seed: u64) -> Plan {
    let (mut plan, chance) = usual("out_of_order", seed);
    for _ in 0..1 + chance.below(4) {
        let by = chance.between(Duration::from_millis(20), Duration::from_millis(300));
        let when = When::At(chance.between(Duration::from_secs(1), Duration::from_secs(20)));
        plan.faults.push(Timed { when, fault: Fault::LateAudio(by) });
    }
    plan
}
