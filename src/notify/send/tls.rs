//! Whom TLS trusts: the authorities that the user names, else those of the system, else those that are built in.
//!
//! An image may hold nothing but this program, and still has to find out that it talks to the right host. The system's
//! hundreds of authorities are read when a certificate is first to be verified: many a sink is reached without TLS.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::{ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

use crate::authorities::{LARGEST, SYSTEM_BUNDLES};
use crate::environment::Environment;
use crate::error::{Category, Diagnose};
use crate::input;

/// Why the authorities cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RootsError {
    /// The file cannot be read.
    #[error("cannot read the certificate authorities of SSL_CERT_FILE, {}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The file holds none.
    #[error("{}, the SSL_CERT_FILE, holds no certificate in PEM form", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// The TLS library refuses its own defaults.
    #[error("the TLS library cannot be set up")]
    Library(#[from] rustls::Error),
}

impl Diagnose for RootsError {
    fn category(&self) -> Category {
        Category::Environment
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Unreadable { .. } | Self::Empty { .. } => {
                Some("unset SSL_CERT_FILE to trust those whom the system trusts".to_owned())
            }
            Self::Library(_) => None,
        }
    }
}

pub(super) fn config(env: &Environment) -> Result<ClientConfig, RootsError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder =
        ClientConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions()?;
    let builder = match env.non_empty("SSL_CERT_FILE") {
        // Whoever names a file is to be told at once that it is of no use.
        Some(path) => builder.with_root_certificates(roots(Some(Path::new(path)), &[])?),
        None => builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(SystemTrust::of(&SYSTEM_BUNDLES, provider))),
    };
    Ok(builder.with_no_client_auth())
}

/// The TLS library's own verifier, made with the system's authorities when it is first asked.
#[derive(Debug)]
struct SystemTrust {
    bundles: &'static [&'static str],
    provider: Arc<CryptoProvider>,
    verifier: OnceLock<Result<Arc<WebPkiServerVerifier>, String>>,
}

impl SystemTrust {
    const fn of(bundles: &'static [&'static str], provider: Arc<CryptoProvider>) -> Self {
        Self { bundles, provider, verifier: OnceLock::new() }
    }

    fn verifier(&self) -> Result<&WebPkiServerVerifier, Error> {
        let made = self.verifier.get_or_init(|| {
            let roots = roots(None, self.bundles).map_err(|error| error.to_string())?;
            WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&self.provider))
                .build()
                .map_err(|error| error.to_string())
        });
        made.as_deref().map_err(|error| Error::General(error.clone()))
    }
}

impl ServerCertVerifier for SystemTrust {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.verifier()?.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// Whom TLS trusts here.
pub fn authorities(env: &Environment) -> Result<Arc<RootCertStore>, RootsError> {
    roots(env.non_empty("SSL_CERT_FILE").map(Path::new), &SYSTEM_BUNDLES).map(Arc::new)
}

fn roots(named: Option<&Path>, bundles: &[&str]) -> Result<RootCertStore, RootsError> {
    if let Some(path) = named {
        let roots = read(path).map_err(|source| RootsError::Unreadable { path: path.to_owned(), source })?;
        return if roots.is_empty() { Err(RootsError::Empty { path: path.to_owned() }) } else { Ok(roots) };
    }
    // Nobody asked for the system's bundle: a broken one is as good as none.
    let system = bundles.iter().filter_map(|path| read(Path::new(path)).ok()).find(|roots| !roots.is_empty());
    Ok(system.unwrap_or_else(|| RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() }))
}

/// The certificates of a file that this library can read: one that it cannot does not make the others useless.
fn read(path: &Path) -> io::Result<RootCertStore> {
    let pem = input::read(path, LARGEST)?;
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(CertificateDer::pem_slice_iter(&pem).filter_map(Result::ok));
    Ok(roots)
}

#[cfg(test)]
mod tests {
    use rustls::ServerConfig;
    use rustls_pki_types::PrivateKeyDer;
    use tokio_rustls::{TlsAcceptor, TlsConnector};

    use super::*;

    const CERTIFICATE: &[u8] = include_bytes!("../../check/http/tests/server.pem");
    const KEY: &[u8] = include_bytes!("../../check/http/tests/server-key.pem");
    const AUTHORITY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/check/http/tests/authority.pem");

    /// What a client that trusts these says of a server of this name.
    async fn shake_hands(bundles: &'static [&'static str], name: &'static str) -> io::Result<()> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let trust = Arc::new(SystemTrust::of(bundles, Arc::clone(&provider)));
        let client = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .unwrap()
            .dangerous()
            .with_custom_certificate_verifier(Arc::clone(&trust) as Arc<dyn ServerCertVerifier>)
            .with_no_client_auth();
        assert!(trust.verifier.get().is_none(), "nothing is read for nobody");
        let chain = vec![CertificateDer::from_pem_slice(CERTIFICATE).unwrap()];
        let server = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, PrivateKeyDer::from_pem_slice(KEY).unwrap())
            .unwrap();
        let (near, far) = tokio::io::duplex(64 * 1024);
        let accepting = TlsAcceptor::from(Arc::new(server)).accept(far);
        let name = ServerName::try_from(name).unwrap();
        let (connected, _accepted) =
            tokio::join!(TlsConnector::from(Arc::new(client)).connect(name, near), accepting);
        connected.map(drop)
    }

    #[tokio::test]
    async fn a_server_is_trusted_by_the_systems_authorities_and_under_its_own_name_alone() {
        shake_hands(&[AUTHORITY], "localhost").await.unwrap();
        let error = shake_hands(&[AUTHORITY], "other.localhost").await.unwrap_err().to_string();
        assert!(error.contains("not valid for name"), "{error}");
        let error = shake_hands(&[], "localhost").await.unwrap_err().to_string();
        assert!(error.contains("UnknownIssuer"), "{error}");
    }

    #[test]
    fn an_image_without_any_file_still_knows_the_authorities() {
        let roots = roots(None, &["/nowhere/ca-certificates.crt"]).unwrap();
        assert!(roots.len() > 100, "{}", roots.len());
    }

    #[test]
    fn a_bundle_that_was_named_and_cannot_be_used_is_an_error_and_not_passed_over() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("ca.pem");
        let error = roots(Some(&path), &[]).unwrap_err();
        assert!(matches!(error, RootsError::Unreadable { .. }), "{error}");
        std::fs::write(&path, "hunter2").unwrap();
        let error = roots(Some(&path), &[]).unwrap_err().to_string();
        assert!(error.contains("holds no certificate") && !error.contains("hunter2"), "{error}");
    }

    #[test]
    fn an_empty_system_bundle_is_passed_over() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("ca.pem");
        std::fs::write(&path, "").unwrap();
        assert!(roots(None, &[path.to_str().unwrap()]).unwrap().len() > 100);
    }
}
