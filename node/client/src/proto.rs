//! What the gRPC door takes and answers: code made of `node/proto/driftless/v1/driftless.proto`.
#![allow(
    missing_docs,
    unreachable_pub,
    unused_qualifications,
    clippy::all,
    clippy::pedantic,
    reason = "it is not written by hand"
)]

tonic::include_proto!("driftless.v1");
