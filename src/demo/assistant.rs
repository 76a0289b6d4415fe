//! The assistant that the demo calls, and what the caller says to it.

use std::time::Duration;

use offhook_media::AudioFormat;
use offhook_testkit::caller::{Line, Spoken, synth};
use serde_json::{Value, json};

use super::{recording::last_sound, webhook::Webhook};

/// The audio of the calls: what the recogniser was made for.
pub const FORMAT: AudioFormat = AudioFormat::pcm16(16_000);

/// The assistant, but for the addresses.
const DOCUMENT: &str = include_str!("assistant.json");

/// How far into the agent's speech the caller interrupts.
const INTERRUPT_AFTER: Duration = Duration::from_millis(2_500);

/// When the caller speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// When the agent has finished.
    InTurn,
    /// While the agent speaks.
    Interrupting,
}

/// What the caller says, in the order of the conversation.
const SCRIPT: &[(When, &str)] = &[
    (When::InTurn, "what are your opening hours"),
    (When::InTurn, "I would like to book an appointment"),
    (When::InTurn, "Thursday at ten please"),
    (When::InTurn, "yes please tell me"),
    (When::Interrupting, "thank you that is enough"),
    (When::InTurn, "no thank you goodbye"),
];

/// A line of the caller, as text and as sound.
#[derive(Clone)]
pub struct CallerLine {
    pub text: &'static str,
    pub when: When,
    spoken: Spoken,
}

impl CallerLine {
    pub fn line(&self) -> Line {
        let spoken = self.spoken.clone();
        match self.when {
            When::InTurn => Line::Say(spoken),
            When::Interrupting => Line::Interrupt { after: INTERRUPT_AFTER, spoken },
        }
    }

    /// From its first sample to its last sound.
    pub fn duration(&self) -> Duration {
        last_sound(self.spoken.samples(), FORMAT.sample_rate_hz).unwrap_or_default()
    }
}

/// Every line as a sound of a second.
#[cfg(test)]
pub fn tones() -> Vec<CallerLine> {
    let samples = vec![4_000; FORMAT.samples_in(Duration::from_secs(1)) as usize];
    SCRIPT
        .iter()
        .map(|(when, text)| CallerLine {
            text,
            when: *when,
            spoken: Spoken::new(*text, samples.clone()),
        })
        .collect()
}

/// The assistant's document, with the webhook's addresses in it.
pub fn document(webhook: &Webhook) -> Value {
    let mut document: Value = serde_json::from_str(DOCUMENT).expect("the file beside it is JSON");
    document["server"] = json!({"url": webhook.events_url()});
    document["model"]["tools"][0]["server"] = json!({"url": webhook.tools_url()});
    document
}

/// Speaks the caller's lines.
pub async fn lines() -> Result<Vec<CallerLine>, String> {
    let voice = synth::Voice::default();
    let mut lines = Vec::new();
    for (when, text) in SCRIPT {
        let samples = synth::speak(text, &voice, FORMAT.sample_rate_hz)
            .await
            .map_err(|error| error.to_string())?;
        lines.push(CallerLine { text, when: *when, spoken: Spoken::new(*text, samples) });
    }
    Ok(lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The recogniser knows the sentences that the assistant gives as examples, and no others.
    #[test]
    fn the_assistant_gives_every_line_of_the_caller_as_an_example() {
        let document: Value = serde_json::from_str(DOCUMENT).unwrap();
        let rules = document["model"]["rules"].as_array().unwrap();
        let examples: Vec<&str> = rules
            .iter()
            .filter_map(|rule| rule["examples"].as_array())
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        for (_, text) in SCRIPT {
            assert!(examples.contains(&text.to_lowercase().as_str()), "{text}");
        }
    }
}
