//! What the documentation says about documents is complete.

use std::{collections::BTreeSet, path::Path};

use serde_json::{Map, Value};

/// Each shape of the contract whose fields `docs/assistants.md` lists, and the heading of the list.
const LISTED: &[(&str, &str)] = &[
    ("DeepgramTranscriber", "#### `deepgram`"),
    ("FallbackDeepgramTranscriber", "#### `deepgram`"),
    ("CustomTranscriber", "#### `custom-transcriber`"),
    ("FallbackCustomTranscriber", "#### `custom-transcriber`"),
    ("ElevenLabsVoice", "#### `11labs`"),
    ("FallbackElevenLabsVoice", "#### `11labs`"),
    ("CartesiaVoice", "#### `cartesia`"),
    ("FallbackCartesiaVoice", "#### `cartesia`"),
    ("CartesiaGenerationConfig", "#### `cartesia`"),
    ("OpenAIVoice", "#### `openai` (voice)"),
    ("FallbackOpenAIVoice", "#### `openai` (voice)"),
    ("CustomVoice", "#### `custom-voice`"),
    ("FallbackCustomVoice", "#### `custom-voice`"),
    ("ChunkPlan", "### Text for the voice"),
    ("FormatPlan", "### Text for the voice"),
    ("ExactReplacement", "### Text for the voice"),
    ("RegexReplacement", "### Text for the voice"),
];

fn read(path: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).expect(path)
}

fn table(path: &str) -> Map<String, Value> {
    serde_json::from_str(&read(path)).expect(path)
}

/// The fields of a shape, ours included, apart from the one that tells the variant.
fn fields(shape: &str) -> BTreeSet<String> {
    let (contract, ours) =
        (table("api/contract/shapes.json"), table("api/contract/extensions.json"));
    let records = [contract.get(shape), ours.get(&format!("+{shape}"))];
    let names = records
        .into_iter()
        .flatten()
        .flat_map(|record| record["has"].as_object().expect(shape).keys());
    let names = names.map(|name| name.trim_end_matches('!').to_owned());
    names.filter(|name| name != "provider" && name != "type").collect()
}

#[test]
fn each_field_of_a_transcriber_or_voice_that_is_driven_is_listed() {
    let page = read("docs/assistants.md");
    for (shape, heading) in LISTED {
        let section = page.split_once(&format!("\n{heading}\n")).expect(heading).1;
        let section = section.split("\n## ").next().unwrap();
        let section = section.split("\n### ").next().unwrap();
        let section = section.split("\n#### ").next().unwrap();
        let fields = fields(shape);
        assert!(!fields.is_empty(), "{shape}");
        for field in fields {
            assert!(section.contains(&format!("`{field}`")), "{heading}: `{field}` of {shape}");
        }
    }
}

#[test]
fn each_field_of_a_phone_number_is_listed() {
    let page = read("docs/telephony.md");
    let section = page.split_once("\n### Fields\n").expect("fields").1;
    for shape in [
        "CreateByoPhoneNumberDTO",
        "CreateTelnyxPhoneNumberDTO",
        "CreateTwilioPhoneNumberDTO",
        "CreateVonagePhoneNumberDTO",
    ] {
        for field in fields(shape) {
            assert!(section.contains(&format!("`{field}`")), "`{field}` of {shape}");
        }
    }
}

#[test]
fn each_formatter_is_listed() {
    let page = read("docs/assistants.md");
    for formatter in offhook_core::speech_format::Formatter::ALL {
        let name = formatter.name();
        let is_listed = page.lines().any(|line| {
            line.split('|').nth(1).is_some_and(|cell| cell.contains(&format!("`{name}`")))
        });
        assert!(is_listed, "`{name}`");
    }
}
