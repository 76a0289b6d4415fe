//! Somebody on the phone whom the program that runs the carriers brings along.

use serde_json::Value;

/// A person with ears and a mouth of their own. Asked from within the carriers' clocks: nothing in
/// it may wait.
pub trait Guest: Send {
    /// What is said in the next 20 ms: 160 samples at 8 kHz. `None`: the person hangs up.
    fn speak(&mut self) -> Option<Vec<i16>>;

    /// Audio has come, at 8 kHz, and will be played behind what came before.
    fn receive(&mut self, samples: &[i16]);

    /// What has come and was not played is forgotten.
    fn clear(&mut self);

    /// The call is over; the document of `GET /carriers/calls/{id}`.
    fn over(&mut self, call: Value);
}
