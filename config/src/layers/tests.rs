use std::{path::PathBuf, time::Duration};

use secrecy::ExposeSecret;

use super::*;

struct Given {
    _folder: tempfile::TempDir,
    file: PathBuf,
    variables: Vec<(OsString, OsString)>,
    overrides: Vec<(String, String)>,
}

fn file(text: &str) -> Given {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("offhook.toml");
    fs::write(&file, text).unwrap();
    Given { _folder: folder, file, variables: Vec::new(), overrides: Vec::new() }
}

impl Given {
    fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.into(), value.into()));
        self
    }

    fn flag(mut self, key: &str, value: &str) -> Self {
        self.overrides.push((key.into(), value.into()));
        self
    }

    fn load(&self) -> Result<Settings, ConfigError> {
        Settings::load_with(Some(&self.file), self.variables.clone(), &self.overrides)
    }

    /// The one problem, with the file's own path left out.
    fn problem(&self) -> String {
        let error = self.load().unwrap_err();
        assert_eq!(error.problems.len(), 1, "{error}");
        error.to_string().replace(self.file.to_str().unwrap(), "FILE")
    }
}

#[test]
fn the_origin_of_a_provider_s_key_is_known() {
    let variables = [("DEEPGRAM_API_KEY", "a"), ("OFFHOOK_PROVIDERS__OPENAI__API_KEY", "b")];
    let variables = variables.map(|(name, value)| (name.into(), value.into()));
    let overrides = [("providers.groq.base_url".to_owned(), "http://127.0.0.1:1".to_owned())];
    let settings = Settings::load_with(None, variables, &overrides).unwrap();
    let origins: Vec<_> = settings.key_origins.iter().collect();
    assert_eq!(
        origins,
        [
            (&"deepgram".to_owned(), &"variable DEEPGRAM_API_KEY".to_owned()),
            (&"openai".to_owned(), &"variable OFFHOOK_PROVIDERS__OPENAI__API_KEY".to_owned()),
        ]
    );
}

#[test]
fn flags_win_over_variables_over_the_file_over_the_defaults() {
    let given = file("[calls]\naudio_ring = \"10s\"\nconnect_timeout = \"11s\"\nrestarts_max = 1");
    let given = given.variable("OFFHOOK_CALLS__CONNECT_TIMEOUT", "12s");
    let given = given.variable("OFFHOOK_CALLS__RESTARTS_MAX", "2");
    let calls = given.flag("calls.restarts_max", "3").load().unwrap().calls;
    assert_eq!(calls.drain_timeout, Duration::from_secs(600));
    assert_eq!(calls.audio_ring, Duration::from_secs(10));
    assert_eq!(calls.connect_timeout, Duration::from_secs(12));
    assert_eq!(calls.restarts_max, 3);
}

#[test]
fn defaults_need_nothing() {
    let settings = Settings::load_with(None, [], &[]).unwrap();
    assert_eq!(settings.server.listen.to_string(), "127.0.0.1:8080");
    assert_eq!(settings.server.body_limit, 1 << 20);
    assert_eq!(settings.server.public_url, None);
    assert_eq!(settings.calls.playout_lead, Duration::from_millis(600));
    assert_eq!(settings.webhooks.max_age, Duration::from_secs(86_400));
    assert!(settings.auth.api_keys.is_empty());
    assert!(settings.providers.is_empty());
}

#[test]
fn an_unknown_key_is_named_with_the_nearest_known_one_and_its_origin() {
    for (given, expected) in [
        (
            file("[calls]\nconcurency_limit = 5"),
            "unknown setting `calls.concurency_limit` from file `FILE`, \
             did you mean `calls.concurrency_limit`?",
        ),
        (
            file("[servr]\nlisten = \"127.0.0.1:1\""),
            "unknown setting `servr.listen` from file `FILE`, did you mean `server.listen`?",
        ),
        (
            file("[providers.deepgram]\napikey = \"x\""),
            "unknown setting `providers.deepgram.apikey` from file `FILE`, \
             did you mean `providers.deepgram.api_key`?",
        ),
        (
            file("").variable("OFFHOOK_SERVER_LISTEN", "127.0.0.1:1"),
            "unknown setting `OFFHOOK_SERVER_LISTEN` from variable OFFHOOK_SERVER_LISTEN, \
             did you mean `OFFHOOK_SERVER__LISTEN`?",
        ),
        (
            file("").flag("store.pth", "x"),
            "unknown setting `store.pth` from the command line, did you mean `store.path`?",
        ),
        (
            file("server = 8080"),
            "`server` from file `FILE` is a section, it takes settings such as `server.listen`",
        ),
        (
            file("").variable("OFFHOOK_PROVIDERS__OPENAI", "key"),
            "`OFFHOOK_PROVIDERS__OPENAI` from variable OFFHOOK_PROVIDERS__OPENAI is a section, \
             it takes settings such as `OFFHOOK_PROVIDERS__OPENAI__API_KEY`",
        ),
    ] {
        assert_eq!(given.problem(), expected);
    }
    assert!(file("[sturdy]").problem().contains("unknown setting `sturdy`"));
    file("[server]\n[providers]\n[providers.openai]").load().unwrap();
}

#[test]
fn a_wrong_value_is_shown_with_its_origin_and_what_works() {
    for (given, expected) in [
        (
            file("[server]\nlisten = \"localhost\""),
            "server.listen = `localhost` from file `FILE`: \
             expected an address and port such as 127.0.0.1:8080",
        ),
        (
            file("[calls]\naudio_ring = 30"),
            "calls.audio_ring = `30` from file `FILE`: \
             expected a duration such as 600ms, 30s, 10m or 24h, from 5s to 5m",
        ),
        (
            file("").variable("OFFHOOK_CALLS__CONCURRENCY_LIMIT", "0"),
            "calls.concurrency_limit = `0` from variable OFFHOOK_CALLS__CONCURRENCY_LIMIT: \
             expected a whole number such as 100, from 1 to 100000",
        ),
        (
            file("").flag("server.body_limit", "1GiB"),
            "server.body_limit = `1GiB` from the command line: \
             expected a size such as 512B, 64KiB or 1MiB, from 1KiB to 64MiB",
        ),
        (
            file("[server]\nlog_format = [\"json\"]"),
            "server.log_format = (a list or table) from file `FILE`: \
             expected one of auto, text, json",
        ),
        (
            file("[calls]\nconcurrency_limit = 10\ninbound_reserve = 11"),
            "calls.inbound_reserve = `11`: expected at most calls.concurrency_limit, which is 10",
        ),
        (
            file("[calls]\nrestarts_max = -1"),
            "calls.restarts_max = `-1` from file `FILE`: \
             expected a whole number such as 100, from 0 to 1000",
        ),
        (
            file("[webhooks]\nallow_private_addresses = \"yes\""),
            "webhooks.allow_private_addresses = `yes` from file `FILE`: expected true or false",
        ),
    ] {
        assert_eq!(given.problem(), expected);
    }
}

#[test]
fn all_problems_are_said_at_once() {
    let given = file("[server]\nlisten = 1\nx = 1\n[calls]\naudio_ring = \"1h\"");
    let error = given.load().unwrap_err();
    assert_eq!(error.problems.len(), 3);
    assert_eq!(error.to_string().lines().count(), 3);
}

#[test]
fn a_file_that_cannot_be_used_is_named() {
    let missing = FilePath::new("/nowhere/offhook.toml");
    let error = Settings::load_with(Some(missing), [], &[]).unwrap_err().to_string();
    assert!(error.contains("cannot read the settings in `/nowhere/offhook.toml`"), "{error}");

    let problem = file("[server]\n\n[auth]\napi_keys = [\"s3cret\n").problem();
    assert!(problem.starts_with("`FILE` is not valid TOML: line 4: "), "{problem}");
    assert!(!problem.contains("s3cret"), "{problem}");
}

#[test]
fn keys_of_providers_come_from_customary_variables_unless_given() {
    let given = file("[providers.openai]\napi_key = \"from-file\"\nbase_url = \"http://x:1\"");
    let settings = given
        .variable("OPENAI_API_KEY", "customary")
        .variable("DEEPGRAM_API_KEY", "customary")
        .variable("ELEVENLABS_API_KEY", "first")
        .variable("ELEVEN_API_KEY", "second")
        .variable("CARTESIA_API_KEY", "")
        .variable("OFFHOOK_PROVIDERS__ASSEMBLY_AI__API_KEY", "ours")
        .load()
        .unwrap();
    let key = |name: &str| {
        settings.providers[name].api_key.as_ref().map(|key| key.expose_secret().to_owned())
    };
    assert_eq!(key("openai").as_deref(), Some("from-file"));
    assert_eq!(settings.providers["openai"].base_url.as_deref(), Some("http://x:1"));
    assert_eq!(key("deepgram").as_deref(), Some("customary"));
    assert_eq!(key("11labs").as_deref(), Some("first"));
    assert_eq!(key("assembly-ai").as_deref(), Some("ours"));
    assert!(!settings.providers.contains_key("cartesia"));
}

#[test]
fn keys_of_carriers_come_from_customary_variables_unless_given() {
    let given = file(
        "[carriers]\ntwilio.auth_token = \"from-file\"\n[carriers.vonage]\nbase_url = \"http://x:1\"",
    );
    let settings = given
        .variable("TWILIO_ACCOUNT_SID", "AC1")
        .variable("TWILIO_AUTH_TOKEN", "customary")
        .variable("TELNYX_API_KEY", "")
        .variable("OFFHOOK_CARRIERS__TELNYX__PUBLIC_KEY", "ours")
        .load()
        .unwrap();
    let carriers = &settings.carriers;
    assert_eq!(carriers.twilio.account_sid.as_deref(), Some("AC1"));
    assert_eq!(carriers.twilio.auth_token.as_ref().unwrap().expose_secret(), "from-file");
    assert!(carriers.telnyx.api_key.is_none());
    assert_eq!(carriers.telnyx.public_key.as_deref(), Some("ours"));
    assert_eq!(carriers.vonage.base_url.as_deref(), Some("http://x:1"));
    let unknown = file("[carriers.twilio]\nauth_tokn = \"x\"").problem();
    assert!(unknown.contains("carriers.twilio.auth_token"), "{unknown}");
}

#[test]
fn secrets_are_never_shown() {
    let text = "[auth]\napi_keys = [\"s3cret-a\"]\norgs.\"acme.com\" = [\"s3cret-b\"]\n\
                [webhooks]\nsecret = \"s3cret-c\"\n[providers.openai]\napi_key = \"s3cret-d\"";
    let settings = file(text).load().unwrap();
    assert!(!format!("{settings:?}").contains("s3cret"));
    assert_eq!(settings.auth.orgs["acme.com"][0].expose_secret(), "s3cret-b");

    let wrong = "[auth]\napi_keys = [[\"s3cret\"]]\n[webhooks]\nsecret = [\"s3cret\"]";
    let error = file(wrong).load().unwrap_err();
    assert_eq!(error.problems.len(), 2);
    assert!(!error.to_string().contains("s3cret"), "{error}");
    assert!(!format!("{error:?}").contains("s3cret"), "{error:?}");
}

#[test]
fn variables_that_are_empty_or_not_ours_are_left_alone() {
    let given = file("").variable("OFFHOOK_SERVER__PUBLIC_URL", "");
    let given = given.variable("OFFHOOK_API_KEY", "x").variable("SERVER__LISTEN", "x");
    assert_eq!(given.load().unwrap().server.public_url, None);
}

#[test]
fn prices_of_one_s_own_are_read_with_the_settings() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("prices.toml");
    let prices = "as_of = \"2026-11\"\ncurrency = \"USD\"\n[[voice]]\nprovider = \"11labs\"\n";
    fs::write(&path, format!("{prices}per_million_characters = 50\n")).unwrap();
    let given = file("").flag("costs.prices_file", path.to_str().unwrap());
    let settings = given.load().unwrap();
    assert_eq!(settings.prices.voice("11labs", "any").unwrap().per_million_characters, 50.0);

    fs::write(&path, format!("{prices}per_character = 50\n")).unwrap();
    let problem = given.problem();
    assert!(problem.contains("line 5: unknown field `per_character`"), "{problem}");
}
