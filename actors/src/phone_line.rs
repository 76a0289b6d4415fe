//! The carrier's end of a phone call: what it reports, and what is asked of it.
//!
//! Media is another matter: a carrier's stream may end and come back while the call goes on.

mod attempt;
mod seek;

use std::{
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use offhook_core::{Answerer, FailureClass};
use offhook_media::AudioFormat;
use offhook_transports::carrier::{
    Addresses, Carrier, CarrierError, Change, Client, Ending, Media, Progress, Step,
};
use tokio::time::{Instant, sleep};
use uuid::Uuid;

pub(crate) use attempt::Attempt;
pub use attempt::refusal_of;
pub(crate) use seek::seek;

/// How long a token of a media socket is good for: the longest that a carrier lets a phone ring
/// (600 s), after which it opens the socket within seconds.
const TOKEN_LIFE: Duration = Duration::from_secs(630);

/// Tokens that are good at the same time: a socket that breaks again and again asks for new ones.
const TOKENS_MAX: usize = 16;

/// A carrier that does not end a call is asked so often, and waited for so long in between.
const HANG_UPS_MAX: u32 = 4;
const HANG_UP_RETRY: Duration = Duration::from_secs(1);

/// Told of each call that the carrier is asked for besides the line's own.
pub type CallCount = Box<dyn Fn() + Send + Sync>;

/// The carrier's end of one phone call.
pub struct PhoneLine {
    client: Client,
    addresses: Addresses,
    format: AudioFormat,
    /// How long it rings, where we placed the call.
    pub ring: Option<Duration>,
    /// Our number, E.164.
    pub number: String,
    count_call: CallCount,
    state: Mutex<State>,
}

struct State {
    /// The carrier's id of the call, once it is known.
    id: Option<String>,
    progress: Progress,
    answered_at: Option<Instant>,
    tokens: Vec<(String, Instant)>,
    /// The caller was sent elsewhere: the call is not ours to end.
    is_forwarded: bool,
    /// A server of the client's does with the call what we would.
    is_handed_over: bool,
    /// Somebody is being called who is to take the caller.
    attempt: Option<attempt::Known>,
    /// Whoever was called did not answer; waits begin here.
    began: Instant,
    /// Who answered, told before anybody could be heard.
    answerer: Option<Answerer>,
    /// Somebody sees to the media.
    is_sought: bool,
    /// Keys are being pressed in place of the audio.
    keys_until: Option<Instant>,
}

/// What is set up before there is a call.
pub struct PhoneLineOptions {
    pub client: Client,
    pub addresses: Addresses,
    pub format: AudioFormat,
    pub number: String,
    /// `None` for a call that came in.
    pub ring: Option<Duration>,
    /// The carrier's id of the call, where it is known.
    pub id: Option<String>,
    /// Whether somebody picked up already.
    pub is_answered: bool,
    pub count_call: CallCount,
}

impl PhoneLine {
    pub fn new(options: PhoneLineOptions) -> Self {
        let PhoneLineOptions {
            client,
            addresses,
            format,
            number,
            ring,
            id,
            is_answered,
            count_call,
        } = options;
        let carrier = client.carrier();
        let mut progress = match ring {
            Some(_) => Progress::new(carrier),
            None => Progress::inbound(carrier),
        };
        let now = Instant::now();
        if is_answered {
            let _ = progress.handle(Step::Answered);
        }
        let state = State {
            id,
            progress,
            answered_at: is_answered.then_some(now),
            tokens: Vec::new(),
            is_forwarded: false,
            is_handed_over: false,
            attempt: None,
            began: now,
            answerer: None,
            is_sought: false,
            keys_until: None,
        };
        Self { client, addresses, format, ring, number, count_call, state: Mutex::new(state) }
    }

    pub fn carrier(&self) -> Carrier {
        self.client.carrier()
    }

    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The carrier's id of the call.
    pub fn id(&self) -> Option<String> {
        self.state().id.clone()
    }

    /// Takes the carrier's id, unless there is one; false when it is another.
    pub fn learn_id(&self, id: &str) -> bool {
        let mut state = self.state();
        *state.id.get_or_insert_with(|| id.to_owned()) == id
    }

    /// Takes what the carrier reports.
    pub fn note(&self, step: Step) -> Option<Change> {
        let mut state = self.state();
        let change = state.progress.handle(step);
        if let Some(Change::Answered) = change {
            state.answered_at = Some(Instant::now());
        }
        change
    }

    /// Whether the carrier has said that the call is over.
    pub fn is_over(&self) -> bool {
        matches!(self.state().progress.reached(), Step::Ended(_))
    }

    /// How long nobody has brought media since it was due: since the answer, or, while it rings,
    /// since the phone could have rung out.
    pub fn overdue(&self) -> Option<Duration> {
        let state = self.state();
        match (state.answered_at, self.ring) {
            (Some(at), _) => Some(at.elapsed()),
            (None, Some(ring)) => state.began.elapsed().checked_sub(ring),
            (None, None) => Some(state.began.elapsed()),
        }
    }

    pub fn is_answered(&self) -> bool {
        self.state().answered_at.is_some()
    }

    /// How the audio is connected with us, once; its token is good for one socket.
    pub fn media(&self) -> Media {
        let token = Uuid::new_v4().simple().to_string();
        let mut state = self.state();
        state.tokens.retain(|(_, made)| made.elapsed() < TOKEN_LIFE);
        if state.tokens.len() >= TOKENS_MAX {
            state.tokens.remove(0);
        }
        state.tokens.push((token.clone(), Instant::now()));
        Media { addresses: self.addresses.clone(), token, format: self.format }
    }

    /// Whether a token is good, which it is no more then. `same` compares in constant time.
    pub fn redeem(&self, token: &str, same: fn(&str, &str) -> bool) -> bool {
        let mut state = self.state();
        let mut found = None;
        for (index, (known, made)) in state.tokens.iter().enumerate() {
            // Each is looked at, whichever fits.
            if same(token, known) && made.elapsed() < TOKEN_LIFE {
                found = Some(index);
            }
        }
        found.map(|index| state.tokens.remove(index)).is_some()
    }

    /// Asks the carrier how far the call has come; `None`: it knows no such call any more.
    pub async fn ask(&self) -> Result<Option<Step>, CarrierError> {
        let step = self.client.step(&self.require_id()?).await?;
        // To Telnyx a call that nobody answered yet is not alive.
        let is_unknown = self.carrier() == Carrier::Telnyx && !self.is_answered();
        Ok(match step {
            Some(Step::Ended(_)) if is_unknown => Some(Step::Dialling),
            step => step,
        })
    }

    /// Picks up a call that came in, where its carrier lets it ring until then; `false` when it is over.
    pub(crate) async fn answer(&self) -> Result<bool, CarrierError> {
        let Client::Telnyx { client, .. } = &self.client else { return Ok(true) };
        let (id, command) = (self.require_id()?, command_id());
        insist(|| client.answer(&id, &command)).await
    }

    /// Has the carrier connect the audio again; `false` when the call is over.
    pub async fn reconnect(&self) -> Result<bool, CarrierError> {
        self.client.connect(&self.require_id()?, &command_id(), &self.media()).await
    }

    /// Presses keys; `false` when the call is over.
    pub async fn press(&self, keys: &str) -> Result<bool, CarrierError> {
        if self.carrier() == Carrier::Twilio {
            self.state().keys_until = Some(Instant::now() + time_for(keys));
        }
        self.client.press(&self.require_id()?, &command_id(), keys, &self.media()).await
    }

    /// How long keys are still being pressed without audio: the carrier connects it again by itself.
    pub(crate) fn pressing(&self) -> Duration {
        let until = self.state().keys_until;
        until.map(|until| until.saturating_duration_since(Instant::now())).unwrap_or_default()
    }

    fn keep_answerer(&self, by: Answerer) {
        self.state().answerer = Some(by);
    }

    fn take_answerer(&self) -> Option<Answerer> {
        self.state().answerer.take()
    }

    /// Takes the task of seeing to the media; `None`: somebody has it.
    fn seek_alone(&self) -> Option<Seeking<'_>> {
        let was_sought = std::mem::replace(&mut self.state().is_sought, true);
        (!was_sought).then_some(Seeking(self))
    }

    /// Leaves what is done with the call to a server of the client's.
    pub(crate) fn hand_over(&self) {
        self.state().is_handed_over = true;
    }

    /// A server of the client's has the call in hand, as it asked to: our audio is not sought.
    pub fn is_handed_over(&self) -> bool {
        self.state().is_handed_over
    }

    pub(crate) fn take_back(&self) {
        self.state().is_handed_over = false;
    }

    /// Somebody else has the caller.
    pub fn is_forwarded(&self) -> bool {
        self.state().is_forwarded
    }

    /// Ends the call at the carrier, unless it is over or somebody else has it.
    pub async fn hang_up(&self) -> Result<(), CarrierError> {
        if self.is_over() || self.is_forwarded() {
            return Ok(());
        }
        let Some(id) = self.id() else { return Ok(()) };
        end_at_carrier(&self.client, &id).await?;
        self.note(Step::Ended(Ending::Completed));
        Ok(())
    }

    fn require_id(&self) -> Result<String, CarrierError> {
        self.id().ok_or_else(|| {
            let problem = "the carrier has not said its id of the call yet";
            CarrierError::refused(FailureClass::BadRequest, problem)
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whoever sees to the media, until it is dropped.
struct Seeking<'a>(&'a PhoneLine);

impl Drop for Seeking<'_> {
    fn drop(&mut self) {
        self.0.state().is_sought = false;
    }
}

impl fmt::Debug for PhoneLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PhoneLine").field("carrier", &self.carrier()).finish_non_exhaustive()
    }
}

/// Telnyx carries out what has the same id once.
fn command_id() -> String {
    Uuid::new_v4().to_string()
}

/// Ends a call at its carrier, and asks again where it is not done.
pub async fn end_at_carrier(client: &Client, id: &str) -> Result<(), CarrierError> {
    let command = command_id();
    let mut attempt = 1;
    loop {
        match client.hang_up(id, &command).await {
            Err(error) if attempt < HANG_UPS_MAX && error.may_pass() => {
                sleep(HANG_UP_RETRY * attempt).await;
                attempt += 1;
            }
            done => return done,
        }
    }
}

/// Waits before a command to Telnyx is given again; a caller hears it ring meanwhile. Together with the
/// requests they are less than the 60 s for which Telnyx knows a command again.
const INSISTS_AFTER: [Duration; 3] =
    [Duration::from_millis(250), Duration::from_secs(1), Duration::from_secs(2)];

/// Gives a command, again where it may have failed: Telnyx carries out what has the same id once.
pub async fn insist<F>(mut command: impl FnMut() -> F) -> Result<bool, CarrierError>
where
    F: Future<Output = Result<bool, CarrierError>>,
{
    for wait in INSISTS_AFTER {
        match command().await {
            Err(error) if error.may_pass() => {
                tracing::warn!(%error, ?wait, "a command is given again");
                sleep(wait).await;
            }
            done => return done,
        }
    }
    command().await
}

/// How long a carrier that can only press keys between two streams needs for them: Twilio's tones
/// and the pauses between them, each at their longest.
fn time_for(keys: &str) -> Duration {
    let lasts = |key| match key {
        'w' => Duration::from_millis(500),
        'W' => Duration::from_secs(1),
        _ => Duration::from_millis(400),
    };
    keys.chars().map(lasts).sum()
}

#[cfg(test)]
mod tests {
    use offhook_transports::carrier::twilio::{BASE_URL, Twilio};

    use super::*;

    fn line(ring: Option<Duration>) -> PhoneLine {
        let client = Twilio::new(BASE_URL, "AC0", "AC0", "hush".into()).unwrap();
        PhoneLine::new(PhoneLineOptions {
            client: Client::Twilio(client),
            addresses: Addresses::new("https://a.example", "7"),
            format: AudioFormat::mulaw(),
            number: "+14155550100".into(),
            ring,
            id: None,
            is_answered: false,
            count_call: Box::new(|| {}),
        })
    }

    fn same(one: &str, other: &str) -> bool {
        one == other
    }

    #[tokio::test(start_paused = true)]
    async fn a_token_admits_one_socket_and_not_for_ever() {
        let line = line(None);
        let (first, second) = (line.media().token, line.media().token);
        assert!(line.redeem(&first, same));
        assert!(!line.redeem(&first, same), "it was used");
        tokio::time::advance(TOKEN_LIFE).await;
        assert!(!line.redeem(&second, same), "it is old");
        assert!(!line.redeem("", same));
    }

    #[tokio::test(start_paused = true)]
    async fn media_is_due_from_the_answer_on_or_when_the_phone_has_rung_out() {
        let line = line(Some(Duration::from_secs(30)));
        tokio::time::advance(Duration::from_secs(20)).await;
        assert_eq!(line.overdue(), None);
        assert_eq!(line.note(Step::Answered), Some(Change::Answered));
        tokio::time::advance(Duration::from_secs(2)).await;
        assert_eq!(line.overdue(), Some(Duration::from_secs(2)));
    }

    #[test]
    fn an_id_is_learnt_once() {
        let line = line(None);
        assert!(line.learn_id("CA1") && line.learn_id("CA1"));
        assert!(!line.learn_id("CA2"));
        assert_eq!(line.id().as_deref(), Some("CA1"));
    }
}
