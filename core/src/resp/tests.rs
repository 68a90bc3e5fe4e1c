//! Commands and answers as they arrive: whole, in pieces, and damaged.

use alloc::string::{String, ToString as _};
use alloc::vec;
use alloc::vec::Vec;

use crate::bytes::Malformed;
use crate::resp::{ArgsBuffer, ParseError, Parsed, Proto, Reply, Value, decode, parse, parse_more};
use crate::rng::{Chance, Seed};

const MOST: usize = 64 << 20;

/// What became of a stream: the commands in it, and how it ended.
#[derive(Debug, PartialEq, Eq)]
struct Stream {
    commands: Vec<Vec<Vec<u8>>>,
    error: Option<ParseError>,
    rest: usize,
}

/// Parses a stream that arrives in pieces which end where `cuts` says.
fn stream(bytes: &[u8], cuts: &mut dyn FnMut() -> usize, most: usize) -> Stream {
    let mut args = ArgsBuffer::default();
    let mut found = Stream { commands: Vec::new(), error: None, rest: 0 };
    let (mut from, mut to, mut wanted) = (0, 0, 0);
    while to < bytes.len() {
        to = (to + cuts().max(1)).min(bytes.len());
        // What has arrived when nothing more comes is looked at once more.
        while to > from && (to - from >= wanted || to == bytes.len()) {
            match parse_more(&bytes[from..to], &mut args, most) {
                Ok(Parsed::Command { used }) => {
                    assert!(used > 0 && used <= to - from, "a command is made of its own bytes");
                    let command = args.args(&bytes[from..to]).iter().map(<[u8]>::to_vec).collect();
                    found.commands.push(command);
                    args.clear();
                    from += used;
                    wanted = 0;
                }
                Ok(Parsed::Incomplete { at_least }) => {
                    assert!(at_least > to - from, "what is missing is more than what is there");
                    wanted = at_least;
                    break;
                }
                Err(error) => {
                    found.error = Some(error);
                    return found;
                }
            }
        }
    }
    found.rest = to - from;
    found
}

fn check(bytes: &[u8], wanted: &[&[&str]], end: &str) {
    let whole = stream(bytes, &mut || bytes.len(), MOST);
    let single = stream(bytes, &mut || 1, MOST);
    assert_eq!(whole, single, "{}", bytes.escape_ascii());
    let found: Vec<Vec<String>> = (whole.commands.iter())
        .map(|command| command.iter().map(|part| part.escape_ascii().to_string()).collect())
        .collect();
    assert_eq!(found, wanted, "{}", bytes.escape_ascii());
    let ended = match whole.error {
        Some(error) => error.to_string(),
        None if whole.rest > 0 => "incomplete".to_string(),
        None => String::new(),
    };
    assert_eq!(ended, end, "{}", bytes.escape_ascii());
}

#[test]
fn commands_are_arrays_of_bulk_strings() {
    check(b"*1\r\n$4\r\nPING\r\n", &[&["PING"]], "");
    check(b"*2\r\n$3\r\nGET\r\n$0\r\n\r\n", &[&["GET", ""]], "");
    check(b"*2\r\n$3\r\nGET\r\n$4\r\n\r\n\0*\r\n", &[&["GET", "\\r\\n\\x00*"]], "");
    check(b"*0\r\n*-1\r\n*-7\r\n", &[&[], &[], &[]], "");
    check(b"*1\r\n$1\r\na\r\n*1\r\n$1\r\nb\r\n", &[&["a"], &["b"]], "");
    check(b"*1\r\n$1\r\na\r\n*1\r\n$1\r\nb", &[&["a"]], "incomplete");
}

#[test]
fn lines_are_commands_too() {
    check(b"PING\r\n", &[&["PING"]], "");
    check(b"PING\n", &[&["PING"]], "");
    check(b"\r\n\n  \r\n", &[&[], &[], &[]], "");
    check(b"  set \t k  v \r\n", &[&["set", "k", "v"]], "");
    check(
        b"set k \"a b\\x41\\n\\r\\t\\b\\a\\\"\\q\"\n",
        &[&["set", "k", "a bA\\n\\r\\t\\x08\\x07\\\"q"]],
        "",
    );
    check(b"set k 'a \\' \\n'\r\n", &[&["set", "k", "a \\' \\\\n"]], "");
    check(b"set k \"\" ''\n", &[&["set", "k", "", ""]], "");
    check(b"a\"b c\"\n", &[&["ab c"]], "");
    check(b"get \xff\n", &[&["get", "\\xff"]], "");
    check(b"get k", &[], "incomplete");
    let quotes = "ERR Protocol error: unbalanced quotes in request";
    for line in [&b"set k \"a\n"[..], b"set k 'a\n", b"set \"a\"b\n", b"set 'a'b\n", b"a \"\\\n"] {
        check(line, &[], quotes);
    }
}

#[test]
fn errors_are_those_of_redis() {
    let multibulk = "ERR Protocol error: invalid multibulk length";
    for bytes in [
        &b"*x\r\n"[..],
        b"*\r\n",
        b"*1x",
        b"*01\r\n",
        b"*1048577\r\n",
        b"* 1\r\n",
        b"*+1\r\n",
        b"*99999999999999999999999999",
        b"*1\rx",
        b"*-\r\n",
        b"*-0\r\n",
    ] {
        check(bytes, &[], multibulk);
    }
    let bulk = "ERR Protocol error: invalid bulk length";
    for bytes in [
        &b"*1\r\n$x\r\n"[..],
        b"*1\r\n$-1\r\n",
        b"*1\r\n$\r\n",
        b"*1\r\n$536870913\r\n",
        b"*1\r\n$1073741824\r\n",
        b"*1\r\n$67108864\r\n",
        b"*1\r\n$00\r\n",
    ] {
        check(bytes, &[], bulk);
    }
    let http = "ERR Protocol error: this is not an HTTP server";
    check(b"GET / HTTP/1.1\r\nHost: x\r\nSET a b\r\n", &[&["GET", "/", "HTTP/1.1"]], http);
    check(b"POST / HTTP/1.1\r\n", &[], http);
    check(b"*1\r\n:1\r\n", &[], "ERR Protocol error: expected '$', got ':'");
    check(b"*1\r\n*1\r\n", &[], "ERR Protocol error: expected '$', got '*'");
    check(b"*1\r\n\0", &[], "ERR Protocol error: expected '$', got '\\x00'");
    check(b"*1\r\n$1\r\nabc", &[], "ERR Protocol error: bulk string not terminated by CRLF");
}

#[test]
fn hostile_streams_end_in_an_error_and_take_no_memory() {
    let nested = b"*1\r\n".repeat(100_000);
    let mut args = ArgsBuffer::default();
    assert_eq!(parse(&nested, &mut args, MOST), Err(ParseError::ExpectedBulk(b'*')));
    let line = vec![b'a'; (64 << 10) + 1];
    assert_eq!(parse(&line, &mut args, MOST), Err(ParseError::InlineTooBig));
    assert_eq!(stream(&line, &mut || 1000, MOST).error, Some(ParseError::InlineTooBig));
    // A command that could only become larger than allowed is refused before it arrives.
    assert_eq!(parse(b"*1048576\r\n", &mut args, 1 << 20), Err(ParseError::BulkLength));
    assert_eq!(parse(b"*2\r\n$1000\r\n", &mut args, 1000), Err(ParseError::BulkLength));
}

#[test]
fn what_is_missing_of_a_large_command_is_known() {
    let mut args = ArgsBuffer::default();
    let found = parse(b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1000\r\nx", &mut args, MOST);
    let header = b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1000\r\n".len();
    assert_eq!(found, Ok(Parsed::Incomplete { at_least: header + 1000 + 2 }));
    let found = parse(b"*3\r\n", &mut args, MOST);
    assert_eq!(found, Ok(Parsed::Incomplete { at_least: 4 + 3 * 6 }));
}

/// Commands of all shapes, one after the other.
fn pipeline(chance: &mut Chance) -> Vec<u8> {
    let mut bytes = Vec::new();
    for _ in 0..chance.between(1, 8) {
        if chance.chance(1, 4) {
            bytes.extend_from_slice(
                [&b"PING\r\n"[..], b"\r\n", b"set k \"v w\"\n"][chance.up_to(2) as usize],
            );
            continue;
        }
        let mut reply = Reply::new(&mut bytes, Proto::Resp2);
        let count = chance.up_to(5) as usize;
        reply.array(count);
        for _ in 0..count {
            let argument: Vec<u8> = (0..chance.up_to(40)).map(|_| chance.bits() as u8).collect();
            reply.bulk(&argument);
        }
    }
    bytes
}

fn damage(bytes: &mut Vec<u8>, chance: &mut Chance) {
    for _ in 0..chance.up_to(3) {
        let at = chance.up_to(bytes.len() as u64 - 1) as usize;
        match chance.up_to(3) {
            0 => bytes[at] = chance.bits() as u8,
            1 => bytes[at] = b"*$\r\n0123456789-\"'"[chance.up_to(16) as usize],
            2 if bytes.len() > 1 => drop(bytes.remove(at)),
            _ => bytes.insert(at, b"*$\r\n-9\""[chance.up_to(6) as usize]),
        }
    }
}

#[test]
fn however_a_stream_is_cut_its_commands_are_the_same() {
    for seed in 0..2_000 {
        let mut chance = Chance::new(Seed::from_number(seed), 0);
        let mut bytes = pipeline(&mut chance);
        if seed % 2 == 1 {
            damage(&mut bytes, &mut chance);
        }
        // A small limit, so that it is met as well.
        let most = if chance.chance(1, 4) { 100 } else { 4_000 };
        let whole = stream(&bytes, &mut || bytes.len(), most);
        let pieces = stream(&bytes, &mut || chance.up_to(20) as usize, most);
        assert_eq!(whole, pieces, "seed {seed}: {}", bytes.escape_ascii());
        if seed % 2 == 0 && most > 100 {
            assert_eq!((whole.error, whole.rest), (None, 0), "seed {seed}: nothing was damaged");
        }
    }
}

#[test]
fn any_bytes_decode_or_do_not() {
    for seed in 0..2_000 {
        let mut chance = Chance::new(Seed::from_number(seed), 1);
        let mut bytes = Vec::new();
        for _ in 0..chance.between(1, 30) {
            bytes.push(b"*$%~>+-:_#,(=!\r\n012345678ab"[chance.up_to(25) as usize]);
            if chance.chance(1, 3) {
                bytes.extend_from_slice(b"\r\n");
            }
        }
        let whole = decode(&bytes);
        if let Ok(Some((_, used))) = whole {
            for end in 0..used {
                assert_eq!(decode(&bytes[..end]), Ok(None), "seed {seed}: a part is no answer");
            }
        }
    }
}

#[test]
fn answers_decode_to_what_was_said() {
    let mut bytes = Vec::new();
    let mut reply = Reply::new(&mut bytes, Proto::Resp3);
    reply.array(11);
    reply.ok();
    reply.error("ERR no");
    reply.integer(-12);
    reply.bulk(b"a\r\n");
    reply.null();
    reply.boolean(true);
    reply.double("1.5");
    reply.big_number("123");
    reply.verbatim("text");
    reply.map(1);
    reply.bulk(b"k");
    reply.array(0);
    reply.set(1);
    reply.integer(7);
    let (value, used) = decode(&bytes).expect("well formed").expect("all there");
    assert_eq!(used, bytes.len());
    let Value::Array(mut items) = value else { panic!("{value:?} is no array") };
    assert_eq!(items.len(), 11);
    assert_eq!(items.next(), Some(Value::Simple(b"OK")));
    assert_eq!(items.next(), Some(Value::Error(b"ERR no")));
    assert_eq!(items.next(), Some(Value::Integer(-12)));
    assert_eq!(items.next(), Some(Value::Bulk(b"a\r\n")));
    assert_eq!(items.next(), Some(Value::Null));
    assert_eq!(items.next(), Some(Value::Boolean(true)));
    assert_eq!(items.next(), Some(Value::Double(b"1.5")));
    assert_eq!(items.next(), Some(Value::BigNumber(b"123")));
    assert_eq!(items.next(), Some(Value::Verbatim(b"txt", b"text")));
    let Some(Value::Map(mut pairs)) = items.next() else { panic!("no map") };
    assert_eq!(pairs.next(), Some(Value::Bulk(b"k")));
    assert!(matches!(pairs.next(), Some(Value::Array(empty)) if empty.is_empty()));
    assert_eq!(pairs.next(), None);
    assert_eq!(items.next_encoded(), Some(&b"~1\r\n:7\r\n"[..]));
    assert_eq!(items.next(), None);
}

#[test]
fn answers_nest_only_so_deep() {
    assert!(matches!(decode(&[b"*1\r\n".repeat(32), b":1\r\n".to_vec()].concat()), Ok(Some(_))));
    assert_eq!(decode(&b"*1\r\n".repeat(33)), Err(Malformed));
    assert_eq!(decode(&b"*1\r\n".repeat(100_000)), Err(Malformed));
    assert_eq!(decode(b"$1073741824\r\n"), Ok(None));
    for bytes in [&b"x"[..], b"#x\r\n", b":\r\n", b":1x\r\n", b"_x\r\n", b"=1\r\na\r\n", b"+a\n"] {
        assert_eq!(decode(bytes), Err(Malformed), "{}", bytes.escape_ascii());
    }
}
