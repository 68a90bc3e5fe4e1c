//! The door for gRPC, by a client made of the same description.
#![cfg(not(madsim))]

use driftless::proto::cluster_client::ClusterClient;
use driftless::proto::kv_client::KvClient;
use driftless::proto::operation::Operation as Ask;
use driftless::proto::outcome::Outcome as Told;
use driftless::proto::{
    BatchRequest, Condition, DeleteRequest, ExpireRequest, GetRequest, GetResponse, Operation,
    ScanRequest, SetRequest, StatusRequest,
};
use driftless_tests::cluster::{Cluster, PATIENCE};
use tonic::metadata::MetadataValue;
use tonic::transport::Channel;
use tonic::{Code, Request};

/// Runs what a test does, on a runtime of its own.
fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime can be built").block_on(test);
}

async fn connect(cluster: &Cluster, at: usize) -> Channel {
    let address = format!("http://{}", cluster.grpc_address(at));
    let endpoint = Channel::from_shared(address).expect("it is an address");
    endpoint.connect().await.expect("the door is open")
}

fn set(key: &str, value: &str) -> SetRequest {
    SetRequest { key: key.into(), value: value.into(), ..SetRequest::default() }
}

async fn get(client: &mut KvClient<Channel>, key: &str) -> GetResponse {
    let asked = client.get(GetRequest { key: key.into() }).await;
    asked.expect("the node answers").into_inner()
}

#[test]
fn keys_and_values_are_what_every_other_door_shows() {
    let cluster = Cluster::start(3, &[]);
    run(async {
        let mut one = KvClient::new(connect(&cluster, 0).await);
        let mut two = KvClient::new(connect(&cluster, 1).await);
        assert!(one.set(set("a", "1")).await.expect("it is set").into_inner().done);
        let found = get(&mut two, "a").await;
        assert_eq!((found.value.as_deref(), found.ttl_ms), (Some(&b"1"[..]), None));
        assert_eq!(get(&mut one, "b").await, GetResponse { value: None, ttl_ms: None });

        let absent = Condition::Absent.into();
        let held = SetRequest { condition: absent, ..set("a", "2") };
        assert!(!two.set(held).await.expect("it is asked").into_inner().done, "it is there");
        let expire = ExpireRequest { key: b"a".into(), ttl_ms: Some(60_000) };
        assert!(one.expire(expire).await.expect("it is asked").into_inner().found);
        let left = get(&mut two, "a").await.ttl_ms.expect("it ends");
        assert!((50_000..=60_000).contains(&left), "{left}");
        let persist = ExpireRequest { key: b"a".into(), ttl_ms: None };
        assert!(two.expire(persist).await.expect("it is asked").into_inner().found);
        assert_eq!(get(&mut one, "a").await.ttl_ms, None);

        let client = redis::Client::open(cluster.url(2)).expect("the address is well formed");
        let mut redis = client.get_connection().expect("the node takes connections");
        let value: String = redis::cmd("GET").arg("a").query(&mut redis).expect("it is there");
        assert_eq!(value, "1");

        let keys = vec![b"a".to_vec(), b"b".to_vec()];
        let deleted = one.delete(DeleteRequest { keys }).await.expect("it is asked");
        assert_eq!(deleted.into_inner().deleted, 1);
        batches_and_scans(&mut one).await;
        requests_of_one_connection_do_not_wait_for_each_other(&cluster).await;
        the_cluster_is_described(&cluster).await;
    });
}

async fn batches_and_scans(client: &mut KvClient<Channel>) {
    let mut operations: Vec<_> =
        (0..50).map(|number| Ask::Set(set(&format!("scan:{number:02}"), "x"))).collect();
    let wrong = SetRequest { ttl_ms: Some(0), ..set("no", "x") };
    operations.push(Ask::Set(wrong));
    operations.push(Ask::Get(GetRequest { key: b"scan:07".into() }));
    let operations: Vec<_> =
        operations.into_iter().map(|ask| Operation { operation: Some(ask) }).collect();
    let asked = client.batch(BatchRequest { operations }).await.expect("it is asked");
    let outcomes: Vec<_> =
        asked.into_inner().outcomes.into_iter().filter_map(|outcome| outcome.outcome).collect();
    assert_eq!(outcomes.len(), 52);
    let [.., Told::Failure(failure), Told::Get(found)] = outcomes.as_slice() else {
        panic!("{outcomes:?}");
    };
    assert_eq!(failure.code, i32::from(Code::InvalidArgument), "{failure:?}");
    assert_eq!(found.value.as_deref(), Some(&b"x"[..]));

    let scan = ScanRequest { prefix: b"scan:".into(), page: 7, cursor: 0 };
    let mut pages = client.scan(scan).await.expect("it is asked").into_inner();
    let (mut found, mut count, mut last) = (Vec::new(), 0, 1);
    while let Some(page) = pages.message().await.expect("pages go on") {
        found.extend(page.keys);
        (count, last) = (count + 1, page.cursor);
    }
    found.sort_unstable();
    found.dedup();
    assert!(found.len() == 50 && count > 3 && last == 0, "{} in {count} pages", found.len());
}

/// A request that waits holds up none that was made after it.
async fn requests_of_one_connection_do_not_wait_for_each_other(cluster: &Cluster) {
    let channel = connect(cluster, 2).await;
    let many = (0..100).map(|number| {
        let mut client = KvClient::new(channel.clone());
        let key = format!("many:{number}");
        tokio::spawn(async move {
            client.set(set(&key, &key)).await.expect("it is set");
            assert_eq!(get(&mut client, &key).await.value, Some(key.into_bytes()));
        })
    });
    for one in many.collect::<Vec<_>>() {
        one.await.expect("each is answered with its own");
    }
}

async fn the_cluster_is_described(cluster: &Cluster) {
    let mut client = ClusterClient::new(connect(cluster, 1).await);
    let status = client.status(StatusRequest {}).await.expect("it is asked").into_inner();
    assert_eq!((status.node, status.replication_factor, status.partitions.len()), (2, 3, 16));
    for (at, node) in status.nodes.iter().enumerate() {
        let ports = (node.grpc_port, node.http_port, node.lines_port, node.redis_port);
        let own = [
            cluster.grpc_address(at),
            cluster.http_address(at),
            cluster.lines_address(at),
            cluster.address(at),
        ];
        let [grpc, http, lines, redis] = own.map(|address| u32::from(address.port()));
        assert_eq!(ports, (grpc, http, lines, redis));
    }
    let mut health = tonic_health::pb::health_client::HealthClient::new(connect(cluster, 0).await);
    let service = "driftless.v1.Kv".to_owned();
    let asked = health.check(tonic_health::pb::HealthCheckRequest { service }).await;
    assert_eq!(asked.expect("it is asked").into_inner().status, 1, "it serves");
    services_are_listed(cluster).await;
}

async fn services_are_listed(cluster: &Cluster) {
    use tonic_reflection::pb::v1::ServerReflectionRequest;
    use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
    use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
    use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;

    let mut client = ServerReflectionClient::new(connect(cluster, 0).await);
    let ask = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let asked = client.server_reflection_info(futures_util::stream::iter([ask])).await;
    let mut answers = asked.expect("it is asked").into_inner();
    let answer = answers.message().await.expect("it is answered").expect("once");
    let Some(MessageResponse::ListServicesResponse(list)) = answer.message_response else {
        panic!("{answer:?}");
    };
    let names: Vec<_> = list.service.iter().map(|service| service.name.as_str()).collect();
    for name in ["driftless.v1.Kv", "driftless.v1.Cluster", "grpc.health.v1.Health"] {
        assert!(names.contains(&name), "{names:?}");
    }
}

#[test]
fn a_password_is_asked_for_where_there_is_one() {
    let cluster = Cluster::start(1, &["--password", "secret"]);
    run(async {
        let mut client = KvClient::new(connect(&cluster, 0).await);
        let mut ask = async |pass: Option<&'static str>| {
            let mut request = Request::new(GetRequest { key: b"a".into() });
            if let Some(pass) = pass {
                request.metadata_mut().insert("authorization", MetadataValue::from_static(pass));
            }
            client.get(request).await.err().map(|status| status.code())
        };
        assert_eq!(ask(None).await, Some(Code::Unauthenticated));
        assert_eq!(ask(Some("Bearer wrong")).await, Some(Code::Unauthenticated));
        assert_eq!(ask(Some("Carrier pigeon")).await, Some(Code::InvalidArgument));
        assert_eq!(ask(Some("Bearer secret")).await, None);
        // "default:secret".
        assert_eq!(ask(Some("Basic ZGVmYXVsdDpzZWNyZXQ=")).await, None);
        assert_eq!(ask(None).await, Some(Code::Unauthenticated), "who asks is asked each time");
    });
}

#[test]
fn nonsense_ends_a_connection_and_no_other() {
    use std::io::{Read as _, Write as _};

    let cluster = Cluster::start(1, &[]);
    let mut stream =
        std::net::TcpStream::connect(cluster.grpc_address(0)).expect("the door is open");
    let _ = stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n\x00\xff\xff\xff no frames at all");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
    let ended = stream.read_to_end(&mut Vec::new());
    let reset = |error: &std::io::Error| error.kind() == std::io::ErrorKind::ConnectionReset;
    assert!(ended.as_ref().is_ok() || ended.as_ref().is_err_and(reset), "hung up: {ended:?}");
    run(async {
        let mut client = KvClient::new(connect(&cluster, 0).await);
        let done = client.set(set("a", "1")).await;
        assert!(done.expect("nobody else is disturbed").into_inner().done);
    });
}
