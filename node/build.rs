//! Makes code of the protocol of the gRPC door. No `protoc` is needed.

use std::env;
use std::error::Error;
use std::fs;
use std::path::PathBuf;

use prost::Message as _;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=proto");
    let described = protox::compile(["driftless/v1/driftless.proto"], ["proto"])?;
    let place = PathBuf::from(env::var_os("OUT_DIR").ok_or("cargo names a directory")?);
    // For reflection.
    fs::write(place.join("driftless.bin"), described.encode_to_vec())?;
    tonic_prost_build::configure().compile_fds(described)?;
    Ok(())
}
