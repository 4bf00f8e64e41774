//! What a store may grow to, and which bound a guest ran into.

use super::limits::Limits;
use std::sync::{Arc, OnceLock};
use wasmtime::ResourceLimiter;

/// The bound that ended a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hit {
    Memory,
    Table,
    Cpu,
}

/// Holds a store to its memory and tables. Growth beyond a bound is a trap: a guest that is told `no` only aborts, and
/// says less.
pub struct Resources {
    memory_left: usize,
    table_elements: usize,
    instances: usize,
    tables: usize,
    memories: usize,
    hit: Arc<OnceLock<Hit>>,
}

#[derive(Debug, thiserror::Error)]
#[error("the plugin reached its limit")]
struct Reached;

impl Resources {
    pub fn new(limits: &Limits, hit: Arc<OnceLock<Hit>>) -> Self {
        Self {
            memory_left: limits.memory_bytes,
            table_elements: limits.table_elements,
            instances: limits.instances,
            tables: limits.tables,
            memories: limits.memories,
            hit,
        }
    }

    fn reached(&self, hit: Hit) -> wasmtime::Result<bool> {
        // The first bound is the one to tell of.
        let _ = self.hit.set(hit);
        Err(wasmtime::Error::from(Reached))
    }
}

impl ResourceLimiter for Resources {
    fn memory_growing(&mut self, current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        match self.memory_left.checked_sub(desired - current) {
            Some(left) => {
                self.memory_left = left;
                Ok(true)
            }
            None => self.reached(Hit::Memory),
        }
    }

    fn table_growing(&mut self, _current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        if desired <= self.table_elements { Ok(true) } else { self.reached(Hit::Table) }
    }

    fn instances(&self) -> usize {
        self.instances
    }
    fn tables(&self) -> usize {
        self.tables
    }
    fn memories(&self) -> usize {
        self.memories
    }
}
