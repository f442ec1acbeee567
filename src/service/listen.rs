//! Where a server listens.

use super::error::ServeError;
use std::net::SocketAddr;
use tokio::net::TcpListener;

/// Where a server listens; port 0 takes a free one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Addresses {
    /// For the classifier, health and reflection.
    pub classifier: SocketAddr,
    /// For the calls of an operator; that of the classifier without it.
    pub admin: Option<SocketAddr>,
    /// For metrics and probes over HTTP; there are none without it.
    pub metrics: Option<SocketAddr>,
}

/// A server that listens already, and has not begun to answer.
pub struct Listening {
    pub(super) classifier: TcpListener,
    pub(super) admin: Option<TcpListener>,
    pub(super) metrics: Option<TcpListener>,
    pub(super) addresses: Addresses,
}

impl Listening {
    /// Listens.
    ///
    /// # Errors
    /// [`ServeError::Listen`].
    pub async fn on(addresses: Addresses) -> Result<Self, ServeError> {
        let listen = async |address: SocketAddr, flag| {
            let fault = |source| ServeError::Listen { address, flag, source };
            let listener = TcpListener::bind(address).await.map_err(fault)?;
            let address = listener.local_addr().map_err(fault)?;
            Ok::<_, ServeError>((listener, address))
        };
        let (classifier, address) = listen(addresses.classifier, "--listen").await?;
        let mut listening = Listening { classifier, admin: None, metrics: None, addresses };
        listening.addresses.classifier = address;
        if let Some(address) = addresses.admin {
            let (listener, address) = listen(address, "--admin-listen").await?;
            (listening.admin, listening.addresses.admin) = (Some(listener), Some(address));
        }
        if let Some(address) = addresses.metrics {
            let (listener, address) = listen(address, "--metrics-listen").await?;
            (listening.metrics, listening.addresses.metrics) = (Some(listener), Some(address));
        }
        Ok(listening)
    }

    /// Where it listens, with the ports that were taken.
    pub fn addresses(&self) -> &Addresses {
        &self.addresses
    }
}
