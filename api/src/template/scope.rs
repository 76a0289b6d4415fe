//! Variables as templates see them: a name that nobody set is empty, not an error.

use std::collections::BTreeSet;

use liquid_core::{
    Error, Result, Runtime, Value,
    model::{KString, KStringCow, KStringRef, ScalarCow, ValueCow},
    runtime::{PartialStore, Registers},
};

use super::limits;

/// A scope in which unknown variables and unknown fields are nil, as LiquidJS has it.
pub struct Lenient<R>(R);

impl<R: Runtime> Lenient<R> {
    pub fn new(scope: R) -> Self {
        Self(scope)
    }
}

impl<R: Runtime> Runtime for Lenient<R> {
    fn get(&self, path: &[ScalarCow<'_>]) -> Result<ValueCow<'_>> {
        match self.0.try_get(path) {
            Some(ValueCow::Owned(value)) => {
                limits::charge(self, limits::size_of(&value))?;
                Ok(ValueCow::Owned(value))
            }
            Some(borrowed @ ValueCow::Borrowed(_)) => {
                limits::charge(self, 0)?;
                Ok(borrowed)
            }
            None => Ok(ValueCow::Owned(Value::Nil)),
        }
    }

    fn try_get(&self, path: &[ScalarCow<'_>]) -> Option<ValueCow<'_>> {
        self.get(path).ok()
    }

    fn partials(&self) -> &dyn PartialStore {
        self.0.partials()
    }

    fn name(&self) -> Option<KStringRef<'_>> {
        self.0.name()
    }

    fn roots(&self) -> BTreeSet<KStringCow<'_>> {
        self.0.roots()
    }

    fn set_global(&self, name: KString, value: Value) -> Option<Value> {
        self.0.set_global(name, value)
    }

    fn set_index(&self, name: KString, value: Value) -> Option<Value> {
        self.0.set_index(name, value)
    }

    fn get_index<'a>(&'a self, name: &str) -> Option<ValueCow<'a>> {
        self.0.get_index(name)
    }

    fn registers(&self) -> &Registers {
        self.0.registers()
    }
}

/// A filter's or a tag's complaint.
pub fn complain<T>(text: impl Into<KString>) -> Result<T> {
    Err(Error::with_msg(text))
}
