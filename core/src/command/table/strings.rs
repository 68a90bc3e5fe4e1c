//! The rows of the commands on strings.

use super::{ADD, CHANGE, REPLACE, TAKE};
use crate::command::id::{CommandId as Id, Merge, Scope};
use crate::command::spec::access::{ACCESS, DELETE, INSERT, OW, RO, RW, UPDATE, VARIABLE};
use crate::command::spec::category::STRING;
use crate::command::spec::flag::{DENYOOM, FAST, READONLY, WRITE};
use crate::command::spec::{Argument, KeySpec, Spec};

/// A command on strings.
const fn string(name: &'static str, id: Id, arity: i8, scope: Scope, flags: u32) -> Spec {
    Spec::new(name, id, arity, scope, flags).categories(STRING)
}

/// The key of most commands.
const KEY: Argument = Argument::key("key", 0);

/// The deadlines that SET and GETEX take.
const DEADLINES: [Argument; 4] = [
    Argument::integer("seconds").after("EX"),
    Argument::integer("milliseconds").after("PX"),
    Argument::unix_time("unix-time-seconds").after("EXAT"),
    Argument::unix_time("unix-time-milliseconds").after("PXAT"),
];

/// All of them, by name.
pub(super) static STRINGS: &[Spec] = &[
    string("append", Id::Append, 3, Scope::Write, WRITE | DENYOOM | FAST)
        .keys(&[KeySpec::one(1, RW | INSERT)])
        .docs(
            "string",
            "2.0.0",
            "Appends to the value of a key; makes the key if there is none.",
            "O(1)",
        )
        .arguments(&[KEY, Argument::string("value")]),
    string("decr", Id::Decr, 2, Scope::Write, WRITE | DENYOOM | FAST)
        .keys(CHANGE)
        .docs(
            "string",
            "1.0.0",
            "Takes one from the integer value of a key, 0 if there is none.",
            "O(1)",
        )
        .arguments(&[KEY]),
    string("decrby", Id::DecrBy, 3, Scope::Write, WRITE | DENYOOM | FAST)
        .keys(CHANGE)
        .docs(
            "string",
            "1.0.0",
            "Takes a number from the integer value of a key, 0 if there is none.",
            "O(1)",
        )
        .arguments(&[KEY, Argument::integer("decrement")]),
    string("get", Id::Get, 2, Scope::Read, READONLY | FAST)
        .keys(TAKE)
        .docs("string", "1.0.0", "Returns the value of a key.", "O(1)")
        .arguments(&[KEY]),
    string("getdel", Id::GetDel, 2, Scope::Write, WRITE | FAST)
        .keys(&[KeySpec::one(1, RW | ACCESS | DELETE)])
        .docs("string", "6.2.0", "Returns the value of a key and deletes the key.", "O(1)")
        .arguments(&[KEY]),
    string("getex", Id::GetEx, -2, Scope::Write, WRITE | FAST)
        .keys(&[
            KeySpec::one(1, RW | ACCESS | UPDATE).notes("RW and UPDATE because it changes the TTL")
        ])
        .docs(
            "string",
            "6.2.0",
            "Returns the value of a key and sets or removes its deadline.",
            "O(1)",
        )
        .arguments(&[
            KEY,
            Argument::one_of(
                "expiration",
                &[
                    DEADLINES[0],
                    DEADLINES[1],
                    DEADLINES[2],
                    DEADLINES[3],
                    Argument::word("persist", "PERSIST"),
                ],
            )
            .optional(),
        ]),
    string("getrange", Id::GetRange, 4, Scope::Read, READONLY)
        .keys(TAKE)
        .docs(
            "string",
            "2.4.0",
            "Returns a part of the value of a key.",
            "O(N) where N is the length of what is returned.",
        )
        .arguments(&[KEY, Argument::integer("start"), Argument::integer("end")]),
    string("getset", Id::GetSet, 3, Scope::Write, WRITE | DENYOOM | FAST)
        .keys(CHANGE)
        .docs("string", "1.0.0", "Sets a key to a value and returns the one it had.", "O(1)")
        .arguments(&[KEY, Argument::string("value")])
        .replaced("6.2.0", "`SET` with the `GET` argument"),
    string("getttl", Id::GetTtl, 2, Scope::Read, READONLY | FAST)
        .keys(&[KeySpec::one(1, RO | ACCESS)])
        .docs(
            "string",
            "0.1.0",
            "Returns the value of a key, and how many milliseconds it has left or -1.",
            "O(1)",
        )
        .arguments(&[KEY]),
    string("incr", Id::Incr, 2, Scope::Write, WRITE | DENYOOM | FAST)
        .keys(CHANGE)
        .docs(
            "string",
            "1.0.0",
            "Adds one to the integer value of a key, 0 if there is none.",
            "O(1)",
        )
        .arguments(&[KEY]),
    string("incrby", Id::IncrBy, 3, Scope::Write, WRITE | DENYOOM | FAST)
        .keys(CHANGE)
        .docs(
            "string",
            "1.0.0",
            "Adds a number to the integer value of a key, 0 if there is none.",
            "O(1)",
        )
        .arguments(&[KEY, Argument::integer("increment")]),
    string("incrbyfloat", Id::IncrByFloat, 3, Scope::Write, WRITE | DENYOOM | FAST)
        .keys(CHANGE)
        .docs(
            "string",
            "2.6.0",
            "Adds a number to the floating point value of a key, 0 if there is none.",
            "O(1)",
        )
        .arguments(&[KEY, Argument::double("increment")]),
    string("mget", Id::MGet, -2, Scope::SplitRead(Merge::ByKey), READONLY | FAST)
        .keys(&[KeySpec::rest(1, 1, RO | ACCESS)])
        .tips(&["request_policy:multi_shard"])
        .docs(
            "string",
            "1.0.0",
            "Returns the values of several keys.",
            "O(N) where N is the number of keys.",
        )
        .arguments(&[KEY.multiple()]),
    string("mset", Id::MSet, -3, Scope::SplitWrite(Merge::AllOk), WRITE | DENYOOM)
        .keys(&[KeySpec::rest(1, 2, OW | UPDATE)])
        .tips(&["request_policy:multi_shard", "response_policy:all_succeeded"])
        .docs(
            "string",
            "1.0.1",
            "Sets several keys to their values.",
            "O(N) where N is the number of keys.",
        )
        .arguments(&[Argument::block("data", &[KEY, Argument::string("value")]).multiple()]),
    string("msetnx", Id::MSetNx, -3, Scope::Write, WRITE | DENYOOM)
        .keys(&[KeySpec::rest(1, 2, OW | INSERT)])
        .docs(
            "string",
            "1.0.1",
            "Sets several keys to their values if none of them is there.",
            "O(N) where N is the number of keys.",
        )
        .arguments(&[Argument::block("data", &[KEY, Argument::string("value")]).multiple()]),
    string("psetex", Id::PSetEx, 4, Scope::Write, WRITE | DENYOOM)
        .keys(REPLACE)
        .docs(
            "string",
            "2.6.0",
            "Sets a key to a value that lasts for so many milliseconds.",
            "O(1)",
        )
        .arguments(&[KEY, Argument::integer("milliseconds"), Argument::string("value")])
        .replaced("2.6.12", "`SET` with the `PX` argument"),
    string("set", Id::Set, -3, Scope::Write, WRITE | DENYOOM)
        .keys(&[KeySpec::one(1, RW | ACCESS | UPDATE | VARIABLE)
            .notes("RW and ACCESS due to the optional `GET` argument")])
        .docs(
            "string",
            "1.0.0",
            "Sets a key to a value, whatever it held before, if the conditions are met.",
            "O(1)",
        )
        .arguments(&[
            KEY,
            Argument::string("value"),
            Argument::one_of(
                "condition",
                &[Argument::word("nx", "NX"), Argument::word("xx", "XX")],
            )
            .optional(),
            Argument::word("get", "GET").optional(),
            Argument::one_of(
                "expiration",
                &[
                    DEADLINES[0],
                    DEADLINES[1],
                    DEADLINES[2],
                    DEADLINES[3],
                    Argument::word("keepttl", "KEEPTTL"),
                ],
            )
            .optional(),
        ]),
    string("setex", Id::SetEx, 4, Scope::Write, WRITE | DENYOOM)
        .keys(REPLACE)
        .docs("string", "2.0.0", "Sets a key to a value that lasts for so many seconds.", "O(1)")
        .arguments(&[KEY, Argument::integer("seconds"), Argument::string("value")])
        .replaced("2.6.12", "`SET` with the `EX` argument"),
    string("setnx", Id::SetNx, 3, Scope::Write, WRITE | DENYOOM | FAST)
        .keys(ADD)
        .docs("string", "1.0.0", "Sets a key to a value if the key is not there.", "O(1)")
        .arguments(&[KEY, Argument::string("value")])
        .replaced("2.6.12", "`SET` with the `NX` argument"),
    string("setrange", Id::SetRange, 4, Scope::Write, WRITE | DENYOOM)
        .keys(&[KeySpec::one(1, RW | UPDATE)])
        .docs(
            "string",
            "2.2.0",
            "Overwrites a part of the value of a key from an offset on.",
            "O(N) where N is the length of the part.",
        )
        .arguments(&[KEY, Argument::integer("offset"), Argument::string("value")]),
    string("strlen", Id::StrLen, 2, Scope::Read, READONLY | FAST)
        .keys(&[KeySpec::one(1, RO)])
        .docs("string", "2.2.0", "Returns the length of the value of a key.", "O(1)")
        .arguments(&[KEY]),
    string("substr", Id::SubStr, 4, Scope::Read, READONLY)
        .keys(TAKE)
        .docs(
            "string",
            "1.0.0",
            "Returns a part of the value of a key.",
            "O(N) where N is the length of what is returned.",
        )
        .arguments(&[KEY, Argument::integer("start"), Argument::integer("end")])
        .replaced("2.0.0", "`GETRANGE`"),
];
