use std::sync::{Arc, Mutex};

use offhook_providers::{
    llm::{Llm, LlmCapabilities, LlmEvent, LlmRequest, LlmStream},
    stt::Opening,
};
use offhook_testkit::fakes::FakeLlm;
use tokio::sync::mpsc;

use super::{
    Script, Switch,
    relay::{self, CHANNEL},
};
use crate::scenario::plan::Cast;

/// A model that can be broken.
#[derive(Clone)]
pub struct BreakableLlm {
    fake: FakeLlm,
    switch: Switch,
}

impl BreakableLlm {
    pub fn new(cast: &Cast, script: &Script, switch: Switch) -> Self {
        let script = script.clone();
        let mut fake = FakeLlm::new(move |messages| script(messages));
        fake.first_token = cast.llm_first_token;
        fake.between_tokens = cast.llm_between_tokens;
        Self { fake, switch }
    }
}

impl Llm for BreakableLlm {
    fn capabilities(&self) -> LlmCapabilities {
        self.fake.capabilities()
    }

    fn generate(&self, request: LlmRequest) -> Opening<LlmStream> {
        let this = self.clone();
        Box::pin(async move {
            let (life, stream) = this.switch.admit(this.fake.generate(request)).await?;
            life.fed();
            let (output, events) = mpsc::channel(CHANNEL);
            let pieces = |event: LlmEvent| {
                let words = if let LlmEvent::Text(_) = &event { 1.0 } else { 0.0 };
                vec![(event, words)]
            };
            let life = Arc::new(Mutex::new(life));
            tokio::spawn(relay::say(life, stream.events, output, pieces));
            Ok(LlmStream { events })
        })
    }
}
