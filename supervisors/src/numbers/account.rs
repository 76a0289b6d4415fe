//! An account at a carrier, ready to be asked and to check what it sends.

use std::{collections::HashSet, sync::Arc};

use offhook_actors::{Vault, VaultError};
use offhook_api::{NumberProvider, PhoneNumberView};
use offhook_config::Carriers;
use offhook_core::slots::{LineLimits, Rate};
use offhook_store::{Kind, Place};
use offhook_transports::{
    carrier::{
        CarrierError,
        telnyx::{self, Telnyx},
        twilio::{self, Twilio},
        vonage::{self, ApplicationKey, Vonage},
    },
    signature::{
        SignatureError,
        telnyx::{self as telnyx_signature, PublicKey},
        twilio::{self as twilio_signature, Keys as TwilioKeys},
        vonage::{self as vonage_signature, Claims},
    },
};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::{StoredNumber, keys};

/// What a carrier is reached with.
#[derive(Clone)]
pub enum CarrierAccount {
    Twilio(TwilioAccount),
    Telnyx(TelnyxAccount),
    Vonage(VonageAccount),
}

#[derive(Clone)]
pub struct TwilioAccount {
    pub base_url: String,
    pub account_sid: String,
    /// The account itself, or an API key.
    pub user: String,
    pub password: SecretString,
    /// What webhooks are signed with.
    pub auth_token: Option<SecretString>,
    /// Id and secret of each key of webhooks that are signed with SHA-256.
    pub signing_keys: Vec<(String, String)>,
}

#[derive(Clone)]
pub struct TelnyxAccount {
    pub base_url: String,
    pub api_key: SecretString,
    /// What webhooks are checked by.
    pub public_key: Option<PublicKey>,
    /// The application that its owner wants numbers to be connected with.
    pub application_id: Option<String>,
    /// The outbound voice profile of applications that are made.
    pub outbound_voice_profile_id: Option<String>,
}

#[derive(Clone)]
pub struct VonageAccount {
    pub base_url: String,
    pub rest_base_url: String,
    pub api_key: String,
    pub api_secret: SecretString,
    pub application_id: String,
    pub private_key: SecretString,
    /// What webhooks are signed with.
    pub signature_secret: Option<SecretString>,
}

/// Why a carrier cannot be reached for a number.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AccountError {
    #[error("{carrier} cannot be reached for this number: {missing}")]
    Missing { carrier: &'static str, missing: String },
    #[error(
        "calls of byo-phone-number go over SIP, which this version does not drive: use a number of \
         twilio, telnyx or vonage"
    )]
    Sip,
    #[error("credentialId {0}")]
    Vault(#[from] VaultError),
}

/// What the carrier of a stored number is reached with.
///
/// Its own keys count first, then those of the credential that it names, or without one of the
/// organisation's newest, then `carriers.*` of the settings.
pub async fn carrier_account(
    vault: &Vault,
    carriers: &Carriers,
    number: &StoredNumber,
) -> Result<CarrierAccount, AccountError> {
    let mut opened = number.document.clone();
    let place = Place { org: &number.org, kind: Kind::PhoneNumber, id: number.id };
    vault.open(place, &mut opened)?;
    carrier_account_of(vault, carriers, &number.org, &opened).await
}

/// The same for a number's document with its secrets in clear, as a request brings it.
pub async fn carrier_account_of(
    vault: &Vault,
    carriers: &Carriers,
    org: &str,
    document: &Value,
) -> Result<CarrierAccount, AccountError> {
    let view = PhoneNumberView::read(document).ok_or(AccountError::Sip)?;
    let provider = view.provider;
    if provider == NumberProvider::Byo {
        return Err(AccountError::Sip);
    }
    let credentials = match &view.credential_id {
        Some(id) => vec![vault.credential(org, id).await?],
        None => vault.newest(org, HashSet::from([provider.name().to_owned()])).await?,
    };
    let account = match provider {
        NumberProvider::Twilio => {
            keys::twilio(document, &credentials, &carriers.twilio).map(CarrierAccount::Twilio)
        }
        NumberProvider::Telnyx => {
            keys::telnyx(&credentials, &carriers.telnyx).map(CarrierAccount::Telnyx)
        }
        NumberProvider::Vonage => {
            keys::vonage(&credentials, &carriers.vonage).map(CarrierAccount::Vonage)
        }
        NumberProvider::Byo => return Err(AccountError::Sip),
    };
    account.map_err(|missing| AccountError::Missing { carrier: provider.title(), missing })
}

impl CarrierAccount {
    /// Names the account where calls are counted together; no key can be told from it.
    pub fn counted_as(&self) -> Arc<str> {
        let name = match self {
            Self::Twilio(account) => format!("twilio account {}", account.account_sid),
            Self::Telnyx(account) => {
                let digest = Sha256::digest(account.api_key.expose_secret());
                format!(
                    "telnyx account {:02x}{:02x}{:02x}{:02x}",
                    digest[0], digest[1], digest[2], digest[3]
                )
            }
            Self::Vonage(account) => format!("vonage account {}", account.api_key),
        };
        name.into()
    }

    /// Calls a second that the account may be asked for.
    fn calls_per_second(&self, carriers: &Carriers) -> u32 {
        match self {
            Self::Twilio(_) => carriers.twilio.calls_per_second.unwrap_or(TWILIO_RATE),
            Self::Telnyx(_) => carriers.telnyx.calls_per_second.unwrap_or(TELNYX_RATE),
            Self::Vonage(_) => carriers.vonage.calls_per_second.unwrap_or(VONAGE_RATE),
        }
    }
}

/// What a new account at Twilio may dial in a second (documentation, glossary, "CPS").
const TWILIO_RATE: u32 = 1;

/// What an account at Telnyx may dial in a second (Voice API, "Dials Per Second Limit").
const TELNYX_RATE: u32 = 30;

/// What a new account at Vonage may dial in a second (Voice API, "Calls Per Second (CPS) Limit").
const VONAGE_RATE: u32 = 3;

/// What calls over a number are limited by, as its document and the settings have it.
pub fn line_limits(
    carriers: &Carriers,
    id: Option<Uuid>,
    number: &PhoneNumberView,
    account: &CarrierAccount,
) -> LineLimits {
    let rate = Rate::per_second(account.calls_per_second(carriers).into());
    LineLimits {
        number: id.map(|id| id.to_string().into()),
        slots: number.concurrency_limit,
        number_rate: number.calls_per_second.map(Rate::per_second),
        carrier: account.counted_as(),
        carrier_rate: Some(rate),
    }
}

impl TwilioAccount {
    pub fn client(&self) -> Result<Twilio, CarrierError> {
        Twilio::new(&self.base_url, &self.account_sid, &self.user, self.password.clone())
    }

    /// Checks that Twilio sent a request.
    pub fn verify(&self, request: &twilio_signature::Request<'_>) -> Result<(), SignatureError> {
        let auth_token = self.auth_token.as_ref().map_or("", |token| token.expose_secret());
        let keys = TwilioKeys { auth_token, shared: &self.signing_keys };
        twilio_signature::verify(keys, request)
    }
}

impl TelnyxAccount {
    pub fn client(&self) -> Result<Telnyx, CarrierError> {
        Telnyx::new(&self.base_url, self.api_key.clone())
    }

    /// Checks that Telnyx sent a body; `now` is in seconds since the Unix epoch.
    pub fn verify(
        &self,
        signature: Option<&str>,
        timestamp: Option<&str>,
        body: &[u8],
        now: i64,
    ) -> Result<(), SignatureError> {
        let key = self.public_key.as_ref().ok_or(SignatureError::UnknownKey)?;
        telnyx_signature::verify(key, signature, timestamp, body, now)
    }
}

impl VonageAccount {
    /// # Errors
    ///
    /// When the private key is none, or an address is none of an API.
    pub fn client(&self) -> Result<Vonage, CarrierError> {
        let account = Some((self.api_key.clone(), self.api_secret.clone()));
        let key = ApplicationKey::new(&self.application_id, &self.private_key, account).map_err(
            |error| CarrierError::refused(offhook_core::FailureClass::BadRequest, error),
        )?;
        Vonage::new(&self.base_url, &self.rest_base_url, key)
    }

    /// Checks that Vonage sent a body (empty for a GET); `now` is in seconds since the Unix epoch.
    pub fn verify(
        &self,
        authorization: Option<&str>,
        body: &[u8],
        now: i64,
    ) -> Result<Claims, SignatureError> {
        let secret = self.signature_secret.as_ref().ok_or(SignatureError::UnknownKey)?;
        vonage_signature::verify(secret.expose_secret(), authorization, body, now)
    }
}

impl CarrierAccount {
    /// The carrier's name in documents.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Twilio(_) => "twilio",
            Self::Telnyx(_) => "telnyx",
            Self::Vonage(_) => "vonage",
        }
    }

    /// What is missing for checking its webhooks: without it every call is refused.
    pub fn missing_for_webhooks(&self) -> Option<&'static str> {
        match self {
            Self::Twilio(it) if it.auth_token.is_none() && it.signing_keys.is_empty() => Some(
                "Twilio's webhooks cannot be checked, and its calls are refused: give the number \
                 twilioAuthToken (Twilio console, Account Dashboard, Auth Token), or set \
                 carriers.twilio.auth_token",
            ),
            Self::Telnyx(it) if it.public_key.is_none() => Some(
                "Telnyx's webhooks cannot be checked, and its calls are refused: give the \
                 credential publicKey (Telnyx portal, Keys & Credentials, Public Key), or set \
                 carriers.telnyx.public_key",
            ),
            Self::Vonage(it) if it.signature_secret.is_none() => Some(
                "Vonage's webhooks cannot be checked, and its calls are refused: give the \
                 credential signatureSecret (Vonage dashboard, API settings, Signature secret), or \
                 set carriers.vonage.signature_secret",
            ),
            Self::Twilio(_) | Self::Telnyx(_) | Self::Vonage(_) => None,
        }
    }
}

/// Where a carrier is when the settings say nothing else.
pub(super) fn base_url(configured: Option<&String>, carrier: NumberProvider) -> String {
    configured.cloned().unwrap_or_else(|| {
        match carrier {
            NumberProvider::Twilio | NumberProvider::Byo => twilio::BASE_URL,
            NumberProvider::Telnyx => telnyx::BASE_URL,
            NumberProvider::Vonage => vonage::BASE_URL,
        }
        .to_owned()
    })
}
