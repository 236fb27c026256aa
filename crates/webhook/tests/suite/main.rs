//! The sender and the pump against real receivers on this machine.

mod hostile;
mod pump;
mod receiver;
mod store;
mod table;
mod tls;
mod trouble;
mod wire;
mod world;
