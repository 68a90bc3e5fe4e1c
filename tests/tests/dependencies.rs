//! What is built into what.

use driftless_tests::cargo::tree;

#[test]
fn the_core_depends_on_little() {
    // A new line here is a decision: whatever the core depends on decides what replicas compute.
    insta::assert_snapshot!(tree(&["-p", "driftless-core", "-e", "normal"]));
}

#[test]
fn the_node_has_no_planted_bug() {
    let features = tree(&["-p", "driftless", "-e", "features,normal", "--prefix", "none"]);
    let of_core: Vec<&str> =
        features.lines().filter(|l| l.starts_with("driftless-core ")).collect();
    assert!(!of_core.is_empty(), "the node runs the core");
    assert!(!features.contains("\"planted\""), "the node can be told to be wrong:\n{features}");
    assert!(!features.contains("driftless-sim"), "the node contains the simulator:\n{features}");
}

#[test]
fn the_simulator_can_plant_bugs_and_knows_no_runtime() {
    let features = tree(&["-p", "driftless-sim", "-e", "features,normal", "--prefix", "none"]);
    assert!(features.contains("driftless-core feature \"planted\""), "{features}");
    for runtime in ["tokio ", "madsim", "mio ", "async-std"] {
        let found = features.lines().find(|line| line.starts_with(runtime));
        assert_eq!(found, None, "the simulator must not depend on a runtime");
    }
}

#[test]
fn the_client_contains_neither_a_node_nor_a_server() {
    let tree = tree(&["-p", "driftless-client", "-e", "normal", "--prefix", "none"]);
    assert!(tree.contains("driftless-core "), "it knows where keys live:\n{tree}");
    for other in ["driftless v", "driftless-sim ", "axum ", "tower v"] {
        let found = tree.lines().find(|line| line.starts_with(other));
        assert_eq!(found, None, "a client needs none");
    }
}

/// `deny.toml` says why this one may be unmaintained: it comes with the simulated network of tests, and no further.
#[test]
fn bincode_is_in_no_program() {
    for package in ["driftless", "driftless-sim"] {
        let built = tree(&["-p", package, "-e", "normal,build", "--prefix", "none"]);
        assert!(!built.lines().any(|line| line.starts_with("bincode ")), "{package}:\n{built}");
    }
    let core = tree(&["-p", "driftless-core", "-e", "all", "--target", "all", "--prefix", "none"]);
    assert!(!core.lines().any(|line| line.starts_with("bincode ")), "{core}");
}
