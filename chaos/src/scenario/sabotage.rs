//! Whoever breaks things in a run, at the times that its plan says.

use std::{sync::Arc, time::Duration};

use offhook_store::Faults;
use offhook_testkit::world::World;
use tokio::{
    sync::watch,
    time::{Instant, sleep, sleep_until},
};
use uuid::Uuid;

use super::{
    fault::{Fault, Timed, Trouble, When, Who},
    leg::Line,
    providers::{Company, recover_after},
    receiver::Postbox,
    trace::{Trace, What},
};

/// Everything of one call that can be broken.
#[derive(Clone)]
pub struct Saboteur {
    pub world: Arc<World>,
    pub store: Faults,
    pub company: Company,
    pub postbox: Postbox,
    pub trace: Trace,
    pub call: usize,
    pub id: Uuid,
    pub line: Line,
    pub draining: watch::Sender<bool>,
}

/// Brings providers into the trouble that they are in before the call is placed.
pub fn prepare(company: &Company, trace: &Trace, call: usize, faults: &[Timed]) {
    for timed in faults.iter().filter(|timed| is_there_before(timed)) {
        if let Fault::Trouble { who, trouble, lasts } = &timed.fault {
            trace.note(call, What::Broke(timed.fault.to_string()));
            bring_into(company, *who, *trouble, *lasts);
        }
    }
}

fn is_there_before(Timed { when, fault }: &Timed) -> bool {
    *when == When::At(Duration::ZERO) && matches!(fault, Fault::Trouble { .. })
}

fn bring_into(company: &Company, who: Who, trouble: Trouble, lasts: Option<Duration>) {
    let switch = company.switch(who);
    switch.set(Some(trouble));
    if let Some(lasts) = lasts {
        recover_after(switch.clone(), trouble, lasts);
    }
}

impl Saboteur {
    /// Has every fault happen at its time, counted from now.
    pub fn set_off(&self, faults: &[Timed]) {
        for Timed { when, fault } in faults.iter().filter(|timed| !is_there_before(timed)) {
            let (this, fault) = (self.clone(), fault.clone());
            match *when {
                When::At(after) => {
                    let due = Instant::now() + after;
                    tokio::spawn(async move {
                        sleep_until(due).await;
                        this.break_it(&fault);
                    });
                }
                When::Words { of, count } => {
                    self.company.switch(of).arm(count, move || this.break_it(&fault));
                }
            }
        }
    }

    fn break_it(&self, fault: &Fault) {
        self.trace.note(self.call, What::Broke(fault.to_string()));
        match fault {
            Fault::Trouble { who, trouble, lasts } => {
                bring_into(&self.company, *who, *trouble, *lasts);
            }
            Fault::Drop { who } => self.company.switch(*who).drop_sessions(),
            Fault::Actor { role, how } => self.world.node.inject(self.id, role, *how),
            Fault::DiskFull { lasts } => {
                let (store, lasts) = (self.store.clone(), *lasts);
                store.fail_writes(Some("no space left on device"));
                tokio::spawn(async move {
                    sleep(lasts).await;
                    store.fail_writes(None);
                });
            }
            Fault::DiskStalls { lasts } => {
                let (store, lasts) = (self.world.store.clone(), *lasts);
                store.stall(true);
                tokio::spawn(async move {
                    sleep(lasts).await;
                    store.stall(false);
                });
            }
            Fault::Receiver { trouble, lasts } => {
                let (postbox, lasts) = (self.postbox.clone(), *lasts);
                postbox.set(Some(*trouble));
                tokio::spawn(async move {
                    sleep(lasts).await;
                    postbox.set(None);
                });
            }
            Fault::Tool(trouble) => self.postbox.set_tool(Some(*trouble)),
            Fault::Standstill(time) => {
                let time = *time;
                tokio::spawn(async move { tokio::time::advance(time).await });
            }
            Fault::LateAudio(by) => self.line.hold(*by),
            Fault::LostFrames(frames) => self.line.lose(*frames),
            Fault::LegBreaks { back_after } => self.line.cut(false, *back_after),
            Fault::LegHalfOpen { back_after } => self.line.cut(true, *back_after),
            Fault::Drain => drop(self.draining.send_replace(true)),
        }
    }
}
