//! `driftless`: a node, a local cluster, a client, a demonstration.

#[cfg(not(madsim))]
mod app;

#[cfg(all(feature = "mimalloc", not(madsim)))]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[cfg(not(madsim))]
fn main() -> std::process::ExitCode {
    app::main()
}

#[cfg(madsim)]
fn main() {
    eprintln!("this build runs only inside a simulated network");
}
