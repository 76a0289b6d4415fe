//! A question beside the conversation that the call's own model answers in a few words.

use offhook_core::FailureClass;
use offhook_providers::{
    ProviderError,
    llm::{LlmEvent, LlmRequest},
};

use crate::CallContext;

/// Asks one of the call's models; of the answer no more than `chars_max` characters are kept. What it
/// costs is counted. Bounded by whoever waits for it.
pub(crate) async fn ask(
    context: &CallContext,
    candidate: usize,
    question: LlmRequest,
    chars_max: usize,
) -> Result<String, ProviderError> {
    let model = &context.spec.stages.model.candidates()[candidate];
    let mut stream = model.provider.generate(question).await?;
    let mut answer = String::new();
    while let Some(event) = stream.events.recv().await {
        match event? {
            LlmEvent::Text(text) => {
                let room = chars_max.saturating_sub(answer.chars().count());
                answer.extend(text.chars().take(room));
            }
            LlmEvent::ToolCall(_) | LlmEvent::Unheard(_) => {}
            LlmEvent::Usage(usage) => context.add_usage(candidate, usage),
            LlmEvent::Finished(_) => return Ok(answer),
        }
    }
    Err(ProviderError::new(FailureClass::Closed, "the answer was cut off"))
}
