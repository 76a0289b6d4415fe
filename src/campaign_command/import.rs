//! Contacts of a file onto a campaign's list.
//!
//! The file is read twice: nothing is sent before every row was judged.

use std::{collections::BTreeSet, fs, process::ExitCode};

use indicatif::{ProgressBar, ProgressStyle};
use offhook_api::campaign::variables;
use serde_json::{Value, json};

use super::{
    ImportArgs,
    rows::{Row, Rows, Survey, survey},
};
use crate::{
    client::Client,
    console::{Console, Style},
};

/// Contacts of one request.
const CONTACTS_AT_ONCE: usize = 1_000;

/// Bytes of one request: a quarter of the least that a server takes by default.
const BYTES_AT_ONCE: usize = 256 * 1024;

/// Says what is wrong with a file, and what would be called.
pub fn check_only(args: &ImportArgs, console: Console) -> Result<ExitCode, String> {
    let survey = survey(Rows::open(&args.file, args.delimiter)?, &BTreeSet::new());
    Ok(match report(&survey, console) {
        true => {
            console.line("nothing was sent: this was a dry run");
            ExitCode::SUCCESS
        }
        false => ExitCode::FAILURE,
    })
}

pub async fn run(client: &Client, console: Console, args: &ImportArgs) -> Result<ExitCode, String> {
    let settings = settings(args)?;
    let known = match &args.campaign {
        Some(id) => Some(client.get(&format!("/v2/campaign/{id}")).await?),
        None => None,
    };
    let campaign = known.as_ref().unwrap_or(&settings);
    let used = match campaign["assistantId"].as_str() {
        Some(id) => {
            let assistant = client.get(&format!("/assistant/{id}")).await?;
            let given = campaign["assistantOverrides"]["variableValues"].as_object().cloned();
            let given = given.unwrap_or_default();
            variables::used(&assistant).into_iter().filter(|it| !given.contains_key(it)).collect()
        }
        None => BTreeSet::new(),
    };
    let found = survey(Rows::open(&args.file, args.delimiter)?, &used);
    if !report(&found, console) {
        return Ok(ExitCode::FAILURE);
    }
    let campaign = match known {
        Some(campaign) => campaign,
        None => client.post("/v2/campaign", &settings).await?,
    };
    let id = campaign["id"].as_str().unwrap_or_default().to_owned();
    let on_list = send(client, args, &id, found.contacts + found.duplicate_count).await?;
    console.line(format_args!(
        "campaign {id}: {} contacts added, {} on its list already",
        on_list.added, on_list.duplicates
    ));
    if args.start {
        client.patch(&format!("/v2/campaign/{id}"), &json!({"paused": false})).await?;
        console
            .line(format_args!("dialling begins; offhook campaign watch {id} shows how it goes"));
    } else {
        console.line(format_args!("it is paused; offhook campaign resume {id} begins"));
    }
    Ok(ExitCode::SUCCESS)
}

/// The fields of a new campaign.
fn settings(args: &ImportArgs) -> Result<Value, String> {
    let mut settings = match &args.settings {
        None => json!({}),
        Some(path) => {
            let cannot = |problem: String| format!("cannot read `{}`: {problem}", path.display());
            let text = fs::read_to_string(path).map_err(|error| cannot(error.to_string()))?;
            serde_json::from_str(&text).map_err(|error| cannot(error.to_string()))?
        }
    };
    let Value::Object(fields) = &mut settings else {
        return Err("--settings takes a JSON object, for example {\"maxConcurrency\": 20}".into());
    };
    let stem = args.file.file_stem().map(|stem| stem.to_string_lossy().into_owned());
    if let Some(name) = args.name.clone() {
        fields.insert("name".into(), name.into());
    } else if !fields.contains_key("name") {
        fields.insert("name".into(), stem.unwrap_or_default().into());
    }
    for (field, given) in [("assistantId", &args.assistant), ("phoneNumberId", &args.phone_number)]
    {
        if let Some(id) = given {
            fields.insert(field.into(), id.clone().into());
        }
    }
    fields.insert("paused".into(), true.into());
    Ok(settings)
}

/// Prints what a file amounts to; false: there are rows that cannot be called.
fn report(survey: &Survey, console: Console) -> bool {
    for (line, problem) in &survey.problems {
        console.line(format_args!("line {line}: {}", console.paint(Style::Bad, problem)));
    }
    more(survey.problem_count, survey.problems.len(), "rows that cannot be called", console);
    for (line, first) in &survey.duplicates {
        let note = format!("the number of line {first} again, called once");
        console.line(format_args!("line {line}: {}", console.paint(Style::Warning, &note)));
    }
    more(survey.duplicate_count, survey.duplicates.len(), "repeated numbers", console);
    for (name, count) in &survey.lacking {
        let note = format!(
            "the assistant uses {{{{{name}}}}}, which {count} contacts lack: they will hear nothing in its place"
        );
        console.line(console.paint(Style::Warning, &note));
    }
    console.line(format_args!(
        "{} contacts, {} repeated, {} rows that cannot be called",
        survey.contacts, survey.duplicate_count, survey.problem_count
    ));
    if survey.contacts == 0 && survey.problem_count == 0 {
        console.line(console.paint(Style::Bad, "there is nobody to call in this file"));
    }
    survey.problem_count == 0 && survey.contacts > 0
}

fn more(count: u64, shown: usize, what: &str, console: Console) {
    let hidden = count.saturating_sub(shown as u64);
    if hidden > 0 {
        console.line(format_args!("… and {hidden} further {what}"));
    }
}

#[derive(Default)]
struct OnList {
    added: u64,
    duplicates: u64,
}

async fn send(client: &Client, args: &ImportArgs, id: &str, total: u64) -> Result<OnList, String> {
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} contacts, {per_sec}");
    let bar = ProgressBar::new(total).with_style(style.map_err(|error| error.to_string())?);
    let mut rows = Rows::open(&args.file, args.delimiter)?;
    let (mut on_list, mut chunk, mut bytes) = (OnList::default(), Vec::new(), 0);
    loop {
        let row = rows.next();
        let is_end = row.is_none();
        if let Some(Row { line, contact }) = row {
            let contact = contact.map_err(|problem| {
                format!("line {line}: {problem}; the file changed while it was read")
            })?;
            bytes += contact.to_string().len();
            chunk.push(contact);
        }
        let is_full = chunk.len() >= CONTACTS_AT_ONCE || bytes >= BYTES_AT_ONCE;
        if !chunk.is_empty() && (is_full || is_end) {
            let count = chunk.len() as u64;
            let body = json!({"customers": std::mem::take(&mut chunk)});
            bytes = 0;
            let sent = client.post(&format!("/campaign/{id}/contacts"), &body).await;
            let answer = sent.map_err(|problem| {
                bar.abandon();
                format!(
                    "{problem}; {} contacts are on the list of campaign {id}, which is paused: import the file again with --campaign {id}, nobody is listed twice",
                    on_list.added
                )
            })?;
            on_list.added += answer["added"].as_u64().unwrap_or_default();
            on_list.duplicates += answer["duplicates"].as_array().map_or(0, Vec::len) as u64;
            bar.inc(count);
        }
        if is_end {
            break;
        }
    }
    bar.finish_and_clear();
    Ok(on_list)
}
