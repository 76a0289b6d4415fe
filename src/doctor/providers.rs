//! Whether providers are there, take the keys, and know the models and voices that documents name.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use futures_util::{StreamExt, stream};
use offhook_actors::probe::{self, Timing};
use offhook_config::{Provider as Settled, Settings};
use offhook_core::{FailureClass, Stage};
use offhook_providers::{
    Access, BuildError, Net, ProviderError, dead,
    llm::{self, Llm},
    probe::{Answer, FreeResource, Probe},
    stt::{self, Stt},
    tts::{self, Tts},
};
use serde_json::Value;

use super::{
    ANSWER_LIMIT, Finding, State,
    uses::{self, Use},
};

/// Probes under way at once: enough to be quick, too few for a provider to take it for an attack.
const PARALLEL_MAX: usize = 8;

const STAGES: [Stage; 3] = [Stage::Transcriber, Stage::Model, Stage::Voice];

/// A provider with one model or voice.
#[derive(Clone, Debug, PartialEq)]
pub struct ProviderRow {
    pub provider: String,
    pub stage: Stage,
    /// Where its key comes from.
    pub key: String,
    /// The model or voice.
    pub subject: String,
    pub connect: Option<Duration>,
    /// To the first token or sound.
    pub first: Option<Duration>,
    pub state: State,
    pub verdict: String,
    pub advice: Option<String>,
}

pub struct Examined {
    pub rows: Vec<ProviderRow>,
    /// What is wrong with the settings of providers as such.
    pub findings: Vec<Finding>,
}

/// Looks at every provider that is configured or that documents use; `probe`: for real.
///
/// `credentials`: providers of which a key lies in a stored credential.
pub async fn examine(
    settings: &Settings,
    net: &Net,
    uses: Vec<Use>,
    credentials: &BTreeSet<String>,
    probe: bool,
) -> Examined {
    let uses = with_configured(settings, uses);
    let answers = ask_all(settings, net, &uses).await;
    let examiner = Examiner { settings, net, credentials, probe, answers };
    // Collected first: a stream of borrowing futures is not general enough for `tokio::spawn`.
    let looks: Vec<_> = uses.iter().map(|it| examiner.look(it)).collect();
    let rows: Vec<ProviderRow> = stream::iter(looks).buffered(PARALLEL_MAX).collect().await;
    let mut findings: Vec<Finding> = settings.providers.keys().filter_map(unknown).collect();
    if settings.providers.is_empty() {
        findings.push(Finding::warning(
            "providers",
            "none has a key or an address: assistants that name none use the embedded ones",
            "set DEEPGRAM_API_KEY and OPENAI_API_KEY, or those of others, before real calls",
        ));
    }
    Examined { rows, findings }
}

/// What the registry says of a provider.
#[derive(Clone, Copy)]
struct Entry {
    probe: Probe,
    specimen: &'static str,
    key_variable: &'static str,
}

fn entry(stage: Stage, name: &str) -> Option<Entry> {
    macro_rules! find {
        ($module:ident) => {
            $module::ALL.iter().find(|it| it.name == name).map(|it| Entry {
                probe: it.probe,
                specimen: it.specimen,
                key_variable: it.key_variable,
            })
        };
    }
    match stage {
        Stage::Transcriber => find!(stt),
        Stage::Model => find!(llm),
        Stage::Voice => find!(tts),
    }
}

/// Adds what is configured and used by no document, with a model or voice that everybody may use.
fn with_configured(settings: &Settings, mut uses: Vec<Use>) -> Vec<Use> {
    for name in settings.providers.keys() {
        for stage in STAGES {
            let Some(entry) = entry(stage, name) else { continue };
            if uses.iter().any(|it| it.stage == stage && it.provider == *name) {
                continue;
            }
            let options = serde_json::from_str(entry.specimen).unwrap_or(Value::Null);
            uses.push(Use {
                stage,
                provider: name.clone(),
                subject: uses::subject(stage, &options),
                options,
                place: format!("providers.{name}"),
                documents: 0,
                is_needed: false,
            });
        }
    }
    uses
}

fn unknown(name: &String) -> Option<Finding> {
    if STAGES.iter().any(|stage| entry(*stage, name).is_some()) {
        return None;
    }
    let subject = format!("providers.{name}");
    let service = STAGES.iter().find_map(|stage| dead::find(uses::kind(*stage), name));
    Some(match service {
        Some(service) => {
            let found = format!("{} is gone since {}", service.title, service.since);
            Finding::warning(&subject, found, "take it out of the settings")
        }
        None => Finding::warning(
            &subject,
            "no provider of this name is driven by this version",
            "check its name: docs/assistants.md lists those that are",
        ),
    })
}

/// What free resources answered, by provider and path: those of several stages are one.
type Answers = BTreeMap<(String, String), Answer>;

fn name_of(provider: &str, resource: &FreeResource) -> (String, String) {
    (provider.to_owned(), format!("{}/{}", resource.address, resource.path.join("/")))
}

async fn ask_all(settings: &Settings, net: &Net, uses: &[Use]) -> Answers {
    let mut asked: BTreeMap<(String, String), (FreeResource, Access)> = BTreeMap::new();
    for it in uses {
        if let Some(Entry { probe: Probe::Resource(resource), .. }) = entry(it.stage, &it.provider)
        {
            let access = access(settings.providers.get(&it.provider));
            // Without either there is nobody to ask as.
            if access.api_key.is_some() || access.base_url.is_some() {
                asked.insert(name_of(&it.provider, &resource), (resource, access));
            }
        }
    }
    let asking: Vec<_> = asked
        .into_iter()
        .map(|(name, (resource, access))| async move {
            (name, resource.ask(&access, net, ANSWER_LIMIT).await)
        })
        .collect();
    stream::iter(asking).buffered(PARALLEL_MAX).collect().await
}

fn access(provider: Option<&Settled>) -> Access {
    provider.map_or_else(Access::default, |provider| Access {
        api_key: provider.api_key.clone(),
        base_url: provider.base_url.clone(),
    })
}

/// A provider that was set up.
enum Built {
    Transcriber(Box<dyn Stt>),
    Model(Box<dyn Llm>),
    Voice(Box<dyn Tts>),
}

impl Built {
    fn new(it: &Use, access: &Access, net: &Net) -> Result<Self, BuildError> {
        let mut options = it.options.clone();
        options["provider"] = it.provider.as_str().into();
        match it.stage {
            Stage::Transcriber => stt::build(&options, access, net).map(Self::Transcriber),
            Stage::Model => {
                options["maxTokens"] = probe::TOKENS_MAX.into();
                // Thinking wants more tokens than that.
                if let Some(options) = options.as_object_mut() {
                    options.remove("thinking");
                }
                llm::build(&options, access, net).map(Self::Model)
            }
            Stage::Voice => tts::build(&options, access, net).map(Self::Voice),
        }
    }

    async fn use_once(&self) -> Result<Timing, ProviderError> {
        match self {
            Self::Transcriber(provider) => probe::transcribe(&**provider).await,
            Self::Model(provider) => probe::ask(&**provider).await,
            Self::Voice(provider) => probe::speak(&**provider).await,
        }
    }
}

/// What was found about one row.
struct Verdict {
    state: State,
    text: String,
    advice: Option<String>,
    timing: Option<Timing>,
}

impl Verdict {
    fn ok(text: impl Into<String>, timing: Option<Timing>) -> Self {
        Self { state: State::Ok, text: text.into(), advice: None, timing }
    }

    fn bad(state: State, text: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { state, text: text.into(), advice: Some(advice.into()), timing: None }
    }
}

struct Examiner<'a> {
    settings: &'a Settings,
    net: &'a Net,
    credentials: &'a BTreeSet<String>,
    probe: bool,
    answers: Answers,
}

impl Examiner<'_> {
    async fn look(&self, it: &Use) -> ProviderRow {
        let entry = entry(it.stage, &it.provider);
        let verdict = match entry {
            Some(entry) => self.judge(it, entry).await,
            None => Verdict::bad(
                needed(it),
                "not driven by this version",
                format!("name another provider in {}", it.place),
            ),
        };
        let needs_key = entry.is_none_or(|entry| !entry.key_variable.is_empty());
        let key = match self.settings.key_origins.get(&it.provider) {
            Some(origin) => origin.clone(),
            None if needs_key => "none".into(),
            None => "none needed".into(),
        };
        ProviderRow {
            provider: it.provider.clone(),
            stage: it.stage,
            key,
            subject: it.subject.clone(),
            connect: verdict.timing.map(|timing| timing.connect),
            first: verdict.timing.and_then(|timing| timing.first),
            state: verdict.state,
            verdict: verdict.text,
            advice: verdict.advice,
        }
    }

    async fn judge(&self, it: &Use, entry: Entry) -> Verdict {
        let access = access(self.settings.providers.get(&it.provider));
        let key = |advice: &str| format!("{advice} {}", how_to_set(it, entry));
        let built = match it.options.is_object().then(|| Built::new(it, &access, self.net)) {
            Some(Ok(built)) => Some(built),
            None => None,
            Some(Err(BuildError::KeyMissing { .. })) => return self.keyless(it, entry),
            Some(Err(error)) => {
                let advice = format!("correct {}", it.place);
                return Verdict::bad(needed(it), error.to_string(), advice);
            }
        };
        match built {
            Some(built) if self.probe => match built.use_once().await {
                Ok(timing) => Verdict::ok("works", Some(timing)),
                Err(error) => failed(it, &error, &key("correct")),
            },
            built => self.free(it, entry, built.is_some()),
        }
    }

    /// Without using it.
    fn free(&self, it: &Use, entry: Entry, is_built: bool) -> Verdict {
        let resource = match entry.probe {
            Probe::Embedded => return Verdict::ok("on this machine", None),
            Probe::Document => return Verdict::ok("--probe tries the document's address", None),
            Probe::Resource(resource) => resource,
        };
        let more = match (is_built, self.probe) {
            (_, false) => "--probe tries it",
            (_, true) => "no document says with which model or voice to try it",
        };
        let timed = |took| Some(Timing { connect: took, first: None });
        let key = |advice: &str| format!("{advice} {}", how_to_set(it, entry));
        match self.answers.get(&name_of(&it.provider, &resource)) {
            Some(Answer::KeyGood { took }) => Verdict::ok("takes the key", timed(*took)),
            Some(Answer::Reachable { took }) => {
                Verdict::ok(format!("reachable; {more}"), timed(*took))
            }
            Some(Answer::KeyRefused { status }) => {
                Verdict::bad(State::Problem, format!("refuses the key ({status})"), key("correct"))
            }
            Some(Answer::Strange { status }) => Verdict::bad(
                State::Warning,
                format!("answers with {status}"),
                format!("see its status page; {more}"),
            ),
            Some(Answer::Unreachable { reason }) => Verdict::bad(
                State::Problem,
                reason.clone(),
                format!("check the network, or providers.{}.base_url", it.provider),
            ),
            None => self.keyless(it, entry),
        }
    }

    /// Credentials are sealed: only calls open them.
    fn keyless(&self, it: &Use, entry: Entry) -> Verdict {
        if self.credentials.contains(&it.provider) {
            return Verdict::ok("its key is a stored credential, which only calls try", None);
        }
        let advice = format!("set {}", how_to_set(it, entry));
        Verdict::bad(needed(it), "no key: calls that use it end", advice)
    }
}

/// How bad it is when a provider cannot be set up.
const fn needed(it: &Use) -> State {
    if it.is_needed { State::Problem } else { State::Warning }
}

fn how_to_set(it: &Use, entry: Entry) -> String {
    let setting = format!("providers.{}.api_key", it.provider);
    match entry.key_variable {
        "" => setting,
        variable => format!("{variable} or {setting}"),
    }
}

/// What a failure in use means.
fn failed(it: &Use, error: &ProviderError, key: &str) -> Verdict {
    let text = error.to_string();
    let status_page = "see its status page, and the network of this machine";
    match error.class {
        FailureClass::Unauthorized => Verdict::bad(State::Problem, text, key),
        FailureClass::Quota => Verdict::bad(State::Problem, text, "settle its account"),
        FailureClass::RateLimited { .. } => {
            Verdict::bad(State::Warning, text, "ask again later, or ask it for a higher limit")
        }
        FailureClass::BadRequest | FailureClass::Unsupported => {
            Verdict::bad(State::Problem, text, format!("correct {}", it.place))
        }
        FailureClass::Unavailable
        | FailureClass::Timeout
        | FailureClass::Closed
        | FailureClass::Stalled
        | FailureClass::Protocol => Verdict::bad(State::Problem, text, status_page),
    }
}

#[cfg(test)]
mod tests;
