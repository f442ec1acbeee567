//! The Dateline server that a command asks: its address, TLS and token.

use super::failure::Failure;
use crate::{
    credentials::{CredentialError, certificates, private_key, read, warn_if_readable_by_others},
    wire::{Client, TokenFile},
};
use std::path::{Path, PathBuf};
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};

/// The server to ask, and how.
#[derive(Debug, Clone, clap::Args)]
pub struct ServerArgs {
    /// Classify by a running server, http:// or https://, instead of a model in this process
    #[arg(long, env = "DATELINE_SERVER", value_name = "URL")]
    pub server: Option<String>,
    /// CA certificates in PEM to verify the server with; those of the system by default
    #[arg(long, env = "DATELINE_SERVER_CA", value_name = "FILE", requires = "server", help_heading = "Security")]
    server_ca: Option<PathBuf>,
    /// The client certificate to show the server, in PEM
    #[arg(
        long,
        env = "DATELINE_SERVER_CERT",
        value_name = "FILE",
        requires = "server",
        requires = "server_key",
        help_heading = "Security"
    )]
    server_cert: Option<PathBuf>,
    /// Its private key in PEM
    #[arg(long, env = "DATELINE_SERVER_KEY", value_name = "FILE", requires = "server_cert", help_heading = "Security")]
    server_key: Option<PathBuf>,
    /// A file with the token to send the server; read again for each call
    #[arg(long, env = "DATELINE_SERVER_TOKEN", value_name = "FILE", requires = "server", help_heading = "Security")]
    server_token: Option<PathBuf>,
}

impl ServerArgs {
    /// The server to connect to; `None` if none is given. Reads and checks all files.
    ///
    /// # Errors
    /// [`Failure::Usage`].
    pub fn endpoint(&self) -> Result<Option<Endpoint>, Failure> {
        let Some(url) = &self.server else { return Ok(None) };
        if let Some(token) = &self.server_token {
            TokenFile::new(token.clone()).read()?;
        }
        // The default scheme is http.
        let full = if url.contains("://") { url.clone() } else { format!("http://{url}") };
        let is_tls = full.starts_with("https://");
        let known = Some(full).filter(|full| is_tls || full.starts_with("http://"));
        let endpoint = known.and_then(|full| Endpoint::from_shared(full).ok()).ok_or_else(|| {
            Failure::Usage(format!(
                "invalid server address {url}: write one such as http://127.0.0.1:50051 or https://dateline.example"
            ))
        })?;
        if !is_tls {
            return match self.server_ca.is_some() || self.server_cert.is_some() {
                true => Err(Failure::Usage(format!("certificates need TLS: write https:// in {url}"))),
                false => Ok(Some(endpoint)),
            };
        }
        let tls = self.tls()?;
        endpoint.tls_config(tls).map(Some).map_err(|error| Failure::Usage(format!("invalid TLS settings: {error}")))
    }

    fn tls(&self) -> Result<ClientTlsConfig, Failure> {
        let mut tls = match &self.server_ca {
            Some(ca) => ClientTlsConfig::new().ca_certificate(Certificate::from_pem(certificates_pem(ca)?)),
            None => ClientTlsConfig::new().with_enabled_roots(),
        };
        if let (Some(certificate), Some(key)) = (&self.server_cert, &self.server_key) {
            tls = tls.identity(Identity::from_pem(certificates_pem(certificate)?, private_key_pem(key)?));
        }
        Ok(tls)
    }

    /// Logs a warning for each secret that every user of the machine may read.
    pub fn warn_of_readable_secrets(&self) {
        self.server_key.iter().chain(&self.server_token).for_each(|secret| warn_if_readable_by_others(secret));
    }

    /// A client on a connection to the server.
    pub fn client(&self, channel: Channel) -> Client {
        Client::new(channel, self.server_token.clone().map(TokenFile::new))
    }
}

/// The certificates of a file, in PEM.
fn certificates_pem(path: &Path) -> Result<Vec<u8>, Failure> {
    certificates(path)?;
    Ok(read(path)?)
}

/// The private key of a file, in PEM.
fn private_key_pem(path: &Path) -> Result<Vec<u8>, Failure> {
    private_key(path)?;
    Ok(read(path)?)
}

impl From<CredentialError> for Failure {
    fn from(error: CredentialError) -> Self {
        Failure::Usage(error.to_string())
    }
}
