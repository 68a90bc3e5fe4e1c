//! Certificates and keys as they stand in files, and the rules for connections that are made of them. What is wrong
//! with a file is said with its name and that of the setting.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls::client::Resumption;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoClientAuth, NoServerSessionStorage, WebPkiClientVerifier};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{CertificateError, ClientConfig, Error, RootCertStore, ServerConfig};

use super::trust::{Knocking, Nodes};
use super::{GRPC, HTTP, NODE};
use crate::clock;
use crate::error::NodeError;
use crate::settings::{TlsFiles, TlsSettings};

/// The rules for connections; without one, there are none of that kind by TLS.
#[derive(Clone, Debug, Default)]
pub(super) struct Rules {
    /// Of clients that speak Redis's protocol, or lines.
    pub(super) plain: Option<Arc<ServerConfig>>,
    /// Of clients that speak HTTP.
    pub(super) http: Option<Arc<ServerConfig>>,
    /// Of clients that speak gRPC.
    pub(super) grpc: Option<Arc<ServerConfig>>,
    /// Of nodes that knock.
    pub(super) nodes: Option<Arc<ServerConfig>>,
    /// To nodes.
    pub(super) to_nodes: Option<Arc<ClientConfig>>,
    /// To the doors for HTTP of nodes.
    pub(super) to_doors: Option<Arc<ClientConfig>>,
}

/// Reads the files, and makes sure that they fit together and are good now.
pub(super) fn load(settings: &TlsSettings) -> Result<Rules, NodeError> {
    let Some(files) = &settings.files else { return Ok(Rules::default()) };
    let provider = Arc::new(ring::default_provider());
    let own = own(("tls-cert", &files.cert), ("tls-key", &files.key), &provider)?;
    let roots = files.ca.as_deref().map(|path| authorities("tls-ca", path)).transpose()?;
    check_own(files, &own, settings.nodes.then_some(roots.as_ref()).flatten())?;
    let own = Arc::new(SingleCertAndKey::from(own));
    let maker = Maker { provider, own };
    let mut rules = Rules::default();
    if settings.doors {
        let shown = roots.as_ref().filter(|_| settings.clients);
        let shown = shown.map(|roots| maker.shown(files, roots)).transpose()?;
        let server = |names| Some(Arc::new(maker.server(shown.clone(), names)));
        (rules.plain, rules.http, rules.grpc) = (server(&[]), server(&[HTTP]), server(&[GRPC]));
        rules.to_doors = roots.as_ref().map(|roots| Arc::new(maker.client(roots, HTTP)));
    }
    if let Some(roots) = roots.as_ref().filter(|_| settings.nodes) {
        let knocking = Knocking::new(maker.shown(files, roots)?, Nodes::new(roots.clone()));
        rules.nodes = Some(Arc::new(maker.server(Some(Arc::new(knocking)), &[NODE])));
        rules.to_nodes = Some(Arc::new(maker.client(roots, NODE)));
    }
    Ok(rules)
}

/// The certificate of this node with its key.
pub(super) fn own(
    (cert_name, cert): (&'static str, &Path),
    (key_name, key): (&'static str, &Path),
    provider: &CryptoProvider,
) -> Result<CertifiedKey, NodeError> {
    let chain = certificates(cert_name, cert)?;
    let secret = PrivateKeyDer::from_pem_file(key).map_err(|error| match error {
        pem::Error::NoItemsFound => {
            wrong(key_name, key, "there is no key in it, or an encrypted one")
        }
        error => unreadable(key_name, key, &error),
    })?;
    let secret = provider
        .key_provider
        .load_private_key(secret)
        .map_err(|error| wrong(key_name, key, &error.to_string()))?;
    let own = CertifiedKey::new(chain, secret);
    match own.keys_match() {
        Ok(()) | Err(Error::InconsistentKeys(rustls::InconsistentKeys::Unknown)) => Ok(own),
        Err(Error::InconsistentKeys(_)) => {
            let problem = format!("it is not the key of {cert_name}, {}", cert.display());
            Err(wrong(key_name, key, &problem))
        }
        Err(error) => Err(wrong(cert_name, cert, &explain(&error))),
    }
}

/// Whether the own certificate is good now, and for other nodes if they are to believe it.
fn check_own(
    files: &TlsFiles,
    own: &CertifiedKey,
    nodes: Option<&Arc<RootCertStore>>,
) -> Result<(), NodeError> {
    let roots = nodes.cloned().unwrap_or_else(|| Arc::new(RootCertStore::empty()));
    let (certificate, between) = own.cert.split_first().expect("a file has one at least");
    let now = UnixTime::since_unix_epoch(Duration::from_millis(clock::wall().0));
    match Nodes::new(roots).check(certificate, between, now) {
        Err(error) if nodes.is_some() || is_out_of_date(&error) => {
            Err(wrong("tls-cert", &files.cert, &explain(&error)))
        }
        // By whom it is signed concerns only who is to believe it.
        Ok(()) | Err(_) => Ok(()),
    }
}

fn is_out_of_date(error: &Error) -> bool {
    use CertificateError::{Expired, ExpiredContext, NotValidYet, NotValidYetContext};
    let Error::InvalidCertificate(why) = error else { return false };
    matches!(why, Expired | ExpiredContext { .. } | NotValidYet | NotValidYetContext { .. })
}

/// What is wrong with a certificate, in words.
fn explain(error: &Error) -> String {
    use CertificateError::{
        BadSignature, Expired, ExpiredContext, NotValidYet, NotValidYetContext, UnknownIssuer,
    };
    let Error::InvalidCertificate(why) = error else { return error.to_string() };
    match why {
        Expired | ExpiredContext { .. } => "it has expired".to_owned(),
        NotValidYet | NotValidYetContext { .. } => "it is not valid yet".to_owned(),
        BadSignature | UnknownIssuer => "no authority of tls-ca has signed it".to_owned(),
        why => format!("nodes do not believe it: {why}"),
    }
}

/// All authorities of a file.
pub(super) fn authorities(
    name: &'static str,
    path: &Path,
) -> Result<Arc<RootCertStore>, NodeError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(name, path)? {
        roots.add(certificate).map_err(|error| wrong(name, path, &error.to_string()))?;
    }
    Ok(Arc::new(roots))
}

/// All certificates of a file; one at least.
fn certificates(
    name: &'static str,
    path: &Path,
) -> Result<Vec<CertificateDer<'static>>, NodeError> {
    let all: Result<Vec<_>, _> = CertificateDer::pem_file_iter(path).and_then(Iterator::collect);
    match all {
        Ok(all) if all.is_empty() => Err(wrong(name, path, "there is no certificate in it")),
        Ok(all) => Ok(all),
        Err(error) => Err(unreadable(name, path, &error)),
    }
}

fn unreadable(name: &'static str, path: &Path, error: &pem::Error) -> NodeError {
    match error {
        pem::Error::Io(error) => wrong(name, path, &error.to_string()),
        error => wrong(name, path, &format!("it is no PEM: {error}")),
    }
}

fn wrong(name: &'static str, path: &Path, problem: &str) -> NodeError {
    NodeError::setting(name, format!("{}: {problem}", path.display()))
}

/// What all rules are made with.
struct Maker {
    provider: Arc<CryptoProvider>,
    own: Arc<SingleCertAndKey>,
}

/// Why [`Maker`] finds versions for what it does.
pub(super) const VERSIONS: &str = "ring knows TLS 1.2 and 1.3";

impl Maker {
    /// Who has to show a certificate shows one that these authorities have signed.
    fn shown(
        &self,
        files: &TlsFiles,
        roots: &Arc<RootCertStore>,
    ) -> Result<Arc<dyn ClientCertVerifier>, NodeError> {
        let provider = self.provider.clone();
        let verifier = WebPkiClientVerifier::builder_with_provider(roots.clone(), provider);
        verifier.build().map_err(|error| {
            let path = files.ca.as_deref().unwrap_or(&files.cert);
            wrong("tls-ca", path, &error.to_string())
        })
    }

    fn server(&self, shown: Option<Arc<dyn ClientCertVerifier>>, names: &[&[u8]]) -> ServerConfig {
        let shows = shown.is_some();
        let verifier = shown.unwrap_or_else(|| Arc::new(NoClientAuth));
        let mut config = ServerConfig::builder_with_provider(self.provider.clone())
            .with_safe_default_protocol_versions()
            .expect(VERSIONS)
            .with_client_cert_verifier(verifier)
            .with_cert_resolver(self.own.clone());
        config.alpn_protocols = names.iter().map(|name| name.to_vec()).collect();
        if shows {
            // A session that is taken up again shows nothing, so it would outlive its certificate.
            config.session_storage = Arc::new(NoServerSessionStorage {});
            config.send_tls13_tickets = 0;
        }
        config
    }

    fn client(&self, roots: &Arc<RootCertStore>, name: &[u8]) -> ClientConfig {
        let mut config = ClientConfig::builder_with_provider(self.provider.clone())
            .with_safe_default_protocol_versions()
            .expect(VERSIONS)
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Nodes::new(roots.clone())))
            .with_client_cert_resolver(self.own.clone());
        config.alpn_protocols = vec![name.to_vec()];
        config.resumption = Resumption::disabled();
        config
    }
}
