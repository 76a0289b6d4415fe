//! What the assistant does by itself: breaks the silence, warns of the end, apologises for a cut.

use std::time::Duration;

use super::{Conversation, Floor, turn::Turn};
use crate::{CallTime, EndedReason, Hook, HookAction, HookTrigger, Message};

/// Prompts of hooks that wait for the floor; a call has a handful of hooks.
const PROMPTS_MAX: usize = 4;

/// What became of the hooks so far.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Hooks {
    /// Times that each was triggered since its count was set back, by its place in the options.
    counts: Vec<u32>,
    /// Times that each was triggered at all.
    uses: Vec<usize>,
    silence: Silence,
    /// What the model is to be asked once nobody speaks.
    prompts: Vec<Prompt>,
}

/// The caller's silence.
///
/// In one silence each hook is triggered once, in the order of their time-outs, all counted from
/// its beginning. Once all had their turn, it begins anew.
#[derive(Clone, Debug, Default, PartialEq)]
struct Silence {
    /// `None`: somebody has spoken, and it has not begun.
    since: Option<CallTime>,
    triggered: Vec<usize>,
}

/// Something that the model is to be asked.
#[derive(Clone, Debug, PartialEq)]
struct Prompt {
    messages: Vec<Message>,
    ending: Option<EndedReason>,
}

impl Conversation {
    /// When a hook is due while nobody speaks, and which.
    pub(super) fn silence_hook_at(&self) -> Option<(CallTime, usize)> {
        let silence = &self.hooks.silence;
        let since = silence.since?;
        self.silence_hooks()
            .filter(|(index, _)| !silence.triggered.contains(index))
            .map(|(index, timeout)| (since + timeout, index))
            .min()
    }

    /// When a hook is due because of the call's age, and which.
    pub(super) fn age_hook_at(&self) -> Option<(CallTime, usize)> {
        let began_at = self.began_at?;
        let aged =
            self.options.hooks.iter().enumerate().filter_map(|(index, hook)| match hook.on {
                HookTrigger::CallAged { age } if self.uses_of(index) == 0 => {
                    Some((began_at + age, index))
                }
                HookTrigger::CallAged { .. }
                | HookTrigger::CallerSilent { .. }
                | HookTrigger::AssistantInterrupted
                | HookTrigger::ModelSilent => None,
            });
        aged.min()
    }

    /// Nobody speaks from here on.
    pub(super) fn silence_began(&mut self) {
        let now = self.now;
        let is_over = self.silence_hook_at().is_none();
        let silence = &mut self.hooks.silence;
        if is_over || silence.since.is_none() {
            *silence = Silence { since: Some(now), triggered: Vec::new() };
        }
    }

    /// Somebody spoke who is not a hook.
    pub(super) fn silence_broken(&mut self) {
        self.hooks.silence = Silence::default();
    }

    /// The caller said something.
    pub(super) fn caller_spoke(&mut self) {
        self.silence_broken();
        for (index, hook) in self.options.hooks.iter().enumerate() {
            if let HookTrigger::CallerSilent { resets_on_words: true, .. } = hook.on
                && let Some(count) = self.hooks.counts.get_mut(index)
            {
                *count = 0;
            }
        }
    }

    pub(super) fn silence_hook_due(&mut self) {
        let Some((_, index)) = self.silence_hook_at() else { return };
        self.hooks.silence.triggered.push(index);
        self.trigger(index);
        let says_nothing = self.speeches.next_queued().is_none();
        if matches!(self.floor, Floor::Idle { .. }) && says_nothing {
            self.silence_began();
        }
    }

    pub(super) fn age_hook_due(&mut self) {
        if let Some((_, index)) = self.age_hook_at() {
            self.trigger(index);
        }
    }

    /// Does what all hooks of this kind ask for.
    pub(super) fn trigger_all(&mut self, on: HookTrigger) {
        for index in 0..self.options.hooks.len() {
            if self.options.hooks[index].on == on {
                self.trigger(index);
            }
        }
    }

    /// Asks the model what a hook wants to know, once nobody speaks.
    pub(super) fn ask_prompted(&mut self) {
        if self.hooks.prompts.is_empty() || self.is_silent() {
            return;
        }
        if let Floor::Idle { .. } = self.floor {
            let Prompt { messages, ending } = self.hooks.prompts.remove(0);
            let silence = self.hooks.silence.clone();
            self.begin_turn(None, true);
            self.hooks.silence = silence;
            if let Floor::Assistant(turn) = &mut self.floor {
                *turn = Turn { aside: messages, ending, ..turn.clone() };
            }
        }
    }

    fn trigger(&mut self, index: usize) {
        let Some(Hook { actions, .. }) = self.options.hooks.get(index).cloned() else { return };
        let hooks = &mut self.hooks;
        hooks.counts.resize(hooks.counts.len().max(index + 1), 0);
        hooks.uses.resize(hooks.uses.len().max(index + 1), 0);
        hooks.counts[index] = hooks.counts[index].saturating_add(1);
        let nth = hooks.uses[index];
        hooks.uses[index] += 1;

        let ends = actions.contains(&HookAction::EndCall);
        let reason = ends.then_some(EndedReason::AssistantEndedCall);
        let says: Vec<_> = actions.iter().filter_map(|action| said(action, nth)).collect();
        let asks = actions.iter().any(|action| matches!(action, HookAction::Ask { .. }));
        for action in actions {
            match action {
                HookAction::AddMessage { role, content, trigger_response } => {
                    self.add_message(role, content, trigger_response);
                }
                HookAction::Ask { messages } if self.hooks.prompts.len() < PROMPTS_MAX => {
                    self.hooks.prompts.push(Prompt { messages, ending: reason.clone() });
                }
                HookAction::Ask { .. } | HookAction::Say { .. } | HookAction::EndCall => {}
            }
        }
        match reason {
            // The model's words come first, and end the call.
            Some(_) if asks && !self.is_silent() => {}
            Some(reason) => {
                let own = (!says.is_empty()).then(|| says.join(" "));
                self.close(reason, own.or_else(|| self.options.end_call_message.clone()));
                return;
            }
            None => {}
        }
        for text in says {
            self.say(text, true, None);
        }
        self.ask_prompted();
    }

    /// The hooks that wait for the caller, with their time-outs.
    fn silence_hooks(&self) -> impl Iterator<Item = (usize, Duration)> {
        self.options.hooks.iter().enumerate().filter_map(|(index, hook)| match hook.on {
            HookTrigger::CallerSilent { timeout, count_max, .. } => {
                let count = self.hooks.counts.get(index).copied().unwrap_or_default();
                (count < count_max).then_some((index, timeout))
            }
            HookTrigger::CallAged { .. }
            | HookTrigger::AssistantInterrupted
            | HookTrigger::ModelSilent => None,
        })
    }

    fn uses_of(&self, index: usize) -> usize {
        self.hooks.uses.get(index).copied().unwrap_or_default()
    }
}

/// What an action has said the `nth` time.
fn said(action: &HookAction, nth: usize) -> Option<String> {
    match action {
        HookAction::Say { texts } => texts.get(nth % texts.len().max(1)).cloned(),
        HookAction::Ask { .. } | HookAction::AddMessage { .. } | HookAction::EndCall => None,
    }
}
