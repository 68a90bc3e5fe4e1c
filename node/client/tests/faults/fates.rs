//! What is tried again, what is not, and what the caller is told.

use std::time::{Duration, Instant};

use driftless_client::{Batch, Builder, Client, Error, Put, Retry};
use tokio::time::timeout;
use tonic::Code;

use crate::fake::{Fake, Reply, cluster};
use crate::run;

/// Tries again soon.
fn hasty() -> Builder {
    Client::builder().retry(Retry { pause: Duration::from_millis(1), ..Retry::default() })
}

async fn one() -> (Fake, Client) {
    let fake = cluster(1).await.remove(0);
    let client = hasty().connect([fake.address.to_string()]).await.expect("it is there");
    (fake, client)
}

fn script(fake: &Fake, replies: impl IntoIterator<Item = Reply>) {
    let mut script = fake.script();
    script.replies = replies.into_iter().collect();
    script.asked = 0;
}

fn asked(fake: &Fake) -> usize {
    fake.script().asked
}

#[test]
fn what_was_not_done_is_tried_again() {
    run(async {
        let (fake, client) = one().await;
        let not_now = Reply::Fails(Code::Unavailable);
        script(&fake, [not_now; 3]);
        assert_eq!(client.put("a", "1").await, Ok(()));
        assert_eq!(asked(&fake), 4);
        script(&fake, [not_now; 9]);
        let refused = client.put("a", "1").await;
        assert!(matches!(refused, Err(Error::NotDone(_))), "{refused:?}");
        assert_eq!(asked(&fake), 4, "once, and three times again");
        let never = Client::builder().retry(Retry::never());
        let never = never.connect([fake.address.to_string()]).await.expect("it is there");
        script(&fake, [not_now]);
        assert!(never.put("a", "1").await.is_err_and(|error| error.may_be_tried_again()));
        assert_eq!(asked(&fake), 1);
    });
}

#[test]
fn a_write_whose_fate_is_not_known_is_not_repeated() {
    run(async {
        let (fake, client) = one().await;
        for reply in [Reply::Fails(Code::Unknown), Reply::Fails(Code::Internal), Reply::Cuts] {
            for write in Write::ALL {
                script(&fake, [reply]);
                let told = write.by(&client).await;
                assert!(matches!(told, Err(Error::Unknown(_))), "{write:?}, {reply:?}: {told:?}");
                assert_eq!(asked(&fake), 1, "{write:?}, {reply:?}");
            }
        }
    });
}

/// All that writes.
#[derive(Clone, Copy, Debug)]
enum Write {
    Put,
    PutIfAbsent,
    Delete,
    Expire,
    Persist,
    Batch,
}

impl Write {
    const ALL: [Self; 6] =
        [Self::Put, Self::PutIfAbsent, Self::Delete, Self::Expire, Self::Persist, Self::Batch];

    async fn by(self, client: &Client) -> Result<(), Error> {
        match self {
            Self::Put => client.put("a", "1").await,
            Self::PutIfAbsent => client.put_with("a", "1", Put::new().if_absent()).await.map(drop),
            Self::Delete => client.delete("a").await.map(drop),
            Self::Expire => client.expire("a", Duration::from_secs(1)).await.map(drop),
            Self::Persist => client.persist("a").await.map(drop),
            Self::Batch => client.batch(Batch::new().get("a").put("a", "1")).await.map(drop),
        }
    }
}

#[test]
fn a_read_is_repeated_whatever_became_of_it() {
    run(async {
        let (fake, client) = one().await;
        script(&fake, [Reply::Fails(Code::Unknown), Reply::Cuts, Reply::Fails(Code::Unavailable)]);
        assert_eq!(client.get("a").await, Ok(Some(b"x".to_vec())));
        assert_eq!(asked(&fake), 4);
    });
}

#[test]
fn what_is_refused_is_not_tried_again() {
    run(async {
        let (fake, client) = one().await;
        script(&fake, [Reply::Fails(Code::InvalidArgument), Reply::Fails(Code::Unauthenticated)]);
        assert_eq!(client.put("a", "1").await, Err(Error::Refused("as it was told".to_owned())));
        assert_eq!(client.get("a").await, Err(Error::NotAllowed("as it was told".to_owned())));
        assert_eq!(asked(&fake), 2);
    });
}

#[test]
fn who_does_not_answer_is_not_waited_for() {
    run(async {
        let fake = cluster(1).await.remove(0);
        let brief = Retry { deadline: Duration::from_millis(400), ..Retry::default() };
        let client = hasty().attempt_timeout(Duration::from_millis(50));
        let client = client.connect([fake.address.to_string()]).await.expect("it is there");
        script(&fake, [Reply::Hangs]);
        let told = client.put("a", "1").await;
        assert!(matches!(told, Err(Error::Unknown(_))), "{told:?}");
        script(&fake, [Reply::Hangs]);
        assert_eq!(client.get("a").await, Ok(Some(b"x".to_vec())), "the second time");

        let client = Client::builder().attempt_timeout(Duration::from_mins(1)).retry(brief);
        let client = client.connect([fake.address.to_string()]).await.expect("it is there");
        script(&fake, [Reply::Hangs, Reply::Hangs]);
        let begun = Instant::now();
        let told = client.get("a").await;
        assert!(matches!(told, Err(Error::NotDone(_))), "{told:?}");
        assert!(begun.elapsed() < Duration::from_secs(30), "the deadline bounds each try");
    });
}

#[test]
fn one_node_that_can_be_reached_is_enough() {
    run(async {
        let fakes = cluster(3).await;
        let client = Client::builder().retry(Retry::never());
        let client = client.connect([fakes[2].address.to_string()]).await.expect("it is there");
        assert_eq!(client.put("a", "1").await, Ok(()));
        assert_eq!([0, 1, 2].map(|at| asked(&fakes[at])), [1, 0, 0], "the leader is asked");
        // The one that was named is gone, and so is the leader.
        fakes[2].stop();
        fakes[0].stop();
        // A connection is seen to break at once, or when something was sent into it.
        while client.put("a", "1").await.is_err() {}
        for _ in 0..10 {
            assert_eq!(client.put("a", "1").await, Ok(()));
        }
        assert!(asked(&fakes[1]) >= 11);
        fakes[1].stop();
        let told = loop {
            match client.put("a", "1").await {
                Err(Error::Unknown(_)) => (),
                told => break told,
            }
        };
        assert!(matches!(told, Err(Error::NotDone(_))), "{told:?}");
    });
}

#[test]
fn a_client_of_a_cluster_that_has_just_begun_learns_of_the_other_nodes() {
    run(async {
        let fakes = cluster(2).await;
        let nodes = fakes[0].script().nodes.split_off(1);
        fakes[0].script().strangers = vec![2];
        let named = fakes[0].address.to_string();
        let client = hasty().connect([named]).await.expect("it is there");
        fakes[0].script().strangers.clear();
        fakes[0].script().nodes.extend(nodes);
        let learns = async {
            let other = fakes[1].address.to_string();
            while !format!("{client:?}").contains(&other) {
                client.put("a", "1").await.expect("it is there");
            }
        };
        timeout(Duration::from_mins(1), learns).await.expect("it is looked up soon");
        fakes[0].stop();
        while client.put("a", "1").await.is_err() {}
        assert!(asked(&fakes[1]) > 0);
    });
}

#[test]
fn keys_of_several_partitions_are_deleted_or_not() {
    run(async {
        let fake = cluster(1).await.remove(0);
        fake.script().partitions = 2;
        let client = hasty().connect([fake.address.to_string()]).await.expect("it is there");
        let keys = ["foo", "bar", "{bar}2", "{foo}2"];
        assert_eq!(client.delete_many(keys).await, Ok(4));
        assert_eq!(asked(&fake), 2, "once for each partition");
        script(&fake, [Reply::Fails(Code::Unknown)]);
        match client.delete_many(keys).await {
            Err(Error::Partly { deleted: 2, rest, why }) => {
                assert_eq!(rest.len(), 2);
                assert!(matches!(*why, Error::Unknown(_)), "{why:?}");
            }
            other => panic!("{other:?}"),
        }
        script(&fake, [Reply::Fails(Code::InvalidArgument); 2]);
        assert!(matches!(client.delete_many(keys).await, Err(Error::Refused(_))));
        assert_eq!(client.delete_many(Vec::<Vec<u8>>::new()).await, Ok(0));
    });
}

#[test]
fn addresses_are_looked_at_before_anybody_is_asked() {
    run(async {
        for wrong in ["", "host", "host:", ":50051", "host:0", "host:70000"] {
            let told = Client::connect([wrong]).await;
            assert!(matches!(told, Err(Error::Refused(_))), "{wrong:?}: {told:?}");
        }
        let nobody: [&str; 0] = [];
        assert!(matches!(Client::connect(nobody).await, Err(Error::Refused(_))));
        let fake = cluster(1).await.remove(0);
        fake.stop();
        let told = hasty().connect([fake.address.to_string()]).await;
        assert!(matches!(told, Err(Error::NotDone(_))), "{told:?}");
    });
}
