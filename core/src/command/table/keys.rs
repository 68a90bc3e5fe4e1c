//! The rows of the commands on keys of any kind.

use super::TAKE;
use crate::command::id::{CommandId as Id, Merge, Scope};
use crate::command::spec::access::{ACCESS, DELETE, INSERT, OW, RM, RO, RW, UPDATE};
use crate::command::spec::category::{DANGEROUS, KEYSPACE};
use crate::command::spec::flag::{DENYOOM, FAST, READONLY, WRITE};
use crate::command::spec::{Argument, KeySpec, Spec};

/// A command on keys.
const fn generic(name: &'static str, id: Id, arity: i8, scope: Scope, flags: u32) -> Spec {
    Spec::new(name, id, arity, scope, flags).categories(KEYSPACE)
}

/// A command of the EXPIRE family.
const fn expire(name: &'static str, id: Id) -> Spec {
    generic(name, id, -3, Scope::Write, WRITE | FAST).keys(RETIME)
}

/// The key whose deadline is changed.
const RETIME: &[KeySpec] = &[KeySpec::one(1, RW | UPDATE)];

/// A command of the TTL family.
const fn ttl(name: &'static str, id: Id) -> Spec {
    generic(name, id, 2, Scope::Read, READONLY | FAST).keys(TAKE).arguments(ONLY_KEY)
}

/// The arguments of those that take a key alone.
const ONLY_KEY: &[Argument] = &[KEY];

/// The key of most commands.
const KEY: Argument = Argument::key("key", 0);

/// How it grows for those that take many keys.
const LINEAR: &str = "O(N) where N is the number of keys.";

/// How it grows for those that walk over everything.
const WALK: &str = "O(N) where N is the number of keys in the keyspace.";

/// When EXPIRE and its like set the deadline.
const CONDITION: Argument = Argument::one_of(
    "condition",
    &[
        Argument::word("nx", "NX"),
        Argument::word("xx", "XX"),
        Argument::word("gt", "GT"),
        Argument::word("lt", "LT"),
    ],
)
.optional();

/// How FLUSHDB and FLUSHALL free memory.
const FLUSH: Argument = Argument::one_of(
    "flush-type",
    &[Argument::word("async", "ASYNC"), Argument::word("sync", "SYNC")],
)
.optional();

/// All of them, by name.
pub(super) static KEYS: &[Spec] = &[
    generic("changes", Id::Changes, -3, Scope::Changes, READONLY)
        .tips(&["nondeterministic_output", "request_policy:special"])
        .docs(
            "generic",
            "0.1.0",
            "Returns what has changed in a partition since a place that an earlier answer named; $ is now.",
            "O(N) where N is the number of changes since then.",
        )
        .arguments(&[
            Argument::integer("partition"),
            Argument::string("place"),
            Argument::pattern("pattern").after("MATCH").optional(),
            Argument::integer("count").after("COUNT").optional(),
        ]),
    generic("copy", Id::Copy, -3, Scope::Write, WRITE | DENYOOM)
        .keys(&[KeySpec::one(1, RO | ACCESS), KeySpec::one(2, OW | UPDATE)])
        .docs(
            "generic",
            "6.2.0",
            "Copies the value of a key to another key.",
            "O(N) where N is the length of the value.",
        )
        .arguments(&[
            Argument::key("source", 0),
            Argument::key("destination", 1),
            Argument::integer("destination-db").after("DB").optional(),
            Argument::word("replace", "REPLACE").optional(),
        ]),
    generic("dbsize", Id::DbSize, 1, Scope::EveryRead(Merge::Sum), READONLY | FAST)
        .tips(&["request_policy:all_shards", "response_policy:agg_sum"])
        .docs("server", "1.0.0", "Returns the number of keys in the keyspace.", "O(1)"),
    generic("del", Id::Del, -2, Scope::SplitWrite(Merge::Sum), WRITE)
        .keys(&[KeySpec::rest(1, 1, RM | DELETE)])
        .tips(&["request_policy:multi_shard", "response_policy:agg_sum"])
        .docs("generic", "1.0.0", "Deletes keys.", LINEAR)
        .arguments(&[KEY.multiple()]),
    generic("exists", Id::Exists, -2, Scope::SplitRead(Merge::Sum), READONLY | FAST)
        .keys(&[KeySpec::rest(1, 1, RO)])
        .tips(&["request_policy:multi_shard", "response_policy:agg_sum"])
        .docs("generic", "1.0.0", "Counts which of some keys are there.", LINEAR)
        .arguments(&[KEY.multiple()]),
    expire("expire", Id::Expire)
        .docs("generic", "1.0.0", "Sets the deadline of a key, in seconds from now.", "O(1)")
        .arguments(&[KEY, Argument::integer("seconds"), CONDITION]),
    expire("expireat", Id::ExpireAt)
        .docs("generic", "1.2.0", "Sets the deadline of a key to a Unix time.", "O(1)")
        .arguments(&[KEY, Argument::unix_time("unix-time-seconds"), CONDITION]),
    ttl("expiretime", Id::ExpireTime).docs(
        "generic",
        "7.0.0",
        "Returns the deadline of a key as a Unix time.",
        "O(1)",
    ),
    generic("flushall", Id::FlushAll, -1, Scope::EveryWrite(Merge::AllOk), WRITE)
        .categories(DANGEROUS)
        .tips(&["request_policy:all_shards", "response_policy:all_succeeded"])
        .docs(
            "server",
            "1.0.0",
            "Removes all keys of all keyspaces.",
            "O(N) where N is the number of keys.",
        )
        .arguments(&[FLUSH]),
    generic("flushdb", Id::FlushDb, -1, Scope::EveryWrite(Merge::AllOk), WRITE)
        .categories(DANGEROUS)
        .tips(&["request_policy:all_shards", "response_policy:all_succeeded"])
        .docs("server", "1.0.0", "Removes all keys of the keyspace.", WALK)
        .arguments(&[FLUSH]),
    generic("keys", Id::Keys, 2, Scope::EveryRead(Merge::Concat), READONLY)
        .categories(DANGEROUS)
        .tips(&["request_policy:all_shards", "nondeterministic_output_order"])
        .docs("generic", "1.0.0", "Returns all keys whose names match a pattern.", WALK)
        .arguments(&[Argument::pattern("pattern")]),
    generic("persist", Id::Persist, 2, Scope::Write, WRITE | FAST)
        .keys(&[KeySpec::one(1, RW | UPDATE)])
        .docs("generic", "2.2.0", "Removes the deadline of a key.", "O(1)")
        .arguments(&[KEY]),
    expire("pexpire", Id::PExpire)
        .docs("generic", "2.6.0", "Sets the deadline of a key, in milliseconds from now.", "O(1)")
        .arguments(&[KEY, Argument::integer("milliseconds"), CONDITION]),
    expire("pexpireat", Id::PExpireAt)
        .docs(
            "generic",
            "2.6.0",
            "Sets the deadline of a key to a Unix time in milliseconds.",
            "O(1)",
        )
        .arguments(&[KEY, Argument::unix_time("unix-time-milliseconds"), CONDITION]),
    ttl("pexpiretime", Id::PExpireTime).docs(
        "generic",
        "7.0.0",
        "Returns the deadline of a key as a Unix time in milliseconds.",
        "O(1)",
    ),
    ttl("pttl", Id::PTtl).tips(&["nondeterministic_output"]).docs(
        "generic",
        "2.6.0",
        "Returns how long a key still lasts, in milliseconds.",
        "O(1)",
    ),
    generic("randomkey", Id::RandomKey, 1, Scope::RandomKey, READONLY)
        .tips(&["request_policy:all_shards", "response_policy:special", "nondeterministic_output"])
        .docs("generic", "1.0.0", "Returns the name of a random key.", "O(1)"),
    generic("rename", Id::Rename, 3, Scope::Write, WRITE)
        .keys(&[KeySpec::one(1, RW | ACCESS | DELETE), KeySpec::one(2, OW | UPDATE)])
        .docs("generic", "1.0.0", "Renames a key; a key of the new name is replaced.", "O(1)")
        .arguments(&[Argument::key("key", 0), Argument::key("newkey", 1)]),
    generic("renamenx", Id::RenameNx, 3, Scope::Write, WRITE | FAST)
        .keys(&[KeySpec::one(1, RW | ACCESS | DELETE), KeySpec::one(2, OW | INSERT)])
        .docs("generic", "1.0.0", "Renames a key if there is none of the new name.", "O(1)")
        .arguments(&[Argument::key("key", 0), Argument::key("newkey", 1)]),
    generic("scan", Id::Scan, -2, Scope::Scan, READONLY)
        .tips(&["nondeterministic_output", "request_policy:special", "response_policy:special"])
        .docs(
            "generic",
            "2.8.0",
            "Walks over the names of the keys in steps.",
            "O(1) for every call, O(N) for the whole walk.",
        )
        .arguments(&[
            Argument::integer("cursor"),
            Argument::pattern("pattern").after("MATCH").optional(),
            Argument::integer("count").after("COUNT").optional(),
            Argument::string("type").after("TYPE").optional(),
        ]),
    generic("touch", Id::Touch, -2, Scope::SplitRead(Merge::Sum), READONLY | FAST)
        .keys(&[KeySpec::rest(1, 1, RO)])
        .tips(&["request_policy:multi_shard", "response_policy:agg_sum"])
        .docs(
            "generic",
            "3.2.1",
            "Counts which of some keys are there, as if they had been read.",
            LINEAR,
        )
        .arguments(&[KEY.multiple()]),
    ttl("ttl", Id::Ttl).tips(&["nondeterministic_output"]).docs(
        "generic",
        "1.0.0",
        "Returns how long a key still lasts, in seconds.",
        "O(1)",
    ),
    generic("type", Id::Type, 2, Scope::Read, READONLY | FAST)
        .keys(&[KeySpec::one(1, RO)])
        .docs("generic", "1.0.0", "Returns what kind of value a key holds.", "O(1)")
        .arguments(&[KEY]),
    generic("unlink", Id::Unlink, -2, Scope::SplitWrite(Merge::Sum), WRITE | FAST)
        .keys(&[KeySpec::rest(1, 1, RM | DELETE)])
        .tips(&["request_policy:multi_shard", "response_policy:agg_sum"])
        .docs("generic", "4.0.0", "Deletes keys without waiting for their memory.", LINEAR)
        .arguments(&[KEY.multiple()]),
];
