//! Accepts connections up to a limit, in all and from each peer, with TLS if enabled.

use super::{
    connection::{Connection, Io, Lifetime, Places},
    metrics::{GaugeGuard, Metrics},
    peers::{PeerPlace, Peers},
    security::Tls,
    settings::{Limits, nonzero},
};
use std::{
    io,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
};
use tokio_rustls::{TlsAcceptor, rustls, server::TlsStream};
use tokio_stream::wrappers::ReceiverStream;

/// The maximum time for the TLS handshake, and then for the client to begin HTTP.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// The pause after a failed accept, such as with too many open files.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);
/// The interval between log lines about the same limit.
const LOG_INTERVAL: Duration = Duration::from_secs(60);

/// Accepts connections until the result is dropped, at most `limits.connections` open at once; others wait in the backlog of
/// the operating system. Those of a peer beyond `limits.connections_per_peer` are closed. A connection older than
/// `limits.connection_age` and `drain` is closed, with all that is open on it.
pub fn connections(
    listener: TcpListener,
    tls: Option<Arc<Tls>>,
    limits: &Limits,
    drain: Duration,
    metrics: Arc<Metrics>,
) -> ReceiverStream<io::Result<Connection>> {
    let (sender, accepted) = mpsc::channel(1);
    metrics.connections.limit.set(i64::try_from(limits.connections).unwrap_or(i64::MAX));
    let acceptor = Acceptor {
        tls,
        lifetime: Lifetime {
            preface: HANDSHAKE_TIMEOUT,
            idle: nonzero(limits.connection_idle),
            age: nonzero(limits.connection_age).map(|age| age + drain),
        },
        metrics,
    };
    let places = Arc::new(Semaphore::new(limits.connections));
    tokio::spawn(acceptor.run(listener, places, Peers::new(limits.connections_per_peer), sender));
    ReceiverStream::new(accepted)
}

/// Prepares accepted connections.
#[derive(Clone)]
struct Acceptor {
    tls: Option<Arc<Tls>>,
    lifetime: Lifetime,
    metrics: Arc<Metrics>,
}

impl Acceptor {
    /// Accepts connections until the receiver is dropped.
    async fn run(
        self,
        listener: TcpListener,
        places: Arc<Semaphore>,
        peers: Peers,
        sender: mpsc::Sender<io::Result<Connection>>,
    ) {
        let (mut full, mut refused) = (SeldomLogged::default(), SeldomLogged::default());
        loop {
            let place = tokio::select! {
                biased;
                () = sender.closed() => return,
                place = self.place(&places, &mut full) => place,
            };
            // The semaphore is never closed.
            let Some(place) = place else { return };
            let (stream, address) = tokio::select! {
                () = sender.closed() => return,
                accepted = listener.accept() => match accepted {
                    Ok(accepted) => accepted,
                    Err(error) => {
                        tracing::warn!(%error, "cannot accept connection");
                        tokio::time::sleep(ACCEPT_RETRY).await;
                        continue;
                    }
                },
            };
            let Some(peer) = peers.admit(address.ip()) else {
                self.metrics.connections.count_refused("peer_limit");
                refused.log(|| {
                    tracing::warn!(peer = %address.ip(), limit = peers.limit(), "connection closed: its peer has too many");
                });
                continue;
            };
            // tonic sets this only on connections that it accepts itself.
            if let Err(error) = stream.set_nodelay(true) {
                tracing::debug!(%error, "cannot set TCP_NODELAY");
            }
            let (acceptor, sender) = (self.clone(), sender.clone());
            // Handshakes run concurrently, so that a slow client does not block others.
            tokio::spawn(async move {
                if let Some(connection) = acceptor.open(stream, place, peer).await {
                    // Fails if the server has ended.
                    let _ = sender.send(Ok(connection)).await;
                }
            });
        }
    }

    /// Waits for a place; reports that it had to wait.
    async fn place(&self, places: &Arc<Semaphore>, full: &mut SeldomLogged) -> Option<OwnedSemaphorePermit> {
        if let Ok(place) = places.clone().try_acquire_owned() {
            return Some(place);
        }
        self.metrics.connections.limit_reached.inc();
        full.log(|| {
            let limit = self.metrics.connections.limit.get();
            tracing::warn!(limit, "the maximum number of connections is open: others wait");
        });
        places.clone().acquire_owned().await.ok()
    }

    /// Performs the TLS handshake, if TLS is enabled; `None` if it fails.
    async fn open(self, stream: TcpStream, total: OwnedSemaphorePermit, peer: PeerPlace) -> Option<Connection> {
        let open = GaugeGuard::new(&self.metrics.connections.open);
        let io = match &self.tls {
            None => Io::Plain(stream),
            Some(tls) => match handshake(tls, stream).await {
                Ok(stream) => Io::Tls(Box::new(stream)),
                Err((reason, error)) => {
                    self.metrics.connections.count_failed_handshake(reason);
                    tracing::debug!(reason, error, "TLS handshake failed");
                    return None;
                }
            },
        };
        let places = Places { _open: open, _total: total, _peer: peer };
        Some(Connection::new(io, self.lifetime, self.metrics, places))
    }
}

/// Performs a TLS handshake.
///
/// # Errors
/// The reason, as in metrics, and the error.
async fn handshake(tls: &Tls, stream: TcpStream) -> Result<TlsStream<TcpStream>, (&'static str, String)> {
    let handshake = TlsAcceptor::from(tls.config()).accept(stream);
    match tokio::time::timeout(HANDSHAKE_TIMEOUT, handshake).await {
        Ok(Ok(stream)) => Ok(stream),
        Ok(Err(error)) => Err((reason(&error), error.to_string())),
        Err(_) => Err(("timeout", String::new())),
    }
}

/// The reason of a failed handshake, as in metrics.
fn reason(error: &io::Error) -> &'static str {
    let tls = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match tls {
        Some(rustls::Error::NoCertificatesPresented) => "no_client_certificate",
        Some(rustls::Error::InvalidCertificate(_)) => "invalid_client_certificate",
        Some(rustls::Error::AlertReceived(_)) => "refused_by_client",
        Some(rustls::Error::PeerIncompatible(_) | rustls::Error::NoApplicationProtocol) => "incompatible",
        Some(rustls::Error::InvalidMessage(_)) => "not_tls",
        Some(_) => "other",
        // The client closed or reset the connection.
        None => "closed",
    }
}

/// Logs an event that may happen often at most once per [`LOG_INTERVAL`].
#[derive(Default)]
struct SeldomLogged(Option<Instant>);

impl SeldomLogged {
    fn log(&mut self, log: impl FnOnce()) {
        if self.0.is_none_or(|last| last.elapsed() >= LOG_INTERVAL) {
            self.0 = Some(Instant::now());
            log();
        }
    }
}
