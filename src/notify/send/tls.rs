//! Whom TLS trusts: the authorities that the user names, else those of the system, else those that are built in.
//!
//! An image may hold nothing but this program, and still has to find out that it talks to the right host.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;

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
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    Ok(builder.with_root_certificates(authorities(env)?).with_no_client_auth())
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
    use super::*;

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
