use std::time::Duration;

use offhook_supervisors as supervisors;

use super::{at_most, usual, with};
use crate::scenario::{
    Bound, Measure, Plan, Row,
    fault::{Fault, Timed, When},
    random::ROLES,
    row::Form,
};

/// One row a kind of actor: `restarted` after a panic, `wedged` after it stood still.
macro_rules! rows {
    ($($role:literal $panics:ident $wedged:ident $wedge_bounds:ident;)+) => {
        pub const ROWS: &[Row] = &[$(
            Row {
                name: concat!("actor_panics_", $role),
                promise: "restarted within 2 s; the call goes on; nothing repeated to the caller",
                plan: $panics,
                bounds: RESTARTED,
                form: Form::Virtual,
            },
            Row {
                name: concat!("actor_wedged_", $role),
                promise: "killed and restarted within 2 s (call actor: 5 s)",
                plan: $wedged,
                bounds: $wedge_bounds,
                form: Form::Virtual,
            },
        )+];

        $(
            fn $panics(seed: u64) -> Plan {
                plan(concat!("actor_panics_", $role), $role, supervisors::Fault::Panic, seed)
            }

            fn $wedged(seed: u64) -> Plan {
                plan(concat!("actor_wedged_", $role), $role, supervisors::Fault::Wedge, seed)
            }
        )+
    };
}

rows! {
    "call" panics_call wedged_call CALL_RESTARTED;
    "recorder" panics_recorder wedged_recorder RESTARTED;
    "vad" panics_vad wedged_vad RESTARTED;
    "transcriber" panics_transcriber wedged_transcriber RESTARTED;
    "model" panics_model wedged_model RESTARTED;
    "voice" panics_voice wedged_voice RESTARTED;
    "tool_executor" panics_tool_executor wedged_tool_executor RESTARTED;
    "transport" panics_transport wedged_transport RESTARTED;
}

const RESTARTED: &[Bound] = &with::<6>(at_most(Measure::Restart, 2_000.0));
const CALL_RESTARTED: &[Bound] = &with::<6>(at_most(Measure::Restart, 5_000.0));

fn plan(name: &'static str, role: &'static str, how: supervisors::Fault, seed: u64) -> Plan {
    debug_assert!(ROLES.contains(&role), "{role}");
    let (mut plan, chance) = usual(name, seed);
    let when = When::At(chance.between(Duration::from_millis(50), Duration::from_secs(20)));
    plan.faults.push(Timed { when, fault: Fault::Actor { role, how } });
    plan
}
