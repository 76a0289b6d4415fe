//! Where carriers ask and report: the paths of our own server.

use super::Carrier;

/// The addresses of one call, below the address that the world knows us by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Addresses {
    base: String,
    call: String,
}

impl Addresses {
    /// `base` is as `https://voice.example.org`, `call` the call's own id.
    pub fn new(base: &str, call: &str) -> Self {
        Self { base: base.trim_end_matches('/').to_owned(), call: call.to_owned() }
    }

    pub fn call(&self) -> &str {
        &self.call
    }

    /// Asked for instructions when a call that we placed is answered.
    pub fn answer(&self, carrier: Carrier) -> String {
        self.of(carrier, "answered")
    }

    /// Asked for instructions when the call's audio is connected with nobody any more.
    pub fn resume(&self, carrier: Carrier) -> String {
        self.of(carrier, "resume")
    }

    /// Told how a call gets on.
    pub fn progress(&self, carrier: Carrier) -> String {
        self.of(carrier, "progress")
    }

    /// Told who answered.
    pub fn machine(&self, carrier: Carrier) -> String {
        self.of(carrier, "machine")
    }

    /// Told of somebody who is to take the caller; `attempt` is the name of one attempt.
    pub fn operator(&self, carrier: Carrier, attempt: &str) -> String {
        format!("{}/{attempt}", self.of(carrier, "operator"))
    }

    /// Asked for instructions, or told, when they have heard what there was to say.
    pub fn briefed(&self, carrier: Carrier, attempt: &str) -> String {
        format!("{}/{attempt}", self.of(carrier, "briefed"))
    }

    /// Asked for instructions when a caller who was sent elsewhere is not there any more, or never
    /// was.
    pub fn sent(&self, carrier: Carrier, attempt: &str) -> String {
        format!("{}/{attempt}", self.of(carrier, "sent"))
    }

    /// The media socket; `rate_hz` where the carrier has more than one kind of audio.
    pub fn media(&self, carrier: Carrier, rate_hz: Option<u32>) -> String {
        let sockets = self.base.replacen("http", "ws", 1);
        let rate = rate_hz.map(|rate| format!("/{rate}")).unwrap_or_default();
        format!("{sockets}/{}/media{rate}", carrier.name())
    }

    fn of(&self, carrier: Carrier, what: &str) -> String {
        format!("{}/{}/{what}/{}", self.base, carrier.name(), self.call)
    }
}

/// Where calls to one of our numbers are asked about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NumberAddresses {
    base: String,
    number: String,
}

impl NumberAddresses {
    /// `number` is the id of its document.
    pub fn new(base: &str, number: &str) -> Self {
        Self { base: base.trim_end_matches('/').to_owned(), number: number.to_owned() }
    }

    /// Telnyx tells an application of everything at one address.
    pub fn telnyx_events(&self) -> String {
        format!("{}/telnyx/events/{}", self.base, self.number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_are_as_secure_as_the_address_of_the_server() {
        let secure = Addresses::new("https://a.example/", "7");
        assert_eq!(secure.media(Carrier::Twilio, None), "wss://a.example/twilio/media");
        let near = Addresses::new("http://127.0.0.1:8080", "7");
        assert_eq!(
            near.media(Carrier::Vonage, Some(16_000)),
            "ws://127.0.0.1:8080/vonage/media/16000"
        );
        assert_eq!(near.resume(Carrier::Twilio), "http://127.0.0.1:8080/twilio/resume/7");
    }
}
