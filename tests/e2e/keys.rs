//! Master keys and data keys: where they come from, how they are exchanged, and that nothing is lost on the way.

mod full_disk;
pub mod installation;
mod kills;
mod older;
mod places;
mod rotation;
mod ten_thousand;
