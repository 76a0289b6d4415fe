//! The picture of one call of a run: who could be heard, which provider worked, and where it was
//! broken, as an SVG that needs nothing else.

use std::{collections::BTreeMap, fmt::Write, time::Duration};

use offhook_core::Stage;
use offhook_media::AudioFormat;

use super::{
    fault::Who,
    trace::{Note, What},
    world::{CallRan, Ran},
};

/// Width of the picture and of the names at its left, in pixels.
const WIDTH: f64 = 960.0;
const NAMES: f64 = 110.0;

/// Height of a lane, in pixels.
const LANE: f64 = 26.0;

/// Time that one bar of a waveform stands for.
const BAR: Duration = Duration::from_millis(100);

/// Amplitude that fills a lane: the loudest that tones reach.
const LOUDEST: f64 = 13_000.0;

/// Silence of both sides that is shown as a gap.
const GAP: Duration = Duration::from_millis(1_000);

/// Draws the last call of a run.
pub fn svg(ran: &Ran) -> String {
    let Some(call) = ran.calls.last() else { return String::new() };
    let scale = Scale { from: call.began, seconds: call.heard.closed.at.as_secs_f64().max(1.0) };
    let notes: Vec<&Note> = ran.notes.iter().filter(|note| note.at >= call.placed).collect();
    let lives = lives(&notes, call, ran.plan.cast.shared);
    let mut lanes = String::new();
    let rate = call.heard.sample_rate_hz;
    waveform(&mut lanes, scale, 0, "caller", &call.heard.caller, rate);
    waveform(&mut lanes, scale, 1, "agent", &call.heard.agent, rate);
    gaps(&mut lanes, scale, call);
    for (lane, (who, stretches)) in (2..).zip(&lives) {
        name(&mut lanes, lane, &who.to_string());
        for Life { from, to, spoke } in stretches {
            let (x, width) = scale.stretch(*from, *to);
            let class = if *spoke { "spoke" } else { "open" };
            let y = f64::from(lane) * LANE + 6.0;
            put(
                &mut lanes,
                &format!(
                    r#"<rect class="{class}" x="{x:.1}" y="{y:.1}" width="{width:.1}" height="14"/>"#
                ),
            );
        }
    }
    let height = (2 + lives.len()) as f64 * LANE;
    marks(&mut lanes, scale, &notes, height);
    seconds(&mut lanes, scale, height);
    let whole = height + 22.0;
    format!(
        r#"<svg viewBox="0 0 {WIDTH} {whole}" role="img" aria-label="time line of one run">{lanes}</svg>"#
    )
}

/// From times of the run to places in the picture.
#[derive(Clone, Copy)]
struct Scale {
    from: Duration,
    seconds: f64,
}

/// One session of a provider.
struct Life {
    from: Duration,
    to: Duration,
    spoke: bool,
}

impl Scale {
    fn x(self, at: Duration) -> f64 {
        let seconds = at.as_secs_f64() - self.from.as_secs_f64();
        NAMES + (seconds / self.seconds).clamp(0.0, 1.0) * (WIDTH - NAMES)
    }

    fn stretch(self, from: Duration, to: Duration) -> (f64, f64) {
        (self.x(from), (self.x(to) - self.x(from)).max(1.5))
    }
}

/// The sessions of each provider that was asked, models' replies too.
fn lives(notes: &[&Note], call: &CallRan, shared: bool) -> BTreeMap<Order, Vec<Life>> {
    let mut all: BTreeMap<Order, Vec<Life>> = BTreeMap::new();
    for note in notes.iter().filter(|note| shared || note.call == call.nth) {
        let (What::Asked(who)
        | What::Refused(who)
        | What::Opened(who)
        | What::Spoke(who)
        | What::Left(who)) = note.what
        else {
            continue;
        };
        let lives = all.entry(Order(who)).or_default();
        match note.what {
            What::Asked(_) => {
                if let Some(last) = lives.last_mut().filter(|_| who.stage != Stage::Model) {
                    last.to = last.to.min(note.at);
                }
                lives.push(Life { from: note.at, to: call.ended, spoke: false });
            }
            What::Refused(_) | What::Left(_) => {
                if let Some(last) = lives.last_mut() {
                    last.to = note.at;
                }
            }
            What::Spoke(_) => {
                if let Some(last) = lives.last_mut() {
                    last.spoke = true;
                }
            }
            What::Opened(_)
            | What::Probed(_)
            | What::Fed(_)
            | What::Broke(_)
            | What::Restarted(_) => {}
        }
    }
    all
}

/// A provider, in the order of the stages.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Order(Who);

impl Order {
    fn key(self) -> (usize, usize) {
        let stage = match self.0.stage {
            Stage::Transcriber => 0,
            Stage::Model => 1,
            Stage::Voice => 2,
        };
        (stage, self.0.nth)
    }
}

impl PartialOrd for Order {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Order {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.key().cmp(&other.key())
    }
}

impl std::fmt::Display for Order {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

fn waveform(out: &mut String, scale: Scale, lane: u32, who: &str, samples: &[i16], rate_hz: u32) {
    name(out, lane, who);
    let format = AudioFormat::pcm16(rate_hz);
    let step = format.samples_in(BAR).max(1) as usize;
    let middle = f64::from(lane) * LANE + LANE / 2.0;
    let mut path = String::new();
    for (nth, piece) in (0..).zip(samples.chunks(step)) {
        let peak = piece.iter().map(|sample| sample.unsigned_abs()).max().unwrap_or_default();
        let half = (f64::from(peak) / LOUDEST).min(1.0) * (LANE / 2.0 - 3.0);
        if half > 0.5 {
            let x = scale.x(scale.from + BAR * nth);
            put(&mut path, &format!("M{x:.1} {:.1}V{:.1}", middle - half, middle + half));
        }
    }
    put(out, &format!(r#"<path class="{who}" d="{path}"/>"#));
}

/// Where the caller waited for the agent, or the agent broke off.
fn gaps(out: &mut String, scale: Scale, call: &CallRan) {
    for turn in call.heard.turns.iter().filter(|turn| turn.latency() >= GAP) {
        let from = call.began + turn.caller_speech_end;
        let (x, width) = scale.stretch(from, call.began + turn.agent_first_audio);
        let seconds = turn.latency().as_secs_f64();
        put(
            out,
            &format!(
                r#"<rect class="gap" x="{x:.1}" y="{LANE}" width="{width:.1}" height="{LANE}"><title>{seconds:.2} s of silence</title></rect>"#
            ),
        );
    }
}

fn marks(out: &mut String, scale: Scale, notes: &[&Note], height: f64) {
    for note in notes {
        let (class, text) = match &note.what {
            What::Broke(what) => ("fault", what.as_str()),
            What::Restarted(what) => ("restart", what.as_str()),
            What::Asked(_)
            | What::Probed(_)
            | What::Refused(_)
            | What::Opened(_)
            | What::Fed(_)
            | What::Spoke(_)
            | What::Left(_) => continue,
        };
        let x = scale.x(note.at);
        let text = escaped(text);
        put(
            out,
            &format!(
                r#"<line class="{class}" x1="{x:.1}" x2="{x:.1}" y1="0" y2="{height}"><title>{text}</title></line>"#
            ),
        );
    }
}

fn seconds(out: &mut String, scale: Scale, height: f64) {
    let step = if scale.seconds > 60.0 { 10 } else { 5 };
    for second in (0..=scale.seconds as u64).step_by(step) {
        let x = scale.x(scale.from + Duration::from_secs(second));
        let y = height + 14.0;
        put(out, &format!(r#"<text class="time" x="{x:.1}" y="{y}">{second} s</text>"#));
    }
}

fn name(out: &mut String, lane: u32, text: &str) {
    let y = f64::from(lane) * LANE + LANE / 2.0 + 4.0;
    put(out, &format!(r#"<text x="0" y="{y:.1}">{}</text>"#, escaped(text)));
}

fn put(out: &mut String, text: &str) {
    // Writing to a string does not fail.
    let _ = out.write_str(text);
}

/// Text as it may stand in HTML and SVG.
pub fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::{rows, world};

    #[test]
    fn a_run_is_drawn_with_its_fault_its_providers_and_both_voices() {
        let row = rows::find("stt_drop_mid_utterance").unwrap();
        let picture = svg(&world::run(&(row.plan)(2)));
        for part in [
            "<path class=\"caller\" d=\"M",
            "<path class=\"agent\" d=\"M",
            "transcriber 2",
            "drops its sessions",
        ] {
            assert!(picture.contains(part), "{part}");
        }
    }
}
