//! The table holds together, and what it says of well-known commands is what Redis says.

use alloc::string::String;
use alloc::vec::Vec;

use super::*;
use crate::command::id::{CommandId, Scope};
use crate::command::spec::flag;
use crate::resp::{ArgsBuffer, Proto};

/// The row found, and what it says: name, arity, keys; or the error.
fn resolved(line: &str) -> String {
    let parts: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
    let (mut buffer, mut bytes, mut out) = (ArgsBuffer::default(), Vec::new(), Vec::new());
    let args = buffer.compose(&mut bytes, &parts);
    match resolve(&args) {
        Ok(spec) => {
            let keys = key_positions(spec, &args);
            alloc::format!("{} {} {keys:?}", spec.name, spec.arity)
        }
        Err(error) => {
            error.put(&args, &mut Reply::new(&mut out, Proto::Resp2));
            String::from_utf8(out).expect("text")
        }
    }
}

fn check(line: &str, wanted: &str) {
    assert_eq!(resolved(line), wanted, "{line}");
}

#[test]
fn commands_are_found_in_any_case() {
    check("get k", "get 2 Some((1, 1, 1))");
    check("GeT k", "get 2 Some((1, 1, 1))");
    check("MSET a 1 b 2", "mset -3 Some((1, 4, 2))");
    check("DEL a b c", "del -2 Some((1, 3, 1))");
    check("COPY a b DB 1", "copy -3 Some((1, 2, 1))");
    check("RENAME a b", "rename 3 Some((1, 2, 1))");
    check("Object Encoding k", "object|encoding 3 Some((2, 2, 1))");
    check("memory usage k samples 5", "memory|usage -3 Some((2, 2, 1))");
    check("PING", "ping -1 None");
    check("COMMAND", "command -1 None");
    check("client SETNAME x", "client|setname 3 None");
    for spec in all() {
        assert!(core::ptr::eq(lookup(spec.name.as_bytes()).expect("found"), spec));
        let upper = spec.name.to_ascii_uppercase();
        assert!(core::ptr::eq(lookup(upper.as_bytes()).expect("found"), spec));
        let longer = alloc::format!("{}x", spec.name);
        assert!(lookup(longer.as_bytes()).is_none_or(|found| found.name == longer));
    }
    for name in [&b""[..], b"\0get", b"ge", b"a very long name that is none", b"get\0"] {
        assert!(lookup(name).is_none());
    }
}

#[test]
fn errors_are_those_of_redis() {
    check("foo a b", "-ERR unknown command 'foo', with args beginning with: 'a' 'b' \r\n");
    check("foo", "-ERR unknown command 'foo', with args beginning with: \r\n");
    check("get", "-ERR wrong number of arguments for 'get' command\r\n");
    check("get a b", "-ERR wrong number of arguments for 'get' command\r\n");
    check("client", "-ERR wrong number of arguments for 'client' command\r\n");
    check("client SETNAME", "-ERR wrong number of arguments for 'client|setname' command\r\n");
    check("client x", "-ERR unknown subcommand 'x'. Try CLIENT HELP.\r\n");
    let long = "x".repeat(300);
    let wanted = alloc::format!(
        "-ERR unknown command '{}', with args beginning with: '{}' \r\n",
        &long[..128],
        &long[..128]
    );
    check(&alloc::format!("{long} {long}"), &wanted);
}

#[test]
fn the_table_is_sorted_and_every_row_makes_sense() {
    let sorted = |rows: &[Spec]| rows.windows(2).all(|pair| pair[0].name < pair[1].name);
    for part in PARTS {
        assert!(sorted(part));
    }
    for spec in every() {
        let name = spec.name;
        assert!(sorted(spec.subcommands), "{name}");
        assert!(spec.arity != 0, "{name}");
        assert!(!spec.docs.summary.is_empty() && !spec.docs.since.is_empty(), "{name}");
        let least = i8::try_from(spec.arity.unsigned_abs()).expect("small");
        for keys in spec.keys {
            assert!(keys.first >= 1 && keys.first < least && keys.step >= 1, "{name}");
            assert!(keys.last >= -1 && keys.first + keys.last.max(0) < least, "{name}");
        }
        let writes =
            matches!(spec.scope, Scope::Write | Scope::SplitWrite(_) | Scope::EveryWrite(_));
        assert_eq!(writes, spec.has(flag::WRITE), "{name}");
        let keyed = matches!(
            spec.scope,
            Scope::Read | Scope::Write | Scope::SplitRead(_) | Scope::SplitWrite(_)
        );
        assert_eq!(keyed, !spec.keys.is_empty(), "{name}");
        assert!(!spec.has(flag::WRITE | flag::READONLY), "{name}");
        for (at, argument) in spec.docs.arguments.iter().enumerate() {
            let found = argument.key.is_none_or(|key| usize::from(key) < spec.keys.len());
            assert!(found, "{name}: argument {at}");
        }
    }
}

#[test]
fn every_command_has_its_own_id() {
    let shared = [CommandId::Help, CommandId::ReplicaOf];
    let mut ids: Vec<CommandId> = every().map(|spec| spec.id).collect();
    ids.retain(|id| !shared.contains(id));
    let count = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), count);
}
