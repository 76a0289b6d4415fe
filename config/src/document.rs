//! The settings as a document for people.

use std::fmt::Write;

use crate::{
    form::Form,
    settings::{SECTIONS, docs},
};

/// Width of comments in `default.toml`.
const COMMENT_WIDTH: usize = 96;

const HEADER: &str = "\
# Every setting of Offhook with its default, unit and reason. What is commented out is unset.
#
# Values come, each over the one before, from these defaults, the customary variables of providers
# (DEEPGRAM_API_KEY, OPENAI_API_KEY ...), the file given with --config, variables
# OFFHOOK_<SECTION>__<KEY>, and flags.
";

/// What is to be known about one setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingDoc {
    /// Its dotted name; `<name>` stands for a name that the user chooses.
    pub key: &'static str,
    /// Its default as it stands in a file; `None` when it is unset.
    pub default: Option<String>,
    /// A value as it could stand in a file, for what is unset.
    pub example: Option<String>,
    pub unit: &'static str,
    /// The least and the greatest value.
    pub limits: Option<(&'static str, &'static str)>,
    /// What it does and why its default is as it is.
    pub reason: String,
    pub(crate) raw_default: Option<&'static str>,
}

impl SettingDoc {
    pub(crate) fn of<F: Form>(
        key: &'static str,
        default: Option<&'static str>,
        example: Option<&'static str>,
        unit: &'static str,
        limits: Option<(&'static str, &'static str)>,
        reason: &str,
    ) -> Self {
        let in_file = |value: &str| match F::IS_QUOTED {
            true => format!("\"{value}\""),
            false => value.to_owned(),
        };
        Self {
            key,
            default: default.map(in_file),
            example: example.map(in_file),
            unit,
            limits,
            reason: joined(reason),
            raw_default: default,
        }
    }
}

/// Every setting, section by section.
pub fn describe() -> Vec<SettingDoc> {
    docs()
}

/// A settings file that says what holds without one.
pub fn render_defaults() -> String {
    let docs = docs();
    let mut file = HEADER.to_owned();
    for (section, about) in SECTIONS {
        file.push('\n');
        comment(&mut file, &joined(about));
        let is_table =
            docs.iter().any(|doc| doc.key.strip_prefix(section) == Some(".<name>.api_key"));
        let heading =
            if is_table { format!("# [{section}.<name>]") } else { format!("[{section}]") };
        line(&mut file, &heading);
        for doc in &docs {
            let Some(key) = doc.key.strip_prefix(section).and_then(|key| key.strip_prefix('.'))
            else {
                continue;
            };
            file.push('\n');
            render(&mut file, key.strip_prefix("<name>.").unwrap_or(key), doc);
        }
    }
    file
}

fn render(file: &mut String, key: &str, doc: &SettingDoc) {
    comment(file, &doc.reason);
    match doc.limits {
        Some((least, most)) => {
            line(file, &format!("# Unit: {}, from {least} to {most}.", doc.unit))
        }
        None => line(file, &format!("# Unit: {}.", doc.unit)),
    }
    match (&doc.default, &doc.example) {
        (Some(default), _) => line(file, &format!("{key} = {default}")),
        (None, Some(example)) => line(file, &format!("# {key} = {example}")),
        (None, None) => line(file, &format!("# {key} =")),
    }
}

fn comment(file: &mut String, text: &str) {
    let mut row = String::from("#");
    for word in text.split(' ') {
        if row.len() + 1 + word.len() > COMMENT_WIDTH {
            line(file, &row);
            row = String::from("#");
        }
        row.push(' ');
        row.push_str(word);
    }
    line(file, &row);
}

fn line(file: &mut String, text: &str) {
    writeln!(file, "{text}").expect("writing to a string cannot fail");
}

/// The lines of a doc comment as one.
fn joined(comment: &str) -> String {
    comment.lines().map(str::trim).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use std::{fs, path::PathBuf};

    use super::*;
    use crate::Settings;

    fn shipped(name: &str) -> PathBuf {
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(name)
    }

    #[test]
    fn the_file_of_defaults_is_current() {
        let (path, rendered) = (shipped("default.toml"), render_defaults());
        if std::env::var_os("OFFHOOK_TEST_UPDATE_DEFAULTS").is_some() {
            fs::write(&path, &rendered).unwrap();
        }
        let stored = fs::read_to_string(&path).unwrap_or_default();
        assert!(
            stored == rendered,
            "config/default.toml is out of date: run this test with OFFHOOK_TEST_UPDATE_DEFAULTS=1"
        );
    }

    #[test]
    fn the_shipped_files_are_valid_and_the_defaults_say_what_holds_anyway() {
        let load = |name| Settings::load_with(Some(&shipped(name)), [], &[]).unwrap();
        let (defaults, settings) = (load("default.toml"), Settings::default());
        assert_eq!(format!("{defaults:?}"), format!("{settings:?}"));
        assert_ne!(format!("{:?}", load("example.toml")), format!("{settings:?}"));
    }

    #[test]
    fn everything_commented_out_is_valid_when_it_is_not() {
        let file: String = render_defaults()
            .lines()
            .map(|line| match line.strip_prefix("# ") {
                Some(setting) if setting.contains(" = ") || setting.starts_with('[') => setting,
                _ => line,
            })
            .map(|line| format!("{}\n", line.replace("<name>", "acme")))
            .collect();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("all.toml");
        fs::write(&path, &file).unwrap();
        let settings = Settings::load_with(Some(&path), [], &[]).unwrap();
        assert!(settings.server.public_url.is_some());
        assert_eq!(settings.auth.orgs["acme"].len(), 1);
        assert!(settings.providers["acme"].api_key.is_some());
        assert!(settings.carriers.vonage.rest_base_url.is_some());
    }

    #[test]
    fn every_setting_says_its_unit_and_reason() {
        for doc in describe() {
            assert!(!doc.unit.is_empty() && doc.reason.ends_with('.'), "{doc:?}");
            assert!(doc.default.is_some() || doc.example.is_some(), "{doc:?}");
        }
    }

    #[test]
    fn every_field_of_the_settings_is_described() {
        let shown = format!("{:#?}", Settings::default());
        let (mut section, mut inner) = ("", "");
        for line in shown.lines() {
            let indent = line.len() - line.trim_start().len();
            let Some((field, value)) = line.trim_start().split_once(": ") else { continue };
            let is_described = |plain: String| {
                let table = format!("{plain}.<name>");
                let is_known = |doc: SettingDoc| doc.key == plain || doc.key == table;
                assert!(describe().into_iter().any(is_known), "{plain} is not described");
            };
            match indent {
                4 => section = field,
                8 if section == "carriers" && value.ends_with('{') => inner = field,
                8 => is_described(format!("{section}.{field}")),
                12 if section == "carriers" => is_described(format!("{section}.{inner}.{field}")),
                _ => {}
            }
        }
        assert_eq!(inner, "vonage");
        assert_eq!(section, "key_origins");
    }
}
