//! Metrics of certificates and tokens.

use super::register::Register;
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{family::Family, gauge::Gauge},
    registry::Registry,
};
use std::time::SystemTime;

/// Whether files were refused, and when certificates expire.
pub struct CredentialMetrics {
    refused: Family<File, Gauge>,
    expiry: Family<File, Gauge>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct File {
    file: &'static str,
}

impl CredentialMetrics {
    pub fn register(registry: &mut Registry) -> Self {
        CredentialMetrics {
            refused: registry.add(
                "credentials_refused",
                "1 if the certificates or tokens in their files were refused and the previous ones are in use",
            ),
            expiry: registry
                .add("certificate_expiry_timestamp_seconds", "When the certificates expire, in seconds since 1970"),
        }
    }

    /// Sets whether the files of a name were refused.
    pub fn set_refused(&self, file: &'static str, refused: bool) {
        self.refused.get_or_create(&File { file }).set(refused.into());
    }

    /// Sets when the certificates of a name expire; no sample if that is unknown.
    pub fn set_expiry(&self, file: &'static str, expiry: Option<SystemTime>) {
        let seconds = expiry.and_then(|at| at.duration_since(SystemTime::UNIX_EPOCH).ok());
        match seconds {
            Some(seconds) => {
                self.expiry.get_or_create(&File { file }).set(i64::try_from(seconds.as_secs()).unwrap_or(i64::MAX));
            }
            None => {
                self.expiry.remove(&File { file });
            }
        }
    }
}
