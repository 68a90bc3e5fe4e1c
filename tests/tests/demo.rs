//! The demonstration goes well, and leaves nothing behind even when it is broken off.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use driftless_tests::cluster::binary;

/// The demonstration, with a directory of its own for whatever it writes.
fn demo(name: &str) -> (Command, PathBuf) {
    let directory = std::env::temp_dir().join(format!("driftless-{name}-{}", std::process::id()));
    fs::create_dir_all(&directory).expect("the system has a directory for temporary files");
    let mut command = Command::new(binary());
    command.arg("demo").env("TMPDIR", &directory).stdin(Stdio::null());
    (command, directory)
}

#[test]
fn the_story_ends_well_and_a_pipe_gets_plain_text() {
    let (mut demo, directory) = demo("story");
    let output = demo.output().expect("it starts");
    let said = String::from_utf8(output.stdout).expect("it says text");
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}{complaints}");
    assert!(!said.contains(['\x1b', '\r']) && complaints.is_empty(), "{said}{complaints}");
    assert!(said.contains("\n  lost writes: 0\n"), "{said}");
    assert_eq!(said.matches(" handed over and stopped: ").count(), 5, "{said}");
    // Fails unless it is empty.
    fs::remove_dir(directory).expect("nothing is left");
}

#[test]
fn a_story_that_is_broken_off_leaves_nothing() {
    let (mut demo, directory) = demo("broken");
    let mut demo = demo.stdout(Stdio::piped()).spawn().expect("it starts");
    let said = BufReader::new(demo.stdout.take().expect("it was asked to be piped"));
    let mut lines = said.lines().map(|line| line.expect("it says text"));
    assert!(lines.any(|line| line.contains("node 3 listens")), "a node starts");
    let kill = Command::new("kill").args(["-TERM", &demo.id().to_string()]).status();
    assert!(kill.expect("`kill` runs").success(), "a child can be signalled");
    assert_eq!(demo.wait().expect("it ends").code(), Some(130));
    fs::remove_dir(directory).expect("nothing is left");
}
