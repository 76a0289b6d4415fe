//! Prometheus metrics of the process.

mod process;
mod table;
#[cfg(test)]
mod tests;

use std::time::Duration;

use metrics::Unit;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use offhook_actors::ROLES;
use offhook_api::call::CallType;
use offhook_core::{Blame, Finish};
use offhook_supervisors::Node;
use tokio::time::{MissedTickBehavior, interval};

use self::table::{Kind, METRICS};

/// Buckets for everything measured in seconds: from a frame to a ten-minute wait.
const SECONDS: &[f64] = &[
    0.001, 0.0025, 0.005, 0.01, 0.02, 0.04, 0.08, 0.15, 0.25, 0.4, 0.6, 0.8, 1.0, 1.5, 2.0, 3.0,
    5.0, 10.0, 30.0, 60.0, 300.0, 600.0,
];

/// How often observations are put into their buckets: until then each takes eight bytes, for ever
/// where nobody asks for metrics. 500 calls make some thousand in this time.
const UPKEEP_EVERY: Duration = Duration::from_secs(5);

/// Installs the recorder; what it returns renders `/metrics`. Must be called within the runtime.
pub fn init() -> Result<PrometheusHandle, String> {
    let handle = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".into()), SECONDS)
        .map_err(|error| format!("cannot set up metrics: {error}"))?
        .install_recorder()
        .map_err(|error| format!("cannot set up metrics: {error}"))?;
    describe();
    register();
    let kept = handle.clone();
    // Lives as long as the process.
    tokio::spawn(async move {
        let mut tick = interval(UPKEEP_EVERY);
        tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            tick.tick().await;
            kept.run_upkeep();
        }
    });
    Ok(handle)
}

/// Metrics in Prometheus' text format, those that are looked up rather than counted included.
pub fn render(handle: &PrometheusHandle, node: &Node) -> String {
    metrics::gauge!("offhook_ready").set(if node.is_draining() { 0.0 } else { 1.0 });
    let oldest = node.outbox().oldest_age();
    metrics::gauge!("offhook_outbox_oldest_seconds").set(oldest.as_secs_f64());
    process::observe();
    handle.render()
}

fn describe() {
    for metric in METRICS {
        let unit = match metric.name {
            name if name.contains("_seconds") => Unit::Seconds,
            name if name.contains("_milliseconds") => Unit::Milliseconds,
            name if name.contains("_bytes") => Unit::Bytes,
            _ => Unit::Count,
        };
        match metric.kind {
            Kind::Counter => metrics::describe_counter!(metric.name, unit, metric.meaning),
            Kind::Gauge => metrics::describe_gauge!(metric.name, unit, metric.meaning),
            Kind::Histogram => metrics::describe_histogram!(metric.name, unit, metric.meaning),
        }
    }
}

/// Puts what has not happened yet at zero: a rate of what is absent is no rate, and an alert on it
/// never fires. What providers and routes there are shows when they are used.
fn register() {
    for metric in METRICS.iter().filter(|metric| metric.labels.is_empty()) {
        match metric.kind {
            Kind::Counter => metrics::counter!(metric.name).absolute(0),
            Kind::Gauge => metrics::gauge!(metric.name).set(0.0),
            Kind::Histogram => drop(metrics::histogram!(metric.name)),
        }
    }
    // The one type of call that this version takes.
    let call_type = CallType::Websocket.name();
    metrics::gauge!("offhook_calls_active", "type" => call_type).set(0.0);
    for blame in [Blame::Nobody, Blame::Caller, Blame::Provider, Blame::Runtime] {
        let class = blame.name();
        metrics::counter!("offhook_calls_total", "type" => call_type, "ended_class" => class)
            .absolute(0);
    }
    for role in ROLES {
        metrics::counter!("offhook_port_dropped_total", "actor" => role.name).absolute(0);
        for cause in ["panic", "killed"] {
            metrics::counter!("offhook_actor_restarts_total", "actor" => role.name, "cause" => cause)
                .absolute(0);
        }
    }
    for cause in [Finish::Length, Finish::ContentFilter, Finish::Broken]
        .into_iter()
        .filter_map(Finish::cut_by)
    {
        metrics::counter!("offhook_replies_cut_total", "cause" => cause).absolute(0);
    }
    for won in ["true", "false"] {
        metrics::counter!("offhook_hedges_total", "kind" => "model", "won" => won).absolute(0);
    }
    for stage in table::TURN_STAGES {
        drop(metrics::histogram!("offhook_turn_latency_seconds", "stage" => *stage));
    }
    metrics::gauge!("offhook_build_info", "version" => env!("CARGO_PKG_VERSION")).set(1.0);
}
