//! The `adelie` program: arguments in, one command, an exit code out. Here, and nowhere else, the parts are
//! wired: a database driver is named and the real clock and randomness are read.

mod args;
mod commands;
mod confirm;
mod context;
mod documents;
mod draft;
mod escrow;
mod exit;
mod happened;
mod health;
mod key_file;
mod master_keys;
mod operate;
mod operator;
mod output;
mod patience;
mod profile_files;
mod progress;
mod real;
mod serials;
mod settings;
mod words;

use std::process::ExitCode;

/// Pages come and go in large pieces, made by one thread and freed by another. The allocator of glibc takes a tenth more
/// processor time for that, and its memory grows by a quarter more.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    let args = args::Args::read();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return exit::report(&anyhow::Error::new(error).context("the program could not start")),
    };
    let result = runtime.block_on(Box::pin(commands::run(args)));
    // A blocked thread (a name look-up, say) must not keep the program from ending.
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    match result {
        Ok(code) => code.into(),
        Err(error) => exit::report(&error),
    }
}
