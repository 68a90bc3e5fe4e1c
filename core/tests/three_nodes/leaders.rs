//! Leaders: where they are, what they cost, and what it costs to move them.

use driftless_core::engine::describe_frames;
use driftless_core::{GroupId, Role};

use crate::three::{MS, Three};

const SECOND: u64 = 1_000 * MS;

/// Who leads each group, by the word of the leaders themselves; 0 if nobody does.
fn leaders(three: &Three) -> Vec<u32> {
    let leads = |at: usize, group: GroupId| {
        let node = &three.nodes[at];
        !node.down && node.engine.view(group).is_some_and(|view| view.role == Role::Leader)
    };
    let leader = |group| (0..3).find(|&at| leads(at, group)).map_or(0, |at| at as u32 + 1);
    three.placement.groups().map(leader).collect()
}

/// Who should lead each group.
fn preferred(three: &Three) -> Vec<u32> {
    three.placement.groups().map(|group| three.placement.replicas(group)[0].0).collect()
}

fn terms(three: &Three) -> Vec<u64> {
    let term = |group| three.nodes[0].engine.view(group).map_or(0, |view| view.term.0);
    three.placement.groups().map(term).collect()
}

fn restart(three: &mut Three, at: usize) {
    three.stop(at);
    three.run(2 * SECOND);
    assert!(!leaders(three).contains(&(at as u32 + 1)), "others lead while a node is down");
    assert!(!leaders(three).contains(&0), "each group has another leader");
    three.start(at);
}

#[test]
fn leaders_return_to_their_preferred_replicas_and_stay() {
    let mut three = Three::new(60);
    three.run(15 * SECOND);
    assert_eq!(leaders(&three), preferred(&three), "after the start");
    for at in 0..3 {
        restart(&mut three, at);
        three.run(4 * SECOND);
        assert_ne!(leaders(&three), preferred(&three), "not before the node has been well a while");
        three.run(16 * SECOND);
        assert_eq!(leaders(&three), preferred(&three), "after node {} came back", at + 1);
    }
    let before = terms(&three);
    three.run(120 * SECOND);
    assert_eq!(leaders(&three), preferred(&three), "long after");
    assert_eq!(terms(&three), before, "nothing moves any more");
}

#[test]
fn idle_groups_send_nothing_and_are_not_looked_at() {
    for down in [&[][..], &[0], &[2], &[0, 1]] {
        let mut three = Three::new(60);
        // Leaders have returned, and replicas have compared what they hold.
        three.run(60 * SECOND);
        for at in down {
            three.stop(*at);
        }
        three.run(60 * SECOND);
        let up = |three: &Three, at: usize| !three.nodes[at].down;
        for node in &mut three.nodes {
            node.sent.clear();
            node.turns = 0;
        }
        three.run(60 * SECOND);
        for at in (0..3).filter(|&at| up(&three, at)) {
            let node = &three.nodes[at];
            // A beat every 150 ms, and one of each other node arrives as often.
            assert!(node.turns <= 400 * 3 + 3, "{} turns with {down:?} down", node.turns);
            for (to, bytes) in &node.sent {
                for frame in describe_frames(bytes) {
                    assert!(frame.starts_with("Beat"), "to {to:?} with {down:?} down: {frame}");
                }
            }
        }
    }
}

#[test]
fn a_node_that_comes_and_goes_is_handed_less_and_less() {
    let mut three = Three::new(6);
    three.run(15 * SECOND);
    let group = preferred(&three).iter().position(|node| *node == 1).expect("it should lead one");
    let mut returns = [0; 2];
    for round in 0..20 {
        restart(&mut three, 0);
        three.run(12 * SECOND);
        returns[round / 10] += u32::from(leaders(&three)[group] == 1);
    }
    // Two others lead it by turns, and each of them waits twice as long from time to time.
    let [early, late] = returns;
    assert!(
        early >= 2 * late && late <= 3,
        "it was handed the group {early} times, then {late} times"
    );
    three.run(600 * SECOND);
    assert_eq!(leaders(&three), preferred(&three), "once it has stayed for long");
}

#[test]
fn a_hand_over_costs_clients_no_error_and_a_few_syncs() {
    let mut three = Three::new(30);
    three.sync_takes = 2 * MS;
    three.run(15 * SECOND);
    restart(&mut three, 1);
    // So many that some are on their way to each group whenever it moves.
    let each = 6;
    let mut answered = [0; 3];
    let (mut asked, mut slowest) = (0, 0);
    while leaders(&three) != preferred(&three) {
        asked += 1;
        assert!(asked < 20_000, "leaders return while clients write");
        for at in 0..3 {
            for number in 0..each {
                three.command(at, &["INCR", &format!("key{}", (asked * each + number) % 997)]);
            }
        }
        three.run(MS);
        for (at, answered) in answered.iter_mut().enumerate() {
            let answers = three.answers(at);
            assert!(!answers.contains('-'), "node {} after {asked} ms: {answers:?}", at + 1);
            *answered += answers.lines().count();
            slowest = slowest.max(asked - *answered / each);
        }
    }
    assert!(asked > 4_000, "the node had to be well for a while first");
    // Two votes and the first entry of the reign, one after the other, and each may find a sync under way.
    assert!(slowest <= 16, "a command waited for {slowest} ms");
}
