use std::{collections::BTreeSet, fs, path::Path};

use regex::Regex;

use super::*;

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// Rows of the table in `docs/metrics.md`: name, type, labels, meaning, what to do.
fn documented() -> Vec<Vec<String>> {
    let rows = read("docs/metrics.md");
    let rows = rows.lines().filter(|line| line.starts_with("| `offhook_"));
    rows.map(|row| row.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect())
        .collect()
}

fn code(name: &str) -> String {
    format!("`{name}`")
}

/// Names of metrics in a text, without the endings that Prometheus gives a histogram's series.
fn named_in(text: &str) -> BTreeSet<String> {
    let name = Regex::new(r"\boffhook_[a-z_]+").unwrap();
    let is_histogram = |base: &str| {
        METRICS.iter().any(|metric| metric.name == base && metric.kind == Kind::Histogram)
    };
    let names = name.find_iter(text).map(|found| {
        let name = found.as_str();
        ["_bucket", "_sum", "_count"]
            .iter()
            .filter_map(|ending| name.strip_suffix(ending))
            .find(|base| is_histogram(base))
            .unwrap_or(name)
            .to_owned()
    });
    names.collect()
}

fn known() -> BTreeSet<String> {
    METRICS.iter().map(|metric| metric.name.to_owned()).collect()
}

#[test]
fn the_documentation_has_every_metric_as_it_is() {
    let rows = documented();
    for (row, metric) in rows.iter().zip(METRICS) {
        assert_eq!(row[0], code(metric.name));
        assert_eq!(row[1], metric.kind.name(), "{}", metric.name);
        let labels: Vec<String> = metric.labels.iter().map(|label| code(label)).collect();
        assert_eq!(row[2], labels.join(", "), "{}", metric.name);
        assert_eq!(row[3], metric.meaning, "{}", metric.name);
        assert!(row[4].len() > 10, "what to do about {}", metric.name);
    }
    assert_eq!(rows.len(), METRICS.len());
}

#[test]
fn the_code_counts_nothing_that_is_not_in_the_table() {
    let call = Regex::new(r#"(?:counter|gauge|histogram)!\(\s*"(offhook_[a-z_]+)""#).unwrap();
    let constant = Regex::new(r#"const [A-Z_]+: &str = "(offhook_[a-z_]+)""#).unwrap();
    let mut counted = BTreeSet::new();
    for krate in ["src", "actors/src", "store/src", "supervisors/src", "providers/src"] {
        let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join(krate)];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else if path.extension().is_some_and(|extension| extension == "rs") {
                    let code = fs::read_to_string(&path).unwrap();
                    for found in call.captures_iter(&code).chain(constant.captures_iter(&code)) {
                        counted.insert(found[1].to_owned());
                    }
                }
            }
        }
    }
    assert_eq!(counted, known());
}

#[test]
fn dashboard_and_alerts_ask_for_metrics_that_there_are() {
    let dashboard = read("config/grafana-dashboard.json");
    let parsed: serde_json::Value = serde_json::from_str(&dashboard).unwrap();
    assert!(parsed["panels"].as_array().is_some_and(|panels| panels.len() > 10));
    let known = known();
    for file in
        ["config/grafana-dashboard.json", "config/prometheus-alerts.yml", "docs/operations.md"]
    {
        let used = named_in(&read(file));
        let unknown: Vec<&String> = used.difference(&known).collect();
        assert!(unknown.is_empty(), "{file} asks for {unknown:?}");
    }
    let alerts = named_in(&read("config/prometheus-alerts.yml"));
    assert!(alerts.len() > 8, "{alerts:?}");
}

#[test]
fn every_alert_says_what_to_do() {
    let alerts = read("config/prometheus-alerts.yml");
    let count = |what: &str| alerts.matches(what).count();
    assert!(count("- alert: ") > 8);
    assert_eq!(count("- alert: "), count("runbook: "));
    assert_eq!(count("- alert: "), count("summary: "));
    let tests = read("config/prometheus-alerts.test.yml");
    for name in alerts.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")) {
        assert!(tests.contains(&format!("alertname=\"{name}\"")), "{name} has no test");
    }
}
