//! Tool calls: run, spoken about, answered.

use std::time::Duration;

use super::{
    Conversation, Floor,
    history::Key,
    reply::NO_REPLY,
    turn::{DelayedMessage, Reply, Spoken},
};
use crate::{
    CallTime, Command, EndedReason, Entry, Message, ServerEvent, SpeechId, ToolCall, ToolKind,
    ToolMessage, ToolOutcome, ToolSpec, TurnId,
};

/// Times in one turn that the model may ask for tools before it has to speak.
///
/// Chains of three or four are real; what goes on for longer goes in circles.
const TOOL_ROUNDS_MAX: u32 = 8;

/// How long a tool's result is waited for.
///
/// Longer than any time-out that a tool can have (300 s): this only catches that nobody answers.
const RESULT_DUE: Duration = Duration::from_secs(310);

/// Calls whose results are waited for, over all turns. More are answered with a refusal.
const RUNNING_MAX: usize = 64;

/// What the model is told of a call that it makes again while the first one runs.
const RUNS_ALREADY: &str = "this call runs already; its result is not known yet";

/// A call whose result is due.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct ToolRun {
    turn: TurnId,
    call: ToolCall,
    /// The place of its result in the history.
    pub key: Key,
    at: CallTime,
    /// The message that has to be heard before it is run.
    blocked_by: Option<SpeechId>,
}

impl ToolRun {
    /// What the model is told in the meantime.
    pub(super) fn still_running(&self) -> Message {
        self.result("still running; the result is not known yet".into())
    }

    fn result(&self, content: String) -> Message {
        let ToolCall { id, name, .. } = &self.call;
        Message::ToolResult { call_id: id.clone(), name: name.clone(), content }
    }
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct ToolRuns(Vec<ToolRun>);

impl ToolRuns {
    pub(super) fn running(&self) -> impl Iterator<Item = &ToolRun> {
        self.0.iter()
    }

    pub(super) fn running_in(&self, turn: TurnId) -> usize {
        self.0.iter().filter(|run| run.turn == turn).count()
    }

    /// When the first result that `turn` waits for is overdue.
    pub(super) fn overdue_at(&self, turn: TurnId) -> Option<CallTime> {
        let runs = self.0.iter().filter(|run| run.turn == turn && run.blocked_by.is_none());
        runs.map(|run| run.at + RESULT_DUE).min()
    }

    /// What waited for one speech waits for another in its place.
    pub(super) fn wait_for_other(&mut self, speech: SpeechId, other: SpeechId) {
        for run in self.0.iter_mut().filter(|run| run.blocked_by == Some(speech)) {
            run.blocked_by = Some(other);
        }
    }

    fn take_where(&mut self, is_wanted: impl Fn(&ToolRun) -> bool) -> Option<ToolRun> {
        let index = self.0.iter().position(is_wanted)?;
        Some(self.0.remove(index))
    }
}

impl Conversation {
    pub(super) fn reply_tool_calls(&mut self, calls: Vec<ToolCall>) {
        if calls.is_empty() {
            return;
        }
        // What was said before the calls need not wait for what comes after them.
        self.finish_reply_speech();
        let now = self.now;
        if let Floor::Assistant(turn) = &mut self.floor
            && let Reply::Generating { last_output_at, has_output, .. } = &mut turn.reply
        {
            *last_output_at = now;
            *has_output = true;
        }
        self.publish(ServerEvent::ToolCalls { tool_calls: calls.clone() });
        let message = Message::ToolCalls { calls: calls.clone() };
        let key = self.history.push(Entry { at: now, until: now, message });

        let mut starts = Vec::new();
        for (index, call) in calls.into_iter().enumerate() {
            let key = key.result(index);
            let run = ToolRun { turn: self.turn, call, key, at: now, blocked_by: None };
            self.start_call(run, &mut starts);
        }
        self.publish(ServerEvent::ConversationUpdate);
    }

    pub(super) fn tool_finished(&mut self, turn: TurnId, call_id: &str, outcome: ToolOutcome) {
        // Nobody waits for it: an async tool, or an answer given twice.
        let Some(run) = self.tools.take_where(|run| run.turn == turn && run.call.id == call_id)
        else {
            return;
        };
        let is_awaited = matches!(
            &self.floor,
            Floor::Assistant(turn) if turn.id == run.turn && turn.reply != Reply::Done
        );
        let spec = self.tool(&run.call.name);
        let (content, spoken) = match outcome {
            ToolOutcome::Done { result, message } => {
                (result, message.map(plain).or_else(|| spec.and_then(complete_message)))
            }
            ToolOutcome::Failed { error, message } => {
                (error, message.map(plain).or_else(|| spec.and_then(failed_message)))
            }
        };
        self.answer_call(&run, content, spoken);
        self.publish(ServerEvent::ConversationUpdate);
        if is_awaited {
            self.go_on_after_tools();
        } else {
            self.tell_late_result();
        }
    }

    /// The caller was told that a tool is at work, and its turn is over: they still want to know.
    fn tell_late_result(&mut self) {
        if self.is_silent() {
            return;
        }
        match self.floor {
            Floor::Idle { .. } => self.begin_turn(None, true),
            // The reply to what they say next knows the result; the one being made does not.
            Floor::Ringing
            | Floor::Caller
            | Floor::Assistant(_)
            | Floor::Paused(_)
            | Floor::Away(_) => {
                self.reply_wanted = true;
            }
            Floor::Closing(_) | Floor::Ended => {}
        }
    }

    /// A result that nobody will give any more.
    pub(super) fn tool_overdue(&mut self) {
        let Floor::Assistant(turn) = &self.floor else { return };
        let (id, now) = (turn.id, self.now);
        let overdue = |run: &ToolRun| {
            run.turn == id && run.blocked_by.is_none() && run.at + RESULT_DUE <= now
        };
        if let Some(run) = self.tools.take_where(overdue) {
            let spoken = self.tool(&run.call.name).and_then(failed_message);
            let content = format!("no result after {} s", RESULT_DUE.as_secs());
            self.answer_call(&run, content, spoken);
            self.publish(ServerEvent::ConversationUpdate);
            self.go_on_after_tools();
        }
    }

    /// Says that a tool takes its time.
    pub(super) fn delayed_message_due(&mut self) {
        let now = self.now;
        let Floor::Assistant(turn) = &mut self.floor else { return };
        let Some(index) = turn.delayed.iter().position(|message| message.at <= now) else {
            return;
        };
        let message = turn.delayed.remove(index);
        // Tools that run side by side say the same thing once.
        turn.delayed.retain(|other| other.at > now || other.content != message.content);
        self.say(message.content, true, None);
    }

    /// The message that calls waited for is over.
    pub(super) fn run_blocked_calls(&mut self, speech: SpeechId) {
        while let Some(mut run) = self.tools.take_where(|run| run.blocked_by == Some(speech)) {
            run.blocked_by = None;
            run.at = self.now;
            self.run_call(run);
        }
    }

    /// The message that calls waited for was cut off: the caller would not have it so.
    pub(super) fn refuse_blocked_calls(&mut self, speech: SpeechId) {
        while let Some(run) = self.tools.take_where(|run| run.blocked_by == Some(speech)) {
            let content = "not run: the announcement of it was interrupted".into();
            self.answer_call(&run, content, None);
            self.publish(ServerEvent::ConversationUpdate);
        }
    }

    /// All tools of the reply have been answered: their messages are spoken, or the model is
    /// asked what to make of the results.
    pub(super) fn after_tools(&mut self) {
        let Floor::Assistant(turn) = &mut self.floor else { return };
        let mut answered = std::mem::take(&mut turn.answered_calls);
        turn.delayed.clear();
        turn.reply = Reply::Done;
        if turn.ending.is_some() {
            return;
        }
        answered.sort_by_key(|(key, _)| *key);
        let spoken: Option<Vec<Spoken>> = answered.into_iter().map(|(_, spoken)| spoken).collect();
        if let Some(messages) = spoken {
            for message in messages {
                let then_end = message.end_call.then_some(EndedReason::AssistantEndedCall);
                if self.say(message.content, true, then_end.clone()).is_none()
                    && let Some(reason) = then_end
                {
                    // It will not be heard, but the end that hangs on it was asked for.
                    self.end(reason);
                    return;
                }
            }
            return;
        }
        turn.tool_rounds += 1;
        if turn.tool_rounds >= TOOL_ROUNDS_MAX {
            self.say(NO_REPLY.into(), true, None);
            return;
        }
        turn.reply = Reply::Due { not_before: self.quiet_until };
        self.generate_if_due();
    }

    /// The result of the same call made earlier in the turn, where the model may not know of it:
    /// its reply broke off after it.
    fn known_result(&self, call: &ToolCall) -> Option<String> {
        let Floor::Assistant(turn) = &self.floor else { return None };
        let is_same = |made: &ToolCall| made.name == call.name && made.arguments == call.arguments;
        let (key, _) = turn.called.iter().filter(|_| turn.was_broken).find(|it| is_same(&it.1))?;
        let entry = self.history.keyed().find(|(at, _)| at == key);
        Some(match entry.map(|(_, entry)| &entry.message) {
            Some(Message::ToolResult { content, .. }) => content.clone(),
            Some(_) | None => RUNS_ALREADY.into(),
        })
    }

    fn start_call(&mut self, mut run: ToolRun, starts: &mut Vec<(String, Option<SpeechId>)>) {
        if let Some(result) = self.known_result(&run.call) {
            self.answer_call(&run, result, None);
            return;
        }
        if let Floor::Assistant(turn) = &mut self.floor {
            turn.called.push((run.key, run.call.clone()));
        }
        let Some(spec) = self.tool(&run.call.name).cloned() else {
            let content = self.no_such_tool(&run.call.name);
            self.answer_call(&run, content, None);
            return;
        };
        match spec.kind {
            ToolKind::EndCall => {
                self.speak_start(&spec, starts);
                if let Floor::Assistant(turn) = &mut self.floor {
                    turn.ending = Some(EndedReason::AssistantEndedCall);
                }
                self.answer_call(&run, "the call ends once you have been heard".into(), None);
            }
            ToolKind::Function if spec.is_async => {
                self.command(Command::RunTool { turn: run.turn, call: run.call.clone() });
                let spoken = complete_message(&spec);
                self.answer_call(&run, "started".into(), spoken);
            }
            ToolKind::Function if self.tools.0.len() >= RUNNING_MAX => {
                let content = format!("not run: {RUNNING_MAX} calls are running already");
                self.answer_call(&run, content, None);
            }
            ToolKind::Function => {
                run.blocked_by = self.speak_start(&spec, starts);
                if run.blocked_by.is_some() {
                    self.tools.0.push(run);
                } else {
                    self.run_call(run);
                }
            }
        }
    }

    fn run_call(&mut self, run: ToolRun) {
        let delays = self.tool(&run.call.name).map(delayed_messages).unwrap_or_default();
        if let Floor::Assistant(turn) = &mut self.floor
            && turn.id == run.turn
        {
            turn.delayed.extend(delays.into_iter().map(|(after, content)| DelayedMessage {
                at: run.at + after,
                key: run.key,
                content,
            }));
        }
        self.command(Command::RunTool { turn: run.turn, call: run.call.clone() });
        self.tools.0.push(run);
    }

    /// Speaks the message for the start of a tool, once for calls that share it; returns the
    /// speech that has to be heard first, if the message is such.
    fn speak_start(
        &mut self,
        spec: &ToolSpec,
        starts: &mut Vec<(String, Option<SpeechId>)>,
    ) -> Option<SpeechId> {
        let (content, blocking) = start_message(spec)?;
        let earlier = starts.iter().find(|(text, _)| *text == content).map(|(_, id)| *id);
        let speech = match earlier {
            Some(speech) => speech,
            None => {
                let speech = self.say(content.clone(), true, None);
                starts.push((content, speech));
                speech
            }
        };
        speech.filter(|_| blocking)
    }

    fn answer_call(&mut self, run: &ToolRun, content: String, spoken: Option<Spoken>) {
        let entry = Entry { at: run.at, until: self.now, message: run.result(content) };
        self.history.insert(run.key, entry);
        if let Floor::Assistant(turn) = &mut self.floor
            && turn.id == run.turn
        {
            turn.delayed.retain(|message| message.key != run.key);
            turn.answered_calls.push((run.key, spoken));
        }
    }

    pub(super) fn go_on_after_tools(&mut self) {
        if let Floor::Assistant(turn) = &self.floor
            && turn.reply == Reply::Tools
            && self.tools.running_in(turn.id) == 0
        {
            self.after_tools();
        }
    }

    fn tool(&self, name: &str) -> Option<&ToolSpec> {
        self.options.tools.iter().find(|tool| tool.name == name)
    }

    fn no_such_tool(&self, name: &str) -> String {
        let known: Vec<_> = self.options.tools.iter().map(|tool| tool.name.as_str()).collect();
        if known.is_empty() {
            return format!("there is no tool `{name}`, and no other tool either");
        }
        format!("there is no tool `{name}`, expected one of: {}", known.join(", "))
    }
}

fn plain(content: String) -> Spoken {
    Spoken { content, end_call: false }
}

fn start_message(spec: &ToolSpec) -> Option<(String, bool)> {
    spec.messages.iter().find_map(|message| match message {
        ToolMessage::Start { content, blocking } => Some((content.clone(), *blocking)),
        ToolMessage::Delayed { .. } | ToolMessage::Complete { .. } | ToolMessage::Failed { .. } => {
            None
        }
    })
}

fn delayed_messages(spec: &ToolSpec) -> Vec<(Duration, String)> {
    let delayed = spec.messages.iter().filter_map(|message| match message {
        ToolMessage::Delayed { content, after } => Some((*after, content.clone())),
        ToolMessage::Start { .. } | ToolMessage::Complete { .. } | ToolMessage::Failed { .. } => {
            None
        }
    });
    delayed.collect()
}

fn complete_message(spec: &ToolSpec) -> Option<Spoken> {
    spec.messages.iter().find_map(|message| match message {
        ToolMessage::Complete { content, end_call } => {
            Some(Spoken { content: content.clone(), end_call: *end_call })
        }
        ToolMessage::Start { .. } | ToolMessage::Delayed { .. } | ToolMessage::Failed { .. } => {
            None
        }
    })
}

fn failed_message(spec: &ToolSpec) -> Option<Spoken> {
    spec.messages.iter().find_map(|message| match message {
        ToolMessage::Failed { content, end_call } => {
            Some(Spoken { content: content.clone(), end_call: *end_call })
        }
        ToolMessage::Start { .. } | ToolMessage::Delayed { .. } | ToolMessage::Complete { .. } => {
            None
        }
    })
}
