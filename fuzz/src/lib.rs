//! What every target shares: a bound on memory.

use std::alloc::System;

use cap::Cap;

/// More than this for one input is a finding: a few kilobytes of input must not take the machine's memory.
const MOST: usize = 64 << 20;

#[global_allocator]
static ALLOCATOR: Cap<System> = Cap::new(System, usize::MAX);

/// Runs what reads an input. Should it need more memory than it may, the program ends, and libFuzzer keeps the input.
pub fn within_memory<T>(read: impl FnOnce() -> T) -> T {
    // Nothing else of this process is bounded: libFuzzer keeps its corpus with another allocator.
    let limit = ALLOCATOR.allocated().saturating_add(MOST);
    ALLOCATOR.set_limit(limit).expect("the limit lies above what is in use");
    let read = read();
    ALLOCATOR.set_limit(usize::MAX).expect("no limit");
    read
}
