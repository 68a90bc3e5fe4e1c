//! The settings for TLS.

use std::path::PathBuf;

use super::Flags;
use crate::error::NodeError;

/// Where TLS is spoken, and with what.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsSettings {
    /// The certificate and its key, if TLS is spoken anywhere.
    pub files: Option<TlsFiles>,
    /// On all doors for clients.
    pub doors: bool,
    /// Clients have to show a certificate.
    pub clients: bool,
    /// Between nodes, which show their certificates to each other.
    pub nodes: bool,
}

/// Files, in PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate of this node, and those between it and an authority.
    pub cert: PathBuf,
    /// The key to it.
    pub key: PathBuf,
    /// The authorities whose certificates are good for clients that must show one, and for nodes.
    pub ca: Option<PathBuf>,
}

/// What was written down about TLS, if it fits together.
pub(super) fn check(flags: &Flags) -> Result<TlsSettings, NodeError> {
    let doors = flags.tls_doors.unwrap_or(false);
    let nodes = flags.tls_nodes.unwrap_or(false);
    let clients = check_clients(flags)?;
    let files = check_files(flags)?;
    let user = match (doors, nodes) {
        (true, _) => Some("tls-doors"),
        (false, true) => Some("tls-nodes"),
        (false, false) => None,
    };
    let problem = match (user, &files) {
        (Some(user), None) => Some((user, "it needs tls-cert and tls-key")),
        (None, Some(_)) => Some(("tls-cert", "nothing uses it: set tls-doors, tls-nodes, or both")),
        _ if clients && !doors => Some(("tls-clients", "it needs tls-doors")),
        (Some(user), Some(files)) if files.ca.is_none() && (nodes || clients) => {
            let name = if nodes { "tls-nodes" } else { "tls-clients" };
            assert!(nodes || user == "tls-doors", "clients need doors");
            Some((name, "it needs tls-ca: whose certificates are good"))
        }
        _ if cfg!(madsim) && user.is_some() => {
            Some(("tls-cert", "nothing is secret in a simulated network"))
        }
        _ => None,
    };
    match problem {
        Some((name, problem)) => Err(NodeError::setting(name, problem)),
        None => Ok(TlsSettings { files, doors, clients, nodes }),
    }
}

fn check_clients(flags: &Flags) -> Result<bool, NodeError> {
    match flags.tls_clients.as_deref().unwrap_or("off") {
        "off" => Ok(false),
        "require" => Ok(true),
        other => Err(NodeError::setting("tls-clients", format!("{other:?} is not off or require"))),
    }
}

fn check_files(flags: &Flags) -> Result<Option<TlsFiles>, NodeError> {
    let missing = |name, there| {
        Err(NodeError::setting(name, format!("{there} is set, so this has to be too")))
    };
    match (&flags.tls_cert, &flags.tls_key, &flags.tls_ca) {
        (None, None, None) => Ok(None),
        (Some(cert), Some(key), ca) => {
            Ok(Some(TlsFiles { cert: cert.clone(), key: key.clone(), ca: ca.clone() }))
        }
        (None, Some(_), _) => missing("tls-cert", "tls-key"),
        (Some(_), None, _) => missing("tls-key", "tls-cert"),
        (None, None, Some(_)) => missing("tls-cert", "tls-ca"),
    }
}
