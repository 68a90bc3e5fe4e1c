//! How a client is set up.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tonic::codegen::http::HeaderValue;

use crate::link::{Bytes, Connector};
use crate::{Client, Error};

/// How often, and for how long, something that was not done is tried again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retry {
    /// How often after the first time: 3.
    pub times: u32,
    /// Before the first repetition, on average: 0.5 s. It doubles from one to the next; each is drawn from half to one and a
    /// half of that, so that clients that failed together do not come back together.
    pub pause: Duration,
    /// No pause is longer than this, on average: 2 s.
    pub longest_pause: Duration,
    /// All tries and pauses together end after this: 20 s. A scan or a watch has as long for each page or change.
    pub deadline: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            times: 3,
            pause: Duration::from_millis(500),
            longest_pause: Duration::from_secs(2),
            deadline: Duration::from_secs(20),
        }
    }
}

impl Retry {
    /// Never tries again.
    pub fn never() -> Self {
        Self { times: 0, ..Self::default() }
    }

    /// The pause after a number of failures, where chance says how long of all it may be.
    pub(crate) fn pause_after(&self, failures: u32, chance: u32) -> Duration {
        let doubled = self.pause.saturating_mul(1_u32.checked_shl(failures).unwrap_or(u32::MAX));
        let average = doubled.min(self.longest_pause);
        average.mul_f64(0.5 + f64::from(chance) / f64::from(u32::MAX))
    }
}

/// Settings of a [`Client`]; [`Client::builder`] makes one.
#[derive(Clone)]
pub struct Builder {
    user: Option<String>,
    password: Option<String>,
    pub(crate) attempt_timeout: Duration,
    pub(crate) connect_timeout: Duration,
    pub(crate) refresh_every: Duration,
    pub(crate) retry: Retry,
    pub(crate) connector: Connector,
}

impl std::fmt::Debug for Builder {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let password = self.password.as_ref().map(|_| "(set)");
        out.debug_struct("Builder")
            .field("user", &self.user)
            .field("password", &password)
            .field("attempt_timeout", &self.attempt_timeout)
            .field("connect_timeout", &self.connect_timeout)
            .field("refresh_every", &self.refresh_every)
            .field("retry", &self.retry)
            .finish_non_exhaustive()
    }
}

impl Default for Builder {
    fn default() -> Self {
        Self {
            user: None,
            password: None,
            attempt_timeout: Duration::from_secs(6),
            connect_timeout: Duration::from_secs(1),
            refresh_every: Duration::from_secs(10),
            retry: Retry::default(),
            connector: boxed(|address| async move {
                let stream = TcpStream::connect(address).await?;
                stream.set_nodelay(true)?;
                Ok(stream)
            }),
        }
    }
}

impl Builder {
    /// The password of the user.
    #[must_use]
    pub fn password(mut self, password: impl Into<String>) -> Self {
        self.password = Some(password.into());
        self
    }

    /// Who asks: a user of the cluster. `default`, if only a password is given.
    #[must_use]
    pub fn user(mut self, user: impl Into<String>) -> Self {
        self.user = Some(user.into());
        self
    }

    /// How long one try may take: 6 s. A node gives a command up to 5 s, until there is a leader that can take it, and then
    /// says that it was not done; who hangs up before that never learns the fate of a write.
    #[must_use]
    pub fn attempt_timeout(mut self, timeout: Duration) -> Self {
        self.attempt_timeout = timeout;
        self
    }

    /// How long a connection may take to be made: 1 s. Then the next node is tried.
    #[must_use]
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// How old what is known of the cluster may be: 10 s. When a call fails it is looked up at once.
    #[must_use]
    pub fn refresh_every(mut self, age: Duration) -> Self {
        self.refresh_every = age;
        self
    }

    /// When something is tried again.
    #[must_use]
    pub fn retry(mut self, retry: Retry) -> Self {
        self.retry = retry;
        self
    }

    /// Makes connections otherwise than by plain TCP: through TLS, a proxy, a socket of another kind. It is given `host:port`
    /// and returns anything that reads and writes.
    #[must_use]
    pub fn connector<C, F, S>(mut self, connect: C) -> Self
    where
        C: Fn(String) -> F + Send + Sync + 'static,
        F: Future<Output = io::Result<S>> + Send + 'static,
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        self.connector = boxed(connect);
        self
    }

    /// Finds the cluster through any of these nodes, `host:port` of their gRPC doors. One that answers is enough.
    pub async fn connect<A: Into<String>>(
        self,
        addresses: impl IntoIterator<Item = A>,
    ) -> Result<Client, Error> {
        let addresses: Vec<String> = addresses.into_iter().map(Into::into).collect();
        if addresses.is_empty() {
            return Err(Error::Refused("no address of a node was given".to_owned()));
        }
        for address in &addresses {
            let port = address.rsplit_once(':').filter(|(host, _)| !host.is_empty());
            if !port.is_some_and(|(_, port)| port.parse::<u16>().is_ok_and(|port| port > 0)) {
                return Err(Error::Refused(format!("{address:?} is not host:port")));
            }
        }
        let authorization = self.authorization();
        Client::find(self, authorization, addresses).await
    }

    fn authorization(&self) -> Option<HeaderValue> {
        if self.user.is_none() && self.password.is_none() {
            return None;
        }
        let user = self.user.as_deref().unwrap_or("default");
        let password = self.password.as_deref().unwrap_or_default();
        let text = format!("Basic {}", BASE64_STANDARD.encode(format!("{user}:{password}")));
        let mut value = HeaderValue::from_str(&text).ok()?;
        value.set_sensitive(true);
        Some(value)
    }
}

fn boxed<C, F, S>(connect: C) -> Connector
where
    C: Fn(String) -> F + Send + Sync + 'static,
    F: Future<Output = io::Result<S>> + Send + 'static,
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    Arc::new(move |address| {
        let stream = connect(address);
        Box::pin(async move { stream.await.map(|stream| Box::new(stream) as Box<dyn Bytes>) })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_limit_and_differ() {
        let retry = Retry::default();
        let millis = |failures, chance| retry.pause_after(failures, chance).as_millis();
        assert_eq!([millis(0, 0), millis(0, u32::MAX)], [250, 750]);
        assert_eq!([millis(1, 0), millis(1, u32::MAX)], [500, 1_500]);
        assert_eq!([millis(2, 0), millis(99, u32::MAX)], [1_000, 3_000]);
    }
}
