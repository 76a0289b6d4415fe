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

use offhook_actors::{Staged, Stages};
use offhook_core::Message;
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
    pub fn new(cast: &Cast, script: &Script, trace: &Trace, call: usize) -> Self {
        let mut switches = HashMap::new();
        let mut switch = |who: Who| {
            let switch = Switch::new(who, trace.clone(), call);
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

    /// The providers as a call takes them.
    pub fn stages(&self) -> Stages {
        Stages {
            transcriber: Staged {
                name: Who::transcriber(1).name(),
                provider: Arc::new(self.transcribers[0].clone()),
            },
            model: Staged {
                name: Who::model(1).name(),
                provider: Arc::new(self.models[0].clone()),
            },
            voice: Staged {
                name: Who::voice(1).name(),
                provider: Arc::new(self.voices[0].clone()),
            },
        }
    }

    /// Sessions and replies that are open now, by provider.
    pub fn open(&self) -> Vec<(Who, usize)> {
        let all = self.switches.iter().map(|(who, switch)| (*who, switch.open()));
        all.filter(|(_, open)| *open > 0).collect()
    }
}
