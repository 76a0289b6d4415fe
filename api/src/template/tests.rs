use proptest::prelude::*;
use serde_json::json;

use super::*;

/// 2024-01-01T23:45:00Z
const NOW_MS: i64 = 1_704_152_700_000;

fn render_with(text: &str, variables: Value) -> Result<String, String> {
    let mut all = default_variables(NOW_MS);
    if let Value::Object(variables) = variables {
        all.extend(variables);
    }
    Renderer::new(&Value::Object(all), NOW_MS).render(text).map(Cow::into_owned)
}

fn render(text: &str) -> String {
    let variables = json!({
        "name": "John",
        "customer": {"number": "+15551234567"},
        "visits": ["May", "June", "July"],
        "age": 41,
    });
    render_with(text, variables).unwrap()
}

#[test]
fn variables_are_replaced_and_unknown_ones_are_empty() {
    assert_eq!(render("Hello, {{name}}! You are {{ age }}."), "Hello, John! You are 41.");
    assert_eq!(
        render("{{customer.number}} {{customer.email}}|{{a.b.c}}|{{visits[7]}}"),
        "+15551234567 ||"
    );
    assert_eq!(render("{{ nick | default: \"friend\" }}"), "friend");
    assert_eq!(render("no { template } here"), "no { template } here");
}

#[test]
fn the_default_variables_tell_the_time_in_utc() {
    assert_eq!(
        render("{{now}}|{{date}}|{{time}}|{{month}}|{{day}}|{{year}}"),
        "Jan 1, 2024 11:45 PM|Jan 1, 2024|11:45 PM|January|1|2024"
    );
}

#[test]
fn dates_are_formatted_in_any_time_zone() {
    assert_eq!(
        render(r#"{{"now" | date: "%A, %B %d, %Y, %I:%M %p", "America/Los_Angeles"}}"#),
        "Monday, January 01, 2024, 03:45 PM"
    );
    assert_eq!(render(r#"{{"now" | date: "%b %d, %Y", "America/Los_Angeles"}}"#), "Jan 01, 2024");
    assert_eq!(render(r#"{{"now" | date: "%H:%M", "Asia/Tokyo"}}"#), "08:45");
    assert_eq!(render(r#"{{ now | date: "%H:%M", 360 }}"#), "17:45");
    assert_eq!(render(r#"{{ "2024-05-06T07:08:09Z" | date: "%-d %B" }}"#), "6 May");
    assert_eq!(render(r#"{{ "soon" | date: "%H" }}"#), "soon");
}

#[test]
fn conditions_and_loops_work() {
    let prompt = "{% if transport.conversationType == \"chat\" -%}chat{%- elsif name == \"John\" -%}J{%- endif -%}";
    assert_eq!(render(prompt), "J");
    assert_eq!(
        render(
            "{% for v in visits reversed %}{{forloop.index}}{{v}}{% unless forloop.last %}, {% endunless %}{% endfor %}"
        ),
        "1July, 2June, 3May"
    );
    assert_eq!(
        render("{% for i in (1..9) %}{% if i == 3 %}{% break %}{% endif %}{{i}}{% endfor %}"),
        "12"
    );
    assert_eq!(render("{% for i in (1..9) limit:2 offset:1 %}{{i}}{% endfor %}"), "23");
    assert_eq!(render("{% for v in nothing %}x{% else %}none{% endfor %}"), "none");
    assert_eq!(render("{% for v in visits %}{{ v.month }}-{% endfor %}"), "---");
    assert_eq!(render("{% assign p = name | split: \"o\" %}{{ p[1] }}{{ p[9] }}"), "hn");
    assert_eq!(render("{% capture c %}a{{name}}{% endcapture %}{{c | upcase}}"), "AJOHN");
    assert_eq!(render("{% case age %}{% when 41 %}yes{% else %}no{% endcase %}"), "yes");
}

#[test]
fn filters_do_what_liquid_js_does() {
    for (template, output) in [
        ("{{ 7 | divided_by: 2 }} {{ 7.0 | divided_by: 2 }} {{ 5 | minus: 7 }}", "3 3.5 -2"),
        ("{{ \"äbc\" | slice: 0, 2 }} {{ \"abc\" | slice: -2, 5 }}", "äb bc"),
        (
            "{{ visits | join: \"/\" }} {{ visits | size }} {{ visits | first }}",
            "May/June/July 3 May",
        ),
        ("{{ visits | sort | last }} {{ \"hello world\" | capitalize }}", "May Hello world"),
        ("{{ \"a-b-a\" | replace: \"a\", \"x\" | append: \"!\" }}", "x-b-x!"),
        ("{{ 1.256 | round: 2 }} {{ 1.5 | ceil }} {{ -3 | abs }}", "1.26 2 3"),
        ("{{ \"The quick brown fox\" | truncate: 10 }}", "The qui..."),
        ("{{ customer | json }}", r#"{"number":"+15551234567"}"#),
        ("{{ \"1,2,1\" | split: \",\" | uniq | join: \"\" }}", "12"),
        ("{{ 3 | times: 1.5 }} {{ 7 | modulo: 4 }} {{ \"4\" | plus: 4 }}", "4.5 3 8"),
    ] {
        assert_eq!(render(template), output, "{template}");
    }
}

#[test]
fn a_broken_template_is_reported() {
    for template in [
        "Hello {{name",
        "{% if name %}",
        "{{ name | shout }}",
        "{% include \"x\" %}",
        "{{ 1 | divided_by: 0 }}",
        "{{ 9000000000000000 | times: 9000000000000000 }}",
        "{{ 99999999999999999999 }}",
        "{{ \"now\" | date: \"%H\", \"Mars/Base\" }}",
    ] {
        let error = render_with(template, json!({})).unwrap_err();
        assert!(!error.is_empty() && !error.contains('\n'), "{template}: {error}");
    }
}

#[test]
fn a_template_cannot_take_unbounded_memory_or_time() {
    let doubling = "{% assign a = 'xxxxxxxxxxxxxxxx' %}{% for i in (1..64) %}\
                    {% assign a = a | append: a %}{% endfor %}{{a}}";
    let squaring = "{% assign b = big | replace: 'x', big %}{{ b }}";
    let joining = "{{ big | split: '' | join: big }}";
    let loops = "{% for i in (1..1000) %}{% for j in (1..1000) %}{% endfor %}{% endfor %}";
    let range = "{% for i in (1..999999999999999999) %}{% endfor %}";
    let output = "{% for i in (1..1000) %}{{big}}{% endfor %}";
    let capture = "{% capture c %}{% for i in (1..1000) %}{{big}}{% endfor %}{% endcapture %}";
    let variables = json!({"big": "x".repeat(9_000)});
    for template in [doubling, squaring, joining, loops, range, output, capture] {
        let error = render_with(template, variables.clone()).unwrap_err();
        assert!(error.contains("than"), "{template}: {error}");
    }
}

#[test]
fn a_template_that_would_exhaust_the_parser_is_not_parsed() {
    for template in [
        "{% if a %}".repeat(100_000),
        "{{ a".to_owned() + &"[a".repeat(100_000) + "}}",
        "{{ a }}".repeat(5_000),
        "{{ a }}".to_owned() + &" ".repeat(100_000),
        "{% if ".to_owned() + &"a or ".repeat(20_000) + "true %}x{% endif %}",
    ] {
        assert!(render_with(&template, json!({})).is_err());
    }
    let nested = "{% if true %}".repeat(200) + "x" + &"{% endif %}".repeat(200);
    assert_eq!(render_with(&nested, json!({})).unwrap(), "x");
    let chain = "{% if a %}".to_owned() + &"{% elsif a %}".repeat(380) + "{% else %}x{% endif %}";
    assert_eq!(render_with(&chain, json!({})).unwrap(), "x");
    let condition = "{% if ".to_owned() + &"a or ".repeat(700) + "true %}x{% endif %}";
    assert_eq!(render_with(&condition, json!({})).unwrap(), "x");
}

#[test]
fn the_templates_of_a_document_share_one_budget() {
    let mut renderer = Renderer::new(&json!({}), NOW_MS);
    let thousand = "{% for i in (1..900) %}{% endfor %}";
    assert!(renderer.render(thousand).is_ok());
    assert!(renderer.render(thousand).unwrap_err().contains("rounds"));
}

/// Pieces that templates are made of, good and bad.
fn pieces() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "{{",
        "}}",
        "{%",
        "%}",
        "{{-",
        "-}}",
        "{%-",
        "-%}",
        " ",
        "name",
        "customer.number",
        "|",
        "if",
        "endif",
        "else",
        "elsif",
        "for",
        "endfor",
        "in",
        "(1..3)",
        "assign",
        "=",
        "==",
        "a",
        "date",
        ":",
        ",",
        "\"%H:%M\"",
        "\"now\"",
        "'",
        "\"",
        "capture",
        "endcapture",
        "raw",
        "endraw",
        "case",
        "when",
        "endcase",
        "comment",
        "endcomment",
        "1",
        "-9",
        "99999999999999",
        "1.5",
        "slice",
        "split",
        "join",
        "truncate",
        "times",
        "divided_by",
        "0",
        "[",
        "]",
        ".",
        "visits",
        "sort",
        "contains",
        "nil",
        "empty",
        "break",
        "continue",
        "ü",
        "\n",
        "limit:",
        "plus",
        "default",
        "%",
    ]);
    prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn no_template_panics_or_grows_without_end(
        template in prop_oneof![pieces(), "\\PC{0,40}", "\\{\\{ ?[a-z.|:\" 0-9\\-]{0,30} ?\\}\\}"],
    ) {
        let variables = json!({"name": "John", "visits": ["May", 3, null, {"a": 1}], "a": 1});
        if let Ok(output) = render_with(&template, variables) {
            prop_assert!(output.len() <= OUTPUT_BYTES_MAX);
        }
    }
}
