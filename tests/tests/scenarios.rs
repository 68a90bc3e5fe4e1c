//! Every story in `scenarios/` is played, ends well, and leaves the trace that was once looked at.

use std::fs;

use driftless_sim::scenario::replay;
use driftless_tests::cargo::root;

#[test]
fn stories_go_as_they_were_told() {
    insta::with_settings!({ omit_expression => true, prepend_module_to_snapshot => false }, {
        insta::glob!("../../scenarios", "*.scn", |path| {
            let text = fs::read_to_string(path).expect("a story is text");
            let name = path.display();
            let report = match replay(&text) {
                Ok(report) => report,
                Err(error) => panic!("{name}: {error}"),
            };
            let failed = report.failed;
            assert_eq!(failed, None, "{name} went wrong:\n{}", report.trace);
            insta::assert_snapshot!(report.trace);
        });
    });
}

#[test]
fn a_story_goes_the_same_way_twice() {
    for entry in fs::read_dir(root().join("scenarios")).expect("there are stories") {
        let path = entry.expect("directories can be read").path();
        if path.extension().is_some_and(|extension| extension == "scn") {
            let text = fs::read_to_string(&path).expect("a story is text");
            assert_eq!(replay(&text), replay(&text), "{}", path.display());
        }
    }
}

#[test]
fn a_story_can_fail() {
    let text = "cluster nodes=3 seed=1\nclient c1: SET a 1\nclient c1: GET a\nexpect c1 says 2\n";
    let failed = replay(text).map(|report| report.failed.is_some());
    assert_eq!(failed, Ok(true), "an expectation that is not met is a failure");
}
