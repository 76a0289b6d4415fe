//! What is measured in a run: by the words and the silences that the caller heard, and by the times
//! at which providers were asked and fed.

use std::{fmt, time::Duration};

use offhook_core::Stage;
use offhook_testkit::tones;

use super::{
    invariants::Judged,
    trace::{Note, What},
    world::{CallRan, Ran},
};

/// One figure of a run. Times are in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Measure {
    /// Words of the agent that the caller should have heard and did not.
    WordsLost,
    /// Words of the agent that the caller heard twice, or that nobody should have said.
    WordsRepeated,
    /// Words of the caller that the conversation does not have.
    CallerWordsLost,
    /// Words of the caller that the conversation has twice.
    CallerWordsRepeated,
    /// Runs of a tool beyond the one that was asked for.
    ToolsTwice,
    /// Longest silence inside what the agent says, in excess of its usual pauses.
    Gap,
    /// Longest silence while the caller waits for the agent.
    DeadAir,
    /// From the loss of a transcriber's session until another is fed.
    TranscribingAgain,
    /// From the moment that a transcriber falls silent until another is fed.
    SilenceNoticed,
    /// From the text that a silent voice is given until another is asked for.
    VoiceReplaced,
    /// From a request to a slow model until another is asked as well.
    Hedge,
    /// From the fault of an actor until it is started again.
    Restart,
    /// From the first fault of a call to its end.
    End,
    /// From a process that is up again to the agent's next word in a call that it took up.
    Bridge,
    /// Sessions and requests that the provider that is down was asked for in a call after the first.
    AskedInVain,
    /// Whether a provider that is well again was left out of the last call.
    LeftOut,
    /// Sessions and requests that the provider that is down was asked for by all calls of a herd.
    Attempts,
    /// From the recovery of the receiver to the last event delivered, in order.
    Undelivered,
}

/// What the figures of a measure are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    Words,
    Milliseconds,
    Times,
}

impl Measure {
    pub const fn unit(self) -> Unit {
        match self {
            Self::WordsLost
            | Self::WordsRepeated
            | Self::CallerWordsLost
            | Self::CallerWordsRepeated => Unit::Words,
            Self::ToolsTwice
            | Self::AskedInVain
            | Self::LeftOut
            | Self::Attempts
            | Self::Undelivered => Unit::Times,
            Self::Gap
            | Self::DeadAir
            | Self::TranscribingAgain
            | Self::SilenceNoticed
            | Self::VoiceReplaced
            | Self::Hedge
            | Self::Restart
            | Self::End
            | Self::Bridge => Unit::Milliseconds,
        }
    }

    /// The figure of a run, the worst of its calls; `None` where nothing happened to be measured.
    pub fn of(self, ran: &Ran, judged: &[Judged]) -> Option<f64> {
        let worst = |figure: fn(&Judged) -> f64| judged.iter().map(figure).fold(0.0, f64::max);
        Some(match self {
            Self::WordsLost => worst(|call| call.agent.lost.len() as f64),
            Self::WordsRepeated => {
                worst(|call| (call.agent.repeated.len() + call.agent.foreign.len()) as f64)
            }
            Self::CallerWordsLost => worst(|call| call.caller.lost.len() as f64),
            Self::CallerWordsRepeated => {
                worst(|call| (call.caller.repeated.len() + call.caller.foreign.len()) as f64)
            }
            Self::ToolsTwice => {
                ran.tool_runs.values().map(|runs| runs.saturating_sub(1)).sum::<usize>() as f64
            }
            Self::Gap => {
                let gaps = ran.calls.iter().zip(judged).map(|(call, judged)| gap(call, judged));
                ms(gaps.max().unwrap_or_default())
            }
            Self::DeadAir => {
                let both = ran.calls.iter().zip(judged);
                let silences = both.map(|(call, judged)| gap(call, judged).max(longest_wait(call)));
                ms(silences.max().unwrap_or_default())
            }
            Self::TranscribingAgain | Self::SilenceNoticed => {
                worst_after_fault(ran, |what| is_fed(what, Stage::Transcriber))?
            }
            Self::VoiceReplaced => voice_replaced(ran)?,
            Self::Hedge => hedge(ran)?,
            Self::Restart => worst_after_fault(ran, |what| matches!(what, What::Restarted(_)))?,
            Self::End => {
                let broke = || ran.notes.iter().filter(|note| matches!(note.what, What::Broke(_)));
                let first = broke().next()?;
                let took = |call: &CallRan| {
                    // What all calls share breaks in one of them.
                    let own = broke().find(|note| note.call == call.nth).unwrap_or(first);
                    // What was broken already costs a call nothing before it begins.
                    call.ended.saturating_sub(own.at.max(call.placed))
                };
                ms(ran.calls.iter().map(took).max()?)
            }
            // A process that dies takes virtual time along.
            Self::Bridge => return None,
            Self::AskedInVain => {
                let since = ran.calls.last()?.placed;
                asked_first(ran).filter(|note| note.at >= since).count() as f64
            }
            Self::LeftOut => {
                let since = ran.calls.last()?.placed;
                f64::from(!asked_first(ran).any(|note| note.at >= since))
            }
            Self::Attempts => {
                let broke = ran.notes.iter().find(|note| matches!(note.what, What::Broke(_)))?;
                asked_first(ran).filter(|note| note.at >= broke.at).count() as f64
            }
            Self::Undelivered => judged.iter().map(|call| call.out_of_order).sum::<usize>() as f64,
        })
    }
}

impl fmt::Display for Measure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::WordsLost => "words of the agent lost",
            Self::WordsRepeated => "words of the agent repeated",
            Self::CallerWordsLost => "words of the caller lost",
            Self::CallerWordsRepeated => "words of the caller repeated",
            Self::ToolsTwice => "tools run twice",
            Self::Gap => "audible gap",
            Self::DeadAir => "dead air",
            Self::TranscribingAgain => "transcribing again after",
            Self::SilenceNoticed => "silent transcriber replaced after",
            Self::VoiceReplaced => "silent voice replaced after",
            Self::Hedge => "second model asked after",
            Self::Restart => "restarted after",
            Self::End => "call ended after",
            Self::Bridge => "heard again after the restart",
            Self::AskedInVain => "requests to the dead provider",
            Self::LeftOut => "calls without the provider that is well again",
            Self::Attempts => "attempts at the dead provider",
            Self::Undelivered => "events late or out of order",
        })
    }
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Words => "words",
            Self::Milliseconds => "ms",
            Self::Times => "times",
        })
    }
}

fn ms(time: Duration) -> f64 {
    (time.as_secs_f64() * 1_000.0 * 10.0).round() / 10.0
}

/// The longest silence between two words of the same stretch that the caller did not interrupt.
fn gap(call: &CallRan, judged: &Judged) -> Duration {
    let placed = call.words.iter().zip(&judged.agent.places);
    let words: Vec<_> = placed.filter_map(|(word, place)| Some((word.at, (*place)?.0))).collect();
    let pauses = words.windows(2).filter(|pair| pair[0].1 == pair[1].1).map(|pair| {
        let usual = pair[0].0 + tones::WORD;
        pair[1].0.saturating_sub(usual)
    });
    pauses.max().unwrap_or_default()
}

/// The longest wait for an answer.
fn longest_wait(call: &CallRan) -> Duration {
    call.heard.turns.iter().map(|turn| turn.latency()).max().unwrap_or_default()
}

fn is_fed(what: &What, stage: Stage) -> bool {
    matches!(what, What::Fed(who) if who.stage == stage)
}

/// The longest time from a fault to what `is_it` next, over all faults that it follows on.
fn worst_after_fault(ran: &Ran, is_it: impl Fn(&What) -> bool) -> Option<f64> {
    let mut worst: Option<Duration> = None;
    let mut fault: Vec<Option<Duration>> = vec![None; ran.calls.len()];
    for Note { at, call, what } in &ran.notes {
        let Some(open) = fault.get_mut(*call) else { continue };
        if let What::Broke(_) = what {
            open.get_or_insert(*at);
        } else if is_it(what)
            && let Some(from) = open.take()
        {
            worst = worst.max(Some(*at - from));
        }
    }
    worst.map(ms)
}

/// From the text that the broken voice was given, and never spoke, to the request to another. A
/// voice that reads nothing has the text when it has opened.
fn voice_replaced(ran: &Ran) -> Option<f64> {
    let mut waits = Vec::new();
    for nth in 0..ran.calls.len() {
        let of_voice = ran.notes.iter().filter(|note| note.call == nth).filter(|note| {
            matches!(note.what, What::Asked(who) | What::Opened(who) | What::Fed(who)
                if who.stage == Stage::Voice)
        });
        let mut given = None;
        for note in of_voice {
            match (&note.what, given) {
                (What::Asked(_), Some(given)) => {
                    waits.push(note.at - given);
                    break;
                }
                (What::Asked(_), None) => {}
                (
                    What::Probed(_)
                    | What::Refused(_)
                    | What::Opened(_)
                    | What::Fed(_)
                    | What::Spoke(_)
                    | What::Left(_)
                    | What::Broke(_)
                    | What::Restarted(_),
                    _,
                ) => given = Some(note.at),
            }
        }
    }
    waits.into_iter().max().map(ms)
}

/// From a request to a broken model to the next one, or to its own first word where nobody else was
/// asked.
fn hedge(ran: &Ran) -> Option<f64> {
    let mut waits = Vec::new();
    for nth in 0..ran.calls.len() {
        let of_model = |note: &&Note| matches!(note.what, What::Asked(who) | What::Spoke(who) if who.stage == Stage::Model);
        let broke = ran.notes.iter().position(|note| matches!(note.what, What::Broke(_)))?;
        let of_call = ran.notes[broke..].iter().filter(|note| note.call == nth);
        let mut notes = of_call.filter(of_model);
        let Some(asked) = notes.find(|note| matches!(note.what, What::Asked(_))) else { continue };
        if let Some(next) = notes.next() {
            waits.push(next.at - asked.at);
        }
    }
    waits.into_iter().max().map(ms)
}

/// Requests to the first provider of the stage that the plan breaks first.
fn asked_first(ran: &Ran) -> impl Iterator<Item = &Note> {
    let broken = ran.plan.broken_provider();
    ran.notes
        .iter()
        .filter(move |note| matches!(note.what, What::Asked(who) if Some(who) == broken))
}
