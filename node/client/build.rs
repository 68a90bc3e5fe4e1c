//! Makes code of the protocol that the nodes describe. No `protoc` is needed.

use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=../proto");
    let described = protox::compile(["driftless/v1/driftless.proto"], ["../proto"])?;
    tonic_prost_build::configure()
        .build_server(false)
        .build_transport(false)
        .compile_fds(described)?;
    Ok(())
}
