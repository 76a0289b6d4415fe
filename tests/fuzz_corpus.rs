//! The fuzz targets on their corpus and on seeded mutations of it: a bounded run for every day.
//!
//! `fuzz/` is a workspace of its own, which this package cannot depend on; its targets are plain
//! functions.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

#[path = "../fuzz/src/lib.rs"]
mod targets;

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use offhook_api::contract;
use proptest::{
    prelude::*,
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};
use serde_json::{Value, json};
use targets::Target;

/// Mutations of each target. All targets together take a few seconds with them.
const MUTATIONS: u32 = 2_000;

/// Most time for one input, in a debug build on a busy machine. Expected are milliseconds: an input
/// that needs a second is an attack that works.
const INPUT_LIMIT: Duration = Duration::from_secs(2);

/// Pieces that make something of the formats that are read: random bytes alone never do.
const PIECES: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "\"",
    "null",
    "true",
    "-1",
    "1e999",
    "0.5",
    "\\u0000",
    "\\ud800",
    "\"type\":",
    "\"provider\":",
    "\"model\":",
    "\"tools\":",
    "\"content\":",
    "\"role\":",
    "\"results\":",
    "\"toolCallId\":\"call_1\"",
    "\"messages\":",
    "{{",
    "}}",
    "{%",
    "%}",
    "for ",
    " in ",
    "endfor",
    "if ",
    "endif",
    "assign a = ",
    " | ",
    "date: ",
    "slice: ",
    "replace: ",
    "(1..9999999)",
    "99999999999999999999",
    "\n",
    "\u{0}",
    "é",
    "\u{202e}",
];

#[test]
fn websocket_ingress_takes_anything() {
    run("websocket_ingress");
}

#[test]
fn twilio_ingress_takes_anything() {
    run("twilio_ingress");
}

#[test]
fn telnyx_ingress_takes_anything() {
    run("telnyx_ingress");
}

#[test]
fn vonage_ingress_takes_anything() {
    run("vonage_ingress");
}

#[test]
fn carrier_webhooks_takes_anything() {
    run("carrier_webhooks");
}

#[test]
fn contract_validate_takes_anything() {
    run("contract_validate");
}

#[test]
fn assistant_view_takes_anything() {
    run("assistant_view");
}

#[test]
fn control_message_takes_anything() {
    run("control_message");
}

#[test]
fn tool_response_takes_anything() {
    run("tool_response");
}

#[test]
fn template_takes_anything() {
    run("template");
}

/// Otherwise no mutation would get past what is refused at once.
#[test]
fn the_corpus_has_documents_that_are_accepted() {
    for (file, shape) in [
        ("contract_validate/assistant.json", "CreateAssistantDTO"),
        ("contract_validate/call.json", "CreateCallDTO"),
        ("assistant_view/assistant.json", "CreateAssistantDTO"),
    ] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(file);
        let document = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
        let problems = contract::validate(shape, &document, contract::Mode::Create);
        assert_eq!(problems, [""; 0], "{file}");
    }
}

/// A target without a test, a corpus or a fuzzer of its own would not be run.
#[test]
fn every_target_has_a_corpus_and_a_fuzzer() {
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
    let tests = include_str!("fuzz_corpus.rs");
    for (name, _) in targets::TARGETS {
        assert!(corpus(name).len() >= 4, "{name}");
        let fuzzer = fs::read_to_string(fuzz.join(format!("fuzz_targets/{name}.rs"))).unwrap();
        assert!(fuzzer.contains(&format!("offhook_fuzz::{name}(data)")));
        assert!(tests.contains(&format!("run(\"{name}\")")), "{name}");
    }
}

fn run(name: &str) {
    let target = targets::TARGETS.iter().find(|(known, _)| *known == name);
    let target = *target.expect("the tests above name targets");
    let seeds = corpus(name);
    for (path, seed) in &seeds {
        within_limit(target, seed, &path.display().to_string());
    }
    let config = Config { cases: MUTATIONS, failure_persistence: None, ..Config::default() };
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let seeds: Vec<Vec<u8>> = seeds.into_iter().map(|(_, seed)| seed).collect();
    let input = (prop::sample::select(seeds), prop::collection::vec(mutation(), 1..8));
    let mutate = |(seed, mutations): (Vec<u8>, Vec<Mutation>)| {
        mutations.into_iter().fold(seed, |bytes, mutation| mutation.apply(bytes))
    };
    TestRunner::new_with_rng(config, rng)
        .run(&input.prop_map(mutate), |bytes| {
            within_limit(target, &bytes, "a mutation");
            Ok(())
        })
        .unwrap_or_else(|problem| panic!("{name}: {problem}"));
}

fn within_limit((name, target): Target, bytes: &[u8], what: &str) {
    let began = Instant::now();
    target(bytes);
    let took = began.elapsed();
    assert!(
        took < INPUT_LIMIT,
        "{name}: {what} took {took:?}: {:?}",
        String::from_utf8_lossy(bytes)
    );
}

fn corpus(name: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(name);
    let mut files: Vec<PathBuf> =
        fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.into_iter().map(|path| (path.clone(), fs::read(path).unwrap())).collect()
}

/// One change of an input; places are parts of its length.
#[derive(Clone, Debug)]
enum Mutation {
    Flip {
        at: f64,
        bits: u8,
    },
    Insert {
        at: f64,
        piece: &'static str,
    },
    InsertBytes {
        at: f64,
        bytes: Vec<u8>,
    },
    Remove {
        from: f64,
        to: f64,
    },
    Repeat {
        from: f64,
        to: f64,
        times: usize,
    },
    /// Replaces one value of a JSON document; leaves everything else as it is.
    Graft {
        at: f64,
        value: Value,
    },
}

fn mutation() -> impl Strategy<Value = Mutation> {
    let place = || 0.0..1.0_f64;
    let bytes = || prop::collection::vec(any::<u8>(), 1..6);
    // Most inputs are JSON, which careless changes only make unreadable.
    prop_oneof![
        1 => (place(), any::<u8>()).prop_map(|(at, bits)| Mutation::Flip { at, bits }),
        1 => (place(), prop::sample::select(PIECES))
            .prop_map(|(at, piece)| Mutation::Insert { at, piece }),
        1 => (place(), bytes()).prop_map(|(at, bytes)| Mutation::InsertBytes { at, bytes }),
        1 => (place(), place()).prop_map(|(from, to)| Mutation::Remove { from, to }),
        1 => (place(), place(), 1..20_usize)
            .prop_map(|(from, to, times)| Mutation::Repeat { from, to, times }),
        15 => (place(), prop::sample::select(grafts()))
            .prop_map(|(at, value)| Mutation::Graft { at, value }),
    ]
}

/// Values that are rarely thought of.
fn grafts() -> Vec<Value> {
    let deep = (0..100).fold(json!("deep"), |inner, _| json!([inner]));
    vec![
        json!(null),
        json!(true),
        json!(-1),
        json!(0.5),
        json!(u64::MAX),
        json!(1e300),
        json!(""),
        json!("*"),
        json!("x".repeat(5_000)),
        json!("{{ name | append: name }}"),
        json!("{% for i in (1..99) %}{{ i }}"),
        json!("({[*"),
        json!([]),
        json!({}),
        json!([null, [], {}, "", 1]),
        json!({"": {}, "provider": "local", "type": "function", "url": "https://a"}),
        deep,
    ]
}

impl Mutation {
    fn apply(self, mut bytes: Vec<u8>) -> Vec<u8> {
        /// Longest input; longer ones find nothing that shorter ones do not.
        const BYTES_MAX: usize = 64 * 1024;
        let length = bytes.len();
        let place = |part: f64| (part * length as f64) as usize;
        let range = |from: f64, to: f64| place(from.min(to))..place(from.max(to));
        match self {
            Self::Flip { at, bits } => {
                if let Some(byte) = bytes.get_mut(place(at)) {
                    *byte ^= bits;
                }
            }
            Self::Insert { at, piece } => drop(bytes.splice(place(at)..place(at), piece.bytes())),
            Self::InsertBytes { at, bytes: new } => drop(bytes.splice(place(at)..place(at), new)),
            Self::Remove { from, to } => drop(bytes.drain(range(from, to))),
            Self::Repeat { from, to, times } => {
                let range = range(from, to);
                let piece = bytes[range.clone()].repeat(times);
                bytes.splice(range.end..range.end, piece);
            }
            Self::Graft { at, value } => {
                if let Ok(mut document) = serde_json::from_slice::<Value>(&bytes) {
                    let mut number = (at * count(&document) as f64) as usize;
                    replace(&mut document, &mut number, value);
                    bytes = document.to_string().into_bytes();
                }
            }
        }
        bytes.truncate(BYTES_MAX);
        bytes
    }
}

/// How many values a document is made of.
fn count(value: &Value) -> usize {
    1 + match value {
        Value::Object(fields) => fields.values().map(count).sum(),
        Value::Array(items) => items.iter().map(count).sum(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 0,
    }
}

/// Replaces the value of this number, counted from the outside in; `false` when there are fewer.
fn replace(value: &mut Value, number: &mut usize, by: Value) -> bool {
    if *number == 0 {
        *value = by;
        return true;
    }
    *number -= 1;
    match value {
        Value::Object(fields) => {
            fields.values_mut().any(|field| replace(field, number, by.clone()))
        }
        Value::Array(items) => items.iter_mut().any(|item| replace(item, number, by.clone())),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}
