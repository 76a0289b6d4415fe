use super::*;

const HEAD: &str = "as_of = \"2026-11\"\ncurrency = \"USD\"\n";

/// The prices that are built in with others over them, as a file would have them.
fn with(text: &str) -> Result<Prices, String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("prices.toml");
    fs::write(&path, format!("{HEAD}{text}")).unwrap();
    let shown = path.display().to_string();
    Prices::default().with_file(&path).map_err(|fault| fault.to_string().replace(&shown, "FILE"))
}

fn refusal(text: &str) -> String {
    with(text).unwrap_err()
}

#[test]
fn the_prices_that_are_built_in_are_found_by_the_name_that_fits_best() {
    let prices = Prices::default();
    let output = |provider, name| prices.model(provider, name).map(|price| price.output);
    assert_eq!(output("openai", "gpt-4.1-mini"), Some(1.6));
    assert_eq!(output("openai", "gpt-4.1-mini-2025-04-14:westus"), Some(1.6));
    assert_eq!(output("openai", "gpt-4.1"), Some(8.0));
    assert_eq!(output("openai", "gpt-5.6-luna"), None, "a relative's price is not its own");
    assert_eq!(output("openai", "gpt-4o-realtime-preview"), None);
    assert_eq!(output("ollama", "anything:8b"), Some(0.0));
    assert_eq!(output("custom-llm", "anything"), None);
    let haiku = prices.model("anthropic", "claude-haiku-4-5").unwrap();
    let expected = ModelPrice { input: 1.0, cached_input: 0.1, cache_write: 1.25, output: 5.0 };
    assert_eq!(haiku, expected);
    assert_eq!(prices.transcriber("deepgram", "nova-3-medical").unwrap().per_minute, 0.0077);
    assert_eq!(prices.voice("openai", "tts-1-hd").unwrap().per_million_characters, 30.0);
    assert_eq!(prices.voice("11labs", "eleven_flash_v2_5"), None);
}

#[test]
fn entries_of_a_file_that_fit_count_before_those_that_are_built_in() {
    let all = with("[[transcriber]]\nprovider = \"deepgram\"\nper_minute = 1\n").unwrap();
    assert_eq!(all.transcriber("deepgram", "nova-3").unwrap().per_minute, 1.0);
    assert_eq!(all.transcriber("local", "").unwrap().per_minute, 0.0);

    let prices = with(
        "[[model]]\nprovider = \"openai\"\nmodels = [\"gpt-4.1-mini*\", \"gpt-9\"]\n\
         input = 1\noutput = 2\n\
         [[voice]]\nprovider = \"11labs\"\nper_million_characters = 50\n",
    )
    .unwrap();
    let own = ModelPrice { input: 1.0, cached_input: 1.0, cache_write: 1.0, output: 2.0 };
    assert_eq!(prices.model("openai", "gpt-4.1-mini"), Some(own));
    assert_eq!(prices.model("openai", "gpt-9"), Some(own));
    assert_eq!(prices.model("openai", "gpt-4.1").unwrap().output, 8.0);
    assert_eq!(prices.voice("11labs", "eleven_flash_v2_5").unwrap().per_million_characters, 50.0);
}

#[test]
fn what_is_wrong_with_a_file_is_told_with_its_line() {
    let entry = "[[model]]\nprovider = \"openai\"\n";
    for (text, expected) in [
        ("[[model]\n", "line 3:"),
        ("[[modell]]\n", "line 3: unknown field `modell`, expected one of"),
        (&format!("{entry}input = 1\noutputs = 2\n"), "line 6: unknown field `outputs`"),
        (&format!("{entry}input = 1\n"), "line 3: missing field `output`"),
        (&format!("{entry}input = \"1\"\noutput = 2\n"), "line 5: invalid type"),
        (
            &format!("{entry}input = -1\noutput = 2\n"),
            "line 3: input is -1, expected a price from 0 to 100000",
        ),
        (&format!("{entry}input = nan\noutput = 2\n"), "line 3: input is NaN, expected"),
        (
            &format!("{entry}models = [\"gpt-*-mini\"]\ninput = 1\noutput = 2\n"),
            "line 3: `gpt-*-mini` has a `*` before its end",
        ),
        (
            &format!("{entry}models = [\"a\", \"a\"]\ninput = 1\noutput = 2\n"),
            "line 3: provider `openai` has `a` twice",
        ),
    ] {
        let refusal = refusal(text);
        assert!(refusal.starts_with("prices in `FILE`, "), "{refusal}");
        assert!(refusal.contains(expected), "{text}: {refusal}");
    }
}

#[test]
fn a_file_says_its_date_and_its_currency() {
    for (text, expected) in [
        ("currency = \"USD\"\n", "missing field `as_of`"),
        ("as_of = \"today\"\ncurrency = \"USD\"\n", "as_of is `today`, expected a date such as"),
        ("as_of = \"2026-13\"\ncurrency = \"USD\"\n", "as_of is `2026-13`"),
        ("as_of = \"2026-11-21\"\ncurrency = \"EUR\"\n", "currency is `EUR`, expected USD"),
    ] {
        let Fault { reason, .. } = read(text).map(|_| ()).unwrap_err();
        assert!(reason.contains(expected), "{reason}");
    }
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let refused = Prices::default().with_file(Path::new("/nowhere/prices.toml")).unwrap_err();
    assert!(refused.to_string().contains("`/nowhere/prices.toml`"), "{refused}");
}
