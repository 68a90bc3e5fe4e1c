//! The client and nodes that do as they are told: what it does when they fail.
#![cfg(not(madsim))]

mod fake;
mod fates;
mod streams;

/// Runs what a test does, on a runtime of its own.
fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime can be built").block_on(test);
}
