//! The rules of the house, checked: who may import whom, how long things may be, what may not be called.

use std::collections::BTreeMap;

use driftless_tests::source::{Source, sources};

const ALL: [&str; 4] = ["core", "node", "sim", "tests"];

/// Longest file, in lines.
const FILE_LINES: usize = 600;
/// Longest function, in lines.
const FUNCTION_LINES: usize = 70;

/// The layers of the core, from the bottom up, and the modules in each. A module may import what stands
/// below it; the two lowest layers are vocabulary, so their modules may import each other.
const LAYERS: [(&str, &[&str]); 5] = [
    ("leaf", &["bytes", "config", "event", "ids", "latency", "outputs", "rng", "time", "window"]),
    ("data", &["entry", "message", "placement", "pulse", "quorum", "resp"]),
    ("machine", &["command", "raft", "store", "swim", "wal"]),
    ("composition", &["cluster", "group", "session"]),
    ("boundary", &["engine"]),
];

/// Imports within a layer above the vocabulary, each with its reason.
const NEIGHBOURS: [(&str, &str, &str); 2] = [
    ("command", "store", "a command is what it does to the store"),
    ("group", "session", "a group answers those who wait through their sessions"),
];

fn report(what: &str, found: &[String]) {
    assert!(found.is_empty(), "{what}:\n{}", found.join("\n"));
}

fn layer_of(module: &str) -> Option<usize> {
    LAYERS.iter().position(|(_, modules)| modules.contains(&module))
}

/// The module of the core that a file belongs to; `None` for `lib.rs`.
fn module_of(source: &Source) -> Option<String> {
    let path = source.path.strip_prefix("core/src").ok()?;
    let first = path.components().next()?.as_os_str().to_str()?;
    let module = first.strip_suffix(".rs").unwrap_or(first);
    (module != "lib").then(|| module.to_owned())
}

fn may_import(from: &str, to: &str) -> bool {
    let (Some(from_layer), Some(to_layer)) = (layer_of(from), layer_of(to)) else { return false };
    let neighbours = NEIGHBOURS.iter().any(|&(a, b, _)| (a, b) == (from, to));
    let vocabulary = from_layer == to_layer && from_layer < 2;
    from == to || to_layer < from_layer || vocabulary || neighbours
}

#[test]
fn modules_of_the_core_import_only_what_stands_below_them() {
    let mut wrong = Vec::new();
    for source in sources(&["core/src"]) {
        let Some(module) = module_of(&source) else { continue };
        if layer_of(&module).is_none() {
            wrong.push(format!("{}: `{module}` has no layer in LAYERS", source.path.display()));
        }
        for (line, to) in source.crate_paths() {
            if !may_import(&module, &to) {
                let path = source.path.display();
                wrong.push(format!("{path}:{line}: `{module}` may not import `{to}`"));
            }
        }
        // `super` in a file of the top level is the root of the crate by another name.
        let top = source.path.components().count() == 3;
        for (line, _) in source.shipped_uses("super::").iter().filter(|_| top) {
            wrong.push(format!("{}:{line}: say `crate::`", source.path.display()));
        }
    }
    report("layers (see LAYERS in this test)", &wrong);
}

#[test]
fn the_layer_rule_can_fail() {
    assert!(may_import("raft", "ids") && may_import("engine", "raft"));
    assert!(may_import("command", "store") && !may_import("store", "command"));
    assert!(!may_import("raft", "wal") && !may_import("ids", "resp"));
    assert!(!may_import("unheard_of", "ids"));
}

#[test]
fn files_and_functions_are_short() {
    let mut wrong = Vec::new();
    for source in sources(&ALL) {
        let path = source.path.display();
        let lines = source.text.lines().count();
        if lines > FILE_LINES {
            wrong.push(format!("{path}: {lines} lines, at most {FILE_LINES}"));
        }
        for function in source.functions() {
            if function.lines > FUNCTION_LINES {
                let (name, line, lines) = (function.name, function.line, function.lines);
                wrong.push(format!(
                    "{path}:{line}: `{name}` has {lines} lines, at most {FUNCTION_LINES}"
                ));
            }
        }
    }
    report("too long", &wrong);
}

/// What shipped code may not say: where, what, why, and the files that may.
type Ban = (&'static [&'static str], &'static str, &'static str, &'static [&'static str]);

const BANS: &[Ban] = &[
    (&["core/src"], "std::", "the core has no std", &[]),
    (&["core/src"], "extern crate std", "the core has no std", &[]),
    (&["core/src", "sim/src"], "SystemTime", "time is an argument", &[]),
    (&["core/src", "sim/src"], "std::time", "time is an argument", SIM_TOOL),
    (&["core/src", "sim/src"], "Instant::now", "time is an argument", SIM_TOOL),
    (&["core/src", "sim/src"], "thread_rng", "chance is an argument", &[]),
    (&["core/src", "sim/src"], "rand::rng", "chance is an argument", &[]),
    (&["core/src", "sim/src"], "getrandom", "chance is an argument", &[]),
    (&["core/src", "sim/src"], "RandomState", "no order that differs from run to run", &[]),
    (&["core/src", "sim/src"], ".unwrap()", "`expect` says why it holds", &[]),
    (&["core/src", "sim/src"], "tokio", "nothing here does I/O", &[]),
    (&["core/src", "sim/src"], "TcpStream", "nothing here opens a socket", &[]),
    (&["core/src", "sim/src"], "UdpSocket", "nothing here opens a socket", &[]),
    (&["core/src"], "println!", "the core does no I/O", &[]),
    (&["core/src"], "eprintln!", "the core does no I/O", &[]),
    (&["core", "node", "sim"], "dbg!", "left over", &[]),
    (&["core", "node", "sim"], "todo!", "unfinished", &[]),
    (&["core", "node", "sim"], "unimplemented!", "unfinished", &[]),
];

/// The command line of the simulator tells how fast it was; the world it runs knows no such clock.
const SIM_TOOL: &[&str] = &["sim/src/main.rs", "sim/src/bin/"];

#[test]
fn nothing_banned_is_called() {
    let mut wrong = Vec::new();
    for &(members, word, why, except) in BANS {
        for source in sources(members) {
            let path = source.path.display().to_string();
            if except.iter().any(|start| path.starts_with(start)) {
                continue;
            }
            for (line, _) in source.shipped_uses(word) {
                wrong.push(format!("{path}:{line}: `{word}`: {why}"));
            }
        }
    }
    report("banned", &wrong);
}

#[test]
fn no_test_is_skipped_and_none_sleeps() {
    // Spelled so that this file does not find itself.
    let words = [concat!("#[ign", "ore"), concat!("thread::", "sleep"), concat!("time::", "sleep")];
    let mut wrong = Vec::new();
    for source in sources(&ALL) {
        let shipped: BTreeMap<usize, &str> = source.shipped.lines().enumerate().collect();
        for (at, line) in source.code.lines().enumerate() {
            let is_test = shipped.get(&at).is_none_or(|kept| kept.trim().is_empty());
            for word in words.iter().filter(|word| is_test && line.contains(**word)) {
                wrong.push(format!("{}:{}: `{word}`", source.path.display(), at + 1));
            }
        }
    }
    report("tests that are skipped, or that wait for time to pass", &wrong);
}

#[test]
fn the_core_has_no_std() {
    let root =
        sources(&["core/src"]).into_iter().find(|source| source.path.ends_with("src/lib.rs"));
    let root = root.expect("the core has a root");
    assert!(root.code.contains("#![no_std]"), "the core cannot do I/O because it has no std");
}

#[test]
fn unsafe_code_stands_in_no_member() {
    let mut wrong = Vec::new();
    for source in sources(&ALL) {
        let path = source.path.display().to_string();
        for (at, line) in source.code.lines().enumerate() {
            let says =
                line.split(|c: char| !c.is_alphanumeric() && c != '_').any(|w| w == "unsafe");
            if says {
                wrong.push(format!("{path}:{}", at + 1));
            }
        }
    }
    report("unsafe", &wrong);
}
