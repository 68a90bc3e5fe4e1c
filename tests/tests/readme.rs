//! What the README tells people to type exists.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use driftless_tests::cargo::{cargo, root};
use driftless_tests::cluster::binary;

/// The lines of code blocks and all that stands between backquotes.
fn commands() -> BTreeSet<String> {
    let text = fs::read_to_string(root().join("README.md")).expect("there is a README");
    let mut commands = BTreeSet::new();
    let mut in_block = false;
    for line in text.lines().map(str::trim) {
        if line.starts_with("```") {
            in_block = !in_block;
        } else if in_block {
            commands.insert(line.to_owned());
        } else {
            commands.extend(line.split('`').skip(1).step_by(2).map(str::to_owned));
        }
    }
    commands
}

/// Whether each flag of a command line is one that its help tells of.
fn check_help(mut program: Command, line: &str) {
    let words: Vec<&str> = line.split_whitespace().collect();
    // The words before the first flag name a subcommand, as far as the help knows them.
    let names = words.iter().take_while(|word| {
        !word.starts_with('-') && word.chars().all(|c| c.is_ascii_lowercase() || c == '-')
    });
    let subcommand: Vec<&str> =
        names.copied().take(if words.first() == Some(&"cluster") { 2 } else { 1 }).collect();
    let output = program.args(&subcommand).arg("--help").output().expect("the program starts");
    let help = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "`{line}`: there is no `{}`", subcommand.join(" "));
    for flag in words.iter().filter(|word| word.starts_with('-') && **word != "--help") {
        let known = help
            .split(|c: char| c.is_whitespace() || c == ',' || c == '[' || c == '=')
            .any(|word| word == *flag);
        assert!(known, "`{line}`: `{flag}` is not in the help of `{}`", subcommand.join(" "));
    }
}

#[test]
fn commands_of_the_node_exist() {
    let prefix = "cargo run --release -- ";
    let lines: Vec<String> =
        commands().iter().filter_map(|line| line.strip_prefix(prefix)).map(str::to_owned).collect();
    assert!(lines.len() >= 5, "the README shows the node");
    for line in lines {
        check_help(Command::new(binary()), &line);
    }
}

#[test]
fn commands_of_the_simulator_exist() {
    let prefix = "cargo run --release -p driftless-sim -- ";
    let lines: Vec<String> =
        commands().iter().filter_map(|line| line.strip_prefix(prefix)).map(str::to_owned).collect();
    assert!(lines.len() >= 3, "the README shows the simulator");
    for line in lines {
        let mut program = cargo();
        program.args(["run", "--quiet", "-p", "driftless-sim", "--"]);
        check_help(program, &line);
    }
}

#[test]
fn commands_that_measure_exist() {
    let prefix = "cargo run --release -p driftless-tests -- ";
    let lines: Vec<String> =
        commands().iter().filter_map(|line| line.strip_prefix(prefix)).map(str::to_owned).collect();
    assert!(lines.len() >= 3, "the README shows what measures");
    for line in lines {
        check_help(Command::new(env!("CARGO_BIN_EXE_measure")), &line);
    }
}

#[test]
fn files_that_are_named_exist() {
    for word in commands() {
        let is_path = word.ends_with('/') || word.starts_with(".ci/");
        let named = word.split_whitespace().find(|word| word.starts_with("scenarios/"));
        for path in named.into_iter().chain(is_path.then_some(word.as_str())) {
            assert!(root().join(path).exists(), "`{path}` does not exist");
        }
    }
}

#[test]
fn ci_runs_the_readme_s_test_command() {
    let test = "cargo test --workspace";
    assert!(commands().contains(test), "the README says how to test");
    let ci = fs::read_to_string(root().join(".ci/run")).expect("there is a CI script");
    assert!(ci.lines().any(|line| line == format!("step {test}")), "CI runs exactly that");
}
