//! Every setting, once.

use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf, time::Duration};

use secrecy::SecretString;

use crate::{
    carriers::{self, Carriers},
    document::SettingDoc,
    error::Problem,
    form::{
        Address, Bytes, Count, Folder, HttpUrl, LogFormat, LogFormatName, Maybe, Secret, Secrets,
        Span, Switch, Text, WebUrl,
    },
    layers::Layers,
    prices::Prices,
};

/// Declares the sections.
///
/// A setting is: why it is as it is, name, type, form, its default or `unset` with an example, its
/// unit, and for some the least and the greatest value. What follows `where` is a table whose keys
/// the user chooses.
macro_rules! sections {
    ($(
        $(#[doc = $about:literal])+
        $section:ident: $Section:ident {
            $(
                $(#[doc = $reason:literal])+
                $key:ident: $Type:ty as $Form:ty =
                    $(default $default:literal)? $(unset $example:literal)?,
                    $unit:literal $(, $least:literal to $most:literal)?;
            )+
            $(where $(#[doc = $table_reason:literal])+ $table:ident: $Table:ty = $read:path;)?
        }
    )+) => {
        $(
            $(#[doc = $about])+
            #[derive(Clone, Debug)]
            pub struct $Section {
                $( $(#[doc = $reason])+ pub $key: $Type, )+
                $( $(#[doc = $table_reason])+ pub $table: $Table, )?
            }

            impl Default for $Section {
                fn default() -> Self {
                    Settings::default().$section
                }
            }

            impl $Section {
                fn read(layers: &Layers, problems: &mut Vec<Problem>) -> Option<Self> {
                    $(
                        let path = [stringify!($section), stringify!($key)];
                        let $key = layers.read::<$Form>(&path, limits(&[$(($least, $most))?]), problems);
                    )+
                    $( let $table = $read(layers, problems); )?
                    Some(Self { $( $key: $key?, )+ $( $table, )? })
                }
            }
        )+

        /// The settings of a server.
        #[derive(Clone, Debug)]
        pub struct Settings {
            $( $(#[doc = $about])+ pub $section: $Section, )+
            /// What carriers are reached with.
            pub carriers: Carriers,
            /// What providers charge.
            pub prices: Prices,
            /// What they are reached with, by the name that documents call them.
            pub providers: BTreeMap<String, Provider>,
            /// Where the key of each of them comes from, for whoever looks for a wrong one.
            pub key_origins: BTreeMap<String, String>,
        }

        impl Settings {
            pub(crate) fn read(layers: &Layers, problems: &mut Vec<Problem>) -> Option<Self> {
                $( let $section = $Section::read(layers, problems); )+
                let carriers = Carriers::read(layers, problems);
                let providers = read_providers(layers, problems);
                let prices = Prices::default();
                let key_origins = key_origins(layers);
                let settings = Self {
                    $( $section: $section?, )+
                    carriers: carriers?,
                    prices,
                    providers,
                    key_origins,
                };
                settings.check_reserve(problems);
                Some(settings.read_prices(problems))
            }
        }

        /// The sections in order, and what each is for.
        pub(crate) const SECTIONS: &[(&str, &str)] = &[
            $( (stringify!($section), concat!($($about, "\n"),+)), )+
            ("carriers", " What carriers are reached with, where phone numbers and credentials do not say.\n"),
            ("providers", " What providers are reached with, by the name that documents call them.\n"),
        ];

        fn section_docs() -> Vec<SettingDoc> {
            vec![$($(
                SettingDoc::of::<$Form>(
                    concat!(stringify!($section), ".", stringify!($key)),
                    first(&[$($default)?]),
                    first(&[$($example)?]),
                    $unit,
                    limits(&[$(($least, $most))?]),
                    concat!($($reason, "\n"),+),
                ),
            )+)+]
        }
    };
}

sections! {
    /// The HTTP server.
    server: Server {
        /// Where the API listens. The default is reachable from this machine alone; behind a reverse
        /// proxy or in a container choose 0.0.0.0:8080.
        listen: SocketAddr as Address = default "127.0.0.1:8080", "address and port";
        /// How clients and carriers reach this server; it is in every URL that the API hands out.
        /// Unset: the address it listens on.
        public_url: Option<String> as Maybe<HttpUrl> = unset "https://voice.example.com", "URL";
        /// Where metrics are served, for those who want them apart from the API. Unset: `/metrics` of
        /// the API.
        metrics_listen: Option<SocketAddr> as Maybe<Address> = unset "127.0.0.1:9090", "address and port";
        /// Longest body of a request. An assistant with a long prompt and many tools stays below
        /// 200 KiB.
        body_limit: u64 as Bytes = default "1MiB", "bytes", "1KiB" to "64MiB";
        /// Longest time for answering a request, websockets apart.
        request_timeout: Duration as Span = default "30s", "duration", "1s" to "10m";
        /// How log lines look: `text`, `json`, or `auto` for text on a terminal and JSON elsewhere.
        log_format: LogFormat as LogFormatName = default "auto", "name";
        /// What is logged: a level, or levels by module such as `info,offhook_actors=debug`. What a
        /// caller said appears at `debug` and below only.
        log_level: String as Text = default "info", "filter";
    }

    /// Who may use the API.
    auth: Auth {
        /// Keys of the organisation `default`. Without any key a server makes one at its first start,
        /// prints it once, and keeps it in the data folder.
        api_keys: Vec<SecretString> as Secrets = unset r#"["choose-a-long-random-key"]"#, "list of keys";
        where
        /// Keys of further organisations by their names; they do not see each other's documents.
        orgs: BTreeMap<String, Vec<SecretString>> = read_orgs;
    }

    /// What outlives the process.
    store: Store {
        /// Folder of documents, journals, outbox and recordings; created when missing. One server
        /// uses it at a time.
        path: PathBuf as Folder = default "offhook-data", "path";
        /// Seals the secrets of credentials on disk: 32 random bytes in base64, as
        /// `openssl rand -base64 32` prints them. Unset: a server makes one at its first start and
        /// keeps it in the folder, where whoever copies the folder has it too. What was sealed
        /// with one key cannot be opened with another.
        secret_key: Option<SecretString> as Maybe<Secret> = unset "what-openssl-rand-printed", "text";
    }

    /// Calls: how many, and how long to wait for whom.
    calls: Calls {
        /// Calls at the same time; further ones are refused. Two cores hold some hundreds.
        concurrency_limit: u32 as Count = default "100", "calls", "1" to "100000";
        /// Of these, the calls that are kept free for callers: outbound ones never get them.
        inbound_reserve: u32 as Count = default "0", "calls", "0" to "100000";
        /// Calls at the same time of each organisation; further ones are refused or wait, as those above
        /// `concurrency_limit`. Unset: one organisation may have them all.
        concurrency_limit_per_org: Option<u32> as Maybe<Count> = unset "50", "calls", "1" to "100000";
        /// Longest wait of an outbound phone call for one of these, and for its carrier's rate.
        queue_ttl: Duration as Span = default "60s", "duration", "0s" to "1h";
        /// How late a scheduled call without `latestAt` may be dialled: nobody is called in the night
        /// because a server was down all day.
        scheduled_late_max: Duration as Span = default "1h", "duration", "1s" to "7d";
        /// Longest wait for the media socket of a new call.
        connect_timeout: Duration as Span = default "30s", "duration", "1s" to "10m";
        /// How long a call waits for its media socket to come back: after it dropped, and after the
        /// server was started anew. The same URL is good for it. 0s: a dropped socket ends the call.
        leg_reconnect: Duration as Span = default "30s", "duration", "0s" to "10m";
        /// Spoken first to a caller whose call was taken up by a new process. Empty: nothing is.
        resume_message: String as Text = default "Sorry, you were cut off for a moment.", "text";
        /// Longest wait for running calls when the server is told to stop. Those that still run then
        /// are left for the next server to go on with.
        drain_timeout: Duration as Span = default "10m", "duration", "0s" to "24h";
        /// Audio sent ahead of what is heard, for legs that report what they played. It hides a
        /// change of voices in mid-sentence; what was sent can still be cleared.
        playout_lead: Duration as Span = default "600ms", "duration", "40ms" to "5s";
        /// Audio sent ahead of what is heard, for websocket legs, which report nothing: what an
        /// interruption leaves playing.
        websocket_lead: Duration as Span = default "200ms", "duration", "40ms" to "5s";
        /// Caller audio kept for a transcriber that was restarted or replaced: no word is lost in a
        /// gap shorter than this. 30 s of 16 kHz audio are 1 MB a call.
        audio_ring: Duration as Span = default "30s", "duration", "5s" to "5m";
        /// Memory for what voices said before: a first message that was said in an earlier call of the
        /// same voice costs nothing and sounds at once. A minute at 8 kHz mu-law is 480 kB. 0B: off.
        voice_cache: u64 as Bytes = default "32MiB", "bytes", "0B" to "16GiB";
        /// Longest wait for an actor's sign of life before it is restarted.
        progress_timeout: Duration as Span = default "2s", "duration", "200ms" to "1m";
        /// The same for the actor that holds the conversation, whose restart replays the journal.
        call_actor_progress_timeout: Duration as Span = default "5s", "duration", "200ms" to "1m";
        /// Restarts of one part of a call within `restarts_window` before the call is given up.
        restarts_max: u32 as Count = default "5", "restarts", "0" to "1000";
        /// Time in which restarts are counted.
        restarts_window: Duration as Span = default "60s", "duration", "1s" to "1h";
        /// Longest wait for a provider's connection: TCP, TLS and websocket handshake together.
        provider_connect_timeout: Duration as Span = default "5s", "duration", "100ms" to "1m";
        /// Longest wait for a transcriber's answer to what the caller said, before it is replaced.
        stt_stall_timeout: Duration as Span = default "1300ms", "duration", "500ms" to "1m";
        /// Longest wait for a session or for a voice's first audio where another provider could take
        /// over: a caller who hears nothing for longer thinks that the line is dead.
        failover_patience: Duration as Span = default "1200ms", "duration", "100ms" to "1m";
        /// Longest wait for a model's first token before it is taken for dead.
        llm_first_token_timeout: Duration as Span = default "10s", "duration", "500ms" to "2m";
        /// Whether a second request is raced against one whose first token is later than usual (the
        /// provider's 95th percentile, 400 ms to 1.2 s). At most 5 % of requests are doubled.
        hedge: bool as Switch = default "true", "true or false";
        /// Longest wait for a voice's first audio before it is taken for dead.
        tts_first_audio_timeout: Duration as Span = default "5s", "duration", "500ms" to "1m";
    }

    /// What calls cost.
    costs: Costs {
        /// Prices of your own over those that are built in, which are list prices of a certain day:
        /// a TOML file like `config/prices.toml`. What has no price is counted in
        /// `offhook_unpriced_total`.
        prices_file: Option<PathBuf> as Maybe<Folder> = unset "prices.toml", "path";
    }

    /// Server events to other systems.
    webhooks: Webhooks {
        /// Where events go for calls whose documents name no server of their own.
        url: Option<String> as Maybe<HttpUrl> = unset "https://example.com/offhook-events", "URL";
        /// Signs events (HMAC-SHA256), so that the receiver can tell them from forgeries.
        secret: Option<SecretString> as Maybe<Secret> = unset "choose-a-long-random-secret", "text";
        /// Longest wait for a receiver's answer.
        timeout: Duration as Span = default "20s", "duration", "1s" to "5m";
        /// Age at which an event that nobody took is given up: it is tried no more, and kept apart.
        max_age: Duration as Span = default "24h", "duration", "1s" to "30d";
        /// How long events that were given up are kept, for `offhook outbox list` and `retry`.
        dead_letter_age: Duration as Span = default "14d", "duration", "1m" to "365d";
        /// First wait before an event is sent again; it doubles from try to try.
        backoff_initial: Duration as Span = default "500ms", "duration", "10ms" to "1m";
        /// Longest wait before an event is sent again.
        backoff_max: Duration as Span = default "5m", "duration", "100ms" to "24h";
        /// Events under way at the same time, over all calls; those of one call keep their order.
        parallel: u32 as Count = default "64", "requests", "1" to "4096";
        /// Of these, to one receiver: one that hangs leaves the others their share.
        parallel_per_host: u32 as Count = default "16", "requests", "1" to "4096";
        /// Whether webhooks and tools may go to private and link-local addresses. Who can write
        /// documents could reach into your network otherwise.
        allow_private_addresses: bool as Switch = default "false", "true or false";
    }
}

impl Settings {
    fn check_reserve(&self, problems: &mut Vec<Problem>) {
        let (reserve, limit) = (self.calls.inbound_reserve, self.calls.concurrency_limit);
        if reserve > limit {
            problems.push(Problem::Reserve { reserve, limit });
        }
    }

    fn read_prices(mut self, problems: &mut Vec<Problem>) -> Self {
        if let Some(path) = &self.costs.prices_file {
            match std::mem::take(&mut self.prices).with_file(path) {
                Ok(prices) => self.prices = prices,
                Err(problem) => problems.push(problem),
            }
        }
        self
    }
}

const ORG_KEYS: &str = "auth.orgs.<name>";
const PROVIDER_KEY: &str = "providers.<name>.api_key";
const PROVIDER_KEYS: &str = "providers.<name>.api_keys";
const PROVIDER_URL: &str = "providers.<name>.base_url";

/// What one provider is reached with.
#[derive(Clone, Debug, Default)]
pub struct Provider {
    /// The key that the provider issued.
    pub api_key: Option<SecretString>,
    /// Further keys of the same provider, used in order when one is refused, limited or spent.
    pub api_keys: Vec<SecretString>,
    /// Replaces the provider's own address: a gateway, a self-hosted server, a fake.
    pub base_url: Option<String>,
}

impl Provider {
    /// All keys, the first one first.
    pub fn keys(&self) -> Vec<&SecretString> {
        self.api_key.iter().chain(&self.api_keys).collect()
    }

    /// The same provider with one of its keys alone; the first is 0.
    pub fn with_key(&self, key: usize) -> Self {
        let api_key = self.keys().get(key).map(|&key| key.clone());
        Self { api_key, api_keys: Vec::new(), base_url: self.base_url.clone() }
    }
}

/// Every setting in the order of `default.toml`.
pub(crate) fn docs() -> Vec<SettingDoc> {
    let mut docs = section_docs();
    docs.extend(carriers::docs());
    docs.extend([
        SettingDoc::of::<Secrets>(
            ORG_KEYS,
            None,
            Some(r#"["choose-a-long-random-key"]"#),
            "list of keys",
            None,
            "Keys of a further organisation; organisations do not see each other's documents.",
        ),
        SettingDoc::of::<Secret>(
            PROVIDER_KEY,
            None,
            Some("key-that-the-provider-issued"),
            "text",
            None,
            "The provider's key. Unset: its customary variable, such as DEEPGRAM_API_KEY.",
        ),
        SettingDoc::of::<Secrets>(
            PROVIDER_KEYS,
            None,
            Some(r#"["another-key"]"#),
            "list of keys",
            None,
            "Further keys of the provider: calls take the next when one is refused, limited or spent.",
        ),
        SettingDoc::of::<WebUrl>(
            PROVIDER_URL,
            None,
            Some("https://gateway.example.com"),
            "URL",
            None,
            "Replaces the provider's own address: a gateway, a self-hosted server, a fake.",
        ),
    ]);
    docs
}

fn read_orgs(layers: &Layers, problems: &mut Vec<Problem>) -> BTreeMap<String, Vec<SecretString>> {
    let mut orgs = BTreeMap::new();
    for name in layers.names(&["auth", "orgs"]) {
        if let Some(keys) = layers.read::<Secrets>(&["auth", "orgs", &name], None, problems) {
            orgs.insert(name, keys);
        }
    }
    orgs
}

fn read_providers(layers: &Layers, problems: &mut Vec<Problem>) -> BTreeMap<String, Provider> {
    let mut providers = BTreeMap::new();
    for name in layers.names(&["providers"]) {
        let api_key =
            layers.read::<Maybe<Secret>>(&["providers", &name, "api_key"], None, problems);
        let base_url =
            layers.read::<Maybe<WebUrl>>(&["providers", &name, "base_url"], None, problems);
        let api_keys = layers.read::<Secrets>(&["providers", &name, "api_keys"], None, problems);
        let provider = Provider {
            api_key: api_key.flatten(),
            api_keys: api_keys.unwrap_or_default(),
            base_url: base_url.flatten(),
        };
        providers.insert(name, provider);
    }
    providers
}

fn key_origins(layers: &Layers) -> BTreeMap<String, String> {
    let names = layers.names(&["providers"]).into_iter();
    names
        .filter_map(|name| {
            let origin = layers.origin(&["providers", &name, "api_key"])?;
            Some((name, origin))
        })
        .collect()
}

fn first(given: &[&'static str]) -> Option<&'static str> {
    given.first().copied()
}

fn limits(given: &[(&'static str, &'static str)]) -> Option<(&'static str, &'static str)> {
    given.first().copied()
}
