//! What waits in the outbox, and what was given up: shown to operators, and sent again when told to.

use std::time::Duration;

use jiff::Timestamp;
use offhook_store::{OutboxRow, StoreError};
use serde::{Deserialize, Serialize};
use url::Url;
use uuid::Uuid;

use super::{Outbox, OutboxItem, Row, Shared, Trouble};

/// Events given up that are kept at most; the oldest go first. A day of a thousand calls whose
/// receiver is gone makes as many.
const DEAD_LETTERS_MAX: usize = 100_000;

/// How often those that are too old are looked for.
const PRUNE_EVERY: Duration = Duration::from_secs(3_600);

/// Why an event was not delivered so far.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Failure {
    pub attempts: u32,
    pub last_error: String,
    /// When it was last tried, in milliseconds since the Unix epoch.
    pub at_ms: i64,
}

/// An event of the outbox as operators see it: nothing of what was said.
#[derive(Clone, Debug, PartialEq)]
pub struct Letter {
    pub id: Uuid,
    pub call: Uuid,
    pub event: String,
    /// Where it goes, without a query: tokens are there.
    pub url: String,
    pub created_ms: i64,
    pub is_dead: bool,
    pub failure: Option<Failure>,
}

/// What became of a letter that was to be sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retried {
    /// It is delivered again, with the same id.
    Again,
    /// It waits for its next attempt, which comes at once, or for those of its call before it.
    Hurried,
    Unknown,
}

impl Outbox {
    /// What waits and what was given up, of an organisation, oldest first.
    pub async fn letters(&self, org: &str) -> Result<Vec<Letter>, StoreError> {
        let store = &self.shared.store;
        let waiting = store.outbox_pending().await?;
        let dead = store.outbox_dead().await?;
        let read = |rows: Vec<OutboxRow>, is_dead: bool| {
            rows.into_iter().filter_map(move |row| {
                let item: OutboxItem = serde_json::from_slice(&row.body).ok()?;
                Some((item, is_dead))
            })
        };
        let mut letters: Vec<_> = read(dead, true)
            .chain(read(waiting, false))
            .filter(|(item, _)| item.org == org)
            .map(|(item, is_dead)| Letter {
                id: item.id,
                call: item.call,
                url: bare(&item.target.url),
                created_ms: item.created_ms,
                is_dead,
                failure: item.failure.or_else(|| self.shared.trouble_of(item.call, item.id)),
                event: item.event,
            })
            .collect();
        letters.sort_by_key(|letter| letter.created_ms);
        Ok(letters)
    }

    /// Sends an event again that was given up, behind those of its call that wait; one that waits is
    /// tried at once.
    pub async fn retry(&self, org: &str, id: Uuid) -> Result<Retried, StoreError> {
        let shared = &self.shared;
        if shared.hurry(org, id) {
            return Ok(Retried::Hurried);
        }
        for row in shared.store.outbox_dead().await? {
            let Ok(mut item) = serde_json::from_slice::<OutboxItem>(&row.body) else { continue };
            if item.id != id || item.org != org {
                continue;
            }
            item.failure = None;
            // Its patience begins anew; what it tells of is as old as it is.
            item.queued_ms = Some(Timestamp::now().as_millisecond());
            let body = serde_json::to_vec(&item).unwrap_or_default();
            let sequence = shared.store.outbox_add(row.call, body).await?;
            shared.store.outbox_forget(row.sequence).await?;
            shared.count(1);
            let item = Some(item.into());
            shared.enqueue(Row { sequence: Some(sequence), call: row.call, item });
            return Ok(Retried::Again);
        }
        let waiting = shared.store.outbox_pending().await?;
        let is_it = |row: &OutboxRow| {
            serde_json::from_slice::<OutboxItem>(&row.body)
                .is_ok_and(|item| item.id == id && item.org == org)
        };
        Ok(match waiting.iter().any(is_it) {
            true => Retried::Hurried,
            false => Retried::Unknown,
        })
    }
}

impl Shared {
    /// Keeps an event that nobody took, for an operator to look at.
    pub(super) async fn bury(&self, row: &Row, item: &OutboxItem, failure: Failure) {
        let Some(sequence) = row.sequence else {
            self.strike_off(row).await;
            return;
        };
        let item = OutboxItem { failure: Some(failure), ..item.clone() };
        let body = serde_json::to_vec(&item).unwrap_or_default();
        if let Err(error) = self.store.outbox_bury(sequence, row.call, body).await {
            // It stays as it is, and is tried again by the next process.
            tracing::error!(call = %row.call, %error, "event given up cannot be kept as such");
        }
    }

    /// Keeps an event whose delivery panicked, for the same.
    pub(super) async fn bury_untried(&self, row: &Row) {
        tracing::error!(call = %row.call, "the delivery of a server event panicked, it is given up");
        metrics::counter!("offhook_outbox_given_up_total").increment(1);
        let Some(item) = row.item.clone() else {
            // Only the disk has it: the next process tries it again.
            return;
        };
        let at_ms = Timestamp::now().as_millisecond();
        let last_error = "its delivery panicked".to_owned();
        self.bury(row, &item, Failure { attempts: 1, last_error, at_ms }).await;
    }

    /// Forgets what was given up too long ago, now and then.
    pub(super) async fn prune(&self) {
        loop {
            match self.store.outbox_dead().await {
                Ok(rows) => self.prune_once(&rows).await,
                Err(error) => tracing::error!(%error, "events given up cannot be read"),
            }
            tokio::time::sleep(PRUNE_EVERY).await;
        }
    }

    async fn prune_once(&self, rows: &[OutboxRow]) {
        let now_ms = Timestamp::now().as_millisecond();
        let kept_ms = self.options.dead_letter_age.as_millis() as i64;
        let too_many = rows.len().saturating_sub(DEAD_LETTERS_MAX);
        for (index, row) in rows.iter().enumerate() {
            let died_ms = serde_json::from_slice::<OutboxItem>(&row.body)
                .ok()
                .and_then(|item| Some(item.failure?.at_ms))
                .unwrap_or_default();
            if index < too_many || now_ms - died_ms > kept_ms {
                // What stays is looked at again in an hour.
                let _ = self.store.outbox_forget(row.sequence).await;
            }
        }
    }

    /// What is wrong with the delivery of an event that is tried now.
    fn trouble_of(&self, call: Uuid, id: Uuid) -> Option<Failure> {
        let lanes = self.lanes();
        let trouble = lanes.get(&call)?.trouble.clone()?;
        (trouble.id == id).then_some(trouble.failure)
    }

    /// Has the event tried at once, if it waits for its next attempt.
    fn hurry(&self, org: &str, id: Uuid) -> bool {
        let lanes = self.lanes();
        let is_it = |trouble: &Trouble| trouble.id == id && trouble.org == org;
        let waiting = lanes.values().find(|lane| lane.trouble.as_ref().is_some_and(is_it));
        if let Some(lane) = waiting {
            lane.hurry.notify_one();
        }
        waiting.is_some()
    }
}

/// An address without what may be a secret in it.
fn bare(url: &str) -> String {
    match Url::parse(url) {
        Ok(mut url) => {
            url.set_query(None);
            url.set_fragment(None);
            // Addresses that have no place for them have none.
            let _ = url.set_password(None);
            let _ = url.set_username("");
            url.to_string()
        }
        Err(_) => "not an address".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_shown_without_secrets() {
        assert_eq!(bare("https://me:hush@a.test/hook?token=hush#x"), "https://a.test/hook");
        assert_eq!(bare("hush"), "not an address");
    }
}
