//! Points numbers at this server through their carriers' APIs, and says what is to be set by hand
//! where that cannot be done.

use std::time::Duration;

use offhook_actors::Vault;
use offhook_api::NumberProvider;
use offhook_config::Settings;
use offhook_core::FailureClass;
use offhook_store::{Store, StoreError};
use offhook_transports::carrier::CarrierError;
use serde_json::{Value, json};
use tokio::time::timeout;
use uuid::Uuid;

use super::{AccountError, CarrierAccount, StoredNumber, carrier_account, telnyx, twilio, vonage};

/// Longest time for one number: some four requests, and less than a client waits for an answer
/// (`server.request_timeout`).
const SETUP_LIMIT: Duration = Duration::from_secs(20);

/// Stands for the address of this server where it is not known.
const NO_ADDRESS: &str = "https://YOUR-SERVER";

/// Where a carrier asks what becomes of a call of one number, and tells how it goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Addresses {
    /// Asked when a call comes in.
    pub voice: String,
    /// Told of every change; Telnyx has one address for both.
    pub events: String,
}

impl Addresses {
    pub fn new(public_url: &str, provider: NumberProvider, id: Uuid) -> Self {
        let base = public_url.trim_end_matches('/');
        let (voice, events) = match provider {
            NumberProvider::Twilio | NumberProvider::Byo => ("twilio/voice", "twilio/status"),
            NumberProvider::Telnyx => ("telnyx/events", "telnyx/events"),
            NumberProvider::Vonage => ("vonage/answer", "vonage/event"),
        };
        Self { voice: format!("{base}/{voice}/{id}"), events: format!("{base}/{events}/{id}") }
    }
}

/// Another number of the organisation at the same carrier.
pub(super) struct Sibling {
    pub application_id: Option<String>,
    pub addresses: Addresses,
}

/// One number, and what its setup is about.
pub(super) struct Subject<'s> {
    pub number: &'s str,
    pub id: Uuid,
    /// The application that it was set up with before.
    pub application_id: Option<&'s str>,
    pub addresses: Addresses,
    pub siblings: Vec<Sibling>,
}

impl Subject<'_> {
    /// Whether these addresses are ones that its calls are answered at: its own, or those of a
    /// number that shares the application.
    pub fn is_served_at(&self, voice: Option<&str>, events: Option<&str>) -> bool {
        let of_siblings = self.siblings.iter().map(|sibling| &sibling.addresses);
        std::iter::once(&self.addresses)
            .chain(of_siblings)
            .any(|at| voice == Some(at.voice.as_str()) && events == Some(at.events.as_str()))
    }

    /// Who keeps an application when this number leaves it.
    pub fn successor(&self, application: &str) -> Option<&Addresses> {
        let shares = |it: &&Sibling| it.application_id.as_deref() == Some(application);
        self.siblings.iter().find(shares).map(|sibling| &sibling.addresses)
    }
}

/// Something at the carrier that is not as it must be for calls to come here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mismatch {
    /// As the carrier's pages call it.
    pub field: &'static str,
    /// `None`: nothing is set.
    pub found: Option<String>,
    pub expected: String,
}

/// Why a carrier did not do it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SetupError {
    #[error(transparent)]
    Account(#[from] AccountError),
    #[error("this account of {0} has no such number")]
    NotOwned(&'static str),
    #[error(
        "there is no application {0} at Telnyx: give the credential another applicationId, or none"
    )]
    NoApplication(String),
    #[error("{0}")]
    Carrier(#[from] CarrierError),
    #[error("the carrier did not answer within {SETUP_LIMIT:?}")]
    Late,
    #[error(
        "server.public_url is not set, and no carrier can be told where this server is: set it to \
         the https address at which others reach this server"
    )]
    NoPublicUrl,
    #[error("the store does not answer: {0}")]
    Store(#[from] StoreError),
}

impl SetupError {
    /// Whether the number can take no call, whatever is set by hand.
    fn is_blocking(&self) -> bool {
        match self {
            Self::NotOwned(_) => true,
            Self::Carrier(error) => error.class == FailureClass::Unauthorized,
            Self::Account(_)
            | Self::NoApplication(_)
            | Self::Late
            | Self::NoPublicUrl
            | Self::Store(_) => false,
        }
    }
}

/// How a number was set up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CarrierSetup {
    /// `None`: the carrier points here.
    pub problem: Option<SetupError>,
    /// What is to be done by hand yet.
    pub instructions: Vec<String>,
    /// The application that the number is connected with.
    pub application_id: Option<String>,
}

impl CarrierSetup {
    /// The contract's `status` of a number.
    pub fn status(&self) -> &'static str {
        match &self.problem {
            None => "active",
            Some(problem) if problem.is_blocking() => "blocked",
            Some(_) => "activating",
        }
    }

    pub fn is_done(&self) -> bool {
        self.problem.is_none()
    }

    /// As documents have it.
    pub fn to_value(&self) -> Value {
        let mut value = json!({
            "status": if self.is_done() { "done" } else { "by-hand" },
            "instructions": self.instructions,
        });
        if let Some(problem) = &self.problem {
            value["problem"] = problem.to_string().into();
        }
        if let Some(application) = &self.application_id {
            value["applicationId"] = application.as_str().into();
        }
        value
    }
}

/// Sets numbers up at their carriers.
#[derive(Clone, Copy)]
pub struct Exchange<'n> {
    pub store: &'n Store,
    pub vault: &'n Vault,
    pub settings: &'n Settings,
}

impl Exchange<'_> {
    /// Points a number at this server.
    pub async fn set_up(&self, number: &StoredNumber) -> CarrierSetup {
        let account = self.account(number).await;
        let missing = account.as_ref().ok().and_then(CarrierAccount::missing_for_webhooks);
        let configured = self.configure(number, account).await;
        let mut instructions: Vec<String> = missing.map(str::to_owned).into_iter().collect();
        match configured {
            Ok((application_id, notes)) => {
                instructions.extend(notes);
                CarrierSetup { problem: None, instructions, application_id }
            }
            Err(problem) => {
                instructions.extend(self.by_hand(number));
                let application_id = number.view.application_id.clone();
                CarrierSetup { problem: Some(problem), instructions, application_id }
            }
        }
    }

    async fn configure(
        &self,
        number: &StoredNumber,
        account: Result<CarrierAccount, AccountError>,
    ) -> Result<(Option<String>, Vec<String>), SetupError> {
        let account = account?;
        let subject = self.subject(number).await?;
        bounded(async {
            match &account {
                CarrierAccount::Twilio(account) => {
                    twilio::set_up(account, &subject).await.map(|()| (None, Vec::new()))
                }
                CarrierAccount::Telnyx(account) => telnyx::set_up(account, &subject).await,
                CarrierAccount::Vonage(account) => {
                    vonage::set_up(account, &subject).await.map(|id| (Some(id), Vec::new()))
                }
            }
        })
        .await
    }

    /// Takes a number away from this server, as far as it points here.
    pub async fn release(&self, number: &StoredNumber) -> Result<(), SetupError> {
        let account = self.account(number).await?;
        let subject = self.subject(number).await?;
        bounded(async {
            match &account {
                CarrierAccount::Twilio(account) => twilio::release(account, &subject).await,
                CarrierAccount::Telnyx(account) => telnyx::release(account, &subject).await,
                CarrierAccount::Vonage(account) => vonage::release(account, &subject).await,
            }
        })
        .await
    }

    /// What at the carrier keeps calls of a number from coming here; changes nothing.
    pub async fn check(&self, number: &StoredNumber) -> Result<Vec<Mismatch>, SetupError> {
        let account = self.account(number).await?;
        let subject = self.subject(number).await?;
        bounded(async {
            match &account {
                CarrierAccount::Twilio(account) => twilio::check(account, &subject).await,
                CarrierAccount::Telnyx(account) => telnyx::check(account, &subject).await,
                CarrierAccount::Vonage(account) => vonage::check(account, &subject).await,
            }
        })
        .await
    }

    /// What its carrier says about a number, for whoever looks for why it does not ring.
    pub async fn report(&self, number: &StoredNumber) -> Value {
        let account = self.account(number).await;
        let missing = account.ok().and_then(|account| account.missing_for_webhooks());
        let mut instructions: Vec<String> = missing.map(str::to_owned).into_iter().collect();
        let (problem, mismatches) = match self.check(number).await {
            Ok(mismatches) => (None, mismatches),
            Err(problem) => (Some(problem.to_string()), Vec::new()),
        };
        let points_here = problem.is_none() && mismatches.is_empty();
        if !points_here {
            instructions.extend(self.by_hand(number));
        }
        let mismatches = mismatches
            .iter()
            .map(|it| json!({"field": it.field, "found": it.found, "expected": it.expected}));
        json!({
            "pointsHere": points_here,
            "problem": problem,
            "mismatches": mismatches.collect::<Vec<_>>(),
            "instructions": instructions,
        })
    }

    /// How to do it on the carrier's pages.
    pub fn by_hand(&self, number: &StoredNumber) -> Vec<String> {
        let public_url = self.settings.server.public_url.as_deref();
        let provider = number.view.provider;
        let at = Addresses::new(public_url.unwrap_or(NO_ADDRESS), provider, number.id);
        let mut steps = match provider {
            NumberProvider::Twilio => twilio::by_hand(&number.view.number, &at),
            NumberProvider::Telnyx => telnyx::by_hand(&number.view.number, &at),
            NumberProvider::Vonage => vonage::by_hand(&number.view.number, &at),
            NumberProvider::Byo => return Vec::new(),
        };
        let id = number.id;
        steps.push(format!("or put right what is wrong and PATCH /phone-number/{id} with {{}}"));
        steps
    }

    async fn account(&self, number: &StoredNumber) -> Result<CarrierAccount, AccountError> {
        carrier_account(self.vault, &self.settings.carriers, number).await
    }

    async fn subject<'s>(&self, number: &'s StoredNumber) -> Result<Subject<'s>, SetupError> {
        let public_url = self.settings.server.public_url.as_deref();
        let public_url = public_url.ok_or(SetupError::NoPublicUrl)?;
        let provider = number.view.provider;
        let all = StoredNumber::all(self.store, &number.org).await?.into_iter();
        let others = all.filter(|other| other.view.provider == provider && other.id != number.id);
        Ok(Subject {
            number: &number.view.number,
            id: number.id,
            application_id: number.view.application_id.as_deref(),
            addresses: Addresses::new(public_url, provider, number.id),
            siblings: others
                .map(|other| Sibling {
                    addresses: Addresses::new(public_url, provider, other.id),
                    application_id: other.view.application_id,
                })
                .collect(),
        })
    }
}

async fn bounded<T>(work: impl Future<Output = Result<T, SetupError>>) -> Result<T, SetupError> {
    timeout(SETUP_LIMIT, work).await.unwrap_or(Err(SetupError::Late))
}

/// A mismatch, unless what was found is what is expected.
pub(super) fn differs(
    field: &'static str,
    found: Option<&str>,
    expected: &str,
) -> Option<Mismatch> {
    (found != Some(expected)).then(|| Mismatch {
        field,
        found: found.map(str::to_owned),
        expected: expected.to_owned(),
    })
}
