//! Certificates and private keys in PEM.

use super::error::{CredentialError, read};
use rustls_pki_types::{
    CertificateDer, PrivateKeyDer,
    pem::{self, PemObject},
};
use std::{
    path::Path,
    time::{Duration, SystemTime},
};
use x509_cert::{Certificate, der::Decode};

/// The certificates of a file, at least one.
///
/// # Errors
/// [`CredentialError`].
pub fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, CredentialError> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&read(path)?).collect();
    let found = found.map_err(|error| CredentialError::invalid(path, error))?;
    match found.is_empty() {
        true => Err(CredentialError::invalid(path, "no certificate in PEM")),
        false => Ok(found),
    }
}

/// The first private key of a file.
///
/// # Errors
/// [`CredentialError`].
pub fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, CredentialError> {
    PrivateKeyDer::from_pem_slice(&read(path)?).map_err(|error| match error {
        pem::Error::NoItemsFound => CredentialError::invalid(path, "no private key in PEM"),
        error => CredentialError::invalid(path, error),
    })
}

/// When the first of some certificates expires, and all are useless together; `None` if none can be decoded.
pub fn expiry(certificates: &[CertificateDer<'_>]) -> Option<SystemTime> {
    let of = |certificate: &CertificateDer<'_>| -> Option<Duration> {
        let decoded = Certificate::from_der(certificate).ok()?;
        Some(decoded.tbs_certificate.validity.not_after.to_unix_duration())
    };
    certificates.iter().filter_map(of).min().map(|since_1970| SystemTime::UNIX_EPOCH + since_1970)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_earliest_expiry_counts() {
        let until = |year| {
            let key = rcgen::KeyPair::generate().expect("a key");
            let mut params = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).expect("valid parameters");
            params.not_after = rcgen::date_time_ymd(year, 1, 1);
            params.self_signed(&key).expect("a certificate").der().clone()
        };
        let seconds = |certificates: &[CertificateDer<'_>]| {
            expiry(certificates).map(|at| at.duration_since(SystemTime::UNIX_EPOCH).expect("after 1970").as_secs())
        };
        assert_eq!(seconds(&[until(2100), until(2030)]), Some(1_893_456_000));
        assert_eq!(seconds(&[CertificateDer::from(vec![0x30, 0x03])]), None);
    }
}
