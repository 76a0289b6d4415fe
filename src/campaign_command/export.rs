//! What became of each contact, as CSV.

use std::{
    fs::File,
    io::{self, Write},
    path::Path,
    process::ExitCode,
};

use serde_json::Value;

use crate::{client::Client, console::Console};

/// Contacts asked for at once; the API gives no more.
const PAGE: u64 = 1_000;

const COLUMNS: [&str; 8] =
    ["number", "name", "externalId", "status", "endedReason", "attempts", "dispatchedAt", "callId"];

pub async fn run(
    client: &Client,
    console: Console,
    id: &str,
    out: Option<&Path>,
) -> Result<ExitCode, String> {
    let cannot = |error: &dyn std::fmt::Display| {
        let place = out.map_or_else(|| "standard output".into(), |path| path.display().to_string());
        format!("cannot write to {place}: {error}")
    };
    let target: Box<dyn Write> = match out {
        Some(path) => Box::new(File::create(path).map_err(|error| cannot(&error))?),
        None => Box::new(io::stdout().lock()),
    };
    let mut writer = csv::Writer::from_writer(target);
    writer.write_record(COLUMNS).map_err(|error| cannot(&error))?;
    let (mut page, mut written) = (1, 0_u64);
    loop {
        let path = format!("/v2/campaign/{id}/contacts?limit={PAGE}&page={page}");
        let found = client.get(&path).await?;
        for contact in found["results"].as_array().map_or(&[][..], Vec::as_slice) {
            let cells = COLUMNS.map(|column| cell(&contact[column]));
            writer.write_record(cells).map_err(|error| cannot(&error))?;
            written += 1;
        }
        if found["metadata"]["hasNextPage"] != true {
            break;
        }
        page += 1;
    }
    writer.flush().map_err(|error| cannot(&error))?;
    drop(writer);
    if out.is_some() {
        console.line(format_args!("{written} contacts"));
    }
    Ok(ExitCode::SUCCESS)
}

/// A value as a cell. A spreadsheet takes what begins like this for a formula: numbers of ours aside,
/// it is text.
fn cell(value: &Value) -> String {
    let text = match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => value.to_string(),
    };
    let is_number = text.strip_prefix('+').is_some_and(|digits| {
        !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
    });
    match text.starts_with(['=', '+', '-', '@', '\t', '\r']) && !is_number {
        true => format!("'{text}"),
        false => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_contact_is_called_becomes_a_formula() {
        assert_eq!(cell(&Value::from("+14155550100")), "+14155550100");
        assert_eq!(cell(&Value::from("=1+1")), "'=1+1");
        assert_eq!(cell(&Value::from("+cmd")), "'+cmd");
        assert_eq!(cell(&Value::from(3)), "3");
        assert_eq!(cell(&Value::Null), "");
    }
}
