//! The rows of the commands on the connection itself.

use crate::command::id::{CommandId as Id, Scope};
use crate::command::spec::category::CONNECTION;
use crate::command::spec::flag::{ADMIN, ALLOW_BUSY, FAST, LOADING, NO_AUTH, NOSCRIPT, STALE};
use crate::command::spec::{Argument, Spec};

/// What nearly all of them allow.
const USUAL: u32 = NOSCRIPT | LOADING | STALE;

const fn connection(name: &'static str, id: Id, arity: i8, flags: u32) -> Spec {
    Spec::new(name, id, arity, Scope::Connection, flags).categories(CONNECTION)
}

/// The words ON and OFF.
const ON: Argument = Argument::word("on", "ON");
const OFF: Argument = Argument::word("off", "OFF");

/// All of them, by name.
pub(super) static CONNECTIONS: &[Spec] = &[
    connection("auth", Id::Auth, -2, USUAL | FAST | NO_AUTH | ALLOW_BUSY)
        .docs("connection", "1.0.0", "Authenticates the connection.", "O(1)")
        .arguments(&[Argument::string("username").optional(), Argument::string("password")]),
    connection("client", Id::Client, -2, 0).subcommands(CLIENTS).docs(
        "connection",
        "2.4.0",
        "A container for commands on connections.",
        "Depends on subcommand.",
    ),
    connection("echo", Id::Echo, 2, LOADING | STALE | FAST)
        .docs("connection", "1.0.0", "Returns what it is given.", "O(1)")
        .arguments(&[Argument::string("message")]),
    connection("hello", Id::Hello, -1, USUAL | FAST | NO_AUTH | ALLOW_BUSY)
        .docs(
            "connection",
            "6.0.0",
            "Agrees on a version of the protocol and describes the server.",
            "O(1)",
        )
        .arguments(&[Argument::block(
            "arguments",
            &[
                Argument::integer("protover"),
                Argument::block(
                    "auth",
                    &[Argument::string("username"), Argument::string("password")],
                )
                .after("AUTH")
                .optional(),
                Argument::string("clientname").after("SETNAME").optional(),
            ],
        )
        .optional()]),
    connection("ping", Id::Ping, -1, FAST)
        .tips(&["request_policy:all_shards", "response_policy:all_succeeded"])
        .docs("connection", "1.0.0", "Answers, to show that the server lives.", "O(1)")
        .arguments(&[Argument::string("message").optional()]),
    connection("quit", Id::Quit, -1, USUAL | FAST | NO_AUTH | ALLOW_BUSY)
        .docs("connection", "1.0.0", "Closes the connection.", "O(1)")
        .replaced("7.2.0", "just closing the connection"),
    connection("reset", Id::Reset, 1, USUAL | FAST | NO_AUTH | ALLOW_BUSY).docs(
        "connection",
        "6.2.0",
        "Makes the connection as it was when it was new.",
        "O(1)",
    ),
    connection("select", Id::Select, 2, LOADING | STALE | FAST)
        .docs("connection", "1.0.0", "Changes the keyspace.", "O(1)")
        .arguments(&[Argument::integer("index")]),
];

/// The subcommands of CLIENT, by name.
static CLIENTS: &[Spec] = &[
    connection("client|capa", Id::ClientCapa, -3, USUAL)
        .docs(
            "connection",
            "8.0.0",
            "Says what the client can do; unknown words are ignored.",
            "O(1)",
        )
        .arguments(&[Argument::string("capability").multiple()]),
    connection("client|getname", Id::ClientGetName, 2, USUAL).docs(
        "connection",
        "2.6.9",
        "Returns the name of the connection.",
        "O(1)",
    ),
    connection("client|getredir", Id::ClientGetRedir, 2, USUAL).docs(
        "connection",
        "6.0.0",
        "Returns where invalidations for this connection are sent.",
        "O(1)",
    ),
    connection("client|help", Id::Help, 2, LOADING | STALE).docs(
        "connection",
        "5.0.0",
        "Says what subcommands there are.",
        "O(1)",
    ),
    connection("client|id", Id::ClientId, 2, USUAL).docs(
        "connection",
        "5.0.0",
        "Returns the number of the connection.",
        "O(1)",
    ),
    connection("client|info", Id::ClientInfo, 2, USUAL).tips(&["nondeterministic_output"]).docs(
        "connection",
        "6.2.0",
        "Describes the connection.",
        "O(1)",
    ),
    connection("client|kill", Id::ClientKill, -3, USUAL | ADMIN)
        .docs(
            "connection",
            "2.4.0",
            "Closes connections.",
            "O(N) where N is the number of connections.",
        )
        .arguments(&[Argument::one_of(
            "filter",
            &[
                Argument::string("old-format"),
                Argument::one_of(
                    "new-format",
                    &[
                        Argument::integer("client-id").after("ID"),
                        Argument::string("username").after("USER"),
                        Argument::string("addr").after("ADDR"),
                        Argument::string("laddr").after("LADDR"),
                        Argument::string("type").after("TYPE"),
                        Argument::string("skipme").after("SKIPME"),
                        Argument::integer("maxage").after("MAXAGE"),
                    ],
                )
                .multiple(),
            ],
        )]),
    connection("client|list", Id::ClientList, -2, USUAL | ADMIN)
        .tips(&["nondeterministic_output"])
        .docs(
            "connection",
            "2.4.0",
            "Describes the connections.",
            "O(N) where N is the number of connections.",
        )
        .arguments(&[
            Argument::string("client-type").after("TYPE").optional(),
            Argument::integer("client-id").after("ID").optional().multiple(),
        ]),
    connection("client|maint_notifications", Id::ClientMaintNotifications, -3, USUAL)
        .docs("connection", "8.4.0", "Whether the connection is told of maintenance.", "O(1)")
        .arguments(&[
            Argument::one_of("status", &[ON, OFF]),
            Argument::string("type").after("MOVING-ENDPOINT-TYPE").optional(),
        ]),
    connection("client|no-evict", Id::ClientNoEvict, 3, USUAL | ADMIN)
        .docs(
            "connection",
            "7.0.0",
            "Whether the connection is never closed for want of memory.",
            "O(1)",
        )
        .arguments(&[Argument::one_of("enabled", &[ON, OFF])]),
    connection("client|no-touch", Id::ClientNoTouch, 3, USUAL)
        .docs(
            "connection",
            "7.2.0",
            "Whether commands of the connection count as uses of keys.",
            "O(1)",
        )
        .arguments(&[Argument::one_of("enabled", &[ON, OFF])]),
    connection("client|pause", Id::ClientPause, -3, USUAL | ADMIN)
        .docs("connection", "3.0.0", "Holds the commands of all clients for a while.", "O(1)")
        .arguments(&[
            Argument::integer("timeout"),
            Argument::one_of(
                "mode",
                &[Argument::word("write", "WRITE"), Argument::word("all", "ALL")],
            )
            .optional(),
        ]),
    connection("client|reply", Id::ClientReply, 3, USUAL)
        .docs("connection", "3.2.0", "Whether commands of the connection are answered.", "O(1)")
        .arguments(&[Argument::one_of("action", &[ON, OFF, Argument::word("skip", "SKIP")])]),
    connection("client|setinfo", Id::ClientSetInfo, 4, USUAL)
        .tips(&["request_policy:all_nodes", "response_policy:all_succeeded"])
        .docs("connection", "7.2.0", "Notes the name or version of the client's library.", "O(1)")
        .arguments(&[Argument::one_of(
            "attr",
            &[
                Argument::string("libname").after("LIB-NAME"),
                Argument::string("libver").after("LIB-VER"),
            ],
        )]),
    connection("client|setname", Id::ClientSetName, 3, USUAL)
        .tips(&["request_policy:all_nodes", "response_policy:all_succeeded"])
        .docs("connection", "2.6.9", "Names the connection.", "O(1)")
        .arguments(&[Argument::string("connection-name")]),
    connection("client|tracking", Id::ClientTracking, -3, USUAL)
        .docs("connection", "6.0.0", "Whether the client is told of keys that change.", "O(1)")
        .arguments(&[Argument::one_of("status", &[ON, OFF])]),
    connection("client|trackinginfo", Id::ClientTrackingInfo, 2, USUAL).docs(
        "connection",
        "6.2.0",
        "Describes what the client is told of keys that change.",
        "O(1)",
    ),
    connection("client|unpause", Id::ClientUnpause, 2, USUAL | ADMIN).docs(
        "connection",
        "6.2.0",
        "Ends a pause.",
        "O(1)",
    ),
];
