//! The rules by which programs of this crate that are no nodes speak TLS to one.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::RootCertStore;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::ring;
use rustls::sign::SingleCertAndKey;

use super::files::{VERSIONS, authorities, own};
use super::trust::{Anybody, Nodes};
use crate::error::NodeError;

/// Whose certificate is believed. Files are of authorities, in PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trust {
    /// Of whomever an authority has signed, if it bears the name of the server.
    Named(PathBuf),
    /// Of whomever an authority has signed.
    Signed(PathBuf),
    /// Anybody's.
    Anybody,
}

/// The rules for connections to a server, to which a certificate and its key are shown if it asks for one. Errors name
/// flags as `redis-cli` has them.
pub fn to_server(
    trust: &Trust,
    shown: Option<(&Path, &Path)>,
) -> Result<Arc<ClientConfig>, NodeError> {
    let provider = Arc::new(ring::default_provider());
    let verifier: Arc<dyn ServerCertVerifier> = match trust {
        Trust::Named(path) => {
            let roots = authorities("cacert", path)?;
            let verifier = WebPkiServerVerifier::builder_with_provider(roots, provider.clone());
            verifier.build().map_err(|error| NodeError::setting("cacert", error.to_string()))?
        }
        Trust::Signed(path) => Arc::new(Nodes::new(authorities("cacert", path)?)),
        Trust::Anybody => Arc::new(Anybody(Nodes::new(Arc::new(RootCertStore::empty())))),
    };
    let config = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .expect(VERSIONS)
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    let config = match shown {
        Some((cert, key)) => {
            let own = own(("cert", cert), ("key", key), &provider)?;
            config.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(own)))
        }
        None => config.with_no_client_auth(),
    };
    Ok(Arc::new(config))
}
