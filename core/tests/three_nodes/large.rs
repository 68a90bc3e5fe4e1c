//! Large answers: asked for, kept and passed on in pieces.

use driftless_core::GroupId;
use driftless_core::config::Limits;

use crate::three::{MS, Three};

fn leader(three: &Three) -> usize {
    let view = three.nodes[0].engine.view(GroupId(1)).expect("all hold all");
    view.leader.expect("somebody leads").0 as usize - 1
}

/// Most bytes that one turn of a node left for another.
fn most_sent(three: &Three, at: usize) -> usize {
    three.nodes[at].sent.iter().map(|(_, bytes)| bytes.len()).max().unwrap_or(0)
}

const LARGE: usize = 32 << 10;
const COUNT: usize = 300;

/// A node whose client asks, in one go, for a large value many times, after many small ones.
fn pipeline_of_large_reads(at_leader: bool) -> (Three, usize, usize) {
    let limits = Limits {
        client_bytes: 256 << 10,
        forwarded_bytes: 512 << 10,
        peer_bytes: 1 << 20,
        ..Limits::default()
    };
    let mut three = Three::with(1, limits);
    // Long enough for the leader to be where it stays.
    three.run(15_000 * MS);
    let leader = leader(&three);
    let at = if at_leader { leader } else { (leader + 1) % 3 };
    assert_eq!(three.ask(at, &["SET", "large", &"x".repeat(LARGE)]), "+OK\r\n");
    let commands = [("small", 2_000), ("large", COUNT)];
    for (key, count) in commands {
        let command = vec![String::from("GET"), String::from(key)];
        three.nodes[at].pipeline.extend(std::iter::repeat_n(command, count));
    }
    (three, at, leader)
}

#[test]
fn a_pipeline_of_large_reads_is_answered_in_pieces() {
    for at_leader in [false, true] {
        let (mut three, at, leader) = pipeline_of_large_reads(at_leader);
        three.run(20_000 * MS);
        let answers = three.answers(at);
        let large = format!("${LARGE}\r\n{}\r\n", "x".repeat(LARGE));
        assert!(answers == "$-1\r\n".repeat(2_000) + &large.repeat(COUNT), "all, in order");
        let most = (1 << 20) + 2 * LARGE;
        assert!(most_sent(&three, leader) < most, "{}", most_sent(&three, leader));
        // What was asked for while answers were small may come at once.
        assert!(three.nodes[at].most_replied < most, "{}", three.nodes[at].most_replied);
    }
}

#[test]
fn nothing_more_is_read_for_a_node_that_takes_no_answers() {
    let (mut three, at, leader) = pipeline_of_large_reads(false);
    three.nodes[leader].unsent = 1 << 30;
    three.run(1_000 * MS);
    assert_eq!(three.answers(at), "", "all was refused, and nothing was given up");
    let third = 3 - at - leader;
    assert_eq!(three.ask(leader, &["INCR", "n"]), ":1\r\n", "others are served");
    three.nodes[leader].unsent = 0;
    assert!(most_sent(&three, third) < 64 << 10);
    three.run(20_000 * MS);
    assert_eq!(three.answers(at).len(), 2_000 * 5 + COUNT * (LARGE + 10));
}
