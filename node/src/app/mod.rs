//! The command line.

mod cli;
mod cluster;
mod config;
mod demo;
mod interactive;
mod kv;
mod local;
mod login;
mod prompt;
mod resp;
mod secure;
mod show;
mod status;
mod voice;

use std::io::{stdin, stdout};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use driftless::disk::Claim;
use driftless::settings::{Flags, Settings};
use driftless::tls::Tls;
use driftless::{NodeError, log, net, node};
use rustix::process::{Resource, getrlimit, setrlimit};

/// A replicated key-value store that speaks the Redis protocol and loses no acknowledged write.
#[derive(Debug, Parser)]
#[command(name = "driftless", version, disable_help_subcommand = true)]
struct App {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run one node
    Serve {
        #[command(flatten)]
        flags: Box<Flags>,
        /// Check the settings, print what they come to, and end
        #[arg(long)]
        check: bool,
        /// Ask for the number of the node, of all nodes and of copies
        #[arg(long)]
        interactive: bool,
    },
    /// Look at settings without running a node
    Config {
        #[command(subcommand)]
        command: ConfigCommand,
    },
    /// Run a cluster on this machine
    Cluster {
        #[command(subcommand)]
        command: ClusterCommand,
    },
    /// Talk to a node: one command, or line by line
    #[command(disable_help_flag = true)]
    Cli(cli::Cli),
    /// Tell the story of a cluster: operations, a node killed and back
    Demo,
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Check a file of settings, and print what they come to
    Check {
        /// The file, in TOML
        file: PathBuf,
    },
    /// Print a table of all settings
    List,
}

#[derive(Debug, Subcommand)]
enum ClusterCommand {
    /// Start the nodes, and stop them on Ctrl-C
    Start(cluster::Start),
    /// Show the nodes in a table
    Status {
        #[command(flatten)]
        at: DataDir,
        #[command(flatten)]
        login: login::Login,
    },
    /// Stop the nodes
    Stop(DataDir),
}

#[derive(Debug, clap::Args)]
struct DataDir {
    /// Directory of the cluster
    #[arg(long, env = "DATA_DIR", default_value = "data", value_name = "DIR")]
    data_dir: PathBuf,
}

/// Files that a node has open besides its clients, about.
const OTHER_FILES: u64 = 100;

/// Why a command fails: one line.
type Failure = Box<dyn std::error::Error>;

/// Runs what the command line asks for.
pub(crate) fn main() -> ExitCode {
    let outcome = match App::parse().command {
        Command::Serve { flags, check, interactive } => {
            serve(*flags, check, interactive).map_err(Failure::from)
        }
        Command::Config { command: ConfigCommand::Check { file } } => {
            config::check(&file).map_err(Failure::from)
        }
        Command::Config { command: ConfigCommand::List } => {
            config::list();
            Ok(())
        }
        Command::Cluster { command } => match command {
            ClusterCommand::Start(start) => cluster::start(&start),
            ClusterCommand::Status { at, login } => status::print(&at.data_dir, &login),
            ClusterCommand::Stop(at) => cluster::stop(&at.data_dir),
        },
        Command::Cli(cli) => return cli::run(&cli),
        Command::Demo => demo::run(),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("driftless: {error}");
            ExitCode::FAILURE
        }
    }
}

fn serve(flags: Flags, check: bool, interactive: bool) -> Result<(), NodeError> {
    let mut flags = flags.with_file()?;
    if interactive {
        flags = interactive::ask(flags, &mut stdin().lock(), &mut stdout())
            .map_err(NodeError::system("asking"))?;
    }
    let settings = Settings::check(&flags)?;
    if check {
        Tls::new(&settings)?;
        println!("{}", settings.describe());
        return Ok(());
    }
    log::start(&settings)?;
    allow_files(settings.max_clients);
    let claim = Claim::new(&settings);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(NodeError::system("starting"))?;
    runtime.block_on(node::run(settings, claim, net::stop_signal(), announce))
}

/// Raises the number of files that this process may have open as far as the system lets it: each client is one.
fn allow_files(clients: u32) {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    let raised = setrlimit(Resource::Nofile, limit);
    let files = getrlimit(Resource::Nofile).current;
    if raised.is_err() || files.is_some_and(|files| files < u64::from(clients) + OTHER_FILES) {
        tracing::warn!(
            files,
            clients,
            "fewer files may be open than clients let in: raise `ulimit -n`"
        );
    }
}

fn announce(settings: &Settings) {
    println!(
        "driftless node {} of {} is ready: clients on {}, nodes on {}, data in {}",
        settings.node.0,
        settings.shared.total_nodes,
        settings.clients_at,
        settings.advertised,
        settings.data_dir.display(),
    );
}
