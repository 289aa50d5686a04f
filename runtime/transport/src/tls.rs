//! TLS as this project uses it: version 1.3, both sides show certificates, every handshake is a full one.
use crate::error::IdentityError;
use crate::identity::Identity;
use quiltwork_protocol::ALPN;
use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use rustls::client::Resumption;
use rustls::crypto::CryptoProvider;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::version::TLS13;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use std::sync::Arc;

/// The serving side: lets in only who shows a certificate of the same authority.
pub(crate) fn server(identity: &Identity) -> Result<QuicServerConfig, IdentityError> {
    let verifier = WebPkiClientVerifier::builder_with_provider(roots(identity)?, provider())
        .build()
        .map_err(|error| IdentityError::Unusable(error.to_string()))?;
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])?
        .with_client_cert_verifier(verifier)
        .with_single_cert(vec![identity.certificate()], identity.key().into())?;
    config.alpn_protocols = vec![ALPN.to_vec()];
    // A ticket would let a peer in later without its certificate, and early data can be replayed.
    config.send_tls13_tickets = 0;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.max_early_data_size = 0;
    QuicServerConfig::try_from(config).map_err(|error| IdentityError::Unusable(error.to_string()))
}

/// The connecting side: speaks only to a certificate of the same authority that holds the expected name.
pub(crate) fn client(identity: &Identity) -> Result<QuicClientConfig, IdentityError> {
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])?
        .with_root_certificates(roots(identity)?)
        .with_client_auth_cert(vec![identity.certificate()], identity.key().into())?;
    config.alpn_protocols = vec![ALPN.to_vec()];
    config.resumption = Resumption::disabled();
    config.enable_early_data = false;
    QuicClientConfig::try_from(config).map_err(|error| IdentityError::Unusable(error.to_string()))
}

/// The cryptography is passed wherever it is needed: a library must not choose it for the whole process.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn roots(identity: &Identity) -> Result<Arc<RootCertStore>, IdentityError> {
    let mut roots = RootCertStore::empty();
    roots.add(identity.authority())?;
    Ok(Arc::new(roots))
}
