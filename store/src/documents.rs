//! What the API stores.
//!
//! A document lies under its organisation, kind and id; an index in the same table, changed together
//! with it, orders it by the time of its creation.

mod filter;
mod key;

use std::{fmt, ops::ControlFlow};

use serde_json::Value;
use tracing::error;
use uuid::Uuid;

use crate::{
    Store, StoreError,
    engine::{Change, Engine, Order, Table, visit_rows},
    writer::Promise,
};

pub use filter::{Bounds, LIST_LIMIT_DEFAULT, ListFilter};
use key::Scope;

/// What a document is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    Assistant,
    Call,
    Campaign,
    Credential,
    /// A number that must not be called.
    DoNotCall,
    PhoneNumber,
    /// What a node knows of its providers' outages.
    ProviderHealth,
    /// A call that is to be placed later.
    ScheduledCall,
    Tool,
}

impl Kind {
    /// Its name in keys: never changed once stored.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Assistant => "assistant",
            Self::Call => "call",
            Self::Campaign => "campaign",
            Self::Credential => "credential",
            Self::DoNotCall => "do-not-call",
            Self::PhoneNumber => "phone-number",
            Self::ProviderHealth => "provider-health",
            Self::ScheduledCall => "scheduled-call",
            Self::Tool => "tool",
        }
    }
}

/// One resource of the API as a client sent it, with what the server knows about it.
#[derive(Clone, PartialEq)]
pub struct Document {
    pub org: String,
    pub kind: Kind,
    pub id: Uuid,
    /// Milliseconds since the Unix epoch.
    pub created_at_ms: i64,
    /// Milliseconds since the Unix epoch.
    pub updated_at_ms: i64,
    pub body: Value,
}

impl fmt::Debug for Document {
    /// Leaves the body out: it may hold keys and what a caller said.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Document")
            .field("org", &self.org)
            .field("kind", &self.kind)
            .field("id", &self.id)
            .field("created_at_ms", &self.created_at_ms)
            .field("updated_at_ms", &self.updated_at_ms)
            .finish_non_exhaustive()
    }
}

/// Says whether a document belongs into a list; runs on a thread of the store.
pub type Predicate = Box<dyn Fn(&Document) -> bool + Send>;

impl Store {
    /// Stores a document in place of what had its id; `Ok` means that it is on disk.
    pub async fn put(&self, document: Document) -> Result<(), StoreError> {
        let scope = Scope::new(&document.org, document.kind)?;
        self.write(Promise::Durable, move |engine| {
            let old = load(engine, &scope, document.id)?;
            replace(engine, &scope, old.as_ref(), &document)
        })
        .await
    }

    /// Stores a document unless its id exists; `true` means that it is on disk, `false` that nothing
    /// was changed.
    pub async fn insert(&self, document: Document) -> Result<bool, StoreError> {
        let scope = Scope::new(&document.org, document.kind)?;
        self.write(Promise::Durable, move |engine| {
            if engine.get(Table::Documents, &scope.document(document.id))?.is_some() {
                return Ok(false);
            }
            replace(engine, &scope, None, &document)?;
            Ok(true)
        })
        .await
    }

    pub async fn get(
        &self,
        org: &str,
        kind: Kind,
        id: Uuid,
    ) -> Result<Option<Document>, StoreError> {
        let scope = Scope::new(org, kind)?;
        self.read(move |engine| load(engine, &scope, id)).await
    }

    /// Changes a document; nothing else changes it in between. Answers with what is on disk
    /// afterwards, `None` where there is no such document.
    ///
    /// `change` runs on the store's writer: it must be quick, and not wait for the store. Organisation, kind and id stay as they
    /// are, whatever it does to them.
    pub async fn update(
        &self,
        org: &str,
        kind: Kind,
        id: Uuid,
        change: impl FnOnce(&mut Document) + Send + 'static,
    ) -> Result<Option<Document>, StoreError> {
        let scope = Scope::new(org, kind)?;
        self.write(Promise::Durable, move |engine| {
            let Some(old) = load(engine, &scope, id)? else { return Ok(None) };
            let mut new = old.clone();
            change(&mut new);
            new.org.clone_from(&old.org);
            new.kind = kind;
            new.id = id;
            replace(engine, &scope, Some(&old), &new)?;
            Ok(Some(new))
        })
        .await
    }

    /// Removes a document and answers with it; `Ok` means that it is gone from the disk.
    pub async fn delete(
        &self,
        org: &str,
        kind: Kind,
        id: Uuid,
    ) -> Result<Option<Document>, StoreError> {
        let scope = Scope::new(org, kind)?;
        self.write(Promise::Durable, move |engine| {
            let old = load(engine, &scope, id)?;
            if let Some(old) = &old {
                engine.write(
                    Table::Documents,
                    vec![
                        Change::Remove(scope.index(old.created_at_ms, id)),
                        Change::Remove(scope.document(id)),
                    ],
                )?;
            }
            Ok(old)
        })
        .await
    }

    /// The documents that pass the filter and the predicate, newest first (by creation, then by id).
    ///
    /// A damaged document is left out and logged, so that it does not hide the others.
    pub async fn list(
        &self,
        org: &str,
        kind: Kind,
        filter: ListFilter,
        predicate: Option<Predicate>,
    ) -> Result<Vec<Document>, StoreError> {
        let scope = Scope::new(org, kind)?;
        self.read(move |engine| {
            let Some((oldest, newest)) = filter.created.range() else { return Ok(Vec::new()) };
            let range = scope.created_between(oldest, newest);
            let mut found = Vec::new();
            visit_rows(engine, Table::Documents, range, Order::Descending, |key, updated| {
                if found.len() >= filter.limit {
                    return Ok(ControlFlow::Break(()));
                }
                let entry = key::read_index(key, updated);
                let passes = entry.filter(|entry| filter.updated.contain(entry.updated_at_ms));
                let Some(entry) = passes else { return Ok(ControlFlow::Continue(())) };
                let document = match load(engine, &scope, entry.id) {
                    Err(StoreError::Corrupt { what }) => {
                        error!(%what, "damaged document left out of a list");
                        None
                    }
                    document => document?,
                };
                found.extend(document.filter(|document| {
                    // It may have changed since the index was read.
                    document.created_at_ms == entry.created_at_ms
                        && filter.updated.contain(document.updated_at_ms)
                        && predicate.as_ref().is_none_or(|passes| passes(document))
                }));
                Ok(ControlFlow::Continue(()))
            })?;
            Ok(found)
        })
        .await
    }
}

fn load(engine: &dyn Engine, scope: &Scope, id: Uuid) -> Result<Option<Document>, StoreError> {
    let Some(value) = engine.get(Table::Documents, &scope.document(id))? else { return Ok(None) };
    let document = decode(scope, id, &value);
    let what = || format!("{} {id} of organisation `{}`", scope.kind().name(), scope.org());
    document.map(Some).ok_or_else(|| StoreError::Corrupt { what: what() })
}

fn replace(
    engine: &dyn Engine,
    scope: &Scope,
    old: Option<&Document>,
    new: &Document,
) -> Result<(), StoreError> {
    let mut changes = Vec::with_capacity(3);
    if let Some(old) = old.filter(|old| old.created_at_ms != new.created_at_ms) {
        changes.push(Change::Remove(scope.index(old.created_at_ms, new.id)));
    }
    let updated = new.updated_at_ms.to_be_bytes().to_vec();
    changes.push(Change::Put(scope.index(new.created_at_ms, new.id), updated));
    changes.push(Change::Put(scope.document(new.id), encode(new)));
    Ok(engine.write(Table::Documents, changes)?)
}

/// Both times, big-endian, then the body as JSON; the rest is in the key.
fn encode(document: &Document) -> Vec<u8> {
    let mut value = document.created_at_ms.to_be_bytes().to_vec();
    value.extend(document.updated_at_ms.to_be_bytes());
    serde_json::to_writer(&mut value, &document.body).expect("a JSON value has string keys");
    value
}

fn decode(scope: &Scope, id: Uuid, value: &[u8]) -> Option<Document> {
    let (created, rest) = value.split_first_chunk()?;
    let (updated, body) = rest.split_first_chunk()?;
    Some(Document {
        org: scope.org().into(),
        kind: scope.kind(),
        id,
        created_at_ms: i64::from_be_bytes(*created),
        updated_at_ms: i64::from_be_bytes(*updated),
        body: serde_json::from_slice(body).ok()?,
    })
}

#[cfg(test)]
mod tests;
