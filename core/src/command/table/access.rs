//! The rows of ACL's subcommands.

use crate::command::id::{CommandId as Id, Scope};
use crate::command::spec::flag::{ADMIN, LOADING, NOSCRIPT, STALE};
use crate::command::spec::{Argument, Spec};

/// What most of them allow.
const USUAL: u32 = NOSCRIPT | LOADING | STALE;

const fn acl(name: &'static str, id: Id, arity: i8, flags: u32) -> Spec {
    Spec::new(name, id, arity, Scope::Connection, USUAL | flags)
}

/// One that reads the users that the cluster keeps.
const fn read(name: &'static str, id: Id, arity: i8) -> Spec {
    Spec::new(name, id, arity, Scope::ReadUsers, NOSCRIPT | ADMIN)
}

/// One that changes them.
const fn write(name: &'static str, id: Id, arity: i8) -> Spec {
    Spec::new(name, id, arity, Scope::WriteUsers, NOSCRIPT | ADMIN)
}

const USERNAME: Argument = Argument::string("username");

/// All of them, by name.
pub(super) static ACLS: &[Spec] = &[
    acl("acl|cat", Id::AclCat, -2, 0)
        .docs(
            "server",
            "6.0.0",
            "Lists the categories, or the commands of one.",
            "O(1) since the categories and commands are a fixed set.",
        )
        .arguments(&[Argument::string("category").optional()]),
    write("acl|deluser", Id::AclDelUser, -3)
        .docs(
            "server",
            "6.0.0",
            "Deletes users everywhere and closes their connections.",
            "O(N) where N is the number of users.",
        )
        .arguments(&[USERNAME.multiple()]),
    acl("acl|dryrun", Id::AclDryRun, -4, ADMIN)
        .docs(
            "server",
            "7.0.0",
            "Says whether a user may run a command, without running it.",
            "O(1).",
        )
        .arguments(&[
            USERNAME,
            Argument::string("command"),
            Argument::string("arg").optional().multiple(),
        ]),
    acl("acl|genpass", Id::AclGenPass, -2, 0)
        .docs("server", "6.0.0", "Makes a password by chance.", "O(1)")
        .arguments(&[Argument::integer("bits").optional()]),
    read("acl|getuser", Id::AclGetUser, 3)
        .docs("server", "6.0.0", "Describes a user.", "O(N) where N is the number of its rules.")
        .arguments(&[USERNAME]),
    acl("acl|help", Id::Help, 2, 0).docs(
        "server",
        "6.0.0",
        "Says what subcommands there are.",
        "O(1)",
    ),
    read("acl|list", Id::AclList, 2).docs(
        "server",
        "6.0.0",
        "Lists the users and their rules.",
        "O(N) where N is the number of users.",
    ),
    acl("acl|load", Id::AclLoad, 2, ADMIN).docs(
        "server",
        "6.0.0",
        "Loads users from a file; here the cluster keeps them.",
        "O(1)",
    ),
    acl("acl|log", Id::AclLog, -2, ADMIN)
        .docs(
            "server",
            "6.0.0",
            "Lists what this node has refused lately, or forgets it.",
            "O(N) where N is the number of entries shown.",
        )
        .arguments(&[Argument::one_of(
            "operation",
            &[Argument::integer("count"), Argument::word("reset", "RESET")],
        )
        .optional()]),
    acl("acl|save", Id::AclSave, 2, ADMIN).docs(
        "server",
        "6.0.0",
        "Saves users to a file; here the cluster keeps them.",
        "O(1)",
    ),
    write("acl|setuser", Id::AclSetUser, -3)
        .docs(
            "server",
            "6.0.0",
            "Makes a user, or changes one, on all nodes.",
            "O(N) where N is the number of rules.",
        )
        .arguments(&[USERNAME, Argument::string("rule").optional().multiple()]),
    read("acl|stored", Id::AclStored, -2)
        .docs(
            "server",
            "0.1.0",
            "Returns the users as they are kept, unless they have the digest given. For nodes.",
            "O(N) where N is the number of users.",
        )
        .arguments(&[Argument::string("digest").optional()]),
    read("acl|users", Id::AclUsers, 2).docs(
        "server",
        "6.0.0",
        "Lists the names of the users.",
        "O(N) where N is the number of users.",
    ),
    acl("acl|whoami", Id::AclWhoAmI, 2, 0).docs(
        "server",
        "6.0.0",
        "Returns the name of the connection's user.",
        "O(1)",
    ),
];
