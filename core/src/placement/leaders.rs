//! Who should lead: each site leads its part of the groups it holds, to within one.

use alloc::collections::VecDeque;
use alloc::vec;
use alloc::vec::Vec;

/// Reorders the sites of each group (`factor` of them, group after group) so that every site comes first
/// in `quota / factor` groups, rounded down or up. Who holds what does not change.
///
/// If a site leads too much, some chain of groups passes a leadership on to a site that can take one: were
/// there none, the sites that the chains reach would lead more groups than they hold replicas for.
pub(super) fn even_out(held: &mut [usize], quota: &[u32], factor: usize) {
    let mut led = vec![0_u32; quota.len()];
    for group in held.chunks_exact_mut(factor) {
        // The site that has led the least for what it holds: compare led/quota without dividing.
        let load = |at: usize| (u64::from(led[at]) << 32) / u64::from(quota[at]);
        let best = (0..factor).min_by_key(|&place| (load(group[place]), place));
        group.swap(0, best.expect("a group has a replica"));
        led[group[0]] += 1;
    }
    let low: Vec<u32> = quota.iter().map(|&count| count / factor as u32).collect();
    let high: Vec<u32> = quota.iter().map(|&count| count.div_ceil(factor as u32)).collect();
    while let Some(from) = (0..led.len()).find(|&at| led[at] > high[at]) {
        pass_on(held, factor, &mut led, |at| at == from, |at, led| led < high[at]);
    }
    while let Some(to) = (0..led.len()).find(|&at| led[at] < low[at]) {
        let rich: Vec<bool> = (0..led.len()).map(|at| led[at] > low[at]).collect();
        pass_on(held, factor, &mut led, |at| rich[at], |at, _| at == to);
    }
}

/// Finds the shortest chain from a site that should give a leadership away to one that should get it, and
/// moves one along it.
fn pass_on(
    held: &mut [usize],
    factor: usize,
    led: &mut [u32],
    gives: impl Fn(usize) -> bool,
    gets: impl Fn(usize, u32) -> bool,
) {
    let mut groups_of = vec![Vec::new(); led.len()];
    for (group, replicas) in held.chunks_exact(factor).enumerate() {
        groups_of[replicas[0]].push(group);
    }
    // From whom, and through which group, each site was reached.
    let mut came: Vec<Option<(usize, usize)>> = vec![None; led.len()];
    let mut seen: Vec<bool> = (0..led.len()).map(&gives).collect();
    let mut queue: VecDeque<usize> = (0..led.len()).filter(|&at| seen[at]).collect();
    while let Some(at) = queue.pop_front() {
        if came[at].is_some() && gets(at, led[at]) {
            shift(held, factor, led, &came, at);
            return;
        }
        for &group in &groups_of[at] {
            for &next in &held[group * factor..(group + 1) * factor] {
                if !seen[next] {
                    seen[next] = true;
                    came[next] = Some((at, group));
                    queue.push_back(next);
                }
            }
        }
    }
    unreachable!("an even spread of leaders exists, so a chain to it does");
}

/// Moves one leadership along the chain that ends at `last`.
fn shift(
    held: &mut [usize],
    factor: usize,
    led: &mut [u32],
    came: &[Option<(usize, usize)>],
    last: usize,
) {
    let mut at = last;
    led[last] += 1;
    while let Some((before, group)) = came[at] {
        let replicas = &mut held[group * factor..(group + 1) * factor];
        let place = replicas.iter().position(|&site| site == at);
        replicas.swap(0, place.expect("the chain runs through groups that both sites hold"));
        at = before;
    }
    led[at] -= 1;
}
