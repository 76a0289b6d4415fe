//! A seed as a plan: several things break in one call.

use std::time::Duration;

use offhook_core::FailureClass;
use offhook_supervisors as supervisors;

use super::{
    fault::{Fault, ReceiverTrouble, Timed, Trouble, When, Who},
    phrases::EXCHANGES,
    plan::{Cast, Doing, Plan},
};
use crate::chance::Chance;

/// Every actor of a call.
pub const ROLES: [&str; 8] =
    ["call", "recorder", "vad", "transcriber", "model", "voice", "tool_executor", "transport"];

/// Most faults of one call. Each part of a call may be restarted five times a minute.
const FAULTS_MAX: u64 = 4;

/// The plan of a seed.
pub fn plan(seed: u64) -> Plan {
    let chance = Chance::new(seed);
    let mut plan = Plan::new("random", seed);
    plan.cast = cast(&chance);
    plan.caller = caller(&chance);
    let faults = 1 + chance.below(FAULTS_MAX);
    // About as long as a call without faults takes.
    let length = Duration::from_secs(4) + Duration::from_secs(8) * plan.caller.len() as u32;
    plan.faults = (0..faults).map(|_| fault(&chance, length)).collect();
    plan
}

/// Providers as quick as they are on good and on bad days.
pub fn cast(chance: &Chance) -> Cast {
    let between =
        |least, most| chance.between(Duration::from_millis(least), Duration::from_millis(most));
    Cast {
        stt_final: between(120, 400),
        stt_rate_capped: chance.percent(30),
        llm_first_token: between(80, 700),
        llm_between_tokens: between(5, 40),
        tts_connect: between(0, 150),
        tts_first_audio: between(60, 300),
        tts_speed: 2 + chance.below(8) as u32,
        ..Cast::default()
    }
}

/// Two to four different questions; one in five answers is interrupted.
pub fn caller(chance: &Chance) -> Vec<Doing> {
    let first = chance.below(EXCHANGES.len() as u64) as usize;
    let questions = 2 + chance.below(3) as usize;
    (0..questions)
        .map(|nth| {
            let with = (first + nth) % EXCHANGES.len();
            let after = chance.between(Duration::from_millis(700), Duration::from_millis(1_800));
            let interrupts = chance.percent(20);
            if nth > 0 && interrupts { Doing::Interrupt { after, with } } else { Doing::Ask(with) }
        })
        .collect()
}

fn fault(chance: &Chance, length: Duration) -> Timed {
    let at = When::At(chance.between(Duration::from_millis(50), length));
    let role = chance.pick(&ROLES);
    let lasts = chance.between(Duration::from_millis(200), Duration::from_secs(3));
    let (when, fault) = match chance.below(12) {
        0 => (at, Fault::Actor { role, how: supervisors::Fault::Kill }),
        1 => (at, Fault::Actor { role, how: supervisors::Fault::Panic }),
        2 => (at, Fault::Actor { role, how: supervisors::Fault::Wedge }),
        3 => (after_words(chance, Who::transcriber(1)), Fault::Drop { who: Who::transcriber(1) }),
        4 => (after_words(chance, Who::voice(1)), Fault::Drop { who: Who::voice(1) }),
        5 => (
            after_words(chance, Who::transcriber(1)),
            Fault::Trouble { who: Who::transcriber(1), trouble: Trouble::Mute, lasts: Some(lasts) },
        ),
        6 => {
            let class = chance.pick(&[FailureClass::Unavailable, FailureClass::Timeout]);
            let who = chance.pick(&[Who::transcriber(1), Who::voice(1)]);
            (at, Fault::Trouble { who, trouble: Trouble::Refuses(class), lasts: Some(lasts) })
        }
        7 => {
            let by = chance.between(Duration::from_millis(50), Duration::from_millis(600));
            let who = chance.pick(&[Who::transcriber(1), Who::model(1), Who::voice(1)]);
            (at, Fault::Trouble { who, trouble: Trouble::Late(by), lasts: Some(lasts) })
        }
        8 => {
            let trouble = chance.pick(&[
                ReceiverTrouble::Down,
                ReceiverTrouble::Hangs,
                ReceiverTrouble::Answers(500),
                ReceiverTrouble::Answers(429),
            ]);
            (at, Fault::Receiver { trouble, lasts })
        }
        9 => (at, Fault::DiskFull { lasts }),
        10 => {
            let by = chance.between(Duration::from_millis(20), Duration::from_millis(200));
            (at, Fault::LateAudio(by))
        }
        _ => (
            after_words(chance, Who::transcriber(1)),
            Fault::Trouble {
                who: Who::transcriber(1),
                trouble: Trouble::Refuses(FailureClass::Unavailable),
                lasts: Some(lasts),
            },
        ),
    };
    Timed { when, fault }
}

/// Some words into the call, with parts of words where it is a voice that speaks them.
fn after_words(chance: &Chance, of: Who) -> When {
    let quarters = if of.stage == offhook_core::Stage::Voice { chance.below(4) } else { 0 };
    let count = (1 + chance.below(30)) as f32 + quarters as f32 / 4.0;
    When::Words { of, count }
}
