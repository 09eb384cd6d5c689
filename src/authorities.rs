//! Where the certificate authorities are that the system trusts.
//!
//! Owns the list for all who make connections. What is made of a file, and who is trusted beside it, is theirs.

/// Most bytes of a bundle: a system's has some hundred KiB.
pub(crate) const LARGEST: u64 = 16 << 20;

/// Where distributions keep them, in the order to look.
pub(crate) const SYSTEM_BUNDLES: [&str; 5] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];
