//! The rows of campaigns: who is to be called, and what happened.
//!
//! A row is keyed by its campaign, its part and its number within that. Numbers begin at zero and
//! have no gaps.

use std::ops::{Bound, ControlFlow};

use uuid::Uuid;

use crate::{
    Store, StoreError,
    engine::{Change, Engine, KeyRange, Order, Table, visit_rows},
    writer::Promise,
};

const NUMBER_BYTES: usize = size_of::<u64>();

/// Rows written in one change, so that a large import does not hold up the other writers.
pub const CAMPAIGN_ROWS_MAX: usize = 1_000;

/// What a row of a campaign is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CampaignPart {
    /// Whose it is: what finds a campaign before anything else of it is read.
    Head,
    Contacts,
    Facts,
}

impl CampaignPart {
    /// Its mark in keys: never changed once stored.
    const fn mark(self) -> u8 {
        match self {
            // Sorts before the others.
            Self::Head => b'a',
            Self::Contacts => b'c',
            Self::Facts => b'f',
        }
    }
}

/// What an append promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Append {
    /// On disk before the answer: for what has an effect outside.
    Durable,
    /// Readable before the answer; on disk at most 100 ms later.
    Behind,
}

impl Store {
    /// Adds rows, at most [`CAMPAIGN_ROWS_MAX`], all of them or none; answers with the number of the
    /// first.
    ///
    /// `may_write` runs on the store's writer, so that a writer whose successor has read the rows can
    /// add none.
    pub async fn campaign_append(
        &self,
        campaign: Uuid,
        part: CampaignPart,
        rows: Vec<Vec<u8>>,
        append: Append,
        may_write: impl FnOnce() -> bool + Send + 'static,
    ) -> Result<u64, StoreError> {
        let promise = match append {
            Append::Durable => Promise::Durable,
            Append::Behind => Promise::Applied,
        };
        self.write(promise, move |engine| {
            if !may_write() {
                return Err(StoreError::Superseded { campaign });
            }
            let first = first_free(engine, campaign, part)?;
            let keys = (first..).map(|number| row_key(campaign, part, number));
            let changes = keys.zip(rows).map(|(key, row)| Change::Put(key, row)).collect();
            engine.write(Table::Campaigns, changes)?;
            Ok(first)
        })
        .await
    }

    /// Shows every row of a part to `see`, in their order; runs on a thread of the store, after every
    /// write that was asked for before.
    pub async fn campaign_fold<T: Send + 'static>(
        &self,
        campaign: Uuid,
        part: CampaignPart,
        mut whole: T,
        mut see: impl FnMut(&mut T, u64, &[u8]) -> Result<(), StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.write(Promise::Applied, |_| Ok(())).await?;
        self.read(move |engine| {
            let range = rows_from(campaign, part, 0);
            visit_rows(engine, Table::Campaigns, range, Order::Ascending, |key, row| {
                see(&mut whole, number_of(key)?, row)?;
                Ok(ControlFlow::Continue(()))
            })?;
            Ok(whole)
        })
        .await
    }

    /// The rows of a part from a number on, `max` at most.
    pub async fn campaign_rows(
        &self,
        campaign: Uuid,
        part: CampaignPart,
        from: u64,
        max: usize,
    ) -> Result<Vec<Vec<u8>>, StoreError> {
        self.read(move |engine| {
            let mut rows = Vec::new();
            if max == 0 {
                return Ok(rows);
            }
            let range = rows_from(campaign, part, from);
            visit_rows(engine, Table::Campaigns, range, Order::Ascending, |_, row| {
                rows.push(row.to_vec());
                let is_enough = rows.len() == max;
                Ok(if is_enough { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
            })?;
            Ok(rows)
        })
        .await
    }

    /// One row of a part.
    pub async fn campaign_row(
        &self,
        campaign: Uuid,
        part: CampaignPart,
        number: u64,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        self.read(move |engine| Ok(engine.get(Table::Campaigns, &row_key(campaign, part, number))?))
            .await
    }

    /// How many rows a part has.
    pub async fn campaign_len(
        &self,
        campaign: Uuid,
        part: CampaignPart,
    ) -> Result<u64, StoreError> {
        self.read(move |engine| first_free(engine, campaign, part)).await
    }

    /// The campaigns that have rows, in the order of their ids, each with the first of them.
    pub async fn campaigns(&self) -> Result<Vec<(Uuid, Vec<u8>)>, StoreError> {
        self.write(Promise::Applied, |_| Ok(())).await?;
        self.read(|engine| {
            let mut campaigns = Vec::new();
            let mut range = KeyRange { from: Bound::Unbounded, to: Bound::Unbounded };
            loop {
                let mut rows = engine.scan(Table::Campaigns, &range, Order::Ascending, 1)?;
                let Some((key, row)) = rows.pop() else { return Ok(campaigns) };
                let id = key.split_first_chunk().map(|(id, _)| Uuid::from_bytes(*id));
                let what = || StoreError::Corrupt { what: "the rows of a campaign".into() };
                let id = id.ok_or_else(what)?;
                campaigns.push((id, row));
                // Marks are letters.
                range.from = Bound::Excluded([id.as_bytes().as_slice(), &[u8::MAX]].concat());
            }
        })
        .await
    }

    /// Forgets the rows of a part.
    pub async fn campaign_drop(
        &self,
        campaign: Uuid,
        part: CampaignPart,
    ) -> Result<(), StoreError> {
        loop {
            let is_empty = self
                .write(Promise::Durable, move |engine| {
                    let range = rows_from(campaign, part, 0);
                    // From the end, so that what is left has no gap should the process die.
                    let order = Order::Descending;
                    let rows = engine.scan(Table::Campaigns, &range, order, CAMPAIGN_ROWS_MAX)?;
                    let is_last = rows.len() < CAMPAIGN_ROWS_MAX;
                    let changes = rows.into_iter().map(|(key, _)| Change::Remove(key)).collect();
                    engine.write(Table::Campaigns, changes)?;
                    Ok(is_last)
                })
                .await?;
            if is_empty {
                return Ok(());
            }
        }
    }
}

fn first_free(engine: &dyn Engine, campaign: Uuid, part: CampaignPart) -> Result<u64, StoreError> {
    let range = rows_from(campaign, part, 0);
    let last = engine.scan(Table::Campaigns, &range, Order::Descending, 1)?;
    last.first().map_or(Ok(0), |(key, _)| Ok(number_of(key)? + 1))
}

fn rows_from(campaign: Uuid, part: CampaignPart, from: u64) -> KeyRange {
    KeyRange {
        from: Bound::Included(row_key(campaign, part, from)),
        to: Bound::Included(row_key(campaign, part, u64::MAX)),
    }
}

fn row_key(campaign: Uuid, part: CampaignPart, number: u64) -> Vec<u8> {
    [campaign.as_bytes().as_slice(), &[part.mark()], &number.to_be_bytes()].concat()
}

fn number_of(key: &[u8]) -> Result<u64, StoreError> {
    let number = key.split_last_chunk::<NUMBER_BYTES>();
    let (_, number) =
        number.ok_or_else(|| StoreError::Corrupt { what: "the rows of a campaign".into() })?;
    Ok(u64::from_be_bytes(*number))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Faults, StoreOptions};

    const CAMPAIGN: Uuid = Uuid::from_u128(7);

    async fn add(store: &Store, part: CampaignPart, rows: &[&str]) -> Result<u64, StoreError> {
        let rows = rows.iter().map(|row| row.as_bytes().to_vec()).collect();
        store.campaign_append(CAMPAIGN, part, rows, Append::Durable, || true).await
    }

    async fn all(store: &Store, part: CampaignPart) -> Vec<(u64, String)> {
        let see = |rows: &mut Vec<(u64, String)>, number, row: &[u8]| {
            rows.push((number, String::from_utf8(row.to_vec()).unwrap()));
            Ok(())
        };
        store.campaign_fold(CAMPAIGN, part, Vec::new(), see).await.unwrap()
    }

    #[tokio::test]
    async fn rows_are_read_in_the_order_in_which_they_were_added_after_a_restart_too() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path(), StoreOptions::default()).unwrap();
        assert_eq!(add(&store, CampaignPart::Contacts, &["a", "b"]).await, Ok(0));
        assert_eq!(add(&store, CampaignPart::Facts, &["x"]).await, Ok(0));
        store.close().await.unwrap();
        drop(store);
        let store = Store::open(folder.path(), StoreOptions::default()).unwrap();
        assert_eq!(add(&store, CampaignPart::Contacts, &["c"]).await, Ok(2));
        let rows = [(0, "a".to_owned()), (1, "b".to_owned()), (2, "c".to_owned())];
        assert_eq!(all(&store, CampaignPart::Contacts).await, rows);
        let page = store.campaign_rows(CAMPAIGN, CampaignPart::Contacts, 1, 1).await.unwrap();
        assert_eq!(page, [b"b"]);
        let row = store.campaign_row(CAMPAIGN, CampaignPart::Contacts, 2).await.unwrap();
        assert_eq!(row.unwrap(), b"c");
        assert_eq!(store.campaign_len(CAMPAIGN, CampaignPart::Contacts).await, Ok(3));
        assert_eq!(add(&store, CampaignPart::Head, &["head"]).await, Ok(0));
        assert_eq!(store.campaigns().await.unwrap(), [(CAMPAIGN, b"head".to_vec())]);
        store.campaign_drop(CAMPAIGN, CampaignPart::Contacts).await.unwrap();
        assert_eq!(all(&store, CampaignPart::Contacts).await, []);
        assert_eq!(all(&store, CampaignPart::Facts).await, [(0, "x".to_owned())]);
    }

    #[tokio::test]
    async fn whoever_has_a_successor_adds_nothing() {
        let store = Store::in_memory(Faults::default());
        let rows = vec![b"late".to_vec()];
        let late =
            store.campaign_append(CAMPAIGN, CampaignPart::Facts, rows, Append::Behind, || false);
        assert_eq!(late.await, Err(StoreError::Superseded { campaign: CAMPAIGN }));
        assert_eq!(all(&store, CampaignPart::Facts).await, []);
    }

    #[tokio::test]
    async fn a_disk_that_fails_to_flush_promises_nothing() {
        let faults = Faults::default();
        let store = Store::in_memory(faults.clone());
        faults.fail_flushes(Some("no space left on device"));
        assert!(add(&store, CampaignPart::Facts, &["x"]).await.is_err());
    }
}
