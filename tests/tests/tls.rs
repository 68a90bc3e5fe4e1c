//! TLS at every door and between nodes: who shows what is good is served, and nobody else.
#![cfg(not(madsim))]

use std::fs;
use std::io::{self, BufRead as _, BufReader, ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use driftless::answer::{Answer, put_command};
use driftless::proto::kv_client::KvClient;
use driftless::proto::{GetRequest, SetRequest};
use driftless_tests::cluster::{Cluster, PATIENCE, binary, until};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    date_time_ymd,
};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{
    AlertDescription, ClientConfig, ClientConnection, RootCertStore, ServerConfig,
    ServerConnection, StreamOwned,
};
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Identity};

/// A directory for files, for as long as a test takes.
struct Place(PathBuf);

impl Place {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("driftless-tls-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).expect("the system has a directory for temporary files");
        Self(path)
    }

    fn write(&self, name: &str, text: &str) -> String {
        let path = self.0.join(name);
        // In one step, as whoever renews certificates should.
        let draft = self.0.join("draft");
        fs::write(&draft, text).and_then(|()| fs::rename(&draft, &path)).expect("it is written");
        path.display().to_string()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Somebody who signs certificates.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

/// A certificate and its key.
#[derive(Clone)]
struct Pair {
    cert: String,
    key: String,
}

const BOTH: [ExtendedKeyUsagePurpose; 2] =
    [ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];

impl Authority {
    fn new(name: &str) -> Self {
        let key = KeyPair::generate().expect("a key can be made");
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let pem = params.self_signed(&key).expect("it signs itself").pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    /// A certificate that is good for `purposes` until the end of a year.
    fn sign(&self, purposes: &[ExtendedKeyUsagePurpose], until: i32) -> Pair {
        let key = KeyPair::generate().expect("a key can be made");
        let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
        let mut params = CertificateParams::new(names).expect("these are names");
        params.extended_key_usages = purposes.to_vec();
        params.not_after = date_time_ymd(until, 12, 31);
        let cert = params.signed_by(&key, &self.issuer).expect("it can be signed");
        Pair { cert: cert.pem(), key: key.serialize_pem() }
    }

    /// One that is good for everything.
    fn node(&self) -> Pair {
        self.sign(&BOTH, 4_000)
    }

    /// One that is good for a client only.
    fn client(&self) -> Pair {
        self.sign(&BOTH[1..], 4_000)
    }

    fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        let own = CertificateDer::from_pem_slice(self.pem.as_bytes()).expect("it is PEM");
        roots.add(own).expect("it is an authority");
        roots
    }
}

impl Pair {
    fn der(&self) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
        let cert = CertificateDer::from_pem_slice(self.cert.as_bytes()).expect("it is PEM");
        (vec![cert], PrivateKeyDer::from_pem_slice(self.key.as_bytes()).expect("it is PEM"))
    }
}

type Tls = StreamOwned<ClientConnection, TcpStream>;

/// How a client speaks: whom it believes, what it shows, and what it calls what it speaks.
fn rules(believed: &Authority, shown: Option<&Pair>, name: &str) -> Arc<ClientConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let rules = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let rules = rules.expect("ring knows them").with_root_certificates(believed.roots());
    let mut rules = match shown.map(Pair::der) {
        Some((cert, key)) => rules.with_client_auth_cert(cert, key).expect("they fit together"),
        None => rules.with_no_client_auth(),
    };
    if !name.is_empty() {
        rules.alpn_protocols = vec![name.into()];
    }
    Arc::new(rules)
}

fn connect(address: SocketAddr, rules: &Arc<ClientConfig>) -> io::Result<Tls> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let name = ServerName::try_from("localhost").expect("it is a name");
    let mut session =
        ClientConnection::new(rules.clone(), name).expect("rules for a client make one");
    while session.is_handshaking() {
        session.complete_io(&mut stream)?;
    }
    Ok(StreamOwned::new(session, stream))
}

/// Whether somebody is refused who goes by these rules: by the other side, at the latest once they say something.
fn is_refused(address: SocketAddr, rules: &Arc<ClientConfig>) -> bool {
    let Ok(mut stream) = connect(address, rules) else { return true };
    let _ = stream.write_all(b"PING\r\n");
    !matches!(stream.read(&mut [0; 16]), Ok(1..))
}

fn redis(stream: &mut Tls, command: &[&str]) -> Answer {
    let mut bytes = Vec::new();
    put_command(&mut bytes, command);
    stream.write_all(&bytes).expect("the node listens");
    bytes.clear();
    loop {
        if let Some((answer, _)) = Answer::parse(&bytes).expect("it is an answer") {
            return answer;
        }
        let mut more = [0; 4_096];
        let count = stream.read(&mut more).expect("the node answers in time");
        assert!(count > 0, "the node answers before it hangs up");
        bytes.extend_from_slice(&more[..count]);
    }
}

/// What is answered to a request of HTTP, head and all; of one that does not end, what comes up to the first `until`.
fn http(address: SocketAddr, rules: &Arc<ClientConfig>, path: &str, until: &str) -> String {
    let stream = connect(address, rules).expect("the door is open");
    let mut stream = BufReader::new(stream);
    let head = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    stream.get_mut().write_all(head.as_bytes()).expect("the node listens");
    let mut answer = String::new();
    loop {
        let count = stream.read_line(&mut answer).expect("the node answers");
        if count == 0 || answer.contains(until) {
            return answer;
        }
    }
}

/// What comes of saying something in plain text: nothing.
fn assert_plain_text_is_refused(address: SocketAddr, text: &[u8]) {
    let mut stream = TcpStream::connect(address).expect("the door is open");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
    stream.write_all(text).expect("the system takes a few bytes");
    match stream.read(&mut [0; 64]) {
        Ok(count) => assert_eq!(count, 0, "{address} answers plain text"),
        Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{address}"),
    }
}

/// Arguments by which a node speaks TLS everywhere.
fn arguments(place: &Place, authority: &Authority, own: &Pair) -> Vec<String> {
    let files = [
        ("--tls-cert", place.write("cert.pem", &own.cert)),
        ("--tls-key", place.write("key.pem", &own.key)),
        ("--tls-ca", place.write("ca.pem", &authority.pem)),
    ];
    let files = files.into_iter().flat_map(|(flag, path)| [flag.to_owned(), path]);
    files.chain(["--tls-doors".to_owned(), "--tls-nodes".to_owned()]).collect()
}

fn start(nodes: usize, arguments: &[String], more: &[&str]) -> Cluster {
    let all: Vec<&str> = arguments.iter().map(String::as_str).chain(more.iter().copied()).collect();
    Cluster::start(nodes, &all)
}

#[test]
fn every_door_serves_whoever_shows_a_certificate() {
    let (place, authority) = (Place::new(), Authority::new("ours"));
    let arguments = arguments(&place, &authority, &authority.node());
    let cluster = start(3, &arguments, &["--tls-clients", "require"]);
    let client = authority.client();
    let plain = rules(&authority, Some(&client), "");

    let mut stream = connect(cluster.address(0), &plain).expect("the door is open");
    assert_eq!(redis(&mut stream, &["SET", "a", "1"]), Answer::Simple("OK".to_owned()));
    let large = "x".repeat(3 << 20);
    assert_eq!(redis(&mut stream, &["SET", "b", &large]), Answer::Simple("OK".to_owned()));
    let mut stream = connect(cluster.address(2), &plain).expect("the door is open");
    assert_eq!(redis(&mut stream, &["GET", "b"]), Answer::Bulk(large.into_bytes()));
    assert_eq!(redis(&mut stream, &["QUIT"]), Answer::Simple("OK".to_owned()));
    assert_eq!(stream.read(&mut [0]).expect("the node says that this is all"), 0);

    let lines = connect(cluster.lines_address(1), &plain).expect("the door is open");
    let mut lines = BufReader::new(lines);
    lines.get_mut().write_all(b"{\"command\":\"GET\",\"key\":\"a\"}\n").expect("the node listens");
    let mut line = String::new();
    lines.read_line(&mut line).expect("the node answers");
    assert!(line.contains("\"value\":\"1\""), "{line}");

    let web = rules(&authority, Some(&client), "http/1.1");
    let answer = http(cluster.http_address(2), &web, "/get/a", "no end");
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("\"value\":1"), "{answer}");
    // What the page shows of other nodes, it has asked them by TLS.
    until("the page shows all nodes", || {
        let state = http(cluster.http_address(0), &web, "/live", "\"partitions\":");
        (state.matches("\"total_requests\"").count() == 3).then_some(())
    });
    grpc(&cluster, &authority, &client);
    command_line(&cluster, &place, &client);
}

fn grpc(cluster: &Cluster, authority: &Authority, client: &Pair) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime can be built").block_on(async {
        let tls = ClientTlsConfig::new()
            .ca_certificate(Certificate::from_pem(&authority.pem))
            .identity(Identity::from_pem(&client.cert, &client.key))
            .domain_name("localhost");
        let channel = Channel::from_shared(format!("https://{}", cluster.grpc_address(1)));
        let channel =
            channel.expect("it is an address").tls_config(tls).expect("it is well formed");
        let mut client = KvClient::new(channel.connect().await.expect("the door is open"));
        let set = SetRequest { key: b"g".into(), value: b"2".into(), ..SetRequest::default() };
        client.set(set).await.expect("it is set");
        let got = client.get(GetRequest { key: b"g".into() }).await.expect("it is asked");
        assert_eq!(got.into_inner().value.as_deref(), Some(&b"2"[..]));
    });
}

fn command_line(cluster: &Cluster, place: &Place, client: &Pair) {
    let (cert, key) = (place.write("me.pem", &client.cert), place.write("me.key", &client.key));
    let ca = place.0.join("ca.pem").display().to_string();
    let port = cluster.address(1).port().to_string();
    let run = |arguments: &[&str]| {
        let mut command = Command::new(binary());
        let output = command.args(["cli", "-p", &port]).args(arguments).output();
        let output = output.expect("the program starts");
        (output.status.success(), String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let shown = ["--tls", "--cert", &cert, "--key", &key];
    let get = |believed: &[&str]| run(&[&shown[..], believed, &["get", "a"]].concat());
    assert_eq!(get(&["--cacert", &ca]), (true, "1".to_owned()));
    assert_eq!(get(&["--insecure"]), (true, "1".to_owned()));
    assert!(!get(&["--cacert", &ca, "--sni", "elsewhere"]).0);
    assert!(!get(&["--cacert", &cert]).0, "another authority");
    // Half a megabyte there and more back, by two threads.
    let lines = "set loaded 1\nget loaded\n".repeat(20_000);
    let file = place.write("lines", &lines);
    let (well, said) = run(&[&shown[..], &["--cacert", &ca, "--load", &file]].concat());
    assert!(well && said.starts_with("40000 commands: 40000 done, 0 failed"), "{said}");
    assert!(!run(&["get", "a"]).0, "plain text");
    assert!(!run(&["--tls", "--cacert", &ca, "get", "a"]).0, "without a certificate");
}

#[test]
fn whoever_shows_nothing_good_is_refused_at_every_port() {
    let (place, authority, stranger) =
        (Place::new(), Authority::new("ours"), Authority::new("theirs"));
    let arguments = arguments(&place, &authority, &authority.node());
    let cluster = start(1, &arguments, &["--tls-clients", "require"]);
    let doors = [
        (cluster.address(0), ""),
        (cluster.cluster_address(0), ""),
        (cluster.lines_address(0), ""),
        (cluster.http_address(0), "http/1.1"),
        (cluster.grpc_address(0), "h2"),
        (cluster.nodes_address(0), "driftless"),
    ];
    let expired = authority.sign(&BOTH, 2_001);
    for (address, name) in doors {
        let refused = |shown| is_refused(address, &rules(&authority, shown, name));
        assert!(refused(None), "{address} {name:?}: no certificate");
        assert!(refused(Some(&expired)), "{address} {name:?}: an expired one");
        assert!(refused(Some(&stranger.node())), "{address} {name:?}: one of a stranger");
        assert_plain_text_is_refused(address, b"PING\r\n\r\n");
        assert_plain_text_is_refused(address, b"DRFT\x03\0");
        assert!(connect(address, &rules(&stranger, None, name)).is_err(), "a stranger is believed");
    }
    // A client is no node, at whatever door it says so.
    let client = authority.client();
    for (address, _) in doors {
        assert!(is_refused(address, &rules(&authority, Some(&client), "driftless")), "{address}");
    }
    let mut stream = connect(cluster.address(0), &rules(&authority, Some(&client), "")).unwrap();
    assert_eq!(redis(&mut stream, &["PING"]), Answer::Simple("PONG".to_owned()));
    let log = cluster.log(0);
    let told = |words: &str| log.lines().filter(|line| line.contains(words)).count();
    // Each of them once in ten seconds, and this took no longer.
    assert!((1..=3).contains(&told("plain text where only TLS is spoken")), "{log}");
    assert!((1..=3).contains(&told("TLS did not come about")), "{log}");
}

/// Takes connections as somebody with this certificate would, and tells what became of the first.
fn answer_as(own: &Pair, listener: &TcpListener) -> io::Result<()> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let rules = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let (cert, key) = own.der();
    let rules = rules.expect("ring knows them").with_no_client_auth();
    let mut rules = rules.with_single_cert(cert, key).expect("they fit together");
    rules.alpn_protocols = vec![b"driftless".into()];
    let (mut stream, _) = listener.accept()?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut session = ServerConnection::new(Arc::new(rules)).expect("rules for a server make one");
    while session.is_handshaking() {
        session.complete_io(&mut stream)?;
    }
    Ok(())
}

#[test]
fn a_node_tells_nothing_to_a_peer_of_another_authority() {
    let (place, authority) = (Place::new(), Authority::new("ours"));
    let arguments = arguments(&place, &authority, &authority.node());
    for (own, alert) in [
        (Authority::new("theirs").node(), AlertDescription::UnknownCA),
        (authority.sign(&BOTH, 2_001), AlertDescription::CertificateExpired),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").expect("there is a free port");
        let at = listener.local_addr().expect("it is bound").to_string();
        let answer = std::thread::spawn(move || answer_as(&own, &listener));
        let _cluster = start(1, &arguments, &["--peers", &at]);
        let refused = answer.join().expect("it does not panic").expect_err("it is not believed");
        let why = refused.get_ref().and_then(|error| error.downcast_ref::<rustls::Error>());
        assert_eq!(why, Some(&rustls::Error::AlertReceived(alert)), "{refused}");
    }
}

/// Begins a handshake and sends a byte of it a second, until it is hung up on. How long that took.
fn dawdle(address: SocketAddr) -> Duration {
    let begun = Instant::now();
    let mut stream = TcpStream::connect(address).expect("the door is open");
    stream.set_read_timeout(Some(Duration::from_secs(1))).expect("a timeout can be set");
    for byte in [0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3].into_iter().chain([0; 20]) {
        if stream.write_all(&[byte]).is_err() {
            break;
        }
        match stream.read(&mut [0; 16]) {
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => (),
            _ => break,
        }
    }
    begun.elapsed()
}

/// The certificate that a node shows now.
fn shown(address: SocketAddr, rules: &Arc<ClientConfig>) -> CertificateDer<'static> {
    let stream = connect(address, rules).expect("the door is open");
    stream.conn.peer_certificates().expect("a server shows one")[0].clone().into_owned()
}

#[test]
fn certificates_are_read_again_and_who_dawdles_disturbs_nobody() {
    let (place, authority) = (Place::new(), Authority::new("ours"));
    let (old, new) = (authority.node(), authority.node());
    let arguments = arguments(&place, &authority, &old);
    let cluster = start(1, &arguments, &[]);
    let rules = rules(&authority, None, "");
    let ports = [cluster.address(0), cluster.lines_address(0), cluster.nodes_address(0)];
    let slow = ports.map(|port| std::thread::spawn(move || dawdle(port)));

    let mut before = connect(ports[0], &rules).expect("the door is open");
    assert_eq!(redis(&mut before, &["SET", "a", "1"]), Answer::Simple("OK".to_owned()));
    assert_eq!(shown(ports[0], &rules), old.der().0[0]);
    // Half of the new ones is none.
    place.write("cert.pem", &new.cert);
    until("the node says that they do not fit", || {
        cluster.log(0).contains("it is not the key of tls-cert").then_some(())
    });
    assert_eq!(shown(ports[0], &rules), old.der().0[0]);
    place.write("key.pem", &new.key);
    until("the new one is shown", || (shown(ports[0], &rules) == new.der().0[0]).then_some(()));
    // At once, if asked.
    place.write("cert.pem", &old.cert);
    place.write("key.pem", &old.key);
    let process = cluster.process(0).to_string();
    assert!(Command::new("kill").args(["-HUP", &process]).status().expect("it runs").success());
    until("the old one is back", || (shown(ports[1], &rules) == old.der().0[0]).then_some(()));
    assert_eq!(redis(&mut before, &["GET", "a"]), Answer::Bulk(b"1".into()), "as if nothing were");

    let mut longest = Duration::ZERO;
    while !slow.iter().all(std::thread::JoinHandle::is_finished) {
        let asked = Instant::now();
        let mut stream = connect(ports[0], &rules).expect("the door is open");
        assert_eq!(redis(&mut stream, &["GET", "a"]), Answer::Bulk(b"1".into()));
        longest = longest.max(asked.elapsed());
        std::thread::park_timeout(Duration::from_millis(50));
    }
    assert!(longest < Duration::from_secs(5), "somebody waited {longest:?}");
    for slow in slow {
        let took = slow.join().expect("it does not panic");
        assert!(took < Duration::from_secs(16), "after {took:?}");
    }
}

#[test]
fn a_file_that_is_no_good_is_named_at_the_start() {
    let (place, authority) = (Place::new(), Authority::new("ours"));
    let (own, other) = (authority.node(), Authority::new("theirs").node());
    let good = ["cert", "key", "ca"].map(|name| place.0.join(format!("{name}.pem")));
    let arguments = arguments(&place, &authority, &own);
    let expired = authority.sign(&BOTH, 2_001);
    let cases: [(usize, &str, &str, &str); 10] = [
        (0, "expired", &expired.cert, "it is not the key of tls-cert"),
        (0, "stranger", &other.cert, "it is not the key of tls-cert"),
        (0, "nothing", "", "tls-cert: {}: there is no certificate in it"),
        (0, "missing", "-", "tls-cert: {}: No such file"),
        (1, "other", &other.key, "tls-key: {}: it is not the key of tls-cert, "),
        (1, "cert", &own.cert, "tls-key: {}: there is no key in it"),
        (1, "missing", "-", "tls-key: {}: No such file"),
        (2, "missing", "-", "tls-ca: {}: No such file"),
        (2, "namesake", &Authority::new("ours").pem, "no authority of tls-ca has signed it"),
        (2, "alien", &Authority::new("theirs").pem, "no authority of tls-ca has signed it"),
    ];
    let said = |arguments: &[String]| {
        let output = Command::new(binary()).args(["serve", "--check"]).args(arguments).output();
        String::from_utf8_lossy(&output.expect("the program starts").stderr).into_owned()
    };
    assert_eq!(said(&arguments), "");
    for (at, name, text, expected) in cases {
        let path = match text {
            "-" => place.0.join("missing").display().to_string(),
            text => place.write(name, text),
        };
        let good = good[at].display().to_string();
        let bad =
            arguments.iter().map(|word| if *word == good { path.clone() } else { word.clone() });
        let line = said(&bad.collect::<Vec<_>>());
        let expected = expected.replace("{}", &path);
        assert!(line.contains(&expected) && line.lines().count() == 1, "{name}: {line}{expected}");
    }
    let old = arguments_of(&place, &expired);
    let line = said(&[&arguments[4..], &old[..]].concat());
    assert!(line.contains("setting tls-cert: ") && line.ends_with("it has expired\n"), "{line}");
}

fn arguments_of(place: &Place, own: &Pair) -> Vec<String> {
    let path = |name: &str, text: &str| Path::new(&place.write(name, text)).display().to_string();
    let (cert, key) = (path("old.pem", &own.cert), path("old.key", &own.key));
    ["--tls-cert".to_owned(), cert, "--tls-key".to_owned(), key].to_vec()
}
