//! Asks the call's model whether a voicemail answered (`voicemailDetection`).

use std::{future::Future, sync::Arc};

use offhook_core::{Event, FailureClass, Message, Stage, VOICEMAIL_ANSWER_DUE};
use offhook_providers::{ProviderError, llm::LlmRequest};
use tokio::time::timeout;

use crate::{CallContext, short_answer};

/// Characters of an answer that are read: one word is asked for.
const ANSWER_CHARS_MAX: usize = 200;

/// Puts one question to the model, beside whatever else it is asked. An answer that is late or
/// cannot be had is told to nobody: the call goes on as with a person.
pub(crate) fn ask(
    context: &Arc<CallContext>,
    request: u32,
    messages: Vec<Message>,
) -> impl Future<Output = ()> + Send + 'static {
    let context = context.clone();
    async move {
        let question = LlmRequest { messages, tools: Vec::new() };
        // Another may serve by the time it answers.
        let candidate = context.succession(Stage::Model).current();
        let answer = short_answer::ask(&context, candidate, question, ANSWER_CHARS_MAX);
        let answer = timeout(VOICEMAIL_ANSWER_DUE, answer).await;
        let answer = answer.unwrap_or_else(|_| {
            let detail = format!("no answer within {VOICEMAIL_ANSWER_DUE:?}");
            Err(ProviderError::new(FailureClass::Timeout, detail))
        });
        let outcome = match &answer {
            Ok(answer) if says_voicemail(answer) => "voicemail",
            Ok(_) => "human",
            Err(_) => "failed",
        };
        metrics::counter!("offhook_voicemail_questions_total", "outcome" => outcome).increment(1);
        match answer {
            Ok(answer) => {
                let is_voicemail = says_voicemail(&answer);
                context.tell(Event::VoicemailJudged { request, is_voicemail });
            }
            Err(error) => {
                let provider = &context.spec.stages.model.candidates()[candidate].name;
                tracing::warn!(call = %context.spec.id, provider, %error, "voicemail not judged");
            }
        }
    }
}

/// Whether an answer begins with the word that was asked for; models add punctuation and reasons.
fn says_voicemail(answer: &str) -> bool {
    let first = answer.split(|c: char| !c.is_alphanumeric()).find(|word| !word.is_empty());
    first.is_some_and(|word| word.eq_ignore_ascii_case("voicemail"))
}

#[cfg(test)]
mod tests {
    use super::says_voicemail;

    #[test]
    fn only_an_answer_that_begins_with_the_word_means_a_voicemail() {
        for answer in ["VOICEMAIL", " voicemail.", "**VOICEMAIL** because of the tone"] {
            assert!(says_voicemail(answer), "{answer}");
        }
        for answer in ["", "HUMAN", "No voicemail", "It is a VOICEMAIL", "pardon"] {
            assert!(!says_voicemail(answer), "{answer}");
        }
    }
}
