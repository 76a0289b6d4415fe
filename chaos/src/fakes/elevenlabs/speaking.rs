//! The dialogue of both sockets.

use std::collections::BTreeMap;

use base64::{Engine, prelude::BASE64_STANDARD};
use offhook_testkit::tones::{SOUND, WORD};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{
    super::{
        App,
        speech::{Speech, SpokenWord},
        wire::{Dialogue, Out},
    },
    Complaint, Kind, Settings,
};

/// Contexts that may be open at once.
const CONTEXTS_MAX: usize = 5;

/// Characters that are waited for before speech begins, for each chunk in turn.
const CHUNK_SCHEDULE: [usize; 4] = [120, 160, 250, 290];

pub struct Speaking {
    app: App,
    kind: Kind,
    key: Option<String>,
    settings: Result<Settings, Complaint>,
    contexts: BTreeMap<String, Context>,
    /// Lanes that were given to contexts.
    lanes: u64,
    last_message: Instant,
    ended: bool,
}

struct Context {
    lane: u64,
    speech: Speech,
    /// Text that is not spoken yet.
    buffer: String,
    /// Chunks that were spoken because enough text had come.
    chunks: usize,
    schedule: Vec<usize>,
    last_message: Instant,
}

impl Speaking {
    pub fn new(
        app: &App,
        kind: Kind,
        key: Option<String>,
        settings: Result<Settings, Complaint>,
    ) -> Self {
        Self {
            app: app.clone(),
            kind,
            key,
            settings,
            contexts: BTreeMap::new(),
            lanes: 0,
            last_message: Instant::now(),
            ended: false,
        }
    }

    fn complain(&mut self, name: &str, message: &str, out: &mut Out) {
        self.ended = true;
        self.contexts.values().for_each(|context| out.drop_lane(context.lane));
        out.text(json!({"message": message, "error": name, "code": 1008}));
        out.close(1008, name);
    }

    fn handle(&mut self, now: Instant, message: &Value, out: &mut Out) {
        let format = match &self.settings {
            Ok(settings) => settings.format,
            Err((name, message)) => {
                let (name, message) = (*name, message.clone());
                return self.complain(name, &message, out);
            }
        };
        let brought = ["xi-api-key", "xi_api_key"].iter().find_map(|name| message[name].as_str());
        self.key = self.key.take().or(brought.map(str::to_owned));
        if !self.app.admits(self.key.as_deref()) {
            return self.complain("invalid_api_key", "Invalid API key.", out);
        }
        if message["close_socket"] == true {
            self.ended = true;
            let ends = self.contexts.values().map(|context| context.speech.free_at(now)).max();
            return out.close_at(ends.unwrap_or(now), 1000, "");
        }
        let id = message["context_id"].as_str().unwrap_or(DEFAULT_CONTEXT).to_owned();
        let is_new = !self.contexts.contains_key(&id);
        if is_new && (message["close_context"] == true || message["text"].is_null()) {
            return;
        }
        if is_new && self.contexts.len() >= CONTEXTS_MAX {
            let message = "Maximum simultaneous contexts per WebSocket connection exceeded (5).";
            return self.complain("max_active_conversations", message, out);
        }
        let settings = ["voice_settings", "generation_config", "pronunciation_dictionary_locators"];
        if !is_new && settings.iter().any(|name| !message[name].is_null()) {
            let message = "Settings can only be provided in the first message of a context.";
            return self.complain("invalid_message", message, out);
        }
        if let Some(refused) = refused_setting(&message["voice_settings"]) {
            return self.complain("invalid_voice_settings", &refused, out);
        }
        if is_new {
            self.lanes += 1;
            let asked = message["generation_config"]["chunk_length_schedule"].as_array();
            let asked = asked.into_iter().flatten().filter_map(Value::as_u64);
            let mut schedule: Vec<usize> = asked.filter_map(|n| n.try_into().ok()).collect();
            if schedule.is_empty() {
                schedule = CHUNK_SCHEDULE.to_vec();
            }
            let speech = Speech::new(&self.app, format);
            let (lane, buffer) = (self.lanes, String::new());
            let context = Context { lane, speech, buffer, chunks: 0, schedule, last_message: now };
            self.contexts.insert(id.clone(), context);
        }
        self.handle_context(now, &id, message, out);
    }

    fn handle_context(&mut self, now: Instant, id: &str, message: &Value, out: &mut Out) {
        let is_single = self.kind == Kind::Single;
        let auto_mode = self.settings.as_ref().is_ok_and(|settings| settings.auto_mode);
        let Some(context) = self.contexts.get_mut(id) else { return };
        context.last_message = now;
        let text = message["text"].as_str();
        if let Some(text) = text.filter(|text| !text.trim().is_empty()) {
            context.speech.note(text);
            context.buffer.push_str(text);
        }
        let ends = match self.kind {
            Kind::Single => text == Some(""),
            Kind::Multi => message["close_context"] == true,
        };
        let flush = message["flush"] == true
            || (is_single && (ends || message["try_trigger_generation"] == true));
        let wanted = context.schedule[context.chunks.min(context.schedule.len() - 1)];
        let is_enough = context.buffer.chars().count() >= wanted;
        if flush || auto_mode || is_enough {
            context.chunks += 1;
            let text = std::mem::take(&mut context.buffer);
            for word in context.speech.say(now, &text) {
                let audio = audio_message(&word, id, is_single);
                out.text_at(word.due, Some(context.lane), audio, word.mark);
            }
        }
        if ends {
            let done = context.speech.free_at(now);
            let mut message = json!({"audio": null, "isFinal": true});
            if !is_single {
                message["contextId"] = id.into();
            }
            out.text_at(done, None, message, None);
            self.contexts.remove(id);
            if is_single {
                self.ended = true;
                out.close_at(done, 1000, "");
            }
        }
    }
}

/// The context of messages that name none.
const DEFAULT_CONTEXT: &str = "default";

/// A setting out of its range.
fn refused_setting(settings: &Value) -> Option<String> {
    let ranges = [
        ("stability", 0.0, 1.0),
        ("similarity_boost", 0.0, 1.0),
        ("style", 0.0, 1.0),
        ("speed", 0.7, 1.2),
    ];
    ranges.into_iter().find_map(|(name, from, to)| {
        let value = settings[name].as_f64()?;
        (!(from..=to).contains(&value))
            .then(|| format!("{name} is {value}, expected {from} to {to}"))
    })
}

/// A word's audio, and when each of its characters is spoken.
fn audio_message(word: &SpokenWord, context: &str, is_single: bool) -> Value {
    let chars: Vec<String> = word.text.chars().map(String::from).chain([" ".to_owned()]).collect();
    let count = chars.len() - 1;
    let (sound, pause) = (SOUND.as_millis() as usize, (WORD - SOUND).as_millis() as usize);
    let starts: Vec<usize> = (0..=count).map(|index| sound * index / count.max(1)).collect();
    let durations: Vec<usize> =
        starts.windows(2).map(|pair| pair[1] - pair[0]).chain([pause]).collect();
    let alignment =
        json!({"chars": chars, "charStartTimesMs": starts, "charDurationsMs": durations});
    let mut message = json!({
        "audio": BASE64_STANDARD.encode(&word.audio),
        "isFinal": null,
        "normalizedAlignment": alignment,
        "alignment": alignment,
    });
    if !is_single {
        message["contextId"] = context.into();
    }
    message
}

impl Dialogue for Speaking {
    fn open(&mut self, _out: &mut Out) {}

    fn handle_text(&mut self, now: Instant, text: &str, out: &mut Out) {
        self.last_message = now;
        if self.ended {
            return;
        }
        match serde_json::from_str::<Value>(text) {
            Ok(message @ Value::Object(_)) => self.handle(now, &message, out),
            Ok(_) | Err(_) => self.complain("invalid_message", "The message is no object.", out),
        }
    }

    fn handle_audio(&mut self, _now: Instant, _audio: &[u8], out: &mut Out) {
        self.complain("invalid_message", "Binary messages are not understood.", out);
    }

    fn next_deadline(&self) -> Option<Instant> {
        let settings = self.settings.as_ref().ok().filter(|_| !self.ended)?;
        let contexts = self.contexts.values().map(|context| context.last_message);
        Some(contexts.chain([self.last_message]).min()? + settings.inactivity)
    }

    fn handle_deadline(&mut self, now: Instant, out: &mut Out) {
        let Ok(settings) = &self.settings else { return };
        let inactivity = settings.inactivity;
        let quiet: Vec<String> = self
            .contexts
            .iter()
            .filter(|(_, context)| context.last_message + inactivity <= now)
            .map(|(id, _)| id.clone())
            .collect();
        for id in quiet {
            self.contexts.remove(&id);
            out.text(json!({"audio": null, "isFinal": true, "contextId": id}));
        }
        if self.last_message + inactivity <= now {
            let message = "Have not received a new text input within the timeout.";
            self.complain("input_timeout_exceeded", message, out);
        }
    }
}
