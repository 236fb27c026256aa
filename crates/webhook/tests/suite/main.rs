//! The sender and the pump against real receivers on this machine.

mod hostile;
mod receiver;
mod table;
mod tls;
