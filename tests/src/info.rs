//! What a node says of itself.

use std::collections::BTreeMap;
use std::time::Duration;

use redis::{Connection, RedisResult, cmd};

/// The fields of INFO.
#[derive(Clone, Debug, Default)]
pub struct Info(BTreeMap<String, String>);

impl Info {
    /// Asks the node at an address.
    pub fn ask(url: &str) -> RedisResult<Self> {
        let text: String = cmd("INFO").query(&mut connect(url)?)?;
        let fields = text.lines().filter_map(|line| line.split_once(':'));
        Ok(Self(fields.map(|(name, value)| (name.to_owned(), value.trim().to_owned())).collect()))
    }

    /// A field that is a whole number.
    pub fn number(&self, name: &str) -> u64 {
        let value = self.0.get(name).unwrap_or_else(|| panic!("INFO has no field `{name}`"));
        value.parse().unwrap_or_else(|_| panic!("INFO says {name}:{value}, which is no number"))
    }
}

/// A connection that does not wait for ever.
pub fn connect(url: &str) -> RedisResult<Connection> {
    let client = redis::Client::open(url)?;
    let connection = client.get_connection_with_timeout(Duration::from_secs(1))?;
    connection.set_read_timeout(Some(Duration::from_secs(10)))?;
    Ok(connection)
}
