//! Certificates: how long a server's is valid, and the client's own.
//!
//! Owns the walk through DER to that one date, and reading PEM files, whose content never reaches a message. Whether a
//! certificate is to be trusted is the TLS library's to say, before anything here is asked.

use std::path::{Path, PathBuf};

use reqwest::Client;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use time::{Date, Month, PrimitiveDateTime, Time};

use crate::check::{CheckError, Surroundings};
use crate::input;

/// A chain has some KiB.
const LARGEST_FILE: u64 = 1 << 20;

const INTEGER: u8 = 0x02;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const SEQUENCE: u8 = 0x30;
const VERSION: u8 = 0xa0;

/// A client that shows this certificate, of the file of certificates and that of the key.
pub(super) fn client(surroundings: &Surroundings, files: &(PathBuf, PathBuf)) -> Result<Client, CheckError> {
    let (chain, key) = files;
    let malformed = |what: &'static str, path: &Path, reason: &str| CheckError::ClientCertificate {
        what,
        path: path.to_owned(),
        reason: reason.to_owned(),
    };
    let read = |what: &'static str, path: &Path| {
        input::read(path, LARGEST_FILE).map_err(|error| malformed(what, path, &error.to_string()))
    };
    let certificates: Result<Vec<_>, _> =
        CertificateDer::pem_slice_iter(&read("client certificate", chain)?).collect();
    let certificates = certificates.ok().filter(|certificates| !certificates.is_empty());
    let certificates = certificates
        .ok_or_else(|| malformed("client certificate", chain, "it holds no certificate in PEM form"))?;
    let private = PrivateKeyDer::from_pem_slice(&read("private key", key)?)
        .map_err(|_| malformed("private key", key, "it holds no private key in PEM form"))?;
    surroundings.client_with(|tls| {
        tls.with_client_auth_cert(certificates, private)
            .map_err(|error| malformed("client certificate", chain, &error.to_string()))
    })
}

/// The last second in which a certificate is valid, in Unix seconds; none where it is not understood.
pub(super) fn not_after(certificate: &[u8]) -> Option<i64> {
    let (certificate, _) = expect(SEQUENCE, certificate)?;
    let (mut rest, _) = expect(SEQUENCE, certificate)?;
    if let Some((_, after)) = expect(VERSION, rest) {
        rest = after;
    }
    // Serial number, algorithm of the signature, issuer.
    for tag in [INTEGER, SEQUENCE, SEQUENCE] {
        (_, rest) = expect(tag, rest)?;
    }
    let (validity, _) = expect(SEQUENCE, rest)?;
    let (_, _, end) = element(validity)?;
    let (tag, end, _) = element(end)?;
    date(tag, end)
}

fn expect(tag: u8, bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (found, content, rest) = element(bytes)?;
    (found == tag).then_some((content, rest))
}

/// Tag and content of the first element, and what follows it.
fn element(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (tag, rest) = bytes.split_first()?;
    let (first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(*first), rest),
        // A length of more than four bytes is no certificate's.
        0x81..=0x84 => {
            let (length, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            (
                length
                    .iter()
                    .try_fold(0_usize, |sum, byte| Some(sum.checked_mul(256)? + usize::from(*byte)))?,
                rest,
            )
        }
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((*tag, content, rest))
}

/// RFC 5280: both forms end with seconds and `Z`, and a year of two digits is one from 1950 to 2049.
fn date(tag: u8, text: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(text).ok()?.strip_suffix('Z')?;
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let (year, rest) = match tag {
        UTC_TIME if text.len() == 12 => {
            let (year, rest) = text.split_at(2);
            let year: i32 = year.parse().ok()?;
            (if year < 50 { 2000 + year } else { 1900 + year }, rest)
        }
        GENERALIZED_TIME if text.len() == 14 => {
            let (year, rest) = text.split_at(4);
            (year.parse().ok()?, rest)
        }
        _ => return None,
    };
    let number = |at: usize| rest.get(at..at + 2)?.parse::<u8>().ok();
    let date = Date::from_calendar_date(year, Month::try_from(number(0)?).ok()?, number(2)?).ok()?;
    let time = Time::from_hms(number(4)?, number(6)?, number(8)?).ok()?;
    Some(PrimitiveDateTime::new(date, time).assume_utc().unix_timestamp())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn both_forms_of_a_date_are_read_and_others_are_not() {
        assert_eq!(date(UTC_TIME, b"491231235959Z"), Some(2_524_607_999));
        assert_eq!(date(UTC_TIME, b"500101000000Z"), Some(-631_152_000));
        assert_eq!(date(GENERALIZED_TIME, b"20500101000000Z"), Some(2_524_608_000));
        for text in
            [&b"20500101000000"[..], b"2050010100000Z", b"20501301000000Z", b"+0500101000000Z", b"\xff"]
        {
            assert_eq!(date(GENERALIZED_TIME, text), None);
        }
        assert_eq!(date(INTEGER, b"20500101000000Z"), None);
    }

    proptest! {
        #[test]
        fn no_bytes_are_misread_as_more_than_there_are(mut bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            if let Some(first) = bytes.first_mut() {
                *first = SEQUENCE;
            }
            let _read_or_not = not_after(&bytes);
            if let Some((_, content, rest)) = element(&bytes) {
                prop_assert!(content.len() + rest.len() < bytes.len());
            }
        }
    }
}
