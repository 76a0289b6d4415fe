//! A server of ours on fake carriers that run in this program, for measuring and breaking things.

use std::sync::Arc;

use clap::ValueEnum;
use offhook_chaos::{carriers::Carriers, fakes::Fakes};
use serde_json::{Value, json};

use crate::client::Client;

/// The carrier that calls come over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Carrier {
    Twilio,
    Telnyx,
    Vonage,
}

/// The number that is called.
pub const NUMBER: &str = "+14155550100";

/// A key of nothing but the fake Vonage's application.
const APPLICATION_KEY: &str = include_str!("../chaos/tests/carriers/application-key.pem");

impl Carrier {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Twilio => "twilio",
            Self::Telnyx => "telnyx",
            Self::Vonage => "vonage",
        }
    }
}

/// The settings of a server at this address that reaches the carriers, and is reached by them.
pub fn settings(fakes: &Fakes, server: &str) -> Vec<String> {
    let (twilio, telnyx, vonage) =
        (fakes.base_url("twilio"), fakes.base_url("telnyx"), fakes.base_url("vonage"));
    vec![
        format!("server.public_url={server}"),
        format!("carriers.twilio.base_url={twilio}"),
        format!("carriers.telnyx.base_url={telnyx}"),
        format!("carriers.vonage.base_url={vonage}"),
        format!("carriers.vonage.rest_base_url={vonage}"),
    ]
}

/// Gives the server a number at a carrier, whose calls this assistant answers.
pub async fn buy(
    carriers: &Arc<Carriers>,
    carrier: Carrier,
    client: &Client,
    assistant: &Value,
) -> Result<(), String> {
    carriers.sell(carrier.name(), NUMBER)?;
    let options = carriers.options();
    let assistant = client.post("/assistant", assistant).await?;
    let mut number = json!({"provider": carrier.name(), "number": NUMBER,
        "name": "fake", "assistantId": assistant["id"]});
    let credential = match carrier {
        Carrier::Twilio => {
            number["twilioAccountSid"] = json!(options.twilio_account_sid);
            number["twilioAuthToken"] = json!(options.twilio_auth_token);
            None
        }
        Carrier::Telnyx => Some(json!({"provider": "telnyx", "apiKey": options.telnyx_api_key,
            "publicKey": carriers.telnyx_key()})),
        Carrier::Vonage => Some(json!({"provider": "vonage", "apiKey": options.vonage_api_key,
            "apiSecret": options.vonage_api_secret,
            "vonageApplicationId": options.vonage_application_id,
            "vonageApplicationPrivateKey": APPLICATION_KEY,
            "signatureSecret": options.vonage_signature_secret})),
    };
    if let Some(credential) = credential {
        number["credentialId"] = client.post("/credential", &credential).await?["id"].take();
    }
    let number = client.post("/phone-number", &number).await?;
    match number["status"] == "active" {
        true => Ok(()),
        false => Err(format!(
            "the fake {} could not be told where calls go: {}",
            carrier.name(),
            number["carrierSetup"]["problem"]
        )),
    }
}
