//! An engine that forgets everything with the process: for tests and for breaking things on purpose.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard},
};

use super::{Change, Engine, EngineError, KeyRange, Order, Reach, Row, Table};

/// Makes a store in memory fail on demand.
#[derive(Clone, Debug, Default)]
pub struct Faults(Arc<Mutex<FaultState>>);

#[derive(Debug, Default)]
struct FaultState {
    writes: Option<String>,
    flushes: Option<String>,
}

impl Faults {
    /// Fails every write from here with this reason, or lets them pass again.
    pub fn fail_writes(&self, reason: Option<&str>) {
        self.with(|state| state.writes = reason.map(str::to_owned));
    }

    /// Fails every flush from here with this reason, or lets them pass again.
    pub fn fail_flushes(&self, reason: Option<&str>) {
        self.with(|state| state.flushes = reason.map(str::to_owned));
    }

    fn check(
        &self,
        operation: &'static str,
        fault: fn(&FaultState) -> &Option<String>,
    ) -> Result<(), EngineError> {
        match self.with(|state| fault(state).clone()) {
            None => Ok(()),
            Some(reason) => {
                Err(EngineError { operation, place: "memory".into(), reason, hint: None })
            }
        }
    }

    fn with<T>(&self, f: impl FnOnce(&mut FaultState) -> T) -> T {
        f(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

type Tree = BTreeMap<Vec<u8>, Vec<u8>>;

pub(crate) struct MemoryEngine {
    trees: [RwLock<Tree>; Table::ALL.len()],
    faults: Faults,
}

impl MemoryEngine {
    pub(crate) fn new(faults: Faults) -> Self {
        Self { trees: Default::default(), faults }
    }

    fn read(&self, table: Table) -> RwLockReadGuard<'_, Tree> {
        self.trees[table as usize].read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Engine for MemoryEngine {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, EngineError> {
        Ok(self.read(table).get(key).cloned())
    }

    fn write(&self, table: Table, changes: Vec<Change>) -> Result<(), EngineError> {
        self.faults.check("write to", |state| &state.writes)?;
        let mut tree = self.trees[table as usize].write().unwrap_or_else(PoisonError::into_inner);
        for change in changes {
            match change {
                Change::Put(key, value) => tree.insert(key, value),
                Change::Remove(key) => tree.remove(&key),
            };
        }
        Ok(())
    }

    fn scan(
        &self,
        table: Table,
        range: &KeyRange,
        order: Order,
        max: usize,
    ) -> Result<Vec<Row>, EngineError> {
        let tree = self.read(table);
        let bounds = (range.from.as_ref(), range.to.as_ref());
        let rows = tree.range::<Vec<u8>, _>(bounds).map(|(k, v)| (k.clone(), v.clone()));
        Ok(match order {
            Order::Ascending => rows.take(max).collect(),
            Order::Descending => rows.rev().take(max).collect(),
        })
    }

    fn flush(&self, _reach: Reach) -> Result<(), EngineError> {
        self.faults.check("flush", |state| &state.flushes)
    }

    fn size_on_disk(&self) -> u64 {
        0
    }
}
