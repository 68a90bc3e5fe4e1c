use super::*;

/// What settings say when one thing about them is wrong.
fn complaint(change: impl FnOnce(&mut Flags)) -> String {
    let mut flags = Flags { node_num: Some(2), total_nodes: Some(3), ..Flags::default() };
    change(&mut flags);
    match Settings::check(&flags) {
        Ok(_) => "none".to_owned(),
        Err(error) => error.to_string(),
    }
}

fn certificate(flags: &mut Flags) {
    (flags.tls_cert, flags.tls_key) = (Some("c".into()), Some("k".into()));
}

#[test]
fn defaults_follow_the_number_of_the_node() {
    let settings =
        Settings::check(&Flags { node_num: Some(2), total_nodes: Some(5), ..Flags::default() })
            .unwrap();
    assert_eq!(settings.clients_at.to_string(), "127.0.0.1:6380");
    assert_eq!(settings.nodes_at.to_string(), "127.0.0.1:16380");
    assert_eq!(settings.data_dir, PathBuf::from("data/node2"));
    assert_eq!(settings.shared.replication_factor, 3);
    assert_eq!(settings.peers.len(), 4);
    assert!(!settings.peers.contains(&"127.0.0.1:16380".to_owned()));
}

#[test]
fn a_wrong_setting_is_named() {
    type Change = fn(&mut Flags);
    let cases: [(&str, Change); 21] = [
        ("setting replication-factor: 4 copies", |f| f.replication_factor = Some(4)),
        ("setting replication-factor: 0 copies", |f| f.replication_factor = Some(0)),
        ("setting node-num: 0 is not", |f| f.node_num = Some(0)),
        ("setting node-num: 4 is not", |f| f.node_num = Some(4)),
        ("setting bind: 0.0.0.0 can be reached", |f| f.bind = Some("0.0.0.0".parse().unwrap())),
        ("setting advertise: other nodes", |f| {
            f.bind = Some("0.0.0.0".parse().unwrap());
            f.password = Some("x".to_owned());
        }),
        ("setting peers: \"a\" is not host:port", |f| f.peers = Some(vec!["a".to_owned()])),
        ("setting fsync: \"often\"", |f| f.fsync = Some("often".to_owned())),
        ("setting zones: 2 zones", |f| f.zones = Some(vec!["a".to_owned(), "b".to_owned()])),
        ("setting engines: 17 engines", |f| f.engines = Some(17)),
        ("setting partitions: 16385", |f| f.partitions = Some(16_385)),
        ("setting heartbeat-ms: 300 ms", |f| f.heartbeat_ms = Some(300)),
        ("setting lease-ms: it is longer", |f| f.lease_ms = Some(500)),
        ("setting gossip-port: 6380", |f| f.gossip_port = Some(6_380)),
        ("setting tls-doors: it needs tls-cert", |f| f.tls_doors = Some(true)),
        ("setting tls-key: tls-cert is set", |f| f.tls_cert = Some("c".into())),
        ("setting tls-cert: tls-ca is set", |f| f.tls_ca = Some("a".into())),
        ("setting tls-cert: nothing uses it", |f| certificate(f)),
        ("setting tls-nodes: it needs tls-ca", |f| {
            certificate(f);
            (f.tls_nodes, f.tls_doors) = (Some(true), Some(true));
        }),
        ("setting tls-clients: it needs tls-doors", |f| {
            certificate(f);
            (f.tls_ca, f.tls_nodes) = (Some("a".into()), Some(true));
            f.tls_clients = Some("require".to_owned());
        }),
        ("setting tls-clients: \"some\"", |f| f.tls_clients = Some("some".to_owned())),
    ];
    for (begins, change) in cases {
        let line = complaint(change);
        assert!(line.starts_with(begins), "{line} should begin with {begins}");
        assert!(!line.contains('\n'), "{line} is one line");
    }
    assert_eq!(complaint(|_| ()), "none");
}

#[test]
fn a_difference_between_clusters_is_named() {
    let ours = Settings::check(&Flags { total_nodes: Some(3), ..Flags::default() }).unwrap().shared;
    let mut theirs = ours.clone();
    assert_eq!(ours.difference(&theirs), None);
    assert_eq!(ours.fingerprint(), theirs.fingerprint());
    theirs.replication_factor = 2;
    assert_eq!(
        ours.difference(&theirs),
        Some(("replication-factor", "3".to_owned(), "2".to_owned()))
    );
    assert_ne!(ours.fingerprint(), theirs.fingerprint());
}
