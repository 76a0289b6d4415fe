//! A failing run with as few faults as still make it fail.

use super::plan::Plan;

/// Runs that shrinking may take.
const RUNS_MAX: usize = 200;

/// The places of the faults that are needed, counted from 1. `fails` runs a plan.
pub fn faults_needed(plan: &Plan, mut fails: impl FnMut(&Plan) -> bool) -> Vec<usize> {
    let mut needed: Vec<usize> = (1..=plan.faults.len()).collect();
    let mut runs = 0;
    let mut at = 0;
    while at < needed.len() && runs < RUNS_MAX {
        let mut fewer = needed.clone();
        fewer.remove(at);
        runs += 1;
        match fails(&with_faults(plan, &fewer)) {
            true => {
                needed = fewer;
                at = 0;
            }
            false => at += 1,
        }
    }
    needed
}

/// The plan with some of its faults, counted from 1.
pub fn with_faults(plan: &Plan, places: &[usize]) -> Plan {
    let faults = plan.faults.iter().enumerate();
    let kept = faults.filter(|(at, _)| places.contains(&(at + 1)));
    Plan { faults: kept.map(|(_, fault)| fault.clone()).collect(), ..plan.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::{fault::Fault, random};

    #[test]
    fn what_is_not_needed_for_a_failure_is_left_out() {
        let mut plan = random::plan(1);
        let one = plan.faults[0].clone();
        plan.faults = vec![one.clone(), one.clone(), one.clone(), one];
        plan.faults[2].fault = Fault::Drain;
        let has_drain = |plan: &Plan| plan.faults.iter().any(|timed| timed.fault == Fault::Drain);
        assert_eq!(faults_needed(&plan, has_drain), [3]);
    }
}
