//! Server tokens made by others and by hand, and everything that people pass by mistake.

mod ber;
mod by_command;
mod common;
mod forms;
mod hostile;
mod keys;
mod mistakes;
mod secrets;
