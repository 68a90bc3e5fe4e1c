//! Asking who is there, before and while a node serves: a node that goes by other settings, or bears a number that
//! is taken, is found before it does any harm. Of two that do not fit together, the one that came last ends.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::sleep;

use super::{Hello, HelloError, Links};
use crate::error::NodeError;
use crate::net;

/// A node that disagrees with the cluster is taken for a mistaken newcomer this long.
const NEWCOMER: Duration = Duration::from_secs(30);
/// Two processes of one number that were started this close together are told apart by the numbers of their data:
/// on the way, a greeting ages.
const TOGETHER_MS: u64 = 1_000;
/// How often a process that bears this node's number is asked whether it is there.
const NAMESAKE_TRIES: u32 = 10;

impl Links {
    /// Asks everybody at these addresses who they are, and where they last heard of this node. Who does not answer
    /// in time is not there; those are returned. And where those that did answer are reached by nodes: `peers` may name any
    /// of their doors.
    pub async fn inquire(
        self: &Arc<Self>,
        peers: &[SocketAddr],
    ) -> (Vec<SocketAddr>, Vec<SocketAddr>) {
        let mut asked = BTreeSet::from([self.advertised]);
        let mut next: BTreeSet<_> = peers.iter().copied().collect();
        let (mut silent, mut found) = (Vec::new(), Vec::new());
        while !next.is_empty() {
            let fresh: Vec<_> =
                std::mem::take(&mut next).into_iter().filter(|at| asked.insert(*at)).collect();
            let asking = fresh.into_iter().map(|address| {
                let links = self.clone();
                net::spawn(async move { (address, links.ask(address).await) })
            });
            // All of them are asked before any answer is waited for.
            for answer in asking.collect::<Vec<_>>() {
                match answer.await {
                    Ok((_, Ok(theirs))) => {
                        next.extend(theirs.heard_at);
                        found.push(theirs.address);
                    }
                    Ok((address, Err(_))) => silent.push(address),
                    Err(_) => (),
                }
            }
        }
        (silent, found)
    }

    /// Asks those that have not answered yet, until each has; where they are reached by nodes goes to `tell`.
    pub fn keep_asking(
        self: &Arc<Self>,
        mut silent: Vec<SocketAddr>,
        tell: mpsc::Sender<SocketAddr>,
    ) {
        let links = self.clone();
        net::spawn(async move {
            while !silent.is_empty() {
                sleep(links.reconnect).await;
                let (still, found) = links.inquire(&silent).await;
                silent = still;
                for address in found {
                    // Nobody listens any more once the node stops.
                    let _ = tell.send(address).await;
                }
            }
        });
    }

    /// Another process was heard to bear this node's number: asks it, so that one of both ends.
    pub fn ask_namesake(self: &Arc<Self>, address: SocketAddr) {
        let links = self.clone();
        net::spawn(async move {
            for _ in 0..NAMESAKE_TRIES {
                if links.ask(address).await.is_ok() {
                    return;
                }
                sleep(links.reconnect).await;
            }
        });
    }

    async fn ask(&self, address: SocketAddr) -> Result<Hello, HelloError> {
        let (_, theirs) = self.greet(address, None, None).await?;
        self.agrees(&theirs);
        Ok(theirs)
    }

    /// Whether the other goes by the same settings and is another node. If not, and this node is the one that has
    /// just come, it ends.
    pub(super) fn agrees(&self, theirs: &Hello) -> bool {
        let peer = theirs.node.0;
        if let Some((name, ours, other)) = self.shared.difference(&theirs.shared) {
            if self.is_newcomer(theirs) {
                self.end(NodeError::Disagreement { name, ours, theirs: other, peer });
            } else {
                tracing::warn!(node = peer, setting = name, ours, theirs = other, "refused a node");
            }
            return false;
        }
        let namesake = theirs.node == self.node && theirs.instance != self.instance;
        if namesake && self.came_last(theirs) {
            self.end(NodeError::NumberTaken { node: self.node.0, address: theirs.address });
        } else if namesake {
            tracing::error!(
                node = peer,
                address = %theirs.address,
                "another process bears the number of this node, and has to end"
            );
        }
        !namesake
    }

    /// Of two nodes that differ, whether this one is taken for mistaken. Two that come at once both are.
    fn is_newcomer(&self, theirs: &Hello) -> bool {
        let uptime = self.uptime_ms();
        match (self.is_serving(), theirs.serving) {
            (false, true) => true,
            (true, false) => false,
            _ => u128::from(uptime) < NEWCOMER.as_millis() && uptime <= theirs.uptime_ms,
        }
    }

    /// Of two processes with one number, whether this one came last.
    fn came_last(&self, theirs: &Hello) -> bool {
        assert_eq!(self.node, theirs.node, "only namesakes are compared");
        if self.is_serving() != theirs.serving {
            return theirs.serving;
        }
        let uptime = self.uptime_ms();
        if uptime.abs_diff(theirs.uptime_ms) < TOGETHER_MS {
            return self.instance > theirs.instance;
        }
        uptime < theirs.uptime_ms
    }

    fn end(&self, error: NodeError) {
        // One is enough: a full channel holds one already.
        let _ = self.fatal.try_send(error);
    }
}
