//! An object on a line, `{"command":"SET","key":"user:123","value":"John Doe"}`.

use std::time::Duration;

use driftless_core::command::CommandId;
use driftless_core::{Liveness, NodeId};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::super::text;
use super::words::not_primary;
use super::{Caller, Said, told};
use crate::board;
use crate::gate::{Expiry, Login, Refusal, Session};

/// Keys asked for at a time.
const SCAN_COUNT: u64 = 1_000;
/// Keys listed at most.
const MOST_KEYS: usize = 100_000;

#[derive(Deserialize)]
struct Asked {
    command: String,
    key: Option<String>,
    value: Option<Value>,
    /// Seconds.
    #[serde(alias = "seconds")]
    ttl: Option<f64>,
    user: Option<String>,
    password: Option<String>,
}

pub(super) async fn answer(caller: &mut Caller, line: &str) -> Said {
    let node = caller.house.node;
    let asked: Asked = match serde_json::from_str(line) {
        Ok(asked) => asked,
        Err(problem) => return error(node, None, &format!("Invalid request: {problem}")).into(),
    };
    let command = asked.command.to_ascii_uppercase();
    let line = match command.as_str() {
        "STATS" | "SERVERS" => match caller.allow().await {
            Err(refusal) => error(node, None, &told(&refusal)),
            Ok(()) if command == "STATS" => stats(caller).await,
            Ok(()) => servers(caller),
        },
        "KEYS" => keys(caller).await,
        "PING" => success(node, json!({"message": "PONG"})),
        "AUTH" => authenticate(caller, &asked).await,
        "GET" | "SET" | "DELETE" | "EXPIRE" => match &asked.key {
            Some(key) => on_key(caller, &command, key, &asked).await,
            None => error(node, None, "Key is required"),
        },
        _ => error(node, None, &format!("Unknown command: {}", asked.command)),
    };
    line.into()
}

async fn on_key(caller: &mut Caller, command: &str, key: &str, asked: &Asked) -> String {
    if let Err(server) = caller.server_of(key) {
        return error(caller.house.node, Some(key), &not_primary(server));
    }
    let done = run(&mut caller.session, command, key, asked).await;
    // Only now: another node may serve the key than when it was asked for.
    let server = caller.house.board.server_of(key.as_bytes());
    match done {
        Ok(fields) => success(server, fields),
        Err(what) => error(server, Some(key), &what),
    }
}

/// Runs a command on a key: what to tell. The error: why it was not done.
async fn run(
    session: &mut Session,
    command: &str,
    key: &str,
    asked: &Asked,
) -> Result<Value, String> {
    let name = key.as_bytes();
    let missing = || "Key not found".to_owned();
    match command {
        "GET" => {
            let found = session.get_with_expiry(name).await.map_err(|why| told(&why))?;
            let (value, expiry) = found.ok_or_else(missing)?;
            let value = String::from_utf8(value).map_err(|_| "The value is not text")?;
            let ttl = match expiry {
                Expiry::Never => Value::Null,
                Expiry::After(span) => in_seconds(span),
            };
            Ok(json!({"key": key, "value": value, "ttl": ttl}))
        }
        "SET" => {
            let value = asked.value.as_ref().ok_or("Value is required")?;
            let expiry = match asked.ttl.map(text::span) {
                None => Expiry::Never,
                Some(span) => Expiry::After(span.ok_or(INVALID_TTL)?),
            };
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            let set = session.set(name, value.as_bytes(), expiry).await;
            set.map_err(|why| told(&why))?;
            Ok(json!({"message": "Key set successfully", "key": key}))
        }
        "DELETE" => {
            let found = session.delete(name).await.map_err(|why| told(&why))?;
            let done = || json!({"message": "Key deleted successfully", "key": key});
            found.then(done).ok_or_else(missing)
        }
        _ => {
            let span = asked.ttl.and_then(text::span).ok_or(INVALID_TTL)?;
            let found = session.expire(name, span).await.map_err(|why| told(&why))?;
            let (message, ttl) = ("Expiration set successfully", in_seconds(span));
            let done = || json!({"message": message, "key": key, "ttl": ttl});
            found.then(done).ok_or_else(missing)
        }
    }
}

const INVALID_TTL: &str = "A ttl is a number of seconds above 0";

/// Whole seconds, rounded up: what is there is never said to have ended.
fn in_seconds(span: Duration) -> Value {
    Value::from(span.as_millis().div_ceil(1_000) as u64)
}

async fn authenticate(caller: &mut Caller, asked: &Asked) -> String {
    let node = caller.house.node;
    let given = |word: &Option<String>| word.clone().unwrap_or_default();
    let login = Login::new(&given(&asked.user), &given(&asked.password));
    match caller.session.authenticate(&login).await {
        Ok(()) => success(node, json!({"message": "Authenticated"})),
        Err(Refusal::NotAllowed(_)) => error(node, None, "Wrong password"),
        Err(refusal) => error(node, None, &told(&refusal)),
    }
}

/// What this node was asked since it started, and the keys that it leads.
async fn stats(caller: &Caller) -> String {
    caller.house.gate.show().await;
    let lanes = caller.house.board.lanes();
    let calls = |command| board::calls(&lanes, command);
    let led = || board::led(&lanes).map(|(_, replica)| replica);
    let stats = json!({
        "total_requests": lanes.iter().map(|lane| lane.counts.commands).sum::<u64>(),
        "GET": calls(CommandId::Get),
        "SET": calls(CommandId::Set),
        "DELETE": calls(CommandId::Del),
        "EXPIRE": calls(CommandId::Expire) + calls(CommandId::PExpire),
        "total_keys": led().map(|replica| replica.keys).sum::<u64>(),
        "keys_with_ttl": led().map(|replica| replica.expiring).sum::<u64>(),
    });
    success(caller.house.node, json!({"stats": stats}))
}

/// All nodes that have a door like this one.
fn servers(caller: &Caller) -> String {
    let members = caller.house.board.members();
    let servers: Vec<_> = members
        .iter()
        .map(|(node, member)| {
            json!({
                "id": node.0,
                "host": member.address.ip().to_string(),
                "port": member.about.lines,
                "alive": member.liveness == Liveness::Alive,
            })
        })
        .collect();
    let fields = json!({
        "total_servers": servers.len(),
        "servers": servers,
        "sharding": "consistent hashing with virtual nodes",
    });
    success(caller.house.node, fields)
}

/// The keys that this node leads.
async fn keys(caller: &mut Caller) -> String {
    match led_keys(caller).await {
        Ok((keys, more)) => {
            let mut fields = json!({"count": keys.len(), "keys": keys});
            if more {
                fields["message"] = format!("Only the first {MOST_KEYS} are listed").into();
            }
            success(caller.house.node, fields)
        }
        Err(refusal) => error(caller.house.node, None, &told(&refusal)),
    }
}

async fn led_keys(caller: &mut Caller) -> Result<(Vec<String>, bool), Refusal> {
    let board = caller.house.board.clone();
    let node = caller.house.node;
    let (mut keys, mut cursor) = (Vec::new(), 0);
    loop {
        let (next, found) = caller.session.scan(cursor, b"*", SCAN_COUNT).await?;
        let led = found.into_iter().filter(|key| board.server_of(key) == node);
        keys.extend(led.map(|key| String::from_utf8_lossy(&key).into_owned()));
        if keys.len() > MOST_KEYS {
            keys.truncate(MOST_KEYS);
            return Ok((keys, true));
        }
        if next == 0 {
            keys.sort_unstable();
            keys.dedup();
            return Ok((keys, false));
        }
        cursor = next;
    }
}

fn success(server: NodeId, fields: Value) -> String {
    reply("success", server, fields)
}

pub(super) fn error(server: NodeId, key: Option<&str>, what: &str) -> String {
    let fields = match key {
        Some(key) => json!({"message": what, "key": key}),
        None => json!({"message": what}),
    };
    reply("error", server, fields)
}

fn reply(status: &str, server: NodeId, fields: Value) -> String {
    let mut reply = Map::from_iter([("status".to_owned(), Value::from(status))]);
    if let Value::Object(fields) = fields {
        reply.extend(fields);
    }
    reply.insert("server_id".to_owned(), server.0.into());
    Value::Object(reply).to_string()
}
