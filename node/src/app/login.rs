//! Who somebody at the command line says they are.

use std::io;

use super::resp::{Answer, Connection};

/// A name and a password.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct Login {
    /// User; `default` if only a password is given
    #[arg(long)]
    pub(crate) user: Option<String>,
    /// Password
    #[arg(short = 'a', long, env = "DRIFTLESS_PASSWORD", hide_env_values = true)]
    pub(crate) password: Option<String>,
}

impl Login {
    /// Says so by a connection, if there is anything to be said.
    pub(crate) fn greet(&self, connection: &mut Connection) -> io::Result<()> {
        let command = match (&self.user, &self.password) {
            (None, None) => return Ok(()),
            (None, Some(password)) => vec!["AUTH", password],
            (Some(user), password) => vec!["AUTH", user, password.as_deref().unwrap_or("")],
        };
        match connection.call(&command)? {
            Answer::Error(text) => Err(io::Error::other(text)),
            _ => Ok(()),
        }
    }
}
