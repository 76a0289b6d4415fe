//! Places one call of the demo, and gathers what everybody saw of it.

use std::time::Duration;

use bytes::Bytes;
use offhook_testkit::caller::{self, CallerOptions, Heard, TurnTiming};
use serde_json::{Value, json};
use tokio::{
    sync::oneshot,
    time::{Instant, sleep},
};

use super::{
    assistant::{CallerLine, FORMAT},
    fault::{self, Killed, Replacement},
    recording::Recording,
    webhook::{Seen, Webhook},
};
use crate::{
    call_command::{narrator::Narrator, text, transport, websocket_url},
    client::Client,
    console::{Console, Style},
};

/// Silence of the agent that hands the floor to the caller: longer than between two sentences.
const TURN_GAP: Duration = Duration::from_millis(900);

/// The longest call: four times as long as the conversation takes.
const CALL_LIMIT: Duration = Duration::from_secs(240);

/// Time for a call that is over to be filed, and for its report to arrive.
const FILED_LIMIT: Duration = Duration::from_secs(15);

/// How far into a sentence the transcriber is killed, counted from when its beginning was noticed.
const KILL_AFTER: Duration = Duration::from_millis(700);

/// A call to place.
pub struct Plan {
    /// Name of its files.
    pub name: &'static str,
    pub title: &'static str,
    pub about: &'static str,
    /// The line of the caller, counted from 0, during which the transcriber is killed.
    pub kill_during: Option<usize>,
}

/// What all calls have in common.
pub struct Stage<'a> {
    pub console: Console,
    pub client: &'a Client,
    pub server_pid: u32,
    pub webhook: &'a Webhook,
    pub assistant_id: &'a str,
    pub lines: &'a [CallerLine],
}

/// A call that was placed. Times are counted from when its audio began.
pub struct Conducted {
    pub plan: &'static Plan,
    pub lines: Vec<CallerLine>,
    /// What the caller heard.
    pub heard: Heard,
    /// What the server filed.
    pub call: Value,
    /// What came to the webhook.
    pub seen: Seen,
    /// When each tool was called, and how.
    pub tools: Vec<(Duration, String)>,
    pub sabotage: Option<Sabotage>,
    /// What the server recorded.
    pub wav: Bytes,
    pub recording: Recording,
}

/// A process that was killed during the call.
#[derive(Clone, Copy, Debug)]
pub struct Sabotage {
    pub pid: u32,
    pub at: Duration,
    pub replacement: Option<Replacement>,
}

/// One line of the caller and what became of it.
pub struct Turn<'a> {
    pub line: &'a CallerLine,
    /// What the server understood; absent when its utterances are not the caller's lines.
    pub understood: Option<&'a str>,
    /// When it was answered, as the caller heard it.
    pub timing: Option<&'a TurnTiming>,
    /// The server's latencies of it; absent when it counts other turns than the caller.
    pub latencies: Option<&'a Value>,
}

impl Stage<'_> {
    pub async fn conduct(&self, plan: &'static Plan) -> Result<Conducted, String> {
        let request = json!({"assistantId": self.assistant_id, "transport": transport(FORMAT)});
        let created = self.client.post("/call", &request).await?;
        let id = text(&created, "id")?;
        let lines = self.lines.iter().map(CallerLine::line).collect();
        let mut options = CallerOptions::new(websocket_url(&created)?, FORMAT, lines);
        options.turn_gap = TURN_GAP;
        options.limit = CALL_LIMIT;
        let (trigger, triggered) = oneshot::channel();
        let mut observer = Observer::new(self.console, plan.kill_during, trigger);
        let (tell_began, told_began) = oneshot::channel();
        let mut tell_began = Some(tell_began);
        options.on_event = Some(Box::new(move |at, event| {
            if let Some(tell) = tell_began.take() {
                // Nobody asks when the call has failed.
                let _ = tell.send(Instant::now() - at);
            }
            observer.observe(at, event);
        }));
        let placed_at = Instant::now();
        let (heard, sabotage) = tokio::join!(caller::call(options), self.sabotage(triggered));
        let heard = heard.map_err(|error| error.to_string())?;
        let began = told_began.await.unwrap_or(placed_at);
        let call = self.client.ended_call(id, FILED_LIMIT).await?;
        self.webhook.wait_for(id, "end-of-call-report", FILED_LIMIT).await;
        let wav = self.client.download(recording_url(&call)?).await?;
        let seen = self.webhook.seen(id);
        let tools = seen
            .tools
            .iter()
            .map(|tool| (tool.at.saturating_duration_since(began), tool.text.clone()))
            .collect();
        Ok(Conducted {
            plan,
            lines: self.lines.to_vec(),
            recording: Recording::read(&wav)?,
            heard,
            call,
            seen,
            tools,
            sabotage: sabotage?,
            wav,
        })
    }

    /// Kills the transcriber when the observer says that the sentence has begun.
    async fn sabotage(
        &self,
        triggered: oneshot::Receiver<Instant>,
    ) -> Result<Option<Sabotage>, String> {
        // The observer goes without a word when the call has no such sentence.
        let Ok(began) = triggered.await else { return Ok(None) };
        sleep(KILL_AFTER).await;
        let Killed { pid, at } = fault::kill_transcriber(self.server_pid)?;
        let at_call = at.saturating_duration_since(began);
        let note = |at, style, what: &str| Narrator::note(self.console, at, style, what);
        let what = format!("kill -9 {pid}: the transcriber is dead, in the middle of a sentence");
        note(at_call, Style::Bad, &what);
        let replacement = fault::replacement(self.server_pid, Killed { pid, at }).await;
        if let Some(Replacement { pid, after }) = replacement {
            let what = format!("process {pid} took its place after {} ms", after.as_millis());
            note(at_call + after, Style::Good, &what);
        }
        Ok(Some(Sabotage { pid, at: at_call, replacement }))
    }
}

/// Watches the call for the sentence in which something is broken.
struct Observer {
    narrator: Narrator,
    kill_during: Option<usize>,
    trigger: Option<oneshot::Sender<Instant>>,
    /// Lines of the caller that were understood.
    understood: usize,
}

impl Observer {
    fn new(
        console: Console,
        kill_during: Option<usize>,
        trigger: oneshot::Sender<Instant>,
    ) -> Self {
        let narrator = Narrator::new(console);
        Self { narrator, kill_during, trigger: Some(trigger), understood: 0 }
    }

    fn observe(&mut self, at: Duration, event: &Value) {
        self.narrator.tell(at, event);
        if event["role"] != "user" {
            return;
        }
        if event["type"] == "transcript" && event["transcriptType"] == "final" {
            self.understood += 1;
        }
        let begins = event["type"] == "speech-update" && event["status"] == "started";
        if begins
            && self.kill_during.is_some_and(|line| self.understood >= line)
            && let Some(trigger) = self.trigger.take()
        {
            // Nobody listens when the call has failed.
            let _ = trigger.send(Instant::now() - at);
        }
    }
}

impl Conducted {
    /// The caller's lines, in order.
    pub fn turns(&self) -> Vec<Turn<'_>> {
        let understood = self.understood();
        let latencies = self.latencies();
        let count = self.lines.len();
        self.lines
            .iter()
            .enumerate()
            .map(|(index, line)| Turn {
                line,
                understood: (understood.len() == count).then(|| understood[index]),
                timing: self.heard.turns.iter().find(|turn| turn.label == line.text),
                latencies: (latencies.len() == count).then(|| &latencies[index]),
            })
            .collect()
    }

    /// What the server understood, utterance by utterance.
    pub fn understood(&self) -> Vec<&str> {
        let messages = self.call["artifact"]["messages"].as_array();
        messages
            .into_iter()
            .flatten()
            .filter(|message| message["role"] == "user")
            .filter_map(|message| message["message"].as_str())
            .collect()
    }

    /// What the server measured, turn by turn.
    pub fn latencies(&self) -> &[Value] {
        let turns = self.call["artifact"]["performanceMetrics"]["turnLatencies"].as_array();
        turns.map(Vec::as_slice).unwrap_or_default()
    }

    pub fn ended_reason(&self) -> &str {
        self.call["endedReason"].as_str().unwrap_or("none")
    }

    /// When the caller interrupted the agent.
    pub fn interruptions(&self) -> impl Iterator<Item = Duration> {
        let events = self.heard.events.iter();
        events.filter(|(_, event)| event["type"] == "user-interrupted").map(|(at, _)| *at)
    }
}

impl Turn<'_> {
    /// When the caller said it: begin and end.
    pub fn spoken(&self) -> Option<(Duration, Duration)> {
        let end = self.timing?.caller_speech_end;
        Some((end.saturating_sub(self.line.duration()), end))
    }
}

/// Where the stereo recording is: in an artifact's `recording`, or as it was before that.
fn recording_url(call: &Value) -> Result<&str, String> {
    let artifact = &call["artifact"];
    artifact["recording"]["stereoUrl"]
        .as_str()
        .or(artifact["stereoRecordingUrl"].as_str())
        .ok_or_else(|| "the call has no artifact.recording.stereoUrl".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sentence_to_break_is_the_one_after_those_that_were_understood() {
        let (trigger, mut triggered) = oneshot::channel();
        let mut observer = Observer::new(Console::plain(), Some(1), trigger);
        let begins = json!({"type": "speech-update", "role": "user", "status": "started"});
        let said = json!({"type": "transcript", "role": "user", "transcriptType": "final", "transcript": "x"});
        let mut tell = |event: &Value| observer.observe(Duration::from_secs(1), event);
        tell(&begins);
        tell(&json!({"type": "speech-update", "role": "assistant", "status": "started"}));
        assert!(triggered.try_recv().is_err());
        tell(&said);
        assert!(triggered.try_recv().is_err());
        tell(&begins);
        assert!(triggered.try_recv().is_ok());
        tell(&begins);
    }

    #[test]
    fn a_call_that_nothing_is_broken_in_never_triggers() {
        let (trigger, triggered) = oneshot::channel();
        let mut observer = Observer::new(Console::plain(), None, trigger);
        let begins = json!({"type": "speech-update", "role": "user", "status": "started"});
        observer.observe(Duration::ZERO, &begins);
        drop(observer);
        assert!(triggered.blocking_recv().is_err());
    }
}
