//! How many replicas each site takes: its fair share to within one group, as far as zones allow.

use alloc::collections::BTreeMap;
use alloc::vec;
use alloc::vec::Vec;
use core::cmp::Reverse;

use super::Site;

/// How many replicas sites take, and how many of one group a zone may.
#[derive(Debug)]
pub(super) struct Quota {
    /// By place in the list of sites. Together `partitions * factor`; each at most `partitions`.
    pub(super) sites: Vec<u32>,
    /// The zone of each site, as a place in `zone_limit`.
    pub(super) zone: Vec<usize>,
    /// The most replicas of one group that each zone takes.
    pub(super) zone_limit: Vec<u32>,
}

/// Shares `partitions * factor` replicas out by weight. Spread over zones comes first: where it leaves
/// the sites of a zone with less than their fair share, those of other zones take more.
pub(super) fn quotas(sites: &[Site], partitions: u32, factor: usize) -> Quota {
    let mut places: BTreeMap<u32, usize> = BTreeMap::new();
    for site in sites {
        let next = places.len();
        places.entry(site.zone).or_insert(next);
    }
    let zone: Vec<usize> = sites.iter().map(|site| places[&site.zone]).collect();
    let zone_limit = zone_limits(&zone, places.len(), factor);

    let mut shares = vec![0; sites.len()];
    let mut left = partitions * factor as u32;
    let mut open: Vec<usize> = (0..sites.len()).collect();
    loop {
        share_out(sites, &open, left, partitions, &mut shares);
        let full = overfull_zones(&zone, &zone_limit, &open, &shares, partitions);
        if full.is_empty() {
            break;
        }
        for at in full {
            // What this zone cannot take goes to the others, which may fill them in turn.
            let members: Vec<usize> = open.iter().copied().filter(|&i| zone[i] == at).collect();
            let most = zone_limit[at] * partitions;
            share_out(sites, &members, most, partitions, &mut shares);
            left -= most;
            open.retain(|&i| zone[i] != at);
        }
    }
    let sum: u32 = shares.iter().sum();
    assert!(sum == partitions * factor as u32, "every replica has a site");
    Quota { sites: shares, zone, zone_limit }
}

/// The most replicas of one group in each zone: the smallest common limit under which `factor` sites can
/// be found.
fn zone_limits(zone: &[usize], zones: usize, factor: usize) -> Vec<u32> {
    let mut sizes = vec![0_u32; zones];
    for &at in zone {
        sizes[at] += 1;
    }
    let mut limit = 1;
    while sizes.iter().map(|&size| size.min(limit)).sum::<u32>() < factor as u32 {
        limit += 1;
    }
    sizes.iter().map(|&size| size.min(limit)).collect()
}

/// The zones that got more than they may take, in order.
fn overfull_zones(
    zone: &[usize],
    zone_limit: &[u32],
    open: &[usize],
    shares: &[u32],
    partitions: u32,
) -> Vec<usize> {
    let mut taken = vec![0_u32; zone_limit.len()];
    for &i in open {
        taken[zone[i]] += shares[i];
    }
    (0..taken.len()).filter(|&at| taken[at] > zone_limit[at] * partitions).collect()
}

/// Shares `total` out among `members` by weight, each at most `most`: whole shares first, then one more
/// for the largest remainders.
fn share_out(sites: &[Site], members: &[usize], total: u32, most: u32, shares: &mut [u32]) {
    let mut open = members.to_vec();
    let mut left = u64::from(total);
    let weight = loop {
        let weight: u64 = open.iter().map(|&i| u64::from(sites[i].weight)).sum();
        let is_full = |i: usize| left * u64::from(sites[i].weight) >= u64::from(most) * weight;
        let full: Vec<usize> = open.iter().copied().filter(|&i| is_full(i)).collect();
        if full.is_empty() {
            break weight;
        }
        for &i in &full {
            shares[i] = most;
        }
        left -= u64::from(most) * full.len() as u64;
        open.retain(|i| !full.contains(i));
    };
    if open.is_empty() {
        assert!(left == 0, "sites can hold what is shared out");
        return;
    }
    let exact = |i: usize| left * u64::from(sites[i].weight);
    for &i in &open {
        shares[i] = (exact(i) / weight) as u32;
    }
    let whole: u64 = open.iter().map(|&i| u64::from(shares[i])).sum();
    open.sort_by_key(|&i| (Reverse(exact(i) % weight), i));
    for &i in open.iter().take((left - whole) as usize) {
        shares[i] += 1;
    }
}
