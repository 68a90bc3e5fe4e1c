//! Scans and watches that go on where one node fails.

use std::time::{Duration, SystemTime};

use driftless::proto::change::Kind;
use driftless::proto::watch_request::Keys as Asked;
use driftless::proto::{Change, Place, ScanResponse, WatchResponse};
use driftless_client::{Client, Error, Places, Retry, Watch, Watched, What};
use tonic::Status;

use crate::fake::{Fake, cluster};
use crate::run;

async fn connect(fakes: &[Fake], times: u32) -> Client {
    let retry = Retry { times, pause: Duration::from_millis(1), ..Retry::default() };
    let addresses = fakes.iter().map(|fake| fake.address.to_string());
    Client::builder().retry(retry).connect(addresses).await.expect("they are there")
}

fn page(keys: &[&str], cursor: u64) -> ScanResponse {
    ScanResponse { keys: keys.iter().map(|key| key.as_bytes().to_vec()).collect(), cursor }
}

#[test]
fn a_scan_goes_on_from_its_cursor() {
    run(async {
        let fakes = cluster(1).await;
        let gone = || Err(Status::unavailable("gone"));
        fakes[0].script().scans = [
            vec![Ok(page(&["a", "b"], 7)), Ok(page(&[], 8)), gone()],
            vec![gone()],
            vec![Ok(page(&["c"], 0))],
        ]
        .into();
        let client = connect(&fakes, 3).await;
        let mut keys = client.scan("p");
        let mut found = Vec::new();
        while let Some(key) = keys.next().await {
            found.push(key.expect("it goes on"));
        }
        assert_eq!(found, [b"a", b"b", b"c"]);
        let script = fakes[0].script();
        let asked: Vec<_> =
            script.asked_scans.iter().map(|scan| (scan.prefix.as_slice(), scan.cursor)).collect();
        assert_eq!(asked, [(&b"p"[..], 0), (b"p", 8), (b"p", 8)]);
    });
}

#[test]
fn a_scan_that_nobody_answers_may_be_taken_up_again() {
    run(async {
        let fakes = cluster(1).await;
        fakes[0].script().scans = [vec![Ok(page(&["a"], 7)), Err(Status::unknown("?"))]].into();
        let client = connect(&fakes, 1).await;
        let mut keys = client.scan("");
        assert_eq!(keys.next().await, Some(Ok(b"a".to_vec())));
        assert!(matches!(keys.next().await, Some(Err(Error::NotDone(_)))));
        fakes[0].script().scans = [vec![Ok(page(&["b"], 0))]].into();
        assert_eq!(keys.next().await, Some(Ok(b"b".to_vec())));
        assert_eq!(keys.next().await, None);

        fakes[0].script().scans = [vec![Err(Status::invalid_argument("no"))]].into();
        let mut keys = client.scan("");
        assert_eq!(keys.next().await, Some(Err(Error::Refused("no".to_owned()))));
        assert_eq!(keys.next().await, None);
    });
}

fn change(key: &str, index: u64) -> Change {
    let value = Some(index.to_string().into_bytes());
    let key = key.as_bytes().to_vec();
    Change { kind: Kind::Set.into(), key, value, ends_at_ms: None, partition: 1, index }
}

#[expect(clippy::unnecessary_wraps, reason = "it stands beside what fails")]
fn told(changes: Vec<Change>, place: Option<u64>) -> Result<WatchResponse, Status> {
    let places = place.map(|index| Place { partition: 1, index });
    Ok(WatchResponse { changes, places: places.into_iter().collect() })
}

/// The next change, which sets a key to its index.
async fn next(watch: &mut Watch) -> (String, u64) {
    let change = watch.next().await.expect("it goes on").expect("nothing fails");
    let value = Some(change.index.to_string().into_bytes());
    assert_eq!(change.what, What::Set { value, ends_at: None });
    (String::from_utf8(change.key).expect("it is text"), change.index)
}

fn at(index: u64) -> Places {
    [(1, index)].into_iter().collect()
}

#[test]
fn a_watch_goes_on_at_another_node_without_loss_or_repetition() {
    run(async {
        let fakes = cluster(2).await;
        fakes[0].script().watches =
            [vec![told(vec![], Some(4)), told(vec![change("a", 5), change("b", 5)], None)]].into();
        let client = connect(&fakes, 3).await;
        let mut watch = client.watch_prefix("").await.expect("the first tells");
        assert_eq!(watch.places(), at(4));
        assert_eq!(next(&mut watch).await, ("a".to_owned(), 5));
        assert_eq!(next(&mut watch).await, ("b".to_owned(), 5));
        assert_eq!(watch.places(), at(4), "there may be more of 5");
        fakes[1].script().watches = [vec![
            told(vec![], Some(4)),
            told(vec![change("a", 5)], None),
            told(vec![change("b", 5), change("c", 5), change("d", 6)], Some(6)),
            told(vec![change("e", 7)], Some(7)),
        ]]
        .into();
        fakes[0].stop();
        assert_eq!(next(&mut watch).await, ("c".to_owned(), 5));
        assert_eq!(next(&mut watch).await, ("d".to_owned(), 6));
        assert_eq!(watch.places(), at(6));
        assert_eq!(next(&mut watch).await, ("e".to_owned(), 7));
        let script = fakes[1].script();
        let [asked] = script.asked_watches.as_slice() else { panic!("{:?}", script.asked_watches) };
        assert_eq!(asked.keys, Some(Asked::Prefix(Vec::new())));
        assert_eq!(asked.after, [Place { partition: 1, index: 4 }]);
    });
}

#[test]
fn a_watch_goes_on_after_a_connection_breaks() {
    run(async {
        let fakes = cluster(1).await;
        fakes[0].script().watches = [
            vec![told(vec![], Some(4)), told(vec![change("k", 5)], Some(5))],
            vec![told(vec![], Some(5)), told(vec![change("k", 6)], Some(6))],
        ]
        .into();
        let client = connect(&fakes, 3).await;
        let mut watch = client.watch("k").await.expect("it tells");
        assert_eq!(next(&mut watch).await, ("k".to_owned(), 5));
        fakes[0].cut();
        assert_eq!(next(&mut watch).await, ("k".to_owned(), 6));
        let script = fakes[0].script();
        assert_eq!(script.asked_watches[0].keys, Some(Asked::Key(b"k".to_vec())));
        assert_eq!(script.asked_watches[1].after, [Place { partition: 1, index: 5 }]);
    });
}

#[test]
fn a_watch_ends_when_what_came_next_is_forgotten() {
    run(async {
        let fakes = cluster(1).await;
        let forgotten = || vec![Err(Status::out_of_range("begins at 90"))];
        fakes[0].script().watches = [
            vec![told(vec![], Some(4)), Err(Status::unavailable("stops"))],
            forgotten(),
            forgotten(),
        ]
        .into();
        let client = connect(&fakes, 3).await;
        let mut watch = client.watch("k").await.expect("it tells");
        let error = Error::Forgotten("begins at 90".to_owned());
        assert_eq!(watch.next().await, Some(Err(error.clone())));
        assert_eq!(watch.next().await, None);
        let late = client.watch_after(Watched::Key(b"k".to_vec()), at(3)).await;
        assert_eq!(late.err(), Some(error));
    });
}

#[test]
fn a_watch_that_nobody_goes_on_with_loses_nothing() {
    run(async {
        let fakes = cluster(1).await;
        let slow = Err(Status::resource_exhausted("too slow"));
        fakes[0].script().watches = [vec![told(vec![change("k", 5)], Some(5)), slow]].into();
        let client = connect(&fakes, 1).await;
        let mut watch = client.watch_after(Watched::Prefix(b"k".to_vec()), at(4)).await;
        let watch = watch.as_mut().expect("it tells");
        assert_eq!(watch.places(), at(4), "nothing was taken yet");
        assert_eq!(next(watch).await, ("k".to_owned(), 5));
        assert!(matches!(watch.next().await, Some(Err(Error::NotDone(_)))));
        fakes[0].script().watches = [vec![told(vec![change("k", 6)], Some(6))]].into();
        assert_eq!(next(watch).await, ("k".to_owned(), 6));
        let script = fakes[0].script();
        let last = script.asked_watches.last().expect("there was one");
        assert_eq!(last.after, [Place { partition: 1, index: 5 }]);
    });
}

#[test]
fn each_kind_of_change_is_told() {
    run(async {
        let fakes = cluster(1).await;
        let kinds = [Kind::Set, Kind::Expiry, Kind::Removed, Kind::Expired, Kind::Cleared];
        let mut changes: Vec<Change> = (5..)
            .zip(kinds)
            .map(|(index, kind)| Change {
                kind: kind.into(),
                value: None,
                ends_at_ms: Some(1_000),
                ..change("k", index)
            })
            .collect();
        changes.push(Change { kind: 99, ..change("k", 10) });
        fakes[0].script().watches = [vec![told(vec![], Some(4)), told(changes, Some(10))]].into();
        let client = connect(&fakes, 3).await;
        let mut watch = client.watch("k").await.expect("it tells");
        let ends_at = Some(SystemTime::UNIX_EPOCH + Duration::from_secs(1));
        let all = [
            What::Set { value: None, ends_at },
            What::Expiry { ends_at },
            What::Removed,
            What::Expired,
            What::Cleared,
        ];
        for what in all {
            assert_eq!(
                watch.next().await.map(|change| change.map(|change| change.what)),
                Some(Ok(what))
            );
        }
        assert!(matches!(watch.next().await, Some(Err(Error::Refused(_)))), "a kind of its own");
        assert_eq!(watch.next().await, None);
        fakes[0].script().watches = [vec![Err(Status::unimplemented("not yet"))]].into();
        assert_eq!(client.watch("k").await.err(), Some(Error::Refused("not yet".to_owned())));
    });
}
