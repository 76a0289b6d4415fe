//! Every metric there is: `docs/metrics.md` says what to do about each.

/// A metric as `/metrics` shows it.
pub struct Metric {
    pub name: &'static str,
    pub kind: Kind,
    /// Names of its labels. Their values are few: never a call, a phone number or a path.
    pub labels: &'static [&'static str],
    pub meaning: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Counter,
    Gauge,
    Histogram,
}

impl Kind {
    /// As Prometheus calls it.
    #[cfg(test)]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// Values of `stage` of `offhook_turn_latency_seconds`.
pub const TURN_STAGES: &[&str] =
    &["transcriber", "endpointing", "model", "voice", "transport", "total"];

macro_rules! metrics {
    ($($name:literal $kind:ident [$($label:literal),*] $meaning:literal;)+) => {
        pub const METRICS: &[Metric] = &[$(Metric {
            name: concat!("offhook_", $name),
            kind: Kind::$kind,
            labels: &[$($label),*],
            meaning: $meaning,
        }),+];
    };
}

metrics! {
    "ready" Gauge [] "1 while the server takes calls, 0 while it drains";
    "calls_active" Gauge ["type"] "Calls that run now";
    "calls_total" Counter ["type", "ended_class"] "Calls that ended, by who is answerable for the end";
    "call_setup_seconds" Histogram [] "From the call's creation to its media being up";
    "slots_in_use" Gauge [] "Concurrency slots in use";
    "slots_limit" Gauge [] "Concurrency slots there are";
    "slot_queue_seconds" Histogram [] "How long calls waited for a slot that got one in the end";
    "scheduled_calls" Gauge [] "Calls that are to be placed later";
    "campaign_contacts" Gauge ["status"] "Contacts of campaigns that are not over, by where they stand";
    "turn_latency_seconds" Histogram ["stage"] "From the caller's last sound to the agent's first, in all and by stage";
    "runtime_overhead_seconds" Histogram [] "Part of a turn's latency that neither providers nor configured waits took";
    "barge_in_seconds" Histogram [] "From the onset of a caller who interrupts to the leg being told to clear";
    "interruptions_total" Counter ["kind"] "Times that a caller stopped the agent: with words (true), or with a noise, an acknowledgement or an echo after which it went on (false)";
    "speculations_total" Counter ["outcome"] "Requests to a model before the caller's turn was surely over, by whether it was";
    "speculation_saved_seconds" Histogram [] "How much earlier than the end of the turn a model was asked that was rightly asked";
    "endpointing_requests_total" Counter ["outcome"] "Servers asked how long to wait for the caller";
    "voicemail_questions_total" Counter ["outcome"] "Times that a model was asked whether a voicemail answered";
    "provider_requests_total" Counter ["kind", "provider", "outcome"] "Replies of models, speeches of voices, sessions of transcribers, and what failed of each";
    "provider_ttfb_seconds" Histogram ["kind", "provider"] "From a request to a provider's first answer; of transcribers, to the open session";
    "provider_breaker_state" Gauge ["kind", "provider"] "Worst of a provider's keys: 0 calls ask it, 1 a probe is under way, 2 calls pass over it";
    "failovers_total" Counter ["kind", "from", "to", "cause"] "Calls that went over to another provider, or began with one because the wanted was down (cause breaker)";
    "failover_gap_seconds" Histogram ["kind"] "From a lost session to the next one that answered";
    "hedges_total" Counter ["kind", "won"] "Slow requests that were raced by a second one, by whether that one was first";
    "replies_cut_total" Counter ["cause"] "Replies of models that a limit, a filter or a failure cut off";
    "unpriced_total" Counter ["kind", "provider"] "Parts of calls whose cost is told as 0 because no price is known";
    "voice_cache_hits_total" Counter [] "Speeches of the agent played as a voice said them before";
    "voice_cache_misses_total" Counter [] "Speeches that are kept when a voice has said them";
    "voice_cache_bytes" Gauge [] "Memory taken by speech that is kept";
    "background_sounds_failed_total" Counter [] "Calls that go on without their background sound";
    "voicemail_messages_failed_total" Counter [] "Recorded messages for voicemails that could not be had";
    "playout_underruns_total" Counter [] "Gaps in the agent's speech";
    "audio_ring_overflow_milliseconds_total" Counter [] "Caller audio dropped before it was transcribed";
    "audio_lost_milliseconds_total" Counter [] "Caller audio that no transcriber was given";
    "replayed_audio_milliseconds_total" Counter [] "Caller audio given again to a new transcriber session";
    "recordings_failed_total" Counter [] "Recordings that the disk refused";
    "legs_resumed_total" Counter [] "Media sockets that came back to a call";
    "webhooks_refused_total" Counter ["carrier"] "Webhooks whose signature does not fit";
    "media_sockets_refused_total" Counter [] "Carriers' media sockets that showed no good token";
    "carrier_failovers_total" Counter ["from"] "Calls that a carrier refused and that went to the next number";
    "hang_ups_failed_total" Counter [] "Calls that a carrier was asked to end, in vain";
    "calls_taken_up_total" Counter [] "Calls of a former process that this one goes on with";
    "leg_messages_dropped_total" Counter [] "Client messages that a slow client did not get";
    "actor_restarts_total" Counter ["actor", "cause"] "Actors started again";
    "port_dropped_total" Counter ["actor"] "Inputs dropped because an actor's inbox was full";
    "outbox_pending" Gauge [] "Server events not yet taken by their receivers";
    "outbox_oldest_seconds" Gauge [] "Age of the oldest of them";
    "outbox_delivery_seconds" Histogram [] "From a server event to its delivery";
    "outbox_given_up_total" Counter [] "Server events given up after their maximum age";
    "outbox_dead_letters" Gauge [] "Server events given up and kept for an operator";
    "outbox_lost_total" Counter [] "Server events lost because the outbox was full";
    "outbox_unstored_total" Counter [] "Server events that the disk refused, sent from memory";
    "journal_flush_seconds" Histogram [] "Time of one flush of the store to disk";
    "journal_lost_entries_total" Counter [] "Entries of calls' journals that are not on disk";
    "store_bytes" Gauge [] "Size of the store on disk";
    "http_requests_total" Counter ["route", "status"] "HTTP requests answered";
    "connections_refused_total" Counter [] "Connections refused because there were too many";
    "process_cpu_milliseconds_total" Counter [] "CPU time of the process, user and system";
    "process_resident_bytes" Gauge [] "Memory of the process that is in RAM";
    "process_threads" Gauge [] "Threads of the process";
    "process_open_files" Gauge [] "Open files and sockets of the process";
    "build_info" Gauge ["version"] "1, with the version that runs";
}
