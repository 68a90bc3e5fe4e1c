//! The door for HTTP: the examples of `examples/d.txt`, the description it gives of itself, and what it refuses.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

use driftless_tests::cluster::{Cluster, PATIENCE, until};
use driftless_tests::examples::{examples, matches};
use driftless_tests::http::{Response, get, request};
use serde_json::{Value, json};

const JSON: (&str, &str) = ("content-type", "application/json");

fn put(address: SocketAddr, key: &str, value: &Value) {
    let body = json!({"key": key, "value": value}).to_string();
    let response = request(address, "POST", "/put", &[JSON], body.as_bytes());
    assert_eq!(response.status, 200, "{response:?}");
}

#[test]
fn the_examples_are_answered_as_they_show() {
    let cluster = Cluster::start(3, &[]);
    all_are_known(&cluster);
    for example in examples(include_str!("examples/d.txt")) {
        let address = cluster.http_address(example.node);
        let (method, rest) = example.asked.split_once(' ').expect("a method stands before a path");
        let (path, body) = rest.split_once(' ').unwrap_or((rest, ""));
        let response = request(address, method, path, &[JSON], body.as_bytes());
        let (status, body) = example.answer.split_once(' ').expect("a code stands before a body");
        let expected = serde_json::from_str(body).expect("a body is JSON");
        let (line, answer) = (example.line, response.json());
        assert_eq!(response.status.to_string(), status, "d.txt:{line}: {answer}");
        assert!(matches(&answer, &expected), "d.txt:{line}: {answer}");
    }
    keys_of_any_bytes(&cluster);
    pages_hold_every_key(&cluster);
    the_description_is_true(&cluster);
    numbers_are_well_formed(&cluster);
    the_page_hears_how_everything_is(&cluster);
    nonsense_is_refused(&cluster);
}

/// Leaders and members become known by and by.
fn all_are_known(cluster: &Cluster) {
    for at in 0..cluster.len() {
        let address = cluster.http_address(at);
        until("every partition has a leader", || {
            let known =
                get(address, "/membership").json().as_object().map_or(0, serde_json::Map::len);
            Some(()).filter(|()| known == 3 && get(address, "/health").status == 200)
        });
    }
}

fn keys_of_any_bytes(cluster: &Cluster) {
    let (one, two) = (cluster.http_address(0), cluster.http_address(1));
    let client = redis::Client::open(cluster.url(2)).expect("the address is well formed");
    let mut redis = client.get_connection().expect("the node takes connections");
    let set = |redis: &mut redis::Connection, key: &[u8], value: &[u8]| {
        redis::cmd("SET").arg(key).arg(value).exec(redis).expect("it is set");
    };
    set(&mut redis, b"a/b \xff", b"\x00\xff");
    let bytes = [("accept", "application/octet-stream")];
    let response = request(one, "GET", "/get/a%2Fb%20%FF", &bytes, b"");
    assert_eq!((response.status, response.body.as_slice()), (200, &b"\x00\xff"[..]));
    assert_eq!(get(two, "/get/a%2Fb%20%FF").status, 406, "it is no JSON");
    let keys = get(one, "/keys?prefix=a%2F").json();
    assert_eq!(keys["keys"], json!([{"percent": "a%2Fb%20%FF"}]));
    assert_eq!(request(one, "DELETE", "/delete/a/b%20%FF", &[], b"").status, 200);
    // A path is a name here, wherever it would lead elsewhere.
    put(one, "../../etc/passwd", &json!("mine"));
    assert_eq!(get(two, "/get/../../etc/passwd").json()["value"], "mine");
}

fn pages_hold_every_key(cluster: &Cluster) {
    let address = cluster.http_address(0);
    for number in 0..50 {
        put(address, &format!("page:{number:02}"), &json!(number));
    }
    let (mut found, mut cursor) = (Vec::new(), Value::Null);
    loop {
        let from = cursor.as_str().map_or(String::new(), |cursor| format!("&cursor={cursor}"));
        let page = get(address, &format!("/keys?prefix=page:&count=7{from}")).json();
        found.extend(page["keys"].as_array().expect("keys are a list").clone());
        cursor = page["cursor"].clone();
        if cursor.is_null() {
            break;
        }
    }
    let mut found: Vec<_> = found.iter().filter_map(Value::as_str).collect();
    found.sort_unstable();
    found.dedup();
    assert_eq!(found.len(), 50);
}

/// Every path of the description answers with a code that it names, and with a body as it says.
fn the_description_is_true(cluster: &Cluster) {
    let address = cluster.http_address(0);
    let document = get(address, "/openapi.json").json();
    put(address, "known", &json!({"a": 1}));
    let paths = document["paths"].as_object().expect("paths are described");
    assert!(paths.len() > 10, "all of them");
    for (path, methods) in paths {
        for (method, operation) in methods.as_object().expect("methods are described") {
            for key in ["known", "unknown"] {
                let path = path.replace("{key}", key);
                let body = json!({"key": key, "value": [1, null]}).to_string();
                let body = if method == "post" { body.as_bytes() } else { b"" };
                let method = method.to_ascii_uppercase();
                let response = request(address, &method, &path, &[JSON], body);
                conforms(&document, operation, &response, &format!("{method} {path}"));
            }
        }
    }
}

fn conforms(document: &Value, operation: &Value, response: &Response, what: &str) {
    let described = &operation["responses"][response.status.to_string()];
    let described = resolve(document, described);
    let kind = response.header("content-type").expect("a body has a kind");
    let kind = kind.split(';').next().expect("a kind is not empty");
    let schema = &described["content"][kind]["schema"];
    assert!(!schema.is_null(), "{what}: {} {kind} is not described", response.status);
    if kind.ends_with("json") {
        let body = response.json();
        assert!(valid(document, schema, &body), "{what}: {body} is not {schema}");
    }
}

fn resolve<'d>(document: &'d Value, schema: &'d Value) -> &'d Value {
    match schema["$ref"].as_str() {
        Some(path) => document.pointer(&path[1..]).expect("what is referred to is there"),
        None => schema,
    }
}

/// As much of JSON Schema as the description uses.
fn valid(document: &Value, schema: &Value, value: &Value) -> bool {
    let schema = resolve(document, schema);
    let is = |name: &str| match name {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "null" => value.is_null(),
        other => panic!("type {other}"),
    };
    let typed = match &schema["type"] {
        Value::String(name) => is(name),
        Value::Array(names) => names.iter().filter_map(Value::as_str).any(is),
        _ => true,
    };
    let named = schema["enum"].as_array().is_none_or(|all| all.contains(value))
        && schema.get("const").is_none_or(|only| only == value);
    let one_of = schema["oneOf"]
        .as_array()
        .is_none_or(|all| all.iter().filter(|schema| valid(document, schema, value)).count() == 1);
    let items = schema
        .get("items")
        .zip(value.as_array())
        .is_none_or(|(schema, items)| items.iter().all(|item| valid(document, schema, item)));
    let required = schema["required"].as_array().is_none_or(|names| {
        names.iter().filter_map(Value::as_str).all(|name| value.get(name).is_some())
    });
    let known = schema["properties"].as_object();
    let members = value.as_object().is_none_or(|members| {
        members.iter().all(|(name, member)| {
            let schema = known.and_then(|known| known.get(name));
            schema.is_none_or(|schema| valid(document, schema, member))
        })
    });
    let rest =
        schema.get("additionalProperties").zip(value.as_object()).is_none_or(|(rest, members)| {
            let others = members
                .iter()
                .filter(|(name, _)| known.is_none_or(|known| !known.contains_key(name.as_str())));
            rest.is_boolean() || others.clone().all(|(_, member)| valid(document, rest, member))
        });
    typed && named && one_of && items && required && members && rest
}

/// What Prometheus's own checker asks for: help and type before samples, no family twice, counters end in `_total`.
fn numbers_are_well_formed(cluster: &Cluster) {
    let response = get(cluster.http_address(0), "/metrics");
    assert_eq!(response.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    let text = String::from_utf8(response.body).expect("it is text");
    let ends = ["_bucket", "_sum", "_count"];
    let (mut helped, mut typed, mut seen) = (Vec::new(), Vec::new(), Vec::new());
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').expect("help stands behind a name");
            assert!(!helped.contains(&name) && help.ends_with('.'), "{line}");
            helped.push(name);
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').expect("a type stands behind a name");
            assert_eq!(helped.last(), Some(&name), "{line}");
            assert_eq!(kind == "counter", name.ends_with("_total"), "{line}");
            typed.push(name);
        } else {
            let (sample, value) = line.rsplit_once(' ').expect("a value stands behind a name");
            let name = sample.split('{').next().expect("a sample has a name");
            let family = ends.iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name);
            assert_eq!(typed.last(), Some(&family), "{line}");
            assert!(value.parse::<f64>().is_ok() && !seen.contains(&sample), "{line}");
            seen.push(sample);
        }
    }
    assert!(seen.len() > 50, "{text}");
    let sets = text
        .lines()
        .find(|line| line.starts_with("driftless_command_seconds_count{kind=\"write\"}"));
    assert!(sets.is_some_and(|line| !line.ends_with(" 0")), "{text}");
    assert!(text.contains("driftless_commands_total{command=\"set\"}"), "{text}");
}

/// The page asks nobody else for anything, and what it listens to tells of every node.
fn the_page_hears_how_everything_is(cluster: &Cluster) {
    let address = cluster.http_address(1);
    let page = get(address, "/");
    assert_eq!(page.status, 200);
    let policy = page.header("content-security-policy").expect("there is a policy");
    assert!(policy.contains("default-src 'none'"), "{policy}");
    let text = String::from_utf8(page.body).expect("it is text");
    assert!(text.len() < 200_000, "it is small");
    let elsewhere = text.replace("http://www.w3.org/2000/svg", "");
    assert!(
        !elsewhere.contains("http://") && !elsewhere.contains("https://"),
        "nothing from elsewhere"
    );

    let mut stream = TcpStream::connect(address).expect("the door is open");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
    let head = format!("GET /live HTTP/1.1\r\nhost: {address}\r\n\r\n");
    stream.write_all(head.as_bytes()).expect("the node listens");
    let mut lines = BufReader::new(stream).lines();
    let mut message = || -> Value {
        let data = lines.find_map(|line| {
            let line = line.expect("the node goes on talking");
            line.strip_prefix("data: ").map(str::to_owned)
        });
        serde_json::from_str(&data.expect("messages go on")).expect("a message is JSON")
    };
    let first = message();
    assert_eq!(first["node_id"], "node-2");
    assert_eq!(first["partitions"].as_array().map(Vec::len), Some(16));
    let nodes = first["nodes"].as_array().expect("nodes are a list");
    for node in nodes {
        let stats = &node["stats"];
        assert_eq!(stats["node_id"], node["node_id"], "{node}");
        assert_eq!(stats["latency"]["write"].as_array().map(Vec::len), Some(25));
    }
    let led: u64 = nodes.iter().filter_map(|node| node["partitions_led"].as_u64()).sum();
    assert_eq!((nodes.len(), led), (3, 16));
    assert!(!first["events"].as_array().expect("events are a list").is_empty(), "{first}");
    let second = message();
    assert!(second["at"].as_u64() > first["at"].as_u64());
    assert_eq!(second["events"], json!([]), "what was told is not told again");
}

fn nonsense_is_refused(cluster: &Cluster) {
    let address = cluster.http_address(0);
    let long = "x".repeat(10 << 20);
    for (what, codes) in [
        (request(address, "GET", "/keys", &[("x", &long)], b""), [431, 400]),
        (request(address, "GET", "/keys", &[("authorization", "Carrier pigeon")], b""), [400, 400]),
        (request(address, "POST", "/put", &[JSON], b"{"), [400, 400]),
        (request(address, "POST", "/put", &[JSON], b"\xff"), [400, 400]),
        (request(address, "POST", "/put", &[], b"{}"), [415, 415]),
        (get(address, "/keys?cursor=x"), [400, 400]),
    ] {
        assert!(codes.contains(&what.status), "{what:?}");
    }
    let mut stream = TcpStream::connect(address).expect("the door is open");
    let _ =
        stream.write_all(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 no HTTP at all\r\n\r\n");
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 400"), "{answer:?}");
    assert_eq!(get(address, "/health/live").status, 200, "nobody else is disturbed");
}

#[test]
fn a_password_is_asked_for_where_there_is_one() {
    let cluster = Cluster::start(1, &["--password", "secret"]);
    let address = cluster.http_address(0);
    until("the node is ready", || Some(()).filter(|()| get(address, "/health").status == 200));
    // "user:secret" and "user:wrong".
    let right = [("authorization", "Basic ZGVmYXVsdDpzZWNyZXQ=")];
    let wrong = [("authorization", "Basic ZGVmYXVsdDp3cm9uZw==")];
    let bearer = [("authorization", "Bearer secret")];
    let paths =
        ["/", "/keys", "/membership", "/nodes", "/nodes/a", "/ring/status", "/stats", "/metrics"];
    assert_eq!(get(address, "/live").status, 401);
    for path in paths {
        let refused = get(address, path);
        assert_eq!(refused.status, 401, "{path}");
        assert!(refused.header("www-authenticate").is_some(), "{path}");
        assert_eq!(request(address, "GET", path, &wrong, b"").status, 401, "{path}");
        assert_eq!(request(address, "GET", path, &right, b"").status, 200, "{path}");
        assert_eq!(request(address, "GET", path, &bearer, b"").status, 200, "{path}");
    }
    assert_eq!(get(address, "/health/live").status, 200, "probes need no password");
}
