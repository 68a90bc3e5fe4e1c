//! What `node/packaging/` tells an image, a service manager and Kubernetes is what the node understands.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::{Command, Output};

use driftless_tests::cargo::root;
use driftless_tests::cluster::{Cluster, binary};
use saphyr::{LoadableYamlNode as _, YamlOwned};
use serde_json::Value;

type Variables = BTreeMap<String, String>;

fn file(name: &str) -> String {
    let path = root().join("node/packaging").join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// All variables that `config list` prints.
fn known() -> BTreeSet<String> {
    let output = Command::new(binary()).args(["config", "list"]).output().expect("it starts");
    let table = String::from_utf8(output.stdout).expect("it prints text");
    let known: BTreeSet<_> =
        table.lines().filter_map(|row| row.split('`').nth(3)).map(str::to_owned).collect();
    assert!(known.contains("NODE_NUM"), "the table has changed its shape:\n{table}");
    known
}

/// `NAME=value` pairs.
fn pairs<'a>(lines: impl Iterator<Item = &'a str>) -> Variables {
    let pairs = lines.filter_map(|line| line.split_once('='));
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// The instructions of the Dockerfile, each on one line.
fn instructions() -> Vec<String> {
    let text = file("Dockerfile").replace("\\\n", " ");
    let lines = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "));
    lines.filter(|line| !line.is_empty() && !line.starts_with('#')).collect()
}

/// What follows an instruction, wherever it is given.
fn instruction(name: &str) -> Vec<String> {
    let all = instructions();
    all.iter()
        .filter_map(|line| line.strip_prefix(name))
        .map(|rest| rest.trim().to_owned())
        .collect()
}

fn image_variables() -> Variables {
    let given = instruction("ENV ").join(" ");
    pairs(given.split(' '))
}

/// The settings of the service, those of the file over those of the unit.
fn service_variables() -> Variables {
    let unit = file("driftless.service").replace("%S", "/var/lib");
    let mut all = pairs(unit.lines().filter_map(|line| line.strip_prefix("Environment=")));
    let settings = file("driftless.env");
    all.extend(pairs(settings.lines().filter(|line| !line.starts_with('#'))));
    all
}

fn json(yaml: &YamlOwned) -> Value {
    if let Some(pairs) = yaml.as_mapping() {
        let name = |key: &YamlOwned| key.as_str().expect("keys are text").to_owned();
        return Value::Object(pairs.iter().map(|(key, value)| (name(key), json(value))).collect());
    }
    if let Some(items) = yaml.as_sequence() {
        return items.iter().map(json).collect();
    }
    let number = yaml.as_integer().map(Value::from).or_else(|| yaml.as_bool().map(Value::from));
    number.or_else(|| yaml.as_str().map(Value::from)).unwrap_or(Value::Null)
}

/// What the file for Kubernetes describes.
fn objects() -> Vec<Value> {
    let documents = YamlOwned::load_from_str(&file("kubernetes.yaml")).expect("it is YAML");
    documents.iter().map(json).collect()
}

fn objects_of(kind: &str) -> Vec<Value> {
    objects().into_iter().filter(|object| object["kind"] == kind).collect()
}

fn stateful_set() -> Value {
    objects_of("StatefulSet").pop().expect("nodes have files")
}

fn list(value: &Value) -> &[Value] {
    value.as_array().unwrap_or_else(|| panic!("{value} is a list"))
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("{value} is text"))
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("{value} is a number"))
}

/// What a pod of this ordinal is told, the image's variables included.
fn pod_variables(set: &Value, ordinal: u64) -> Variables {
    let mut variables = image_variables();
    for variable in list(&set["spec"]["template"]["spec"]["containers"][0]["env"]) {
        let from = &variable["valueFrom"];
        let value = match (&variable["value"], &from["fieldRef"]["fieldPath"]) {
            (Value::String(value), _) => value.clone(),
            (_, Value::String(path)) if path == "status.podIP" => "10.1.2.3".to_owned(),
            (_, Value::String(path)) => {
                assert_eq!(path, "metadata.labels['apps.kubernetes.io/pod-index']");
                ordinal.to_string()
            }
            _ => format!("from the secret {}", text(&from["secretKeyRef"]["name"])),
        };
        variables.insert(text(&variable["name"]).to_owned(), value);
    }
    variables
}

/// What a node says its settings come to if it is given these variables and nothing else.
fn checked(variables: &Variables) -> Output {
    let mut node = Command::new(binary());
    node.args(["serve", "--check"]).env_clear().envs(variables);
    node.output().expect("the node starts")
}

/// The same by name, for settings that must be right.
fn settings(variables: &Variables) -> Variables {
    let output = checked(variables);
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{variables:?}: {complaint}");
    let text = String::from_utf8(output.stdout).expect("it prints text");
    pairs(text.lines())
        .into_iter()
        .map(|(name, value)| (name.trim().into(), value.trim().into()))
        .collect()
}

fn ports(settings: &Variables) -> BTreeSet<u64> {
    let names = ["port", "cluster-port", "lines-port", "http-port", "grpc-port", "gossip-port"];
    names.iter().map(|name| settings[*name].parse().expect("a port is a number")).collect()
}

#[test]
fn every_variable_is_one_of_a_setting() {
    let known = known();
    let commented = file("driftless.env");
    let commented = pairs(commented.lines().filter_map(|line| line.strip_prefix('#')));
    let all =
        [image_variables(), service_variables(), pod_variables(&stateful_set(), 1), commented];
    assert!(all.iter().all(|variables| !variables.is_empty()));
    for name in all.iter().flat_map(BTreeMap::keys) {
        assert!(known.contains(name), "{name} is no setting");
    }
}

#[test]
fn the_image_runs_a_node_that_needs_a_password() {
    let mut variables = image_variables();
    let refused = checked(&variables);
    assert!(String::from_utf8_lossy(&refused.stderr).contains("no password is set"));
    variables.insert("DRIFTLESS_PASSWORD".to_owned(), "secret".to_owned());
    let settings = settings(&variables);
    let exposed = instruction("EXPOSE ").join(" ");
    let exposed = exposed.split(' ').map(|port| port.split('/').next().unwrap_or_default());
    let exposed: BTreeSet<u64> = exposed.map(|port| port.parse().expect("a number")).collect();
    assert_eq!(exposed, ports(&settings));
    assert_eq!(instruction("VOLUME "), [settings["data-dir"].as_str()]);
    assert_eq!(instruction("ENTRYPOINT "), [r#"["/usr/local/bin/driftless"]"#]);
    assert_eq!(instruction("CMD "), [r#"["serve"]"#]);
    let users = instruction("USER ");
    assert!(!users.is_empty() && users.iter().all(|user| !user.starts_with('0')), "{users:?}");
}

/// The command by which the image asks whether its node is well, for a node at another port.
fn health_check(port: u16) -> Command {
    let given = instruction("HEALTHCHECK ").pop().expect("the image has one");
    let (_, words) = given.split_once("CMD ").expect("it is a command");
    let words: Vec<String> = serde_json::from_str(words).expect("without a shell");
    assert_eq!(words[0], "/usr/local/bin/driftless");
    let usual = &image_variables()["DRIFTLESS_PORT"];
    assert!(words.contains(usual), "it asks at the port of the image");
    let port = port.to_string();
    let mut command = Command::new(binary());
    command.args(words[1..].iter().map(|word| if word == usual { &port } else { word }));
    command
}

#[test]
fn the_image_knows_whether_its_node_is_well() {
    let mut cluster = Cluster::start(1, &["--password", "secret"]);
    let port = cluster.address(0).port();
    let well = |password: &str| {
        let mut check = health_check(port);
        check.env("DRIFTLESS_PASSWORD", password).output().expect("it starts").status.success()
    };
    assert!(well("secret"));
    assert!(!well("another"));
    cluster.kill(0);
    assert!(!well("secret"));
}

#[test]
fn the_service_runs_a_node_that_needs_a_password() {
    let unit = file("driftless.service");
    let given = |name: &str| {
        let mut values = unit.lines().filter_map(|line| line.strip_prefix(name));
        values.next().unwrap_or_else(|| panic!("the unit has {name}")).to_owned()
    };
    assert_eq!(given("ExecStart="), "/usr/local/bin/driftless serve");
    let mut variables = service_variables();
    let refused = checked(&variables);
    assert!(String::from_utf8_lossy(&refused.stderr).contains("no password is set"));
    variables.insert("DRIFTLESS_PASSWORD".to_owned(), "secret".to_owned());
    let settings = settings(&variables);
    assert_eq!(settings["data-dir"], format!("/var/lib/{}", given("StateDirectory=")));
    let clients: u64 = settings["max-clients"].parse().expect("a number");
    let files: u64 = given("LimitNOFILE=").parse().expect("a number");
    assert!(files > 2 * clients, "{files} files are too few for {clients} clients");
}

#[test]
fn each_pod_is_a_node_of_one_cluster() {
    let set = stateful_set();
    let spec = &set["spec"];
    let pod = &spec["template"]["spec"];
    let container = &pod["containers"][0];
    let (first, count) = (number(&spec["ordinals"]["start"]), number(&spec["replicas"]));
    // A Service of this name would be told as a variable that is no port.
    assert_eq!(pod["enableServiceLinks"], false);
    assert_eq!(spec["podManagementPolicy"], "Parallel");
    let named: BTreeSet<u64> =
        list(&container["ports"]).iter().map(|port| number(&port["containerPort"])).collect();
    for ordinal in first..first + count {
        let settings = settings(&pod_variables(&set, ordinal));
        assert_eq!(settings["node-num"], ordinal.to_string());
        assert_eq!(settings["total-nodes"], count.to_string());
        assert_eq!(settings["advertise"], "10.1.2.3");
        assert_eq!(settings["password"], "(set)");
        assert_eq!(ports(&settings), named);
        let peer = |ordinal: u64| {
            let (name, service) = (text(&set["metadata"]["name"]), text(&spec["serviceName"]));
            format!("{name}-{ordinal}.{service}:{}", settings["gossip-port"])
        };
        let peers: Vec<_> = (first..first + count).map(peer).collect();
        assert_eq!(settings["peers"], peers.join(","));
        let mount = &container["volumeMounts"][0];
        assert_eq!(mount["mountPath"], settings["data-dir"].as_str());
        assert_eq!(mount["name"], spec["volumeClaimTemplates"][0]["metadata"]["name"]);
    }
    let secret = list(&container["env"]).iter().find(|it| it["name"] == "DRIFTLESS_PASSWORD");
    let secret = secret.expect("there is a password");
    assert!(secret["value"].is_null() && secret["valueFrom"]["secretKeyRef"].is_object());
    let pause = number(&container["lifecycle"]["preStop"]["sleep"]["seconds"]);
    // The node takes 4 s to hand over and flush, if its disk is well.
    assert!(number(&pod["terminationGracePeriodSeconds"]) > pause + 4);
}

#[test]
fn what_is_asked_of_pods_is_answered() {
    let set = stateful_set();
    let pod = &set["spec"]["template"]["spec"];
    let container = &pod["containers"][0];
    let names: BTreeSet<&str> =
        list(&container["ports"]).iter().map(|port| text(&port["name"])).collect();
    let described = root().join("node/src/doors/http/openapi.json");
    let described = fs::read_to_string(described).expect("the door describes itself");
    let described: Value = serde_json::from_str(&described).expect("in JSON");
    for (probe, path) in [
        ("startupProbe", "/health/live"),
        ("livenessProbe", "/health/live"),
        ("readinessProbe", "/health/ready"),
    ] {
        let asked = &container[probe]["httpGet"];
        assert_eq!((&asked["path"], &asked["port"]), (&path.into(), &"http".into()), "{probe}");
        assert!(described["paths"][path]["get"].is_object(), "{path} is described");
    }
    let labels = &set["spec"]["template"]["metadata"]["labels"];
    let services = objects_of("Service");
    for service in &services {
        assert_eq!(&service["spec"]["selector"], labels);
        for port in list(&service["spec"]["ports"]) {
            let target =
                if port["targetPort"].is_null() { &port["name"] } else { &port["targetPort"] };
            assert!(names.contains(text(target)), "{port}");
        }
    }
    let is_for_nodes = |it: &&Value| it["metadata"]["name"] == set["spec"]["serviceName"];
    let for_nodes = &services.iter().find(is_for_nodes).expect("pods have names")["spec"];
    assert_eq!(for_nodes["clusterIP"], "None");
    assert_eq!(for_nodes["publishNotReadyAddresses"], true);
    for kind in ["PodDisruptionBudget", "StatefulSet"] {
        assert_eq!(&objects_of(kind)[0]["spec"]["selector"]["matchLabels"], labels, "{kind}");
    }
    assert_eq!(objects_of("PodDisruptionBudget")[0]["spec"]["maxUnavailable"], 1);
}
