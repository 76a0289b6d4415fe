//! Call after call for a long time, while providers break at random: nothing may pile up.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use offhook_chaos::{
    chance::Chance,
    scenario::{Measure, Outcome, Plan, Verdict, plan::Ending, rows},
};
use serde_json::{Value, json};
use tokio::time::sleep;

use super::{
    judge::{self, Held},
    recipes::Recipe,
    scene::Scene,
};
use crate::chaos_command::{options::Options, results::Results};

/// Between two faults.
const FAULT_EVERY: (u64, u64) = (3_000, 12_000);

/// How long a fault lasts.
const FAULT_LASTS_S: (u64, u64) = (1, 6);

/// Between the first calls.
const STAGGER: Duration = Duration::from_millis(200);

/// How often memory is looked at.
const SAMPLE_EVERY: Duration = Duration::from_secs(5);

/// How often it is said how far it is.
const SAY_EVERY: Duration = Duration::from_secs(60);

/// Growth of the server's memory that is none: a larger heap after a burst of calls.
const GROWTH_MAX: f64 = 0.10;

/// Who breaks: the first of each stage, never those that stand by.
const PROVIDERS: [&str; 3] = ["deepgram", "elevenlabs", "openai"];

/// Holds so many calls at a time for so long.
pub async fn run(options: &Options, time: Duration) -> Result<Results, String> {
    let calls = options.calls.unwrap_or(10);
    let began = Instant::now();
    let until = began + time;
    let recipe = Recipe::without_faults();
    let scene = Scene::set(calls, None, &recipe).await?;
    let callers = join_all((0..calls).map(|nth| {
        let (scene, recipe) = (&scene, &recipe);
        async move {
            sleep(STAGGER * nth).await;
            let mut held = Vec::new();
            while Instant::now() < until {
                held.push(judge::hold(scene, nth, recipe).await);
            }
            held
        }
    }));
    let (held, broke, memory) = tokio::join!(
        callers,
        break_at_random(&scene, options.seed, until),
        watch_memory(&scene, until),
    );
    broke?;
    let after = scene.settled().await;
    let happened = scene.happened();
    let mut outcomes = Vec::new();
    for (nth, held) in (0..).zip(held.into_iter().flatten()) {
        let plan = Plan::new("soak", nth);
        let (measured, broken) = match held {
            Ok(held) => {
                let held: [Held; 1] = [held];
                judge::judge(&recipe, &rows::NO_WORD_LOST, &held, &after, &happened)
            }
            Err(error) => (Vec::<(Measure, f64)>::new(), vec![error]),
        };
        outcomes.push(Outcome { plan, measured, broken });
    }
    if let Some(broken) = memory.broken() {
        let plan = Plan::new("soak", outcomes.len() as u64);
        outcomes.push(Outcome { plan, measured: Vec::new(), broken: vec![broken] });
    }
    eprintln!("offhook chaos: soak: {}", memory.said());
    scene.strike().await?;
    Ok(Results {
        name: "soak",
        row: None,
        verdict: Verdict::of(&outcomes, &rows::NO_WORD_LOST),
        bounds: &rows::NO_WORD_LOST,
        outcomes,
        took: began.elapsed(),
        over_sockets: true,
        carrier: None,
    })
}

/// Breaks one provider after the other, each for some seconds.
async fn break_at_random(scene: &Scene, seed: u64, until: Instant) -> Result<(), String> {
    let dice = Chance::new(seed);
    let between = |(least, most): (u64, u64)| least + dice.below(most - least + 1);
    loop {
        let pause = Duration::from_millis(between(FAULT_EVERY));
        if Instant::now() + pause >= until {
            return Ok(());
        }
        sleep(pause).await;
        let seconds = between(FAULT_LASTS_S);
        let provider = PROVIDERS[dice.below(PROVIDERS.len() as u64) as usize];
        if dice.below(8) == 0 {
            scene.receiver.answer(503);
            sleep(Duration::from_secs(seconds)).await;
            scene.receiver.answer(200);
        } else if provider == "openai" {
            // A model without a fallback is slow and not gone.
            let fault = json!({"provider": provider, "fault": "late", "seconds": seconds,
                "delay": {"normal": [200, 80]}});
            scene.fault(&fault).await?;
        } else {
            scene.fault(&fault(&dice, provider, seconds)).await?;
        }
    }
}

fn fault(dice: &Chance, provider: &str, seconds: u64) -> Value {
    let mut fault = match dice.below(4) {
        0 => json!({"fault": "drop"}),
        1 => json!({"fault": "refuse", "seconds": seconds}),
        2 => json!({"fault": "refuse", "seconds": seconds, "status": 429, "retry_after": seconds}),
        _ => json!({"fault": "late", "seconds": seconds, "delay": {"heavy_tail": [30, 0.7]}}),
    };
    fault["provider"] = provider.into();
    fault
}

/// The server's memory, in KiB.
#[derive(Debug, Default)]
struct Memory {
    samples: Vec<u64>,
}

impl Memory {
    /// The middle of the samples of a stretch, given in percent of all.
    fn middle(&self, from: usize, to: usize) -> Option<u64> {
        let count = self.samples.len();
        let mut stretch = self.samples[count * from / 100..count * to / 100].to_vec();
        stretch.sort_unstable();
        stretch.get(stretch.len() / 2).copied()
    }

    fn said(&self) -> String {
        let mib = |kib: Option<u64>| kib.unwrap_or_default() as f64 / 1_024.0;
        format!(
            "server memory {:.1} MiB in the second fifth, {:.1} MiB in the last, {:.1} MiB at most",
            mib(self.middle(20, 40)),
            mib(self.middle(80, 100)),
            mib(self.samples.iter().max().copied()),
        )
    }

    /// Memory that grows all the time; the first fifth is warming up.
    fn broken(&self) -> Option<String> {
        let (before, after) = self.middle(20, 40).zip(self.middle(80, 100))?;
        let growth = after as f64 / before.max(1) as f64 - 1.0;
        (growth > GROWTH_MAX).then(|| {
            format!("the server's memory grew by {:.0} %: {}", growth * 100.0, self.said())
        })
    }
}

async fn watch_memory(scene: &Scene, until: Instant) -> Memory {
    let mut memory = Memory::default();
    let mut said = Instant::now();
    while Instant::now() < until {
        sleep(SAMPLE_EVERY).await;
        memory.samples.extend(scene.memory_kib().await);
        if said.elapsed() >= SAY_EVERY {
            said = Instant::now();
            eprintln!("offhook chaos: soak: {}", memory.said());
        }
    }
    memory
}

impl Recipe {
    /// What the soak expects of a call.
    fn without_faults() -> Self {
        let turn_gap = Duration::from_millis(1_800);
        Self {
            steps: Vec::new(),
            ending: Ending::Answered,
            seam_words: 0,
            turn_gap,
            calls: 1,
            fallback: false,
            settings: &[],
            tool: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_that_grows_all_the_time_is_told_and_a_warm_up_is_not() {
        let of = |samples: Vec<u64>| Memory { samples }.broken();
        assert!(of((0..100).map(|n| 10_000 + n * 100).collect()).is_some());
        let warm = (0..100).map(|n| if n < 15 { 5_000 } else { 20_000 });
        assert_eq!(of(warm.collect()), None);
    }
}
