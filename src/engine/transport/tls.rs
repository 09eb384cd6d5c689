//! TLS as Docker's client does it: an authority of one's own, a client certificate, and `--tls` without verification.
//!
//! Owns the reading of PEM files. Their content never reaches a message.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature,
};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};

use crate::authorities::{LARGEST, SYSTEM_BUNDLES};
use crate::engine::endpoint::TlsMaterial;
use crate::environment::Environment;
use crate::input;

/// Why TLS cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("cannot read the {what} {path}")]
    Unreadable {
        /// certificate, key, …
        what: &'static str,
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file holds something else.
    #[error("cannot use the {what} {path}: {reason}")]
    Malformed {
        /// certificate, key, …
        what: &'static str,
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// No authority was given and the system has none.
    #[error("there is no certificate authority to trust: give --tlscacert, or install ca-certificates")]
    NoAuthorities,
    /// Certificate and key do not fit, or the key is of a kind that is not supported.
    #[error("cannot use the client certificate with its key")]
    ClientCertificate {
        /// What the TLS library says.
        source: rustls::Error,
    },
    /// The TLS library refuses its own defaults.
    #[error("cannot set up TLS")]
    Setup {
        /// What the TLS library says.
        source: rustls::Error,
    },
}

impl TlsError {
    pub(super) const fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Unreadable { .. } | Self::Malformed { .. } | Self::ClientCertificate { .. } => Some(
                "DOCKER_CERT_PATH is the directory of ca.pem, cert.pem and key.pem; \
                 --tlscacert, --tlscert and --tlskey name other files",
            ),
            Self::NoAuthorities | Self::Setup { .. } => None,
        }
    }
}

pub(in crate::engine) fn client_config(
    material: &TlsMaterial,
    env: &Environment,
) -> Result<ClientConfig, TlsError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|source| TlsError::Setup { source })?;
    let builder = if material.verify {
        builder.with_root_certificates(roots(material.ca.as_deref(), env)?)
    } else {
        builder.dangerous().with_custom_certificate_verifier(Arc::new(Unverified::new(&provider)))
    };
    match (&material.cert, &material.key) {
        (Some(cert), Some(key)) => builder
            .with_client_auth_cert(certificates("client certificate", cert)?, private_key(key)?)
            .map_err(|source| TlsError::ClientCertificate { source }),
        _ => Ok(builder.with_no_client_auth()),
    }
}

/// TLS that takes any certificate: for a container of our own that is asked whether it answers. Its certificate is made
/// out to another name, and nothing is told to it.
pub fn unverified() -> Result<ClientConfig, TlsError> {
    client_config(&TlsMaterial { verify: false, ..TlsMaterial::default() }, &Environment::default())
}

/// The name, or IP address, that the server's certificate must bear.
pub(super) fn server_name(host: &str) -> io::Result<ServerName<'static>> {
    ServerName::try_from(host.to_owned()).map_err(|_| {
        io::Error::new(io::ErrorKind::InvalidInput, format!("{host} cannot be a certificate's name"))
    })
}

fn roots(ca: Option<&Path>, env: &Environment) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    if let Some(path) = ca {
        for certificate in certificates("certificate authority", path)? {
            roots.add(certificate).map_err(|error| TlsError::Malformed {
                what: "certificate authority",
                path: path.to_owned(),
                reason: error.to_string(),
            })?;
        }
        return Ok(roots);
    }
    let named = env.non_empty("SSL_CERT_FILE").map(PathBuf::from);
    let bundle = named.or_else(|| SYSTEM_BUNDLES.iter().map(PathBuf::from).find(|path| path.is_file()));
    let bundle = bundle.ok_or(TlsError::NoAuthorities)?;
    // A system's bundle may hold a certificate that this library does not read; the others still count.
    let (added, _ignored) =
        roots.add_parsable_certificates(certificates("system's certificate bundle", &bundle)?);
    if added == 0 { Err(TlsError::NoAuthorities) } else { Ok(roots) }
}

fn read(what: &'static str, path: &Path) -> Result<Vec<u8>, TlsError> {
    input::read(path, LARGEST).map_err(|source| TlsError::Unreadable { what, path: path.to_owned(), source })
}

fn certificates(what: &'static str, path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let pem = read(what, path)?;
    let malformed =
        |reason: &str| TlsError::Malformed { what, path: path.to_owned(), reason: reason.to_owned() };
    let certificates: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(&pem)
        .collect::<Result<_, _>>()
        .map_err(|_| malformed("it is not valid PEM"))?;
    if certificates.is_empty() {
        Err(malformed("it holds no certificate in PEM form"))
    } else {
        Ok(certificates)
    }
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    let pem = read("private key", path)?;
    let malformed = |reason: &str| TlsError::Malformed {
        what: "private key",
        path: path.to_owned(),
        reason: reason.to_owned(),
    };
    if String::from_utf8_lossy(&pem).contains("ENCRYPTED") {
        return Err(malformed("it is encrypted; Docker's clients need it without a passphrase"));
    }
    PrivateKeyDer::from_pem_slice(&pem).map_err(|_| malformed("it holds no private key in PEM form"))
}

/// Takes any certificate, as `--tls` without `--tlsverify` asks for; signatures of the handshake are still checked.
#[derive(Debug)]
struct Unverified {
    algorithms: WebPkiSupportedAlgorithms,
}

impl Unverified {
    const fn new(provider: &CryptoProvider) -> Self {
        Self { algorithms: provider.signature_verification_algorithms }
    }
}

impl ServerCertVerifier for Unverified {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn material(file: &Path) -> TlsMaterial {
        TlsMaterial { ca: Some(file.to_owned()), ..TlsMaterial::default() }
    }

    #[test]
    fn a_missing_authority_is_an_error_that_names_the_file() {
        let error =
            client_config(&material(Path::new("/nowhere/ca.pem")), &Environment::default()).unwrap_err();
        assert_eq!(error.to_string(), "cannot read the certificate authority /nowhere/ca.pem");
    }

    #[test]
    fn files_that_are_not_pem_are_named_and_not_quoted() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("ca.pem");
        std::fs::write(&file, "hunter2").unwrap();
        let error = client_config(&material(&file), &Environment::default()).unwrap_err().to_string();
        assert!(error.contains("holds no certificate") && !error.contains("hunter2"), "{error}");
        let error = private_key(&file).unwrap_err().to_string();
        assert!(error.contains("holds no private key") && !error.contains("hunter2"), "{error}");
        std::fs::write(&file, "-----BEGIN ENCRYPTED PRIVATE KEY-----\n").unwrap();
        assert!(private_key(&file).unwrap_err().to_string().contains("encrypted"));
    }

    #[test]
    fn without_verification_no_authority_is_needed() {
        let material = TlsMaterial { verify: false, ..TlsMaterial::default() };
        assert!(client_config(&material, &Environment::default()).is_ok());
    }

    #[test]
    fn an_empty_system_bundle_is_no_authority() {
        let env = Environment::from_pairs([("SSL_CERT_FILE", "/nowhere/bundle.pem")]);
        let error = client_config(&TlsMaterial::default(), &env).unwrap_err();
        assert!(matches!(error, TlsError::Unreadable { .. }), "{error}");
    }

    #[test]
    fn ip_addresses_are_names_for_certificates() {
        assert!(matches!(server_name("127.0.0.1"), Ok(ServerName::IpAddress(_))));
        assert!(matches!(server_name("::1"), Ok(ServerName::IpAddress(_))));
        assert!(matches!(server_name("engine.lan"), Ok(ServerName::DnsName(_))));
        assert!(server_name("a_b c").is_err());
    }
}
