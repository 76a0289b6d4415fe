//! What carriers are reached with, where no document says: `carriers.<name>`.

use secrecy::SecretString;

use crate::{
    document::SettingDoc,
    error::Problem,
    form::{Count, HttpUrl, Maybe, Secret, Secrets, Text},
    layers::Layers,
};

/// Declares the carriers. A setting is: what it is, name, type, form, an example, its unit.
macro_rules! carriers {
    ($(
        $(#[doc = $about:literal])+
        $carrier:ident: $Carrier:ident {
            $(
                $(#[doc = $reason:literal])+
                $key:ident: $Type:ty as $Form:ty = $example:literal, $unit:literal;
            )+
        }
    )+) => {
        $(
            $(#[doc = $about])+
            #[derive(Clone, Debug, Default)]
            pub struct $Carrier {
                $( $(#[doc = $reason])+ pub $key: $Type, )+
            }
        )+

        /// Accounts of the operator's, and where the carriers are.
        #[derive(Clone, Debug, Default)]
        pub struct Carriers {
            $( $(#[doc = $about])+ pub $carrier: $Carrier, )+
        }

        impl Carriers {
            pub(crate) fn read(layers: &Layers, problems: &mut Vec<Problem>) -> Option<Self> {
                $(
                    $(
                        let path = ["carriers", stringify!($carrier), stringify!($key)];
                        let $key = layers.read::<$Form>(&path, None, problems);
                    )+
                    let $carrier = (|| Some($Carrier { $( $key: $key?, )+ }))();
                )+
                Some(Self { $( $carrier: $carrier?, )+ })
            }
        }

        pub(crate) fn docs() -> Vec<SettingDoc> {
            vec![$($(
                SettingDoc::of::<$Form>(
                    concat!("carriers.", stringify!($carrier), ".", stringify!($key)),
                    None,
                    Some($example),
                    $unit,
                    None,
                    concat!($($reason, "\n"),+),
                ),
            )+)+]
        }
    };
}

carriers! {
    /// Twilio.
    twilio: TwilioSettings {
        /// The account that the keys below are of: used for its numbers where their documents have
        /// none. Unset: variable TWILIO_ACCOUNT_SID.
        account_sid: Option<String> as Maybe<Text> = "AC0123456789abcdef0123456789abcdef", "text";
        /// Its auth token, which requests are made with and webhooks checked by. Unset: variable
        /// TWILIO_AUTH_TOKEN.
        auth_token: Option<SecretString> as Maybe<Secret> = "auth-token-of-the-account", "text";
        /// An API key to make requests with instead; webhooks are checked by the auth token all
        /// the same. Unset: variable TWILIO_API_KEY.
        api_key: Option<SecretString> as Maybe<Secret> = "SK0123456789abcdef0123456789abcdef", "text";
        /// The secret of the API key. Unset: variable TWILIO_API_SECRET.
        api_secret: Option<SecretString> as Maybe<Secret> = "secret-of-the-api-key", "text";
        /// Keys of webhooks that are signed with SHA-256, each as its id, a colon and its secret.
        signing_keys: Vec<SecretString> as Secrets = r#"["id:secret"]"#, "list of keys";
        /// Calls that an account is asked to place within a second, in all: further ones wait. Unset: 1, as
        /// Twilio gives a new account; ask Twilio for more.
        calls_per_second: Option<u32> as Maybe<Count> = "10", "calls a second";
        /// Replaces Twilio's address: an edge location, a proxy, a fake. Unset:
        /// https://api.twilio.com.
        base_url: Option<String> as Maybe<HttpUrl> = "https://api.dublin.ie1.twilio.com", "URL";
    }

    /// Telnyx.
    telnyx: TelnyxSettings {
        /// An API key of the account, for numbers whose documents name no credential. Unset:
        /// variable TELNYX_API_KEY.
        api_key: Option<SecretString> as Maybe<Secret> = "KEY-that-the-portal-gave", "text";
        /// What webhooks are checked by: Keys & Credentials, Public Key. Unset: variable
        /// TELNYX_PUBLIC_KEY.
        public_key: Option<String> as Maybe<Text> = "public-key-in-base64", "text";
        /// The Call Control application that numbers are connected with. Unset: each number gets
        /// one of its own.
        application_id: Option<String> as Maybe<Text> = "1494404757140276705", "text";
        /// The outbound voice profile of applications that are made for numbers; without one they
        /// take calls and place none.
        outbound_voice_profile_id: Option<String> as Maybe<Text> = "1293384261075731499", "text";
        /// Calls that an account is asked to place within a second, in all: further ones wait. Unset: 30, as
        /// Telnyx gives every account.
        calls_per_second: Option<u32> as Maybe<Count> = "10", "calls a second";
        /// Replaces Telnyx's address: a proxy, a fake. Unset: https://api.telnyx.com/v2.
        base_url: Option<String> as Maybe<HttpUrl> = "https://telnyx.example.com/v2", "URL";
    }

    /// Vonage.
    vonage: VonageSettings {
        /// The key of the account, for numbers whose documents name no credential. Unset: variable
        /// VONAGE_API_KEY.
        api_key: Option<SecretString> as Maybe<Secret> = "key-of-the-account", "text";
        /// The secret of the account. Unset: variable VONAGE_API_SECRET.
        api_secret: Option<SecretString> as Maybe<Secret> = "secret-of-the-account", "text";
        /// The application that calls go through. Unset: variable VONAGE_APPLICATION_ID.
        application_id: Option<String> as Maybe<Text> = "aaaaaaaa-bbbb-4ccc-8ddd-0123456789ab", "text";
        /// The application's private key, as the file that the portal gave has it (PEM). Unset:
        /// variable VONAGE_PRIVATE_KEY.
        private_key: Option<SecretString> as Maybe<Secret> = "-----BEGIN PRIVATE KEY----- ...", "text";
        /// What webhooks are checked by: Settings, Signature secret. Unset: variable
        /// VONAGE_SIGNATURE_SECRET.
        signature_secret: Option<SecretString> as Maybe<Secret> = "signature-secret-of-the-account", "text";
        /// Calls that an account is asked to place within a second, in all: further ones wait. Unset: 3, as
        /// Vonage gives a new account.
        calls_per_second: Option<u32> as Maybe<Count> = "10", "calls a second";
        /// Replaces the address of calls and applications: a region, a proxy, a fake. Unset:
        /// https://api.nexmo.com.
        base_url: Option<String> as Maybe<HttpUrl> = "https://api-eu.vonage.com", "URL";
        /// Replaces the address of numbers. Unset: https://rest.nexmo.com.
        rest_base_url: Option<String> as Maybe<HttpUrl> = "https://vonage.example.com", "URL";
    }
}

/// Variables in which carriers' own tools look for these settings: the carrier and the key.
pub(crate) const CUSTOMARY: &[(&str, [&str; 2])] = &[
    ("TWILIO_ACCOUNT_SID", ["twilio", "account_sid"]),
    ("TWILIO_AUTH_TOKEN", ["twilio", "auth_token"]),
    ("TWILIO_API_KEY", ["twilio", "api_key"]),
    ("TWILIO_API_SECRET", ["twilio", "api_secret"]),
    ("TELNYX_API_KEY", ["telnyx", "api_key"]),
    ("TELNYX_PUBLIC_KEY", ["telnyx", "public_key"]),
    ("VONAGE_API_KEY", ["vonage", "api_key"]),
    ("VONAGE_API_SECRET", ["vonage", "api_secret"]),
    ("VONAGE_APPLICATION_ID", ["vonage", "application_id"]),
    ("VONAGE_PRIVATE_KEY", ["vonage", "private_key"]),
    ("VONAGE_SIGNATURE_SECRET", ["vonage", "signature_secret"]),
];
