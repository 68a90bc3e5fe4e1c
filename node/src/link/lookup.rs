//! Peers by name: looked up when a node starts, and again and again after, since machines come back at other addresses.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::lookup_host;
use tokio::sync::mpsc;
use tokio::time::sleep;

use super::Links;
use crate::net;

/// How often the name of a peer that cannot be resolved is tried at the start, and how long to wait between.
const RESOLVE_TRIES: u32 = 10;
const RESOLVE_PAUSE: Duration = Duration::from_millis(500);
/// Between two looks at where the names lead.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// The address of a name; one that is not known yet may be soon, where machines start together.
pub async fn resolve(peer: &str) -> Option<SocketAddr> {
    if let Ok(address) = peer.parse() {
        return Some(address);
    }
    for _ in 0..RESOLVE_TRIES {
        if let Ok(mut found) = lookup_host(peer).await
            && let Some(address) = found.next()
        {
            return Some(address);
        }
        sleep(RESOLVE_PAUSE).await;
    }
    None
}

/// Where names led when they were last looked up.
#[derive(Debug, Default)]
struct Names {
    led_to: BTreeMap<String, BTreeSet<SocketAddr>>,
}

impl Names {
    /// A name leads to these addresses now: those among them that it did not lead to before.
    fn lead(&mut self, name: &str, now: BTreeSet<SocketAddr>) -> Vec<SocketAddr> {
        let before = self.led_to.entry(name.to_owned()).or_default();
        let fresh = now.difference(before).copied().collect();
        *before = now;
        fresh
    }
}

impl Links {
    /// Looks all names up again and again. Whoever is found where a name did not lead before is asked who it is; where it is reached
    /// by nodes goes to `tell`. Names that are addresses lead nowhere else.
    pub fn keep_looking_up(self: &Arc<Self>, peers: &[String], tell: mpsc::Sender<SocketAddr>) {
        let named = peers.iter().filter(|peer| peer.parse::<SocketAddr>().is_err());
        let named: Vec<String> = named.cloned().collect();
        if named.is_empty() {
            return;
        }
        let links = self.clone();
        net::spawn(async move {
            let mut names = Names::default();
            loop {
                for name in &named {
                    // A name that is not known just now leads where it led.
                    let Ok(addresses) = lookup_host(name).await else { continue };
                    let fresh = names.lead(name, addresses.collect());
                    let (silent, found) = links.inquire(&fresh).await;
                    for address in found {
                        if tell.send(address).await.is_err() {
                            return;
                        }
                    }
                    // Who did not answer yet is asked again the next time.
                    if let Some(led_to) = names.led_to.get_mut(name) {
                        led_to.retain(|address| !silent.contains(address));
                    }
                }
                sleep(LOOK_EVERY).await;
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_leads_elsewhere_is_noticed_and_so_is_one_that_leads_back() {
        let at = |port: u16| SocketAddr::from(([127, 0, 0, 1], port));
        let mut names = Names::default();
        assert_eq!(names.lead("a:1", [at(1)].into()), [at(1)]);
        assert_eq!(names.lead("a:1", [at(1)].into()), []);
        assert_eq!(names.lead("a:1", [at(1), at(2)].into()), [at(2)]);
        assert_eq!(names.lead("b:1", [at(2)].into()), [at(2)], "another name");
        assert_eq!(names.lead("a:1", [at(2)].into()), []);
        assert_eq!(names.lead("a:1", [at(1)].into()), [at(1)]);
    }
}
