//! Which clients may call: by certificates, tokens, and the origins of web pages.

use super::{
    error::ServeError,
    metrics::Metrics,
    security::{Tls, TokenGate, Tokens},
    settings::Settings,
    web,
};
use std::sync::Arc;
use tower_http::cors::CorsLayer;

/// Which clients may call.
pub struct Access {
    /// Set if gRPC-Web is enabled.
    pub cors: Option<CorsLayer>,
    pub tls: Option<Arc<Tls>>,
    /// Protects all services except health.
    pub gate: TokenGate,
    /// Protects the admin service, which is disabled without tokens.
    pub admin_gate: TokenGate,
}

impl Access {
    /// Checks the web origins, and reads all files.
    ///
    /// # Errors
    /// [`ServeError::Origin`] or [`ServeError::Security`].
    pub fn open(settings: &Settings) -> Result<Self, ServeError> {
        let tokens = |path: &Option<_>| -> Result<TokenGate, ServeError> {
            let open = |path| Tokens::open(path, settings.on_empty_tokens);
            Ok(TokenGate(path.clone().map(open).transpose()?.map(Arc::new)))
        };
        Ok(Access {
            cors: web::cors(&settings.web_origins)?,
            tls: settings.tls.clone().map(Tls::open).transpose()?.map(Arc::new),
            gate: tokens(&settings.tokens)?,
            admin_gate: tokens(&settings.admin_tokens)?,
        })
    }

    /// Starts to reload the files when they change.
    pub fn watch(&self, metrics: &Arc<Metrics>) {
        if let Some(tls) = &self.tls {
            tokio::spawn(tls.clone().watch(metrics.clone()));
        }
        for (what, gate) in [("tokens", &self.gate), ("admin_tokens", &self.admin_gate)] {
            let Some(tokens) = &gate.0 else { continue };
            tokens.warn_if_readable_by_others();
            tokio::spawn(tokens.clone().watch(what, metrics.clone()));
        }
    }
}

/// Checks the web origins, and reads all files of the settings, as a start would.
///
/// # Errors
/// [`ServeError::Origin`] or [`ServeError::Security`].
pub fn check(settings: &Settings) -> Result<(), ServeError> {
    Access::open(settings).map(drop)
}
