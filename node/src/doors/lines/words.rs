//! Words on a line, `SET user:1 {"name":"Alice"}`.

use driftless_core::{GroupId, NodeId, Role};
use serde_json::json;

use super::super::text;
use super::{Caller, Said, told};
use crate::gate::{Expiry, Login, Refusal};

pub(super) async fn answer(caller: &mut Caller, line: &str) -> Said {
    let (command, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    let rest = rest.trim_start();
    let (key, value) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    let value = value.trim();
    let line = match (command.to_ascii_uppercase().as_str(), key, value) {
        ("PING", "", _) => json!({"status": "OK", "message": "PONG"}).to_string(),
        ("STATUS", "", _) => match caller.allow().await {
            Ok(()) => status(caller).await,
            Err(refusal) => error(&told(&refusal)),
        },
        ("SHUTDOWN", "", _) => return shutdown(caller).await,
        ("AUTH", password, "") if !password.is_empty() => authenticate(caller, "", password).await,
        ("AUTH", user, password) if !user.is_empty() => authenticate(caller, user, password).await,
        ("SET", key, value) if !key.is_empty() && !value.is_empty() => {
            on_key(caller, key, Asked::Set(value)).await
        }
        ("GET", key, "") if !key.is_empty() => on_key(caller, key, Asked::Get).await,
        ("DELETE", key, "") if !key.is_empty() => on_key(caller, key, Asked::Delete).await,
        ("SET", ..) => error("usage: SET <key> <value>"),
        ("GET", ..) => error("usage: GET <key>"),
        ("DELETE", ..) => error("usage: DELETE <key>"),
        ("AUTH", ..) => error("usage: AUTH [<user>] <password>"),
        (command @ ("PING" | "STATUS" | "SHUTDOWN"), ..) => {
            error(&format!("{command} stands alone"))
        }
        _ => error(&format!("Unknown command: {command}")),
    };
    line.into()
}

async fn shutdown(caller: &mut Caller) -> Said {
    if !caller.may_stop() {
        return error("SHUTDOWN is only taken from this machine").into();
    }
    // Changes nothing, and is refused to whoever may not stop the node.
    match caller.session.ask(&["SHUTDOWN", "ABORT"]).await {
        Err(Refusal::Wrong(_)) => {}
        Err(refusal) => return error(&told(&refusal)).into(),
        Ok(_) => return error("the node did not answer").into(),
    }
    let line = json!({"status": "OK", "message": "Shutting down"}).to_string();
    Said { line, stop: true }
}

enum Asked<'a> {
    Set(&'a str),
    Get,
    Delete,
}

async fn on_key(caller: &mut Caller, key: &str, asked: Asked<'_>) -> String {
    if let Err(server) = caller.server_of(key) {
        return error(&not_primary(server));
    }
    let session = &mut caller.session;
    let name = key.as_bytes();
    let done = match asked {
        Asked::Set(value) => {
            let done = session.set(name, &text::keep(value), Expiry::Never).await;
            done.map(|()| {
                json!({"status": "OK", "message": format!("Key '{key}' set")}).to_string()
            })
        }
        Asked::Get => {
            session.get(name).await.map(|found| match found.map(|value| text::show(&value)) {
                // It goes in as it is: other numbers than it has would be made of it else.
                Some(Some(value)) => format!(r#"{{"status":"OK","value":{value}}}"#),
                Some(None) => error(&format!("The value of '{key}' is not text")),
                None => error(&format!("Key '{key}' not found")),
            })
        }
        Asked::Delete => session.delete(name).await.map(|was_there| {
            if was_there {
                json!({"status": "OK"}).to_string()
            } else {
                error(&format!("Key '{key}' not found"))
            }
        }),
    };
    done.unwrap_or_else(|refusal| error(&told(&refusal)))
}

async fn authenticate(caller: &mut Caller, user: &str, password: &str) -> String {
    match caller.session.authenticate(&Login::new(user, password)).await {
        Ok(()) => json!({"status": "OK"}).to_string(),
        Err(Refusal::NotAllowed(_)) => error("Wrong password"),
        Err(refusal) => error(&told(&refusal)),
    }
}

/// The first partition has one leader in the cluster: that node is called primary.
async fn status(caller: &Caller) -> String {
    let house = &caller.house;
    house.gate.show().await;
    let replica = house.board.group(GroupId(1)).and_then(|facts| facts.replica);
    let primary = replica.is_some_and(|replica| replica.role == Role::Leader);
    json!({
        "status": "OK",
        "node_id": format!("node{}", house.node.0),
        "role": if primary { "primary" } else { "secondary" },
        "election_term": replica.map_or(0, |replica| replica.term),
    })
    .to_string()
}

pub(super) fn not_primary(server: NodeId) -> String {
    format!("Not primary: this key is served by node{}", server.0)
}

pub(super) fn error(what: &str) -> String {
    json!({"status": "ERROR", "message": what}).to_string()
}
