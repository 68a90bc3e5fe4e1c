//! What is measured on real processes and takes longer than a test may: see the table in the README.
#![allow(clippy::cast_precision_loss, reason = "times and counts stay far below 2^52")]

mod beside_redis;
mod crashes;
#[cfg(not(madsim))]
mod doors;
#[cfg(not(madsim))]
mod hollow;
mod idle;
mod table;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Measures real nodes of Driftless on this machine; fails if a limit is not kept.
#[derive(Parser, Debug)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Kills nodes under load: the one that leads the most, then all at once, and counts what is lost.
    Crashes(crashes::Crashes),
    /// Compares the processor time of a command with that of redis-server.
    BesideRedis(beside_redis::BesideRedis),
    /// Measures what a request costs a node by each of its doors.
    #[cfg(not(madsim))]
    Doors(doors::Doors),
    /// Doors with nothing behind them: a part of `doors`, in a process of its own.
    #[cfg(not(madsim))]
    #[command(hide = true)]
    Hollow(hollow::Hollow),
    /// Measures three nodes with many groups and many connections that do nothing.
    Idle(idle::Idle),
    /// Holds connections open until its input ends: a part of `idle`, in a process with files of its own.
    #[command(hide = true)]
    Hold(idle::Hold),
}

/// Why a measurement fails: one line.
type Failure = Box<dyn std::error::Error>;

fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Command::Crashes(arguments) => crashes::run(&arguments),
        Command::BesideRedis(arguments) => beside_redis::run(&arguments),
        #[cfg(not(madsim))]
        Command::Doors(arguments) => doors::run(&arguments),
        #[cfg(not(madsim))]
        Command::Hollow(arguments) => hollow::run(&arguments),
        Command::Idle(arguments) => idle::run(&arguments),
        Command::Hold(arguments) => idle::hold(&arguments),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("failed: {error}");
            ExitCode::FAILURE
        }
    }
}
