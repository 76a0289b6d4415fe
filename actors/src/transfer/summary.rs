//! What whoever takes a call is told of it: the call's own model sums it up.

use std::sync::Arc;

use offhook_api::{SummaryPlan, artifact};
use offhook_core::{FailureClass, Message, Stage};
use offhook_providers::{ProviderError, llm::LlmRequest};
use tokio::time::timeout;

use crate::{CallContext, short_answer};

/// Longest summary, in characters: what Vonage says at once, and a minute and a half of speech.
const SUMMARY_CHARS_MAX: usize = 1_400;

/// What the model is asked where the plan does not say.
const INSTRUCTION: &str = "A caller is being put through to a colleague. From the transcript, tell the \
                           colleague in two or three short sentences who is calling and what they \
                           want. Answer with nothing but these sentences; they are read aloud.";

/// Where a plan's messages want the transcript, and the system prompt.
const TRANSCRIPT: &str = "transcript";
const SYSTEM_PROMPT: &str = "systemPrompt";

/// Sums the call up; `otherwise` where that fails or takes too long.
pub(super) async fn sum_up(
    context: Arc<CallContext>,
    plan: SummaryPlan,
    otherwise: String,
) -> String {
    // Another may serve by the time it answers.
    let candidate = context.succession(Stage::Model).current();
    let question = LlmRequest { messages: question(&context, &plan), tools: Vec::new() };
    let answer =
        timeout(plan.timeout, short_answer::ask(&context, candidate, question, SUMMARY_CHARS_MAX))
            .await;
    let answer = answer.unwrap_or_else(|_| {
        let detail = format!("no summary within {:?}", plan.timeout);
        Err(ProviderError::new(FailureClass::Timeout, detail))
    });
    match answer {
        Ok(summary) if !summary.trim().is_empty() => summary.trim().to_owned(),
        Ok(_) => otherwise,
        Err(error) => {
            let provider = &context.spec.stages.model.candidates()[candidate].name;
            tracing::warn!(call = %context.spec.id, provider, %error, "the call is not summed up");
            otherwise
        }
    }
}

/// What the model is asked: the plan's messages, with the transcript in them or behind them.
fn question(context: &CallContext, plan: &SummaryPlan) -> Vec<Message> {
    let transcript =
        artifact::transcript(&context.history(), &context.spec.assistant.artifact_plan());
    let is_system = |message: &&Message| matches!(message, Message::System { .. });
    let prompt = match context.spec.options.preamble.iter().find(is_system) {
        Some(Message::System { content }) => content.as_str(),
        Some(_) | None => "",
    };
    messages(&plan.messages, &transcript, prompt)
}

fn messages(given: &[(String, String)], transcript: &str, prompt: &str) -> Vec<Message> {
    let behind = || Message::User { content: format!("Transcript:\n\n{transcript}") };
    if given.is_empty() {
        return vec![Message::System { content: INSTRUCTION.into() }, behind()];
    }
    let mut has_transcript = false;
    let mut messages: Vec<Message> = given
        .iter()
        .map(|(role, content)| {
            let filled = fill(content, TRANSCRIPT, transcript);
            has_transcript |= filled.is_some();
            let content = filled.unwrap_or_else(|| content.clone());
            let content = fill(&content, SYSTEM_PROMPT, prompt).unwrap_or(content);
            match role.as_str() {
                "system" => Message::System { content },
                "assistant" => Message::Assistant { content, interrupted: false },
                _ => Message::User { content },
            }
        })
        .collect();
    if !has_transcript {
        messages.push(behind());
    }
    messages
}

/// Puts a value in the place of `{{name}}`; `None` where there is no such place.
fn fill(text: &str, name: &str, value: &str) -> Option<String> {
    let mut filled = String::new();
    let (mut rest, mut found) = (text, false);
    while let Some((before, after)) = rest.split_once("{{") {
        filled.push_str(before);
        match after.split_once("}}") {
            Some((inner, after)) if inner.trim() == name => {
                filled.push_str(value);
                (rest, found) = (after, true);
            }
            Some(_) | None => {
                filled.push_str("{{");
                rest = after;
            }
        }
    }
    filled.push_str(rest);
    found.then_some(filled)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plans_messages_get_the_transcript_where_they_want_it() {
        let given = [
            ("system".to_owned(), "Sum up. Prompt: {{systemPrompt}}".to_owned()),
            ("user".to_owned(), "It is: {{ transcript }}. {{endedReason}}".to_owned()),
        ];
        let asked = messages(&given, "AI: hi {{systemPrompt}}", "Be kind");
        let content = |message: &Message| {
            let (Message::System { content } | Message::User { content }) = message else {
                panic!("{message:?}")
            };
            content.clone()
        };
        assert_eq!(asked.len(), 2);
        assert_eq!(content(&asked[0]), "Sum up. Prompt: Be kind");
        assert!(content(&asked[1]).starts_with("It is: AI: hi "));
    }

    #[test]
    fn a_plan_without_a_place_for_the_transcript_gets_it_behind() {
        for given in [vec![], vec![("system".to_owned(), "Sum up".to_owned())]] {
            let asked = messages(&given, "AI: hi", "");
            let Some(Message::User { content }) = asked.last() else { panic!("{asked:?}") };
            assert!(content.ends_with("AI: hi"), "{content}");
        }
    }
}
