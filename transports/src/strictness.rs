use crate::{LegError, LegEvent, close_code};

/// Messages we could make nothing of before the leg is closed.
///
/// Each is answered, so this bounds what a broken peer costs; one with a bug that can be lived with
/// (a stray odd byte now and then) keeps its call.
pub(crate) const MAX_BAD_MESSAGES: u32 = 50;

/// Good messages that make up for one bad one: about a second of audio.
pub(crate) const GOOD_PER_BAD: u32 = 50;

/// Counts what a peer does wrong against what it does right.
#[derive(Default)]
pub(crate) struct Strictness {
    /// Bad messages that good ones have not made up for.
    bad: u32,
    /// Good messages since the last one that was made up for.
    good: u32,
}

impl Strictness {
    /// What was read, or the refusal of a bad message; the error is for one bad message too many.
    pub fn judge(
        &mut self,
        read: Result<Vec<LegEvent>, String>,
    ) -> Result<Vec<LegEvent>, LegError> {
        match read {
            Ok(events) => {
                self.count_good();
                Ok(events)
            }
            Err(reason) => {
                self.count_bad(&reason)?;
                Ok(vec![LegEvent::Refused(reason)])
            }
        }
    }

    fn count_good(&mut self) {
        self.good += 1;
        if self.good >= GOOD_PER_BAD {
            self.good = 0;
            self.bad = self.bad.saturating_sub(1);
        }
    }

    fn count_bad(&mut self, reason: &str) -> Result<(), LegError> {
        self.bad += 1;
        if self.bad < MAX_BAD_MESSAGES {
            return Ok(());
        }
        Err(LegError::new(
            close_code::INVALID_PAYLOAD,
            format!("{MAX_BAD_MESSAGES} bad messages, the last: {reason}"),
        ))
    }
}
