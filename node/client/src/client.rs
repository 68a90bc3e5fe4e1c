//! What can be asked of a cluster.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::timeout;
use tonic::codegen::http::HeaderValue;

use crate::call::{Does, Shared, Tries};
use crate::link::Link;
use crate::proto::{
    self, BatchRequest, DeleteRequest, DeleteResponse, ExpireRequest, GetRequest, GetResponse,
    SetRequest,
};
use crate::{Batch, Builder, Entry, Error, Keys, Outcome, Places, Put, Status, Watch, Watched};

/// A client of one cluster. Clones share its connections, and may be used at the same time; a program needs one.
///
/// It works on a tokio runtime, and only as long as that runs.
#[derive(Clone)]
pub struct Client {
    shared: Arc<Shared>,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Client").field("map", &self.shared.map()).finish_non_exhaustive()
    }
}

impl Client {
    /// Finds the cluster through any of these nodes, `host:port` of their gRPC doors, with all settings as they usually are.
    ///
    /// ```
    /// # mod node { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/node/mod.rs")); }
    /// # node::Node::start().run(async |node| {
    /// # let address = node.address();
    /// use driftless_client::Client;
    ///
    /// let client = Client::connect([address]).await?;
    /// # client.status().await?;
    /// # Ok(()) });
    /// ```
    pub async fn connect<A: Into<String>>(
        addresses: impl IntoIterator<Item = A>,
    ) -> Result<Self, Error> {
        Self::builder().connect(addresses).await
    }

    /// Settings, to be changed where they do not fit.
    ///
    /// ```
    /// # mod node { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/node/mod.rs")); }
    /// # node::Node::start().run(async |node| {
    /// # let address = node.address();
    /// use std::time::Duration;
    /// use driftless_client::{Client, Retry};
    ///
    /// let client = Client::builder()
    ///     .user("default")
    ///     .password("secret")
    ///     .retry(Retry { times: 5, ..Retry::default() })
    ///     .connect_timeout(Duration::from_millis(300))
    ///     .connect([address])
    ///     .await?;
    /// # client.status().await?;
    /// # Ok(()) });
    /// ```
    pub fn builder() -> Builder {
        Builder::default()
    }

    pub(crate) async fn find(
        settings: Builder,
        authorization: Option<HeaderValue>,
        seeds: Vec<String>,
    ) -> Result<Self, Error> {
        let shared = Arc::new(Shared::new(settings, authorization, seeds));
        let client = Self { shared };
        client.status().await?;
        Ok(client)
    }

    /// The value of a key, if there is one.
    ///
    /// ```
    /// # mod node { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/node/mod.rs")); }
    /// # node::Node::start().run(async |node| {
    /// # let client = node.client().await?;
    /// client.put("greeting", "hello").await?;
    /// assert_eq!(client.get("greeting").await?, Some(b"hello".to_vec()));
    /// assert_eq!(client.get("farewell").await?, None);
    /// # Ok(()) });
    /// ```
    pub async fn get(&self, key: impl Into<Vec<u8>>) -> Result<Option<Vec<u8>>, Error> {
        Ok(self.get_with_ttl(key).await?.map(|entry| entry.value))
    }

    /// The value of a key and how long it lives on, if there is one.
    ///
    /// ```
    /// # mod node { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/node/mod.rs")); }
    /// # node::Node::start().run(async |node| {
    /// # let client = node.client().await?;
    /// client.put("greeting", "hello").await?;
    /// let entry = client.get_with_ttl("greeting").await?.expect("it is there");
    /// assert_eq!((entry.value.as_slice(), entry.ttl), (&b"hello"[..], None));
    /// # Ok(()) });
    /// ```
    pub async fn get_with_ttl(&self, key: impl Into<Vec<u8>>) -> Result<Option<Entry>, Error> {
        let key = key.into();
        let ask = |link: Link| {
            let request = GetRequest { key: key.clone() };
            async move { link.kv().get(request).await }
        };
        self.shared.call(Some(&key), Does::Read, ask).await.map(Entry::of)
    }

    /// Sets a key, in any case and for ever.
    ///
    /// ```
    /// # mod node { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/node/mod.rs")); }
    /// # node::Node::start().run(async |node| {
    /// # let client = node.client().await?;
    /// use driftless_client::Error;
    ///
    /// match client.put("stock", "12").await {
    ///     Ok(()) => println!("on the disks of a majority"),
    ///     Err(Error::Unknown(why)) => println!("look before you write again: {why}"),
    ///     Err(other) => println!("not done: {other}"),
    /// }
    /// # assert_eq!(client.get("stock").await?, Some(b"12".to_vec()));
    /// # Ok(()) });
    /// ```
    pub async fn put(
        &self,
        key: impl Into<Vec<u8>>,
        value: impl Into<Vec<u8>>,
    ) -> Result<(), Error> {
        self.put_with(key, value, Put::default()).await.map(|_| ())
    }

    /// Sets a key for a while, or only if it is there or not; whether it was done.
    ///
    /// ```
    /// # mod node { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/node/mod.rs")); }
    /// # node::Node::start().run(async |node| {
    /// # let client = node.client().await?;
    /// use std::time::Duration;
    /// use driftless_client::Put;
    ///
    /// let lock = Put::new().if_absent().ttl(Duration::from_secs(30));
    /// assert!(client.put_with("lock", "me", lock).await?);
    /// assert!(!client.put_with("lock", "you", lock).await?, "somebody has it");
    /// # Ok(()) });
    /// ```
    pub async fn put_with(
        &self,
        key: impl Into<Vec<u8>>,
        value: impl Into<Vec<u8>>,
        how: Put,
    ) -> Result<bool, Error> {
        let request = how.request(key.into(), value.into());
        let ask = |link: Link| {
            let request = request.clone();
            async move { link.kv().set(request).await }
        };
        let answer = self.shared.call(Some(&request.key), Does::Write, ask).await?;
        Ok(answer.done)
    }

    /// Removes a key; whether it was there.
    ///
    /// ```
    /// # mod node { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/node/mod.rs")); }
    /// # node::Node::start().run(async |node| {
    /// # let client = node.client().await?;
    /// client.put("greeting", "hello").await?;
    /// assert!(client.delete("greeting").await?);
    /// assert!(!client.delete("greeting").await?);
    /// # Ok(()) });
    /// ```
    pub async fn delete(&self, key: impl Into<Vec<u8>>) -> Result<bool, Error> {
        Ok(self.delete_part(&[key.into()]).await?.deleted > 0)
    }

    /// Removes keys; how many were there. Those of one partition are removed at once, so `{tags}` make it all or nothing;
    /// otherwise some may be removed where others are not, which [`Error::Partly`] tells.
    ///
    /// ```
    /// # mod node { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/node/mod.rs")); }
    /// # node::Node::start().run(async |node| {
    /// # let client = node.client().await?;
    /// client.put("a", "1").await?;
    /// client.put("b", "2").await?;
    /// assert_eq!(client.delete_many(["a", "b", "c"]).await?, 2);
    /// # Ok(()) });
    /// ```
    pub async fn delete_many<K: Into<Vec<u8>>>(
        &self,
        keys: impl IntoIterator<Item = K>,
    ) -> Result<u64, Error> {
        // Each partition answers for itself: one answer for several could not say what was done.
        let map = self.shared.map();
        let mut parts: BTreeMap<Option<u32>, Vec<Vec<u8>>> = BTreeMap::new();
        for key in keys {
            let key = key.into();
            parts.entry(map.partition_of(&key)).or_default().push(key);
        }
        let parts: Vec<Vec<Vec<u8>>> = parts.into_values().collect();
        let answers = join_all(parts.iter().map(|part| self.delete_part(part))).await;
        let (mut deleted, mut rest, mut done, mut failed) = (0, Vec::new(), false, None);
        for (part, answer) in parts.into_iter().zip(answers) {
            match answer {
                Ok(answer) => (deleted, done) = (deleted + answer.deleted, true),
                Err(error) => {
                    rest.extend(part);
                    failed = Some(worse(failed, error));
                }
            }
        }
        match failed {
            None => Ok(deleted),
            Some(why) if done => Err(Error::Partly { deleted, rest, why: Box::new(why) }),
            Some(why) => Err(why),
        }
    }

    async fn delete_part(&self, keys: &[Vec<u8>]) -> Result<DeleteResponse, Error> {
        let ask = |link: Link| {
            let request = DeleteRequest { keys: keys.to_vec() };
            async move { link.kv().delete(request).await }
        };
        let first = keys.first().map(Vec::as_slice);
        self.shared.call(first, Does::Write, ask).await
    }

    /// Lets a key end after `ttl`, counted in milliseconds; whether it was there.
    ///
    /// ```
    /// # mod node { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/node/mod.rs")); }
    /// # node::Node::start().run(async |node| {
    /// # let client = node.client().await?;
    /// use std::time::Duration;
    ///
    /// client.put("visit", "1").await?;
    /// assert!(client.expire("visit", Duration::from_secs(60)).await?);
    /// let left = client.get_with_ttl("visit").await?.and_then(|entry| entry.ttl);
    /// assert!(left.is_some_and(|left| left <= Duration::from_secs(60)));
    /// # Ok(()) });
    /// ```
    pub async fn expire(&self, key: impl Into<Vec<u8>>, ttl: Duration) -> Result<bool, Error> {
        self.change_expiry(ExpireRequest { key: key.into(), ttl_ms: Some(millis(ttl)) }).await
    }

    /// Lets a key live on for ever; whether it was there.
    ///
    /// ```
    /// # mod node { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/node/mod.rs")); }
    /// # node::Node::start().run(async |node| {
    /// # let client = node.client().await?;
    /// # use std::time::Duration;
    /// client.put("visit", "1").await?;
    /// client.expire("visit", Duration::from_secs(60)).await?;
    /// assert!(client.persist("visit").await?);
    /// assert_eq!(client.get_with_ttl("visit").await?.and_then(|entry| entry.ttl), None);
    /// # Ok(()) });
    /// ```
    pub async fn persist(&self, key: impl Into<Vec<u8>>) -> Result<bool, Error> {
        self.change_expiry(ExpireRequest { key: key.into(), ttl_ms: None }).await
    }

    async fn change_expiry(&self, request: ExpireRequest) -> Result<bool, Error> {
        let ask = |link: Link| {
            let request = request.clone();
            async move { link.kv().expire(request).await }
        };
        let answer = self.shared.call(Some(&request.key), Does::Write, ask).await?;
        Ok(answer.found)
    }

    /// All keys that begin with `prefix`, in no order. A key that is there all the while is named, perhaps twice; one that comes
    /// or goes meanwhile may be named or not.
    ///
    /// ```
    /// # mod node { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/node/mod.rs")); }
    /// # node::Node::start().run(async |node| {
    /// # let client = node.client().await?;
    /// client.put("user:1", "Alice").await?;
    /// client.put("user:2", "Bob").await?;
    /// client.put("city:1", "Dhaka").await?;
    ///
    /// let mut users = Vec::new();
    /// let mut keys = client.scan("user:");
    /// while let Some(key) = keys.next().await {
    ///     users.push(key?);
    /// }
    /// users.sort();
    /// assert_eq!(users, [b"user:1", b"user:2"]);
    /// # Ok(()) });
    /// ```
    pub fn scan(&self, prefix: impl Into<Vec<u8>>) -> Keys {
        Keys::new(self.shared.clone(), prefix.into())
    }

    /// Asks several things in one message, to be done in order. Each is done or not by itself: the answer says what became of
    /// each. An error instead of an answer is about all of them: after [`Error::Unknown`] any of them may have been done.
    ///
    /// ```
    /// # mod node { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/node/mod.rs")); }
    /// # node::Node::start().run(async |node| {
    /// # let client = node.client().await?;
    /// use driftless_client::{Batch, Outcome};
    ///
    /// let batch = Batch::new().put("a", "1").delete("b").get("a");
    /// let outcomes = client.batch(batch).await?;
    /// assert_eq!(outcomes[0], Ok(Outcome::Put(true)));
    /// assert_eq!(outcomes[1], Ok(Outcome::Deleted(false)));
    /// let Ok(Outcome::Got(Some(entry))) = &outcomes[2] else { panic!("it was just set") };
    /// assert_eq!(entry.value, b"1");
    /// # Ok(()) });
    /// ```
    pub async fn batch(&self, batch: Batch) -> Result<Vec<Result<Outcome, Error>>, Error> {
        let does = batch.does();
        let key = batch.first_key();
        let count = batch.len();
        let request = BatchRequest { operations: batch.into_operations() };
        let ask = |link: Link| {
            let request = request.clone();
            async move { link.kv().batch(request).await }
        };
        let answer = self.shared.call(key.as_deref(), does, ask).await?;
        if answer.outcomes.len() != count {
            let heard = answer.outcomes.len();
            return Err(Error::Unknown(format!("{heard} outcomes of {count} operations")));
        }
        Ok(answer.outcomes.into_iter().map(Outcome::of).collect())
    }

    /// Changes of one key from now on. Once this returns no change is missed; see [`Watch`].
    ///
    /// ```
    /// # mod node { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/node/mod.rs")); }
    /// # node::Node::start().run(async |node| {
    /// # let client = node.client().await?;
    /// use driftless_client::What;
    ///
    /// let mut changes = client.watch("config").await?;
    /// client.put("config", "new").await?;
    /// client.delete("config").await?;
    /// while let Some(change) = changes.next().await {
    ///     match change?.what {
    ///         What::Set { value, .. } => assert_eq!(value.as_deref(), Some(&b"new"[..])),
    ///         What::Removed | What::Expired | What::Cleared => break,
    ///         other => println!("{other:?}"),
    ///     }
    /// }
    /// # Ok(()) });
    /// ```
    pub async fn watch(&self, key: impl Into<Vec<u8>>) -> Result<Watch, Error> {
        self.watch_after(Watched::Key(key.into()), Places::default()).await
    }

    /// Changes of all keys that begin with `prefix`, from now on.
    ///
    /// ```
    /// # mod node { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/node/mod.rs")); }
    /// # node::Node::start().run(async |node| {
    /// # let client = node.client().await?;
    /// let mut changes = client.watch_prefix("user:").await?;
    /// client.put("order:7", "tea").await?;
    /// client.put("user:1", "Alice").await?;
    /// let change = changes.next().await.expect("a watch goes on")?;
    /// assert_eq!(change.key, b"user:1");
    /// # Ok(()) });
    /// ```
    pub async fn watch_prefix(&self, prefix: impl Into<Vec<u8>>) -> Result<Watch, Error> {
        self.watch_after(Watched::Prefix(prefix.into()), Places::default()).await
    }

    /// Changes since an earlier watch of the same keys, whose [`Watch::places`] were kept.
    ///
    /// ```
    /// # mod node { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/node/mod.rs")); }
    /// # node::Node::start().run(async |node| {
    /// # let client = node.client().await?;
    /// use driftless_client::{Error, Watched};
    ///
    /// let places = client.watch_prefix("user:").await?.places();
    /// client.put("user:1", "Alice").await?;
    ///
    /// // Perhaps in another run of the program:
    /// let mut changes = match client.watch_after(Watched::Prefix(b"user:".into()), places).await {
    ///     Err(Error::Forgotten(_)) => client.watch_prefix("user:").await?, // and read what is there
    ///     other => other?,
    /// };
    /// let change = changes.next().await.expect("a watch goes on")?;
    /// assert_eq!(change.key, b"user:1");
    /// # Ok(()) });
    /// ```
    pub async fn watch_after(&self, keys: Watched, places: Places) -> Result<Watch, Error> {
        Watch::begin(self.shared.clone(), keys, places).await
    }

    /// What a node knows of the cluster.
    ///
    /// ```
    /// # mod node { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/node/mod.rs")); }
    /// # node::Node::start().run(async |node| {
    /// # let client = node.client().await?;
    /// let status = client.status().await?;
    /// assert_eq!(status.nodes.len(), 1);
    /// assert_eq!(status.partitions.len(), 16);
    /// # Ok(()) });
    /// ```
    pub async fn status(&self) -> Result<Status, Error> {
        let mut tries = Tries::new(self.shared.retry());
        loop {
            let limit = tries.left(self.shared.retry().deadline);
            match timeout(limit, self.shared.status()).await {
                Ok(Ok(status)) => return Ok(Status::of(status)),
                Ok(Err(error)) => tries.failed(error).await?,
                Err(_) => return Err(Error::NotDone("no node answers in time".to_owned())),
            }
        }
    }
}

/// Of two errors the one that says less: what holds for all keys together.
fn worse(one: Option<Error>, other: Error) -> Error {
    let says_less = |error: &Error| match error {
        Error::Unknown(_) => 2,
        Error::NotDone(_) => 0,
        _ => 1,
    };
    match one {
        Some(one) if says_less(&one) >= says_less(&other) => one,
        _ => other,
    }
}

/// Milliseconds, so that what lasts does last; none only if there are none.
pub(crate) fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
}

impl Put {
    pub(crate) fn request(self, key: Vec<u8>, value: Vec<u8>) -> SetRequest {
        let condition = match self.only_if_there {
            None => proto::Condition::Unspecified,
            Some(false) => proto::Condition::Absent,
            Some(true) => proto::Condition::Present,
        };
        SetRequest { key, value, ttl_ms: self.ttl.map(millis), condition: condition.into() }
    }
}

impl Entry {
    pub(crate) fn of(answer: GetResponse) -> Option<Self> {
        let ttl = answer.ttl_ms.map(Duration::from_millis);
        answer.value.map(|value| Self { value, ttl })
    }
}
