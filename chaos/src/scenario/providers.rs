//! The providers of a run: fakes that do their work, behind switches that break them.

mod llm;
mod relay;
mod stt;
mod switch;
mod tts;

pub use llm::BreakableLlm;
pub use stt::BreakableStt;
pub use switch::{Switch, recover_after};
pub use tts::BreakableTts;

use std::{collections::HashMap, sync::Arc};

use offhook_actors::{ProviderHealth, Roster, Staged, Stages};
use offhook_core::{Message, Stage};
use offhook_providers::{llm::Llm, stt::Stt, tts::Tts};
use offhook_testkit::fakes::Reply;

use super::{fault::Who, plan::Cast, trace::Trace};

/// The providers of one call, or of all calls that share them.
#[derive(Clone)]
pub struct Company {
    pub transcribers: Vec<BreakableStt>,
    pub models: Vec<BreakableLlm>,
    pub voices: Vec<BreakableTts>,
    switches: HashMap<Who, Switch>,
}

/// What the models of a run say.
pub type Script = Arc<dyn Fn(&[Message]) -> Reply + Send + Sync>;

impl Company {
    pub fn new(
        cast: &Cast,
        script: &Script,
        health: &ProviderHealth,
        trace: &Trace,
        call: usize,
    ) -> Self {
        let mut switches = HashMap::new();
        let mut switch = |who: Who| {
            let switch = Switch::new(who, health.clone(), trace.clone(), call);
            switches.insert(who, switch.clone());
            switch
        };
        let nth = 1..=cast.providers;
        let company = Self {
            transcribers: nth
                .clone()
                .map(|nth| BreakableStt::new(cast, switch(Who::transcriber(nth))))
                .collect(),
            models: nth
                .clone()
                .map(|nth| BreakableLlm::new(cast, script, switch(Who::model(nth))))
                .collect(),
            voices: nth.map(|nth| BreakableTts::new(cast, switch(Who::voice(nth)))).collect(),
            switches: HashMap::new(),
        };
        Self { switches, ..company }
    }

    /// # Panics
    ///
    /// When the cast has no such provider.
    pub fn switch(&self, who: Who) -> &Switch {
        self.switches.get(&who).unwrap_or_else(|| panic!("the cast has no {who}"))
    }

    /// The providers as a call takes them: the first of each stage, and its fallbacks.
    pub fn stages(&self) -> Stages {
        Stages {
            transcriber: roster(Stage::Transcriber, &self.transcribers, |it| {
                Arc::new(it) as Arc<dyn Stt>
            }),
            model: roster(Stage::Model, &self.models, |it| Arc::new(it) as Arc<dyn Llm>),
            voice: roster(Stage::Voice, &self.voices, |it| Arc::new(it) as Arc<dyn Tts>),
        }
    }

    /// Ends every trouble.
    pub fn mend(&self) {
        for switch in self.switches.values() {
            switch.set(None);
        }
    }

    /// Sessions and replies that are open now, by provider.
    pub fn open(&self) -> Vec<(Who, usize)> {
        let all = self.switches.iter().map(|(who, switch)| (*who, switch.open()));
        all.filter(|(_, open)| *open > 0).collect()
    }
}

fn roster<F: Clone, P: ?Sized>(
    stage: Stage,
    fakes: &[F],
    provider: impl Fn(F) -> Arc<P>,
) -> Roster<P> {
    let named = fakes.iter().cloned().zip(1..);
    let staged =
        named.map(|(fake, nth)| Staged::new(stage, &Who { stage, nth }.name(), provider(fake)));
    Roster::new(staged.collect()).expect("a cast has a provider for every stage")
}
