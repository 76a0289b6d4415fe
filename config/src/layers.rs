//! Where values come from, and which of them counts.

use std::{collections::BTreeMap, env, ffi::OsString, fs, path::Path as FilePath};

use figment::{
    Figment, Metadata, Profile, Provider,
    value::{Dict, Map, Value},
};

use crate::{
    ConfigError, Problem, Settings, carriers,
    document::SettingDoc,
    form::{Form, plain_text},
    path::{PREFIX, Path},
    settings::docs,
};

/// Variables in which providers' own tools look for their keys, the first of a provider winning.
const CUSTOMARY: &[(&str, &str)] = &[
    ("DEEPGRAM_API_KEY", "deepgram"),
    ("OPENAI_API_KEY", "openai"),
    ("ANTHROPIC_API_KEY", "anthropic"),
    ("CARTESIA_API_KEY", "cartesia"),
    ("ELEVENLABS_API_KEY", "11labs"),
    ("ELEVEN_API_KEY", "11labs"),
    ("GROQ_API_KEY", "groq"),
    ("TOGETHER_API_KEY", "together-ai"),
    ("OPENROUTER_API_KEY", "openrouter"),
    ("DEEPINFRA_API_KEY", "deepinfra"),
    ("CEREBRAS_API_KEY", "cerebras"),
    ("DEEPSEEK_API_KEY", "deep-seek"),
    ("XAI_API_KEY", "xai"),
    ("MINIMAX_API_KEY", "minimax"),
    ("MISTRAL_API_KEY", "mistral"),
    ("ANYSCALE_API_KEY", "anyscale"),
    ("INFLECTION_API_KEY", "inflection-ai"),
];

/// Variables of ours that are no settings: the command line's, and those of tests.
const NO_SETTINGS: &[&str] = &["OFFHOOK_API_KEY"];
const NO_SETTINGS_PREFIX: &str = "OFFHOOK_TEST_";

impl Default for Settings {
    fn default() -> Self {
        let mut layers = Layers::default();
        layers.add_defaults();
        layers.settings().expect("the defaults are valid")
    }
}

impl Settings {
    /// Reads the settings: the defaults, `file` over them, variables over that, and over all
    /// `overrides`, pairs of a dotted key and its value.
    pub fn load(
        file: Option<&FilePath>,
        overrides: &[(String, String)],
    ) -> Result<Self, ConfigError> {
        Self::load_with(file, env::vars_os(), overrides)
    }

    pub(crate) fn load_with(
        file: Option<&FilePath>,
        variables: impl IntoIterator<Item = (OsString, OsString)>,
        overrides: &[(String, String)],
    ) -> Result<Self, ConfigError> {
        let variables: BTreeMap<OsString, OsString> = variables.into_iter().collect();
        let mut layers = Layers::default();
        layers.add_defaults();
        layers.add_customary(&variables);
        if let Some(file) = file {
            layers.add_file(file);
        }
        layers.add_variables(&variables);
        for (key, value) in overrides {
            let origin = Origin::CommandLine;
            layers.add(&origin, Path::dotted(key), value.as_str().into());
        }
        layers.settings()
    }
}

/// Values from everywhere, the later over the earlier.
#[derive(Default)]
pub(crate) struct Layers {
    figment: Figment,
    known: Vec<SettingDoc>,
    problems: Vec<Problem>,
}

enum Origin {
    Default,
    File(String),
    Variable(String),
    CommandLine,
}

impl Origin {
    fn describe(&self) -> String {
        match self {
            Self::Default => "the defaults".into(),
            Self::File(path) => format!("file `{path}`"),
            Self::Variable(name) => format!("variable {name}"),
            Self::CommandLine => "the command line".into(),
        }
    }

    /// A setting's name as it is spelled there.
    fn spell(&self, path: &Path) -> String {
        match self {
            Self::Variable(_) => path.to_variable(),
            Self::Default | Self::File(_) | Self::CommandLine => path.to_string(),
        }
    }
}

impl Layers {
    fn add_defaults(&mut self) {
        self.known = docs();
        for (key, default) in
            self.known.clone().into_iter().filter_map(|it| Some((it.key, it.raw_default?)))
        {
            self.add(&Origin::Default, Path::dotted(key), default.into());
        }
    }

    fn add_customary(&mut self, variables: &BTreeMap<OsString, OsString>) {
        // The last layer wins, the first variable should.
        for (name, provider) in CUSTOMARY.iter().rev() {
            let value = variables.get(&OsString::from(name)).and_then(|value| value.to_str());
            if let Some(value) = value.filter(|value| !value.is_empty()) {
                let path = Path::new(["providers", provider, "api_key"]);
                self.add(&Origin::Variable((*name).into()), path, value.into());
            }
        }
        for (name, [carrier, key]) in carriers::CUSTOMARY {
            let value = variables.get(&OsString::from(name)).and_then(|value| value.to_str());
            if let Some(value) = value.filter(|value| !value.is_empty()) {
                let path = Path::new(["carriers", carrier, key]);
                self.add(&Origin::Variable((*name).into()), path, value.into());
            }
        }
    }

    fn add_file(&mut self, path: &FilePath) {
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) => {
                let reason = error.to_string();
                return self.problems.push(Problem::Unreadable { path: path.into(), reason });
            }
        };
        // The error's own display would quote the line, which may hold a key.
        let table: toml::Table = match toml::from_str(&text) {
            Ok(table) => table,
            Err(error) => {
                let start = error.span().map_or(0, |span| span.start.min(text.len()));
                let line =
                    text.as_bytes()[..start].iter().filter(|&&byte| byte == b'\n').count() + 1;
                let reason = error.message().replace('\n', ", ");
                return self.problems.push(Problem::NotToml { path: path.into(), line, reason });
            }
        };
        let origin = Origin::File(path.display().to_string());
        self.add_table(&origin, &mut Vec::new(), table);
    }

    fn add_table(&mut self, origin: &Origin, above: &mut Vec<String>, table: toml::Table) {
        for (key, value) in table {
            above.push(key);
            match value {
                toml::Value::Table(table) if !table.is_empty() => {
                    self.add_table(origin, above, table);
                }
                toml::Value::Table(_) => {
                    let path = Path::new(above.iter().cloned());
                    if !self.known.iter().any(|known| path.is_above(known.key)) {
                        self.report_unknown(origin, &path);
                    }
                }
                toml::Value::String(_)
                | toml::Value::Integer(_)
                | toml::Value::Float(_)
                | toml::Value::Boolean(_)
                | toml::Value::Datetime(_)
                | toml::Value::Array(_) => {
                    let value =
                        Value::serialize(value).expect("every TOML value is a figment value");
                    self.add(origin, Path::new(above.iter().cloned()), value);
                }
            }
            above.pop();
        }
    }

    fn add_variables(&mut self, variables: &BTreeMap<OsString, OsString>) {
        for (name, value) in variables {
            let Some(name) = name.to_str().filter(|name| name.starts_with(PREFIX)) else {
                continue;
            };
            let is_setting = !NO_SETTINGS.contains(&name) && !name.starts_with(NO_SETTINGS_PREFIX);
            let Some(path) = Path::variable(name).filter(|_| is_setting) else { continue };
            let origin = Origin::Variable(name.into());
            match value.to_str() {
                // Empty is how compose files and service managers say unset.
                Some("") if self.is_known(&path) => {}
                Some(value) => self.add(&origin, path, value.into()),
                None => self.problems.push(Problem::Invalid {
                    key: path.to_string(),
                    given: "bytes that are not UTF-8".into(),
                    origin: origin.describe(),
                    expected: "text in UTF-8".into(),
                }),
            }
        }
    }

    fn add(&mut self, origin: &Origin, path: Path, value: Value) {
        if !self.is_known(&path) {
            return self.report_unknown(origin, &path);
        }
        let (last, above) = path.segments().split_last().expect("a known path is not empty");
        let mut dict = Dict::from([(last.clone(), value)]);
        for segment in above.iter().rev() {
            dict = Dict::from([(segment.clone(), dict.into())]);
        }
        let layer = Layer { origin: origin.describe(), dict };
        self.figment = std::mem::take(&mut self.figment).merge(layer);
    }

    fn is_known(&self, path: &Path) -> bool {
        self.known.iter().any(|known| path.matches(known.key))
    }

    fn report_unknown(&mut self, origin: &Origin, path: &Path) {
        let (key, described) = (origin.spell(path), origin.describe());
        if let Some(below) = self.known.iter().find(|known| path.is_above(known.key)) {
            let example = origin.spell(&path.complete(below.key));
            self.problems.push(Problem::Section { key, origin: described, example });
            return;
        }
        let nearest = self
            .known
            .iter()
            .map(|known| origin.spell(&path.complete(known.key)))
            .min_by_key(|known| strsim::damerau_levenshtein(known, &key))
            .expect("there are settings");
        self.problems.push(Problem::Unknown { key, origin: described, nearest });
    }

    fn settings(self) -> Result<Settings, ConfigError> {
        let mut problems = self.problems.clone();
        let settings = Settings::read(&self, &mut problems);
        match settings {
            Some(settings) if problems.is_empty() => Ok(settings),
            Some(_) | None => Err(ConfigError { problems }),
        }
    }

    /// The value of a setting; `None` when it is wrong, which is added to the problems.
    pub(crate) fn read<F: Form>(
        &self,
        path: &[&str],
        limits: Option<(&str, &str)>,
        problems: &mut Vec<Problem>,
    ) -> Option<F::Value> {
        let Some(value) = self.find(path) else { return F::unset() };
        let within = |read: &F::Value| {
            limits.is_none_or(|(least, most)| {
                let limit = |text| F::parse(text).and_then(|limit| F::amount(&limit));
                F::amount(read) >= limit(least) && F::amount(read) <= limit(most)
            })
        };
        let read = F::read(&value).filter(within);
        if read.is_none() {
            let expected = match limits {
                None => F::EXPECTED.to_owned(),
                Some((least, most)) => format!("{}, from {least} to {most}", F::EXPECTED),
            };
            problems.push(Problem::Invalid {
                key: Path::new(path.iter().copied()).to_string(),
                given: shown::<F>(&value),
                origin: self.origin(path).unwrap_or_else(|| "nowhere".into()),
                expected,
            });
        }
        read
    }

    /// Where the value of a setting comes from; `None` when it is unset.
    pub(crate) fn origin(&self, path: &[&str]) -> Option<String> {
        let value = self.find(path)?;
        Some(self.figment.get_metadata(value.tag())?.name.to_string())
    }

    /// The names in a table whose keys the user chooses.
    pub(crate) fn names(&self, path: &[&str]) -> Vec<String> {
        let table = self.find(path).and_then(Value::into_dict).unwrap_or_default();
        table.into_keys().collect()
    }

    /// Segment by segment: names that the user chooses may have dots in them.
    fn find(&self, path: &[&str]) -> Option<Value> {
        let (section, rest) = path.split_first()?;
        rest.iter().try_fold(self.figment.find_value(section).ok()?, |value, segment| {
            value.into_dict()?.remove(*segment)
        })
    }
}

fn shown<F: Form>(value: &Value) -> String {
    if F::IS_SECRET {
        return "(a secret)".into();
    }
    plain_text(value).map_or_else(|| "(a list or table)".into(), |text| format!("`{text}`"))
}

/// One value from one place.
struct Layer {
    origin: String,
    dict: Dict,
}

impl Provider for Layer {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.origin.clone())
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        Ok(Map::from([(Profile::Default, self.dict.clone())]))
    }
}

#[cfg(test)]
mod tests;
