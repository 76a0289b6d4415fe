//! A caller of a run who dials a number of a fake carrier's.

use std::time::{Duration, Instant};

use offhook_chaos::carriers::{Persona, Saying};
use tokio::time::sleep;

use super::{
    judge::{CALL_LIMIT, END_LIMIT, Held, PATIENCE, questions, words_of},
    recipes::Recipe,
    scene::Scene,
};
use crate::{
    bench::clock::Moment,
    fake_carriers::{Carrier, NUMBER},
};

/// How often the carrier is asked whether a call is over.
const POLL: Duration = Duration::from_millis(50);

/// Dials and holds the call to its end, with the caller that a recipe wants.
pub async fn hold(
    scene: &Scene,
    carrier: Carrier,
    nth: u32,
    recipe: &Recipe,
) -> Result<Held, String> {
    let carriers = scene.fakes.carriers();
    let persona = Persona {
        lines: questions(nth, recipe).map(Saying::Say).collect(),
        patience_ms: PATIENCE.as_millis() as u64,
        turn_gap_ms: recipe.turn_gap.as_millis() as u64,
        ..Persona::default()
    };
    let from = format!("+1408{nth:07}");
    let dialled = Instant::now();
    let known_as = carriers.place(carrier.name(), &from, NUMBER, persona)?;
    let lost = || format!("{} has no call {known_as} any more", carrier.name());
    let document = loop {
        let document = carriers.document(&known_as).ok_or_else(lost)?;
        if document["is_over"] == true {
            break document;
        }
        if dialled.elapsed() > CALL_LIMIT {
            let log = &document["log"];
            return Err(format!("the call of {from} did not end within {CALL_LIMIT:?}: {log}"));
        }
        sleep(POLL).await;
    };
    let ended = Instant::now();
    let Some(began) = document["times_ns"]["answered"].as_u64().and_then(instant) else {
        return Err(format!("the call of {from} was not answered: {}", document["log"]));
    };
    let (agent, turns) = carriers.heard(&known_as).ok_or_else(lost)?;
    let latencies = turns.iter().map(|turn| turn.latency()).collect();
    let words = words_of(agent).await?;
    let id = id_of(scene, &known_as).await?;
    // A server that was told to stop is gone with its last call; its report says how that ended.
    let call = scene.client()?.ended_call(&id, END_LIMIT).await.unwrap_or_default();
    Ok(Held { id, nth, words, latencies, began, ended, call, is_on_phone: true })
}

/// Our id of a call, from the server's events.
async fn id_of(scene: &Scene, known_as: &str) -> Result<String, String> {
    let asked = Instant::now();
    while asked.elapsed() < END_LIMIT {
        if let Some(id) = scene.receiver.call_of_carrier(known_as) {
            return Ok(id);
        }
        sleep(POLL).await;
    }
    Err(format!("the server told nobody of the call that its carrier knows as {known_as}"))
}

/// A time of `CLOCK_MONOTONIC` that is past.
fn instant(ns: u64) -> Option<Instant> {
    Instant::now().checked_sub(Moment::now().since(Moment(ns)))
}
