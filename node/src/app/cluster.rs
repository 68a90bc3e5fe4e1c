//! `driftless cluster start` and `stop`.

use std::path::{Path, PathBuf};
use std::process::Child;
use std::time::Duration;

use driftless::net;
use driftless::settings::{Flags, Settings};
use indicatif::ProgressFinish;

use super::Failure;
use super::local::{LocalCluster, LocalNode};
use super::secure::LocalFiles;
use super::voice::Voice;

/// How long a node may take to recover and serve.
const START: Duration = Duration::from_mins(1);
/// How long a node may take to stop.
const STOP: Duration = Duration::from_secs(15);
/// Between two looks at the nodes.
const LOOK: Duration = Duration::from_millis(200);

/// What the cluster should be like.
#[derive(Debug, clap::Args)]
pub(crate) struct Start {
    /// How many nodes
    #[arg(long, default_value_t = 3, value_name = "COUNT")]
    nodes: u32,
    /// How many of them hold each key [default: 3, or nodes if that is less]
    #[arg(long, value_name = "R")]
    replication_factor: Option<u32>,
    /// How many groups the keys are divided into
    #[arg(long, default_value_t = 16, value_name = "P")]
    partitions: u32,
    /// Engines (threads) of each node
    #[arg(long, default_value_t = 1, value_name = "E")]
    engines: u8,
    /// When writes are forced to disk: always, interval or never
    #[arg(long, default_value = "always", value_name = "WHEN")]
    fsync: String,
    #[command(flatten)]
    tls: LocalFiles,
    /// Port for clients of the first node; others follow, nodes speak on 10000 above
    #[arg(long, default_value_t = 6379, value_name = "PORT")]
    first_port: u16,
    /// Directory of the cluster
    #[arg(long, env = "DATA_DIR", default_value = "data", value_name = "DIR")]
    data_dir: PathBuf,
    /// Leave the nodes running and return
    #[arg(long)]
    detach: bool,
}

/// Starts a cluster, or those nodes of it that do not run.
pub(crate) fn start(wanted: &Start) -> Result<(), Failure> {
    let dir = &wanted.data_dir;
    let mut cluster = plan(wanted)?;
    if let Some(before) = LocalCluster::read(dir)? {
        agree(&before, &cluster)?;
        cluster = before;
    }
    std::fs::create_dir_all(dir).map_err(|error| format!("{}: {error}", dir.display()))?;
    let secure = cluster.tls.secure();
    let voice = Voice::new();
    let bar = voice.progress("of the nodes serve", wanted.nodes.into());
    let bar = bar.with_finish(ProgressFinish::AndClear);
    let say = |colour, text: &str| bar.suspend(|| println!("{}", voice.paint(colour, text)));
    let mut children = Vec::new();
    for node in 1..=wanted.nodes {
        let started = match cluster.nodes[node as usize - 1].answers(&secure, START) {
            Ok(true) => {
                say("2", &format!("node {node} runs already"));
                bar.inc(1);
                continue;
            }
            Ok(false) => cluster.start(node, dir, START),
            Err(error) => Err(error),
        };
        match started {
            Ok(child) => children.push((node, child)),
            Err(error) => {
                stop_all(&cluster, &children);
                return Err(error);
            }
        }
        cluster.write(dir)?;
        let this = &cluster.nodes[node as usize - 1];
        say("32", &format!("node {node} is ready on port {} (process {})", this.port, this.pid));
        bar.inc(1);
    }
    bar.finish_and_clear();
    let ports: Vec<_> = cluster.nodes.iter().map(|node| node.port.to_string()).collect();
    let text =
        format!("cluster of {} nodes: redis-cli -p {}", cluster.nodes.len(), ports.join(", -p "));
    println!("{}", voice.paint("1", &text));
    if wanted.detach {
        println!("stop it with: driftless cluster stop --data-dir {}", dir.display());
        return Ok(());
    }
    stay(&cluster, &mut children)
}

/// Stops all nodes.
pub(crate) fn stop(dir: &Path) -> Result<(), Failure> {
    let cluster = LocalCluster::expect(dir)?;
    for node in &cluster.nodes {
        node.ask_to_stop()?;
    }
    for node in &cluster.nodes {
        if !node.await_stopped(STOP) {
            return Err(format!("node {} (process {}) does not stop", node.node, node.pid).into());
        }
        println!("node {} is stopped", node.node);
    }
    Ok(())
}

fn plan(wanted: &Start) -> Result<LocalCluster, Failure> {
    let most = u32::from(u16::MAX) - 10_000 - u32::from(wanted.first_port.min(55_000));
    if wanted.nodes == 0 || wanted.nodes > most || wanted.first_port > 55_000 {
        return Err(format!(
            "setting nodes: {} nodes from port {} on",
            wanted.nodes, wanted.first_port
        )
        .into());
    }
    // The same check as each node makes, before anything is created.
    let settings = Settings::check(&Flags {
        total_nodes: Some(wanted.nodes),
        replication_factor: wanted.replication_factor,
        partitions: Some(wanted.partitions),
        engines: Some(wanted.engines),
        fsync: Some(wanted.fsync.clone()),
        ..Flags::default()
    })?;
    let nodes = (1..=wanted.nodes).map(|node| {
        let port = wanted.first_port + (node - 1) as u16;
        let data_dir = wanted.data_dir.join(format!("node{node}"));
        // As far from the port for clients as they are by default; gRPC's is so far that there may be none.
        LocalNode {
            node,
            pid: 0,
            port,
            gossip_port: port + 10_000,
            cluster_port: port + 1_000,
            lines_port: port + 622,
            http_port: port + 1_622,
            grpc_port: port.checked_add(43_672).unwrap_or(0),
            data_dir,
        }
    });
    Ok(LocalCluster {
        replication_factor: settings.shared.replication_factor,
        partitions: wanted.partitions,
        engines: wanted.engines,
        fsync: wanted.fsync.clone(),
        tls: wanted.tls.absolute()?,
        nodes: nodes.collect(),
    })
}

/// A cluster that is there already keeps its shape.
fn agree(before: &LocalCluster, wanted: &LocalCluster) -> Result<(), Failure> {
    let differences = [
        ("nodes", before.nodes.len().to_string(), wanted.nodes.len().to_string()),
        (
            "replication-factor",
            before.replication_factor.to_string(),
            wanted.replication_factor.to_string(),
        ),
        ("partitions", before.partitions.to_string(), wanted.partitions.to_string()),
        ("engines", before.engines.to_string(), wanted.engines.to_string()),
    ];
    for (name, before, wanted) in differences {
        if before != wanted {
            let text =
                format!("setting {name}: the cluster in this data-dir has {before}, not {wanted}");
            return Err(text.into());
        }
    }
    Ok(())
}

/// Stays until asked to stop, then stops the nodes that were started here.
fn stay(cluster: &LocalCluster, children: &mut Vec<(u32, Child)>) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let stop = net::stop_signal();
        tokio::pin!(stop);
        loop {
            tokio::select! {
                biased;
                asked = &mut stop => return asked,
                () = tokio::time::sleep(LOOK) => {}
            }
            children.retain_mut(|(node, child)| match child.try_wait() {
                Ok(Some(status)) => {
                    eprintln!("node {node} has ended: {status}");
                    false
                }
                _ => true,
            });
            if children.is_empty() && !cluster.nodes.iter().any(LocalNode::is_running) {
                return Ok(());
            }
        }
    })?;
    stop_all(cluster, children);
    for (node, child) in children {
        let status = child.wait()?;
        println!("node {node} is stopped: {status}");
    }
    Ok(())
}

fn stop_all(cluster: &LocalCluster, children: &[(u32, Child)]) {
    for (node, _) in children {
        if let Err(error) = cluster.nodes[*node as usize - 1].ask_to_stop() {
            eprintln!("node {node}: {error}");
        }
    }
}
