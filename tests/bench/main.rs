//! Measures the whole program.
fn main() {}
