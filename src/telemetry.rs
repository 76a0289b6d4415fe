//! Prometheus metrics of the process.

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

/// Buckets for everything measured in seconds: from a frame to a ten-minute wait.
const SECONDS: &[f64] = &[
    0.001, 0.0025, 0.005, 0.01, 0.02, 0.04, 0.08, 0.15, 0.25, 0.4, 0.6, 0.8, 1.0, 1.5, 2.0, 3.0,
    5.0, 10.0, 30.0, 60.0, 300.0, 600.0,
];

/// Installs the recorder; what it returns renders `/metrics`.
pub fn init() -> Result<PrometheusHandle, String> {
    let handle = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".into()), SECONDS)
        .map_err(|error| format!("cannot set up metrics: {error}"))?
        .install_recorder()
        .map_err(|error| format!("cannot set up metrics: {error}"))?;
    describe();
    Ok(handle)
}

fn describe() {
    use metrics::{
        describe_counter as counter, describe_gauge as gauge, describe_histogram as histogram,
    };

    gauge!("offhook_calls_active", "Calls that run now");
    counter!("offhook_calls_total", "Calls that ended, by type and by who is answerable");
    histogram!("offhook_call_setup_seconds", "From the call's creation to its media being up");
    histogram!(
        "offhook_turn_latency_seconds",
        "From the caller's last sound to the agent's first, by stage"
    );
    counter!("offhook_provider_requests_total", "Requests and sessions of providers, by outcome");
    histogram!("offhook_provider_ttfb_seconds", "From a request to a provider's first answer");
    counter!("offhook_actor_restarts_total", "Actors started again, by cause");
    gauge!("offhook_slots_in_use", "Concurrency slots in use");
    gauge!("offhook_slots_limit", "Concurrency slots there are");
    gauge!("offhook_outbox_pending", "Server events not yet taken by their receivers");
    histogram!("offhook_outbox_delivery_seconds", "From a server event to its delivery");
    counter!("offhook_outbox_given_up_total", "Server events given up after their maximum age");
    counter!("offhook_outbox_lost_total", "Server events lost because the outbox was full");
    counter!("offhook_outbox_unstored_total", "Server events the disk refused, sent from memory");
    histogram!("offhook_journal_flush_seconds", "Time of one flush of journals to disk");
    counter!("offhook_playout_underruns_total", "Gaps in the agent's speech");
    counter!(
        "offhook_audio_ring_overflow_milliseconds_total",
        "Caller audio dropped before it was transcribed"
    );
    counter!("offhook_audio_lost_milliseconds_total", "Caller audio no transcriber was given");
    counter!(
        "offhook_replayed_audio_milliseconds_total",
        "Caller audio given again to a new transcriber session"
    );
    counter!("offhook_recordings_failed_total", "Recordings the disk refused");
    counter!("offhook_leg_messages_dropped_total", "Client messages a slow client did not get");
    counter!("offhook_port_dropped_total", "Inputs dropped because an actor's inbox was full");
    counter!("offhook_http_requests_total", "HTTP requests, by route and status");
}
