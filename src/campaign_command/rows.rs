//! A file of contacts, row by row: no more than one row is in memory, and the numbers seen so far.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fs::File,
    io::{self, BufReader, Read},
    path::Path,
};

use csv::{ByteRecord, Reader, ReaderBuilder};
use offhook_api::campaign::{ContactRow, number_key};
use offhook_core::campaign::NumberKey;
use serde_json::{Map, Value, json};

/// What a column of ours is in a contact; every other one is a variable.
const FIELDS: &[(&str, &str)] = &[
    ("number", "number"),
    ("name", "name"),
    ("email", "email"),
    ("extension", "extension"),
    ("externalId", "externalId"),
    ("external_id", "externalId"),
    ("timeZone", "timeZone"),
    ("time_zone", "timeZone"),
];

/// Longest texts that the contract takes, in characters.
const LIMITS: &[(&str, usize)] =
    &[("name", 40), ("email", 40), ("externalId", 40), ("extension", 10)];

/// What spreadsheets separate columns with besides commas.
const SEPARATORS: &[(u8, &str)] = &[(b';', ";"), (b'\t', "$'\\t'"), (b'|', "'|'"), (b',', ",")];

const BOM: &[u8] = b"\xef\xbb\xbf";

/// Rows of a file that can be called.
pub struct Rows {
    reader: Reader<Box<dyn Read>>,
    columns: Vec<String>,
    record: ByteRecord,
}

/// One row: where it stands, and the contact, or what is wrong with it.
pub struct Row {
    pub line: u64,
    pub contact: Result<Value, String>,
}

impl Rows {
    /// Opens a file and reads its header.
    ///
    /// # Errors
    ///
    /// What is wrong with the file as a whole.
    pub fn open(path: &Path, delimiter: char) -> Result<Self, String> {
        let cannot = |error: io::Error| format!("cannot read `{}`: {error}", path.display());
        let mut file = BufReader::new(File::open(path).map_err(cannot)?);
        let mut start = Vec::new();
        file.by_ref().take(BOM.len() as u64).read_to_end(&mut start).map_err(cannot)?;
        if start.starts_with(b"\xff\xfe") || start.starts_with(b"\xfe\xff") {
            return Err(format!("`{}` is UTF-16, save it as CSV in UTF-8", path.display()));
        }
        let start = if start == BOM { Vec::new() } else { start };
        let input: Box<dyn Read> = Box::new(io::Cursor::new(start).chain(file));
        let separator = u8::try_from(delimiter)
            .ok()
            .filter(u8::is_ascii)
            .ok_or("--delimiter takes one ASCII character, for example ,")?;
        let mut reader =
            ReaderBuilder::new().delimiter(separator).flexible(true).from_reader(input);
        let header = reader.byte_headers().map_err(|error| error.to_string())?.clone();
        let columns = columns(&header, separator)?;
        Ok(Self { reader, columns, record: ByteRecord::new() })
    }

    pub fn next(&mut self) -> Option<Row> {
        let read = self.reader.read_byte_record(&mut self.record);
        let line = self.record.position().map_or(0, csv::Position::line);
        match read {
            Ok(false) => None,
            Ok(true) => Some(Row { line, contact: self.contact() }),
            Err(error) => Some(Row { line, contact: Err(error.to_string()) }),
        }
    }

    fn contact(&self) -> Result<Value, String> {
        let (expected, found) = (self.columns.len(), self.record.len());
        if expected != found {
            return Err(format!("{found} columns, expected {expected} as in the header"));
        }
        let mut contact = Map::new();
        let mut variables = Map::new();
        for (name, value) in self.columns.iter().zip(&self.record) {
            let value = std::str::from_utf8(value)
                .map_err(|_| format!("`{name}` is not UTF-8: save the file in UTF-8"))?
                .trim();
            let field = FIELDS.iter().find(|(column, _)| column == name).map(|(_, field)| *field);
            if value.is_empty() && field != Some("number") {
                continue;
            }
            let limit = LIMITS.iter().find(|(limited, _)| Some(*limited) == field);
            if let Some((_, max)) = limit
                && value.chars().count() > *max
            {
                return Err(format!("`{name}` is longer than {max} characters"));
            }
            if let Some(field) = field {
                contact.insert(field.into(), value.into());
            }
            if field.is_none() || name == "name" {
                variables.insert(name.clone(), value.into());
            }
        }
        if !variables.is_empty() {
            contact.insert("assistantOverrides".into(), json!({"variableValues": variables}));
        }
        let contact = Value::Object(contact);
        ContactRow::read(&contact, 0).map_err(|error| error.to_string())?;
        Ok(contact)
    }
}

fn columns(header: &ByteRecord, separator: u8) -> Result<Vec<String>, String> {
    if header.is_empty() {
        return Err("the file is empty: expected a header with a column `number`".into());
    }
    let mut columns: Vec<String> = Vec::with_capacity(header.len());
    for name in header {
        let name = std::str::from_utf8(name).map_err(|_| "the header is not UTF-8")?.trim();
        if columns.iter().any(|other| other == name) {
            return Err(format!("the header has the column `{name}` twice"));
        }
        columns.push(name.to_owned());
    }
    if !columns.iter().any(|name| name == "number") {
        let joined = header.as_slice();
        let other = SEPARATORS.iter().find(|(byte, _)| *byte != separator && joined.contains(byte));
        if let Some((_, shown)) = other {
            return Err(format!(
                "the columns seem to be separated by something else: try --delimiter {shown}"
            ));
        }
        return Err(format!(
            "the header has no column `number` (in lower case), only: {}",
            columns.join(", ")
        ));
    }
    let is_name = |name: &String| {
        name.starts_with(|first: char| first.is_ascii_alphabetic())
            && name.chars().all(|it| it.is_ascii_alphanumeric() || it == '_' || it == '-')
    };
    if let Some(name) = columns.iter().find(|name| !is_name(name)) {
        return Err(format!(
            "the column `{name}` cannot be a variable: names begin with a letter and have letters, digits and _"
        ));
    }
    Ok(columns)
}

/// What a whole file amounts to.
#[derive(Debug, Default, PartialEq)]
pub struct Survey {
    pub contacts: u64,
    /// Rows that are not called, in the order of the file, as far as they are kept.
    pub problems: Vec<(u64, String)>,
    pub problem_count: u64,
    /// Rows whose number an earlier one has.
    pub duplicates: Vec<(u64, u64)>,
    pub duplicate_count: u64,
    /// Variables by the number of contacts that lack them.
    pub lacking: BTreeMap<String, u64>,
}

/// Problems that are shown: whoever has more of them has another file in hand.
const SHOWN_MAX: usize = 50;

/// Reads a file to its end. `used`: the variables that somebody must give.
pub fn survey(mut rows: Rows, used: &BTreeSet<String>) -> Survey {
    let mut survey = Survey::default();
    let mut lines: HashMap<NumberKey, u32> = HashMap::new();
    while let Some(Row { line, contact }) = rows.next() {
        let contact = match contact {
            Ok(contact) => contact,
            Err(problem) => {
                survey.problem_count += 1;
                if survey.problems.len() < SHOWN_MAX {
                    survey.problems.push((line, problem));
                }
                continue;
            }
        };
        let Some(number) = contact["number"].as_str().and_then(number_key) else { continue };
        if let Some(&first) = lines.get(&number) {
            survey.duplicate_count += 1;
            if survey.duplicates.len() < SHOWN_MAX {
                survey.duplicates.push((line, u64::from(first)));
            }
            continue;
        }
        lines.insert(number, u32::try_from(line).unwrap_or(u32::MAX));
        survey.contacts += 1;
        let given = contact["assistantOverrides"]["variableValues"].as_object();
        for name in used {
            if given.is_none_or(|given| !given.contains_key(name)) {
                *survey.lacking.entry(name.clone()).or_default() += 1;
            }
        }
    }
    survey
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn file(bytes: &[u8]) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(bytes).unwrap();
        file
    }

    fn open(bytes: &[u8], delimiter: char) -> Result<Rows, String> {
        Rows::open(file(bytes).path(), delimiter)
    }

    fn problem(bytes: &[u8]) -> String {
        open(bytes, ',').err().unwrap()
    }

    #[test]
    fn every_row_is_judged_with_its_line_and_its_reason() {
        let text = "\u{feff}number,name,due,time_zone\n\
            +14155550100,Ada,Monday,America/New_York\n\
            4155550101,Bob,,\n\
            +14155550102,\"Eve,\nthe second\",\n\
            +14155550100,Ada again,,\n\
            +14155550103,,Friday,Mars\n\
            +14155550104,Joe,,\n";
        let rows = open(text.as_bytes(), ',').unwrap();
        let used = BTreeSet::from(["due".to_owned(), "name".to_owned()]);
        let survey = survey(rows, &used);
        assert_eq!(survey.contacts, 2);
        let problems: Vec<_> =
            survey.problems.iter().map(|(line, why)| (*line, &why[..20])).collect();
        assert_eq!(
            problems,
            [(3, "number must be in E."), (4, "3 columns, expected "), (7, "timeZone `Mars` is n")]
        );
        assert_eq!(survey.duplicates, [(6, 2)]);
        assert_eq!(survey.lacking, BTreeMap::from([("due".to_owned(), 1)]));
    }

    #[test]
    fn columns_become_fields_and_variables() {
        let mut rows = open(b"number;name;due_at\n+14155550100;Ada;noon\n", ';').unwrap();
        let contact = rows.next().unwrap().contact.unwrap();
        assert_eq!(
            contact,
            json!({"number": "+14155550100", "name": "Ada",
                "assistantOverrides": {"variableValues": {"name": "Ada", "due_at": "noon"}}})
        );
        assert!(rows.next().is_none());
    }

    #[test]
    fn a_file_that_is_another_thing_is_refused_as_a_whole() {
        assert!(problem(b"").starts_with("the file is empty"));
        assert!(problem(b"\xef\xbb\xbf").starts_with("the file is empty"));
        assert!(problem(b"number;name\n").contains("try --delimiter ;"));
        assert!(problem(b"number\tname\n").contains("try --delimiter $'\\t'"));
        assert!(problem(b"Number,name\n").contains("no column `number`"));
        assert!(problem(b"number,name,name\n").contains("`name` twice"));
        assert!(problem(b"number,due date\n").contains("`due date` cannot be a variable"));
        assert!(problem(b"\xff\xfen\0u\0").contains("is UTF-16"));
        assert!(
            Rows::open(Path::new("/nonexistent.csv"), ',').err().unwrap().contains("cannot read")
        );
    }
}
