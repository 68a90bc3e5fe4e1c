//! COMMAND: the table itself, as clients read it.

use alloc::vec::Vec;

use crate::command::glob;
use crate::command::id::CommandId as Id;
use crate::command::spec::{Argument, KeySpec, Spec, access, category, flag, names};
use crate::command::table::{COUNT, all, key_positions, lookup, subcommand};
use crate::resp::{Args, ArgsBuffer, Reply};

/// Runs COMMAND or a subcommand of it.
pub(super) fn execute(spec: &Spec, args: &Args<'_>, reply: &mut Reply<'_>) {
    match spec.id {
        Id::Command => {
            reply.array(COUNT);
            all().for_each(|spec| row(spec, reply));
        }
        Id::CommandCount => reply.count(COUNT as u64),
        Id::CommandInfo => info(args, reply),
        Id::CommandDocs => docs(args, reply),
        Id::CommandList => list(args, reply),
        Id::CommandGetKeys | Id::CommandGetKeysAndFlags => {
            keys(spec.id == Id::CommandGetKeysAndFlags, args, reply);
        }
        _ => reply.error("ERR syntax error"),
    }
}

/// A command, or `container|subcommand`.
fn find(name: &[u8]) -> Option<&'static Spec> {
    match name.iter().position(|&byte| byte == b'|') {
        None => lookup(name),
        Some(at) => subcommand(lookup(&name[..at])?, &name[at + 1..]),
    }
}

/// COMMAND INFO [name ...].
fn info(args: &Args<'_>, reply: &mut Reply<'_>) {
    if args.len() == 2 {
        reply.array(COUNT);
        all().for_each(|spec| row(spec, reply));
        return;
    }
    reply.array(args.len() - 2);
    for name in args.iter().skip(2) {
        match find(name) {
            Some(spec) => row(spec, reply),
            None => reply.null(),
        }
    }
}

/// The ten elements that describe a command.
fn row(spec: &Spec, reply: &mut Reply<'_>) {
    let (first, last, step) = spec.key_range();
    reply.array(10);
    reply.bulk(spec.name.as_bytes());
    reply.integer(i64::from(spec.arity));
    words(spec.flags, flag::NAMES, reply);
    for position in [first, last, step] {
        reply.integer(i64::from(position));
    }
    words(spec.all_categories(), category::NAMES, reply);
    reply.set(spec.tips.len());
    spec.tips.iter().for_each(|tip| reply.bulk(tip.as_bytes()));
    reply.set(spec.keys.len());
    spec.keys.iter().for_each(|keys| key_spec(keys, reply));
    reply.set(spec.subcommands.len());
    spec.subcommands.iter().for_each(|spec| row(spec, reply));
}

/// Names of bits, as a set.
fn words(bits: u32, all: &'static [&'static str], reply: &mut Reply<'_>) {
    let names = names(bits, all);
    reply.set(names.clone().count());
    names.for_each(|name| reply.simple(name));
}

fn key_spec(keys: &KeySpec, reply: &mut Reply<'_>) {
    reply.map(3 + usize::from(!keys.notes.is_empty()));
    if !keys.notes.is_empty() {
        pair("notes", keys.notes, reply);
    }
    reply.bulk(b"flags");
    words(keys.access, access::NAMES, reply);
    reply.bulk(b"begin_search");
    reply.map(2);
    pair("type", "index", reply);
    reply.bulk(b"spec");
    reply.map(1);
    number("index", keys.first, reply);
    reply.bulk(b"find_keys");
    reply.map(2);
    pair("type", "range", reply);
    reply.bulk(b"spec");
    reply.map(3);
    number("lastkey", keys.last, reply);
    number("keystep", keys.step, reply);
    number("limit", 0, reply);
}

fn pair(name: &str, value: &str, reply: &mut Reply<'_>) {
    reply.bulk(name.as_bytes());
    reply.bulk(value.as_bytes());
}

fn number(name: &str, value: i8, reply: &mut Reply<'_>) {
    reply.bulk(name.as_bytes());
    reply.integer(i64::from(value));
}

/// COMMAND DOCS [name ...]: unknown names are left out.
fn docs(args: &Args<'_>, reply: &mut Reply<'_>) {
    let found: Vec<&Spec> = if args.len() == 2 {
        all().collect()
    } else {
        args.iter().skip(2).filter_map(find).collect()
    };
    reply.map(found.len());
    for spec in found {
        document(spec, reply);
    }
}

fn document(spec: &Spec, reply: &mut Reply<'_>) {
    let docs = &spec.docs;
    let texts = [
        ("summary", docs.summary),
        ("since", docs.since),
        ("group", docs.group),
        ("complexity", docs.complexity),
    ];
    let texts = texts.iter().filter(|(_, text)| !text.is_empty());
    let replaced = if docs.replaced.is_some() { 3 } else { 0 };
    let lists = usize::from(!docs.arguments.is_empty()) + usize::from(!spec.subcommands.is_empty());
    reply.bulk(spec.name.as_bytes());
    reply.map(texts.clone().count() + replaced + lists);
    texts.for_each(|(name, text)| pair(name, text, reply));
    if let Some((since, by)) = docs.replaced {
        reply.bulk(b"doc_flags");
        reply.set(1);
        reply.simple("deprecated");
        pair("deprecated_since", since, reply);
        pair("replaced_by", by, reply);
    }
    if !docs.arguments.is_empty() {
        reply.bulk(b"arguments");
        arguments(docs.arguments, reply);
    }
    if !spec.subcommands.is_empty() {
        reply.bulk(b"subcommands");
        reply.map(spec.subcommands.len());
        spec.subcommands.iter().for_each(|spec| document(spec, reply));
    }
}

fn arguments(all: &[Argument], reply: &mut Reply<'_>) {
    reply.array(all.len());
    for argument in all {
        let simple = argument.arguments.is_empty();
        let flags = [(argument.optional, "optional"), (argument.multiple, "multiple")];
        let flags = flags.iter().filter(|(set, _)| *set);
        let count = 2
            + usize::from(simple)
            + usize::from(argument.key.is_some())
            + usize::from(argument.token.is_some())
            + usize::from(flags.clone().count() > 0)
            + usize::from(!simple);
        reply.map(count);
        pair("name", argument.name, reply);
        pair("type", argument.kind, reply);
        if simple {
            pair("display_text", argument.name, reply);
        }
        if let Some(key) = argument.key {
            reply.bulk(b"key_spec_index");
            reply.integer(i64::from(key));
        }
        if let Some(token) = argument.token {
            pair("token", token, reply);
        }
        if flags.clone().count() > 0 {
            reply.bulk(b"flags");
            reply.set(flags.clone().count());
            flags.for_each(|(_, name)| reply.simple(name));
        }
        if !simple {
            reply.bulk(b"arguments");
            arguments(argument.arguments, reply);
        }
    }
}

/// COMMAND LIST [FILTERBY MODULE name | ACLCAT category | PATTERN pattern].
fn list(args: &Args<'_>, reply: &mut Reply<'_>) {
    let wanted: &dyn Fn(&Spec) -> bool = match args.len() {
        2 => &|_| true,
        5 if args.at(2).eq_ignore_ascii_case(b"filterby") => {
            let value = args.at(4);
            match args.at(3).to_ascii_lowercase().as_slice() {
                b"module" => &|_| false,
                b"aclcat" => &move |spec: &Spec| {
                    names(spec.all_categories(), category::NAMES)
                        .any(|name| name.as_bytes()[1..].eq_ignore_ascii_case(value))
                },
                b"pattern" => &move |spec: &Spec| glob::matches(value, spec.name.as_bytes(), true),
                _ => return reply.error("ERR syntax error"),
            }
        }
        _ => return reply.error("ERR syntax error"),
    };
    let found: Vec<&Spec> = all()
        .flat_map(|spec| core::iter::once(spec).chain(spec.subcommands))
        .filter(|spec| wanted(spec))
        .collect();
    reply.array(found.len());
    for spec in found {
        reply.bulk(spec.name.as_bytes());
    }
}

/// COMMAND GETKEYS and GETKEYSANDFLAGS command [argument ...].
fn keys(with_flags: bool, args: &Args<'_>, reply: &mut Reply<'_>) {
    let parts: Vec<&[u8]> = args.iter().skip(2).collect();
    let (mut buffer, mut bytes) = (ArgsBuffer::default(), Vec::new());
    let args = buffer.compose(&mut bytes, &parts);
    let found = lookup(args.at(0)).and_then(|spec| match args.get(1) {
        Some(name) if !spec.subcommands.is_empty() => subcommand(spec, name),
        _ => Some(spec),
    });
    let Some(spec) = found else { return reply.error("ERR Invalid command specified") };
    if spec.keys.is_empty() {
        return reply.error("ERR The command has no key arguments");
    }
    if !spec.accepts(args.len()) {
        return reply.error("ERR Invalid number of arguments specified for command");
    }
    let Some((first, last, step)) = key_positions(spec, &args) else {
        return reply.error("ERR The command has no key arguments");
    };
    let positions = (first..=last).step_by(step);
    reply.array(positions.clone().count());
    for position in positions {
        if with_flags {
            reply.array(2);
        }
        reply.bulk(args.at(position));
        if with_flags {
            let plain_set = spec.id == Id::Set
                && !args.iter().skip(3).any(|option| option.eq_ignore_ascii_case(b"get"));
            if plain_set {
                words(access::OW | access::UPDATE, access::NAMES, reply);
                continue;
            }
            let exact =
                spec.keys.iter().find(|keys| usize::from(keys.first.unsigned_abs()) == position);
            words(exact.unwrap_or(&spec.keys[0]).access, access::NAMES, reply);
        }
    }
}
