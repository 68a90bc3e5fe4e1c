//! Consistent hashing with bounded loads: each group walks the ring of virtual nodes from its own point
//! and takes the first sites that still have room.

use alloc::vec;
use alloc::vec::Vec;

use xxhash_rust::xxh3::xxh3_64;

use super::Site;
use super::quota::Quota;

/// Virtual nodes of a site of weight 100. Enough that the arcs of two equal sites differ by some percent;
/// quotas even out the rest.
const POINTS: u32 = 128;

/// The sites of each group, `factor` a group, group after group. Sites are places in `sites`.
///
/// Exact quotas need foresight: with `left` groups to go, a site that must still take `left` replicas has
/// to be in every one of them, and a zone must take enough now that the rest fits under its limit. Those
/// go first. That such a choice always exists follows from the fractional one, in which each site takes
/// `quota / left` of every group: bounds of sites within bounds of zones form a laminar family, so
/// wherever a fractional choice fits, a whole one does.
pub(super) fn assign(sites: &[Site], quota: &Quota, partitions: u32, factor: usize) -> Vec<usize> {
    let mut ring = points(sites);
    let mut walk = Walk::new(quota, factor);
    let mut held = Vec::with_capacity(partitions as usize * factor);
    for group in 1..=partitions {
        let start = ring.partition_point(|&(point, _)| point < point_of_group(group));
        let around = || ring[start..].iter().chain(&ring[..start]).map(|&(_, site)| site);
        walk.choose(around, partitions - group);
        held.extend_from_slice(&walk.chosen);
        if walk.chosen.iter().any(|&site| walk.quota[site] == 0) {
            // Who is full leaves the ring, so that later walks stay short.
            ring.retain(|&(_, site)| walk.quota[site] > 0);
        }
    }
    assert!(walk.quota.iter().all(|&rest| rest == 0), "every site took what it should");
    held
}

/// All virtual nodes in order, each with its site.
fn points(sites: &[Site]) -> Vec<(u64, usize)> {
    let mut ring = Vec::new();
    for (place, site) in sites.iter().enumerate() {
        for number in 0..(site.weight * POINTS / 100).max(1) {
            ring.push((point_of_site(site.node.0, number), place));
        }
    }
    ring.sort_unstable();
    ring
}

fn point_of_site(node: u32, number: u32) -> u64 {
    let mut bytes = *b"site........";
    bytes[4..8].copy_from_slice(&node.to_le_bytes());
    bytes[8..].copy_from_slice(&number.to_le_bytes());
    xxh3_64(&bytes)
}

fn point_of_group(group: u32) -> u64 {
    let mut bytes = *b"group....";
    bytes[5..].copy_from_slice(&group.to_le_bytes());
    xxh3_64(&bytes)
}

/// What is left to hand out, and the choice for one group.
struct Walk<'a> {
    quota: Vec<u32>,
    zone_quota: Vec<u32>,
    zone: &'a [usize],
    zone_limit: &'a [u32],
    factor: usize,
    chosen: Vec<usize>,
    taken: Vec<u32>,
}

impl<'a> Walk<'a> {
    fn new(quota: &'a Quota, factor: usize) -> Self {
        let mut zone_quota = vec![0; quota.zone_limit.len()];
        for (&zone, &count) in quota.zone.iter().zip(&quota.sites) {
            zone_quota[zone] += count;
        }
        Self {
            quota: quota.sites.clone(),
            taken: vec![0; zone_quota.len()],
            zone_quota,
            zone: &quota.zone,
            zone_limit: &quota.zone_limit,
            factor,
            chosen: Vec::new(),
        }
    }

    /// Chooses for one group, with `after` more to come.
    fn choose<I: Iterator<Item = usize>>(&mut self, around: impl Fn() -> I, after: u32) {
        self.chosen.clear();
        self.taken.fill(0);
        let due: Vec<u32> = self
            .zone_quota
            .iter()
            .zip(self.zone_limit)
            .map(|(&quota, &limit)| quota.saturating_sub(limit * after))
            .collect();
        if self.quota.iter().any(|&quota| quota > after) {
            self.take_where(around(), |walk, site| walk.quota[site] > after);
        }
        if due.iter().any(|&count| count > 0) {
            let is_due =
                |walk: &Self, site: usize| walk.taken[walk.zone[site]] < due[walk.zone[site]];
            self.take_where(around(), is_due);
        }
        self.take_where(around(), |_, _| true);
        assert!(self.chosen.len() == self.factor, "quotas leave every group its replicas");
    }

    fn take_where(
        &mut self,
        around: impl Iterator<Item = usize>,
        wanted: impl Fn(&Self, usize) -> bool,
    ) {
        for site in around {
            if self.chosen.len() == self.factor {
                return;
            }
            let zone = self.zone[site];
            let fits = self.quota[site] > 0 && self.taken[zone] < self.zone_limit[zone];
            if fits && !self.chosen.contains(&site) && wanted(self, site) {
                self.chosen.push(site);
                self.quota[site] -= 1;
                self.zone_quota[zone] -= 1;
                self.taken[zone] += 1;
            }
        }
    }
}
