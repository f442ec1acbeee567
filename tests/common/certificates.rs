//! Certificates for tests of TLS.

use super::TempDir;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

/// The year in which certificates of these tests expire, unless a test needs an expired one.
const VALID_UNTIL: i32 = 2100;

/// A certificate authority.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub pem: String,
}

impl Authority {
    pub fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("the parameters are valid");
        params.distinguished_name.push(DnType::CommonName, "an authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key can be generated");
        let pem = params.self_signed(&key).expect("the authority signs itself").pem();
        Authority { issuer: Issuer::new(params, key), pem }
    }

    /// A certificate for `localhost` and its key, in PEM.
    pub fn sign(&self) -> (String, String) {
        self.sign_until(VALID_UNTIL)
    }

    /// A certificate for `localhost` that expires at the beginning of a year, and its key, in PEM.
    pub fn sign_until(&self, year: i32) -> (String, String) {
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).expect("the name is valid");
        params.distinguished_name.push(DnType::CommonName, "a desk");
        params.not_after = rcgen::date_time_ymd(year, 1, 1);
        let key = KeyPair::generate().expect("a key can be generated");
        (params.signed_by(&key, &self.issuer).expect("the certificate is signed").pem(), key.serialize_pem())
    }

    /// Signs a certificate for a server, writes `cert.pem` and `key.pem`, and returns their paths.
    pub fn write_pair(&self, folder: &TempDir) -> (String, String) {
        let (certificate, key) = self.sign();
        (folder.write("cert.pem", certificate), folder.write("key.pem", key))
    }
}
