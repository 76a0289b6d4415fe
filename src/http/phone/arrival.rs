//! A call that comes in: who answers it, or what becomes of it instead.

use std::time::Duration;

use offhook_api::{
    CallDocument, Destination, RingingAction,
    call::{CallType, CallUrls},
};
use offhook_core::{
    EndedReason,
    slots::{Refusal, SlotRequest, Source},
};
use offhook_store::Kind;
use offhook_supervisors::{Lease, Started, phone};
use offhook_transports::carrier::{self, Carrier, Sending};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    assistant_request::{self, Answer},
    begin::{self, Begin},
    signed::Known,
};
use crate::{
    auth::parse_id,
    http::{App, now_ms, resources},
};

/// Spoken where all slots are taken and the number names nobody else.
const BUSY: &str = "All our lines are busy right now. Please call again in a few minutes.";

/// Spoken where nobody can be found who answers.
const APOLOGY: &str = "We are sorry, your call cannot be taken right now. Please call again later.";

/// Longest text that is spoken to callers whom nobody answers, in characters: what Vonage says at
/// once. A carrier refuses a longer one as a whole, and callers would hear its own announcement.
const SPOKEN_CHARS_MAX: usize = 1_500;

/// A call as its carrier tells of it.
#[derive(Clone, Debug)]
pub struct Arrival {
    pub carrier: Carrier,
    /// The carrier's id of the call.
    pub id: String,
    /// Who calls; may be anything where the number is withheld.
    pub from: Option<String>,
    /// What else the carrier tells, for `transport` of the call's document.
    pub transport: Value,
}

/// What is done with a call.
#[derive(Clone, Debug)]
pub enum Greeting {
    /// This call of ours has it.
    Connect(Uuid),
    /// It is told so, and hung up.
    Say(String),
    Forward {
        destination: carrier::Destination,
        caller_id: Option<String>,
        /// Spoken before; empty: nothing is.
        message: String,
    },
}

/// How long somebody may take to answer a caller who is sent on before anybody here has answered.
pub const RING: Duration = Duration::from_secs(60);

/// How a carrier sends such a caller on: nobody here waits for what becomes of it.
pub fn sending<'a>(to: &'a carrier::Destination, caller_id: Option<&'a str>) -> Sending<'a> {
    Sending { to, caller_id, ring: RING, attempt: None }
}

/// Decides on a call, once, however often its carrier asks.
pub async fn greet(app: &App, known: Known, arrival: Arrival) -> Greeting {
    if let Some(context) = app.node.call_of_carrier(&known.org, arrival.carrier, &arrival.id) {
        return Greeting::Connect(context.spec.id);
    }
    let app = app.clone();
    // A carrier that goes away must not leave half a call behind.
    let decided = tokio::spawn(async move {
        let call = format!("{} {} {}", known.org, arrival.carrier.name(), arrival.id);
        let cell = app.desk.greeting(&call);
        let clerk = Clerk { app: &app, known: &known, arrival: &arrival };
        cell.get_or_init(|| clerk.decide()).await.clone()
    });
    decided.await.unwrap_or_else(|_| Greeting::Say(APOLOGY.into()))
}

/// Whoever decides on one call.
struct Clerk<'a> {
    app: &'a App,
    known: &'a Known,
    arrival: &'a Arrival,
}

/// Why nobody answers.
struct Turned {
    reason: EndedReason,
    /// Spoken to the caller, unless the number names somebody else for this case.
    words: String,
    problem: String,
}

/// Why nobody answers a call that there is no slot for.
fn busy(refusal: &Refusal) -> Turned {
    Turned {
        reason: EndedReason::ConcurrencyLimitReached,
        words: BUSY.into(),
        problem: refusal.to_string(),
    }
}

impl Clerk<'_> {
    async fn decide(&self) -> Greeting {
        let view = &self.known.view;
        let id = Uuid::new_v4();
        match view.ringing_action(self.arrival.from.as_deref()) {
            Some(RingingAction::Say(words)) => {
                let problem = "a hook of the number spoke to the caller";
                self.note(id, EndedReason::HookExecutedSay, problem, None).await;
                return Greeting::Say(spoken(words));
            }
            Some(RingingAction::Transfer(to)) => {
                let problem = "a hook of the number sent the caller elsewhere";
                self.note(id, EndedReason::HookExecutedTransfer, problem, Some(to)).await;
                return self.forward(to);
            }
            None => {}
        }
        let turned = match self.take_slot().await {
            Ok(lease) => match self.answer(id, lease).await {
                Ok(greeting) => return greeting,
                Err(turned) => turned,
            },
            Err(turned) => turned,
        };
        let to = view.fallback_destination.as_ref();
        tracing::warn!(call = %id, reason = %turned.reason, turned.problem, forwarded = to.is_some(),
            "nobody answers a call");
        self.note(id, turned.reason, &turned.problem, to).await;
        match to {
            Some(to) => self.forward(to),
            None => Greeting::Say(spoken(&turned.words)),
        }
    }

    async fn take_slot(&self) -> Result<Lease, Turned> {
        if self.app.node.is_draining() {
            return Err(Turned {
                reason: EndedReason::WorkerShutdown,
                words: BUSY.into(),
                problem: "the server is draining and takes no calls".into(),
            });
        }
        let (node, org) = (&self.app.node, self.known.org.as_str());
        let limits = self.known.limits(self.app);
        node.slots().heed(&limits);
        let assistant = self.known.view.assistant_id.as_deref();
        if let Some(assistant) = assistant {
            node.slots().heed_assistant(node.store(), org, assistant).await;
        }
        let request = SlotRequest {
            assistant: assistant.map(Into::into),
            number: limits.number,
            carrier: Some(limits.carrier),
            ..SlotRequest::new(Source::Inbound, org.into())
        };
        node.slots().take_now(request).map_err(|refusal| busy(&refusal))
    }

    /// Counts the call among those of its assistant, whom the server named.
    async fn assign(&self, lease: &Lease, assistant: Option<&str>) -> Result<(), Turned> {
        let Some(assistant) = assistant else { return Ok(()) };
        let node = &self.app.node;
        node.slots().heed_assistant(node.store(), &self.known.org, assistant).await;
        lease.assign(assistant.into()).map_err(|refusal| busy(&refusal))
    }

    /// Finds out who answers, and starts the call.
    async fn answer(&self, id: Uuid, lease: Lease) -> Result<Greeting, Turned> {
        let sorry = |reason, problem: String| Turned { reason, words: APOLOGY.into(), problem };
        let mut request = self.request();
        let server = self.known.server.clone().or_else(|| phone::server(self.app.node.settings()));
        match (&self.known.view.assistant_id, &server) {
            (Some(assistant), _) => {
                let org = &self.known.org;
                let found = resources::find(self.app, org, Kind::Assistant, assistant).await;
                if !matches!(found, Ok(Some(_))) {
                    let problem =
                        format!("the number's assistantId {assistant} names no assistant");
                    return Err(sorry(EndedReason::AssistantNotFound, problem));
                }
                request["assistantId"] = json!(assistant);
            }
            (None, Some(server)) => {
                let call = self.document(id).into_value();
                let (org, number) = (&self.known.org, self.public_number());
                match assistant_request::ask(self.app, org, server, &call, &number).await {
                    Answer::Assistant(fields) => {
                        self.assign(&lease, fields["assistantId"].as_str()).await?;
                        for (name, value) in fields.as_object().into_iter().flatten() {
                            request[name] = value.clone();
                        }
                    }
                    Answer::Destination(to) => return self.sent_on(id, &to).await,
                    Answer::Refused { reason, words, problem } => {
                        let words = words.unwrap_or_else(|| APOLOGY.to_owned());
                        return Err(Turned { reason, words, problem });
                    }
                }
            }
            (None, None) => {
                let problem = "the number has neither assistantId nor server.url, and webhooks.url is not set: \
                               set one of them";
                return Err(sorry(EndedReason::NeitherAssistantNorServer, problem.into()));
            }
        }
        let is_named = request.get("assistantId").is_some();
        let client = self.known.client(self.app).map_err(|_| {
            let problem = "the number's carrier cannot be reached: see the log";
            sorry(EndedReason::AssistantNotValid, problem.into())
        })?;
        let invalid = |answer: &axum::response::Response| {
            let reason = match is_named && self.known.view.assistant_id.is_some() {
                true => EndedReason::AssistantNotValid,
                false => EndedReason::AssistantRequestReturnedInvalidAssistant,
            };
            let status = answer.status().as_u16();
            sorry(reason, format!("its assistant cannot be set up (status {status})"))
        };
        let setup = begin::gather(self.app, &self.known.org, request).await;
        let setup = setup.map_err(|answer| invalid(&answer))?;
        let prepared = begin::prepare(
            self.app,
            Begin {
                created_ms: None,
                id,
                org: &self.known.org,
                setup,
                call_type: CallType::InboundPhone,
                number: &self.known.view,
                server: self.known.server.clone(),
                account: &self.known.account,
                client,
                carrier_id: Some(self.arrival.id.clone()),
                ring: None,
                lease,
                brought: None,
            },
        )
        .await;
        // Without one its record and its report are written.
        if let Some(prepared) = prepared.map_err(|answer| invalid(&answer))?
            && let Started::Running = self.app.node.launch(prepared).await
        {
            return Ok(Greeting::Connect(id));
        }
        Ok(match &self.known.view.fallback_destination {
            Some(to) => self.forward(to),
            None => Greeting::Say(APOLOGY.into()),
        })
    }

    /// The server of the number sends the caller elsewhere.
    async fn sent_on(&self, id: Uuid, to: &Value) -> Result<Greeting, Turned> {
        let Some(destination) = Destination::read(to) else {
            return Err(Turned {
                reason: EndedReason::AssistantRequestReturnedNoAssistant,
                words: APOLOGY.into(),
                problem: "the assistant-request was answered with a destination that is neither a \
                          number nor a SIP address"
                    .into(),
            });
        };
        let reason = EndedReason::AssistantRequestReturnedForwardingPhoneNumber;
        let problem = "the assistant-request was answered with a destination";
        self.note(id, reason, problem, Some(&destination)).await;
        Ok(self.forward(&destination))
    }

    fn forward(&self, to: &Destination) -> Greeting {
        if to.plan.is_warm {
            let mode = &to.document()["transferPlan"]["mode"];
            tracing::warn!(%mode, "transferPlan.mode is not acted on here: the caller is sent on \
                blindly");
        }
        let mut destination = phone::destination_of(to);
        if let carrier::Destination::Number { extension, .. } = &mut destination
            && let Some(Err(problem)) = extension.as_deref().map(carrier::send_digits)
        {
            // Whoever answers there may still help.
            tracing::warn!(problem, "the extension of a destination is not dialled");
            *extension = None;
        }
        Greeting::Forward {
            destination,
            caller_id: to.caller_id.clone(),
            message: spoken(&to.message),
        }
    }

    /// Who talks with whom.
    fn request(&self) -> Value {
        let mut customer = json!({});
        if let Some(from) = self.arrival.from.as_deref() {
            customer["number"] = json!(from);
        }
        let mut request = json!({"customer": customer});
        if let Some(id) = self.known.id {
            request["phoneNumberId"] = json!(id.to_string());
        }
        request
    }

    fn document(&self, id: Uuid) -> CallDocument {
        let mut request = self.request();
        request["transport"] = phone::transport_of(&self.known.view);
        for (name, value) in self.arrival.transport.as_object().into_iter().flatten() {
            request["transport"][name] = value.clone();
        }
        if let Some(assistant) = &self.known.view.assistant_id
            && parse_id(assistant).is_some()
        {
            request["assistantId"] = json!(assistant);
        }
        let (kind, org, urls) = (CallType::InboundPhone, &self.known.org, CallUrls::default());
        let record = CallDocument::of_type(kind, &request, id, org, &urls, now_ms());
        let mut record =
            record.unwrap_or_else(|_| CallDocument::from_value(json!({"id": id.to_string()})));
        record.note_carrier(self.arrival.carrier.name(), Some(&self.arrival.id));
        record
    }

    /// Writes down a call that nobody here answers.
    async fn note(&self, id: Uuid, reason: EndedReason, problem: &str, to: Option<&Destination>) {
        let mut record = self.document(id);
        if let Some(to) = to {
            record.note_destination(&to.to_json());
        }
        let server = self.known.server.clone().or_else(|| phone::server(self.app.node.settings()));
        let org = &self.known.org;
        let noted = self.app.node.end_unanswered(org, record, server, &reason, problem).await;
        if let Err(error) = noted {
            tracing::error!(call = %id, %error, "the record of the call is not on disk");
        }
    }

    /// The number's document without its secrets.
    fn public_number(&self) -> Value {
        let mut number = self.known.document.clone();
        if let Value::Object(fields) = &mut number {
            for secret in ["twilioAuthToken", "twilioApiKey", "twilioApiSecret", "server"] {
                fields.remove(secret);
            }
        }
        number
    }
}

/// A text as every carrier speaks it.
fn spoken(words: &str) -> String {
    words.chars().take(SPOKEN_CHARS_MAX).collect()
}
