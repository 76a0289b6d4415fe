//! Threads that read, so that no reader blocks the runtime or the writer.

use std::{
    io,
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{Receiver, Sender, channel},
    },
    thread,
};

use crate::engine::Engine;

pub(crate) type Read = Box<dyn FnOnce(&dyn Engine) + Send>;

/// Starts `count` threads that serve reads until the sender is dropped; each holds a clone of
/// `alive` until it has let go of the engine.
pub(crate) fn start(
    engine: &Arc<dyn Engine>,
    count: usize,
    alive: &tokio::sync::mpsc::Sender<()>,
) -> io::Result<Sender<Read>> {
    let (sender, receiver) = channel::<Read>();
    let receiver = Arc::new(Mutex::new(receiver));
    for number in 0..count.max(1) {
        let (engine, receiver, alive) = (engine.clone(), receiver.clone(), alive.clone());
        thread::Builder::new().name(format!("store-read-{number}")).spawn(move || {
            while let Some(read) = next(&receiver) {
                read(&*engine);
            }
            drop(engine);
            drop(alive);
        })?;
    }
    Ok(sender)
}

fn next(receiver: &Mutex<Receiver<Read>>) -> Option<Read> {
    receiver.lock().unwrap_or_else(PoisonError::into_inner).recv().ok()
}
