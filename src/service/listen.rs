//! Opens the sockets on which a server listens.

use super::{access::Access, corrections::CorrectionLog, error::ServeError, settings::Settings};
use std::{net::SocketAddr, sync::Arc};
use tokio::net::TcpListener;

/// The addresses of a server; port 0 is any free port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Addresses {
    /// The address of the classifier, health and reflection services.
    pub classifier: SocketAddr,
    /// The address of the admin service; by default that of the classifier.
    pub admin: Option<SocketAddr>,
    /// The address of metrics and probes over HTTP; disabled by default.
    pub metrics: Option<SocketAddr>,
    /// The address of the page for editors, and of classification over HTTP; disabled by default.
    pub web: Option<SocketAddr>,
}

/// A server whose sockets are open. It does not answer until [`Listening::serve`] runs.
pub struct Listening {
    pub(super) classifier: TcpListener,
    pub(super) admin: Option<TcpListener>,
    pub(super) metrics: Option<TcpListener>,
    pub(super) web: Option<TcpListener>,
    pub(super) addresses: Addresses,
    pub(super) settings: Settings,
    pub(super) access: Access,
    /// The log of corrections, if enabled.
    pub(super) corrections: Option<Arc<CorrectionLog>>,
}

impl Listening {
    /// Checks the settings, reads their files and opens the sockets.
    ///
    /// # Errors
    /// [`ServeError::Origin`], [`ServeError::Security`], [`ServeError::Corrections`] or [`ServeError::Listen`].
    pub async fn on(addresses: Addresses, settings: Settings) -> Result<Self, ServeError> {
        let access = Access::open(&settings)?;
        let log = settings.corrections.as_ref().map(|log| CorrectionLog::open(&log.folder, log.keep_text));
        let corrections = log.transpose()?.map(Arc::new);
        let listen = async |address: SocketAddr, flag| {
            let fault = |source| ServeError::Listen { address, flag, source };
            let listener = TcpListener::bind(address).await.map_err(fault)?;
            let address = listener.local_addr().map_err(fault)?;
            Ok::<_, ServeError>((listener, address))
        };
        let (classifier, address) = listen(addresses.classifier, "--listen").await?;
        let mut listening =
            Listening { classifier, admin: None, metrics: None, web: None, addresses, settings, access, corrections };
        listening.addresses.classifier = address;
        if let Some(address) = addresses.admin {
            let (listener, address) = listen(address, "--admin-listen").await?;
            (listening.admin, listening.addresses.admin) = (Some(listener), Some(address));
        }
        if let Some(address) = addresses.metrics {
            let (listener, address) = listen(address, "--metrics-listen").await?;
            (listening.metrics, listening.addresses.metrics) = (Some(listener), Some(address));
        }
        if let Some(address) = addresses.web {
            let (listener, address) = listen(address, "--web").await?;
            (listening.web, listening.addresses.web) = (Some(listener), Some(address));
        }
        Ok(listening)
    }

    /// The addresses, with the actual ports.
    pub fn addresses(&self) -> &Addresses {
        &self.addresses
    }
}
