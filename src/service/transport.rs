//! Connections: accepts them up to a limit, with TLS if enabled, counts them, and closes idle and old ones.

use super::{
    metrics::{GaugeGuard, Metrics},
    security::Tls,
    settings::{Limits, nonzero},
};
use std::{
    future::Future,
    io,
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
    time::{Instant, Sleep, sleep, sleep_until},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::server::Connected;

/// The maximum time for the TLS handshake, and then for the client to begin HTTP/2.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// The length of the client's connection preface in bytes (RFC 9113, section 3.4).
const PREFACE_BYTES: usize = 24;
/// A connection that received data within this time is not idle.
const RECENT_READ: Duration = Duration::from_secs(1);
/// The maximum time for which a connection that the server has closed still reads, and drops, the client's data. After an
/// immediate close, TCP would answer this data with a reset, and the client might lose the last answers.
const LINGER: Duration = Duration::from_secs(2);
/// The pause after a failed accept, such as with too many open files.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);

/// Accepts connections until the result is dropped, at most `limits.connections` open at once; others wait in the backlog of
/// the operating system. A connection older than `limits.connection_age` and `drain` is closed, with all that is open on it.
pub fn connections(
    listener: TcpListener,
    tls: Option<Arc<Tls>>,
    limits: &Limits,
    drain: Duration,
    metrics: Arc<Metrics>,
) -> ReceiverStream<io::Result<Connection>> {
    let (sender, accepted) = mpsc::channel(1);
    let acceptor = Acceptor {
        tls,
        max_idle: nonzero(limits.connection_idle),
        max_age: nonzero(limits.connection_age).map(|age| age + drain),
        metrics,
    };
    tokio::spawn(acceptor.run(listener, limits.connections, sender));
    ReceiverStream::new(accepted)
}

/// Prepares accepted connections.
#[derive(Clone)]
struct Acceptor {
    tls: Option<Arc<Tls>>,
    max_idle: Option<Duration>,
    max_age: Option<Duration>,
    metrics: Arc<Metrics>,
}

impl Acceptor {
    /// Accepts connections until the receiver is dropped.
    async fn run(self, listener: TcpListener, max_open: usize, sender: mpsc::Sender<io::Result<Connection>>) {
        let places = Arc::new(Semaphore::new(max_open));
        loop {
            let place = tokio::select! {
                biased;
                () = sender.closed() => return,
                place = places.clone().acquire_owned() => place,
            };
            // The semaphore is never closed.
            let Ok(place) = place else { return };
            let stream = tokio::select! {
                () = sender.closed() => return,
                accepted = listener.accept() => match accepted {
                    Ok((stream, _)) => stream,
                    Err(error) => {
                        tracing::warn!(%error, "cannot accept connection");
                        tokio::time::sleep(ACCEPT_RETRY).await;
                        continue;
                    }
                },
            };
            // tonic sets this only on connections that it accepts itself.
            if let Err(error) = stream.set_nodelay(true) {
                tracing::debug!(%error, "cannot set TCP_NODELAY");
            }
            let (acceptor, sender) = (self.clone(), sender.clone());
            // Handshakes run concurrently, so that a slow client does not block others.
            tokio::spawn(async move {
                if let Some(connection) = acceptor.open(stream, place).await {
                    // Fails if the server has ended.
                    let _ = sender.send(Ok(connection)).await;
                }
            });
        }
    }

    /// Performs the TLS handshake, if TLS is enabled; `None` if it fails.
    async fn open(self, stream: TcpStream, place: OwnedSemaphorePermit) -> Option<Connection> {
        let open = GaugeGuard::new(&self.metrics.resources.connections);
        let io = match self.tls {
            None => Io::Plain(stream),
            Some(tls) => {
                let handshake = TlsAcceptor::from(tls.config()).accept(stream);
                match tokio::time::timeout(HANDSHAKE_TIMEOUT, handshake).await {
                    Ok(Ok(stream)) => Io::Tls(Box::new(stream)),
                    Ok(Err(error)) => {
                        tracing::debug!(%error, "TLS handshake failed");
                        return None;
                    }
                    Err(_) => {
                        tracing::debug!("TLS handshake timed out");
                        return None;
                    }
                }
            }
        };
        Some(Connection {
            io,
            preface_timeout: Some(Box::pin(sleep(HANDSHAKE_TIMEOUT))),
            preface_read: 0,
            activity: Activity::new(),
            idle: self.max_idle.map(|max_idle| (max_idle, Box::pin(sleep(max_idle)))),
            end: self.max_age.map(|max_age| Box::pin(sleep(max_age))),
            lingering: None,
            last_read: Instant::now(),
            metrics: self.metrics,
            _open: open,
            _place: place,
        })
    }
}

/// An accepted connection. Dropping it frees its place.
pub struct Connection {
    io: Io,
    /// Runs until the client has sent its connection preface.
    preface_timeout: Option<Pin<Box<Sleep>>>,
    /// The number of bytes read of the preface.
    preface_read: usize,
    activity: Activity,
    /// The maximum idle time, and the timer of the next check.
    idle: Option<(Duration, Pin<Box<Sleep>>)>,
    /// Closes the connection at its maximum age, with all that is open on it.
    end: Option<Pin<Box<Sleep>>>,
    /// Runs once the server has closed its side, until the client must have closed its own.
    lingering: Option<Pin<Box<Sleep>>>,
    last_read: Instant,
    metrics: Arc<Metrics>,
    _open: GaugeGuard,
    _place: OwnedSemaphorePermit,
}

enum Io {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Io {
    fn tcp(&mut self) -> &mut TcpStream {
        match self {
            Io::Plain(stream) => stream,
            Io::Tls(stream) => stream.get_mut().0,
        }
    }
}

/// The open calls of a connection, shared with them.
#[derive(Clone)]
pub struct Activity(Arc<CallCounts>);

struct CallCounts {
    accepted: Instant,
    open: AtomicUsize,
    /// When the last call ended.
    last_ended: Mutex<Instant>,
}

/// A call that is open on a connection.
pub struct OpenCall(Activity);

impl Activity {
    fn new() -> Self {
        let now = Instant::now();
        Activity(Arc::new(CallCounts { accepted: now, open: AtomicUsize::new(0), last_ended: Mutex::new(now) }))
    }

    /// When the connection was accepted.
    pub fn accepted(&self) -> Instant {
        self.0.accepted
    }

    /// Counts a call as open until the result is dropped.
    pub fn begin(&self) -> OpenCall {
        self.0.open.fetch_add(1, Ordering::AcqRel);
        OpenCall(self.clone())
    }

    /// Since when no call is open; `None` while one is.
    fn idle_since(&self) -> Option<Instant> {
        // In this order, so that a call that begins and ends in between counts as the last one.
        let none_open = self.0.open.load(Ordering::Acquire) == 0;
        let last_ended = *self.0.last_ended.lock().unwrap_or_else(PoisonError::into_inner);
        none_open.then_some(last_ended)
    }
}

impl Drop for OpenCall {
    fn drop(&mut self) {
        let CallCounts { open, last_ended, .. } = &*self.0.0;
        *last_ended.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        open.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Connected for Connection {
    type ConnectInfo = Activity;

    fn connect_info(&self) -> Activity {
        self.activity.clone()
    }
}

impl Connection {
    /// Whether the connection has been idle for its maximum time; if not, wakes the task for the next check.
    fn is_idle(&mut self, context: &mut Context<'_>) -> bool {
        let Some((max_idle, check)) = &mut self.idle else { return false };
        while check.as_mut().poll(context).is_ready() {
            let since = self.activity.idle_since().unwrap_or_else(Instant::now);
            // Recent data may be a call that is not counted yet.
            let end = (since + *max_idle).max(self.last_read + RECENT_READ);
            if end <= Instant::now() {
                return true;
            }
            *check = Box::pin(sleep_until(end));
        }
        false
    }

    /// Counts written bytes.
    fn count_sent(&self, polled: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Ok(bytes)) = &polled {
            self.metrics.resources.sent.inc_by(*bytes as u64);
        }
        polled
    }
}

impl AsyncRead for Connection {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let connection = self.get_mut();
        let before = buffer.filled().len();
        let polled = match &mut connection.io {
            Io::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
            Io::Tls(stream) => Pin::new(stream).poll_read(context, buffer),
        };
        let read = buffer.filled().len() - before;
        connection.metrics.resources.received.inc_by(read as u64);
        if read > 0 {
            connection.last_read = Instant::now();
        }
        if let Some(end) = &mut connection.end
            && end.as_mut().poll(context).is_ready()
        {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        if let Some(timeout) = &mut connection.preface_timeout {
            connection.preface_read += read;
            if connection.preface_read >= PREFACE_BYTES {
                connection.preface_timeout = None;
            } else if polled.is_pending() && timeout.as_mut().poll(context).is_ready() {
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
        }
        if polled.is_pending() && connection.is_idle(context) {
            // Ends as if the client had closed the connection.
            return Poll::Ready(Ok(()));
        }
        polled
    }
}

impl AsyncWrite for Connection {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let connection = self.get_mut();
        let polled = match &mut connection.io {
            Io::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
            Io::Tls(stream) => Pin::new(stream).poll_write(context, bytes),
        };
        connection.count_sent(polled)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().io {
            Io::Plain(stream) => Pin::new(stream).poll_flush(context),
            Io::Tls(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    /// Completes when the client has closed its side too, or after [`LINGER`].
    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Connection { io, lingering, .. } = self.get_mut();
        let linger = match lingering {
            Some(linger) => linger,
            None => {
                ready!(match io {
                    Io::Plain(stream) => Pin::new(stream).poll_shutdown(context),
                    Io::Tls(stream) => Pin::new(stream).poll_shutdown(context),
                })?;
                lingering.insert(Box::pin(sleep(LINGER)))
            }
        };
        let mut dropped = [0; 4096];
        while linger.as_mut().poll(context).is_pending() {
            let mut buffer = ReadBuf::new(&mut dropped);
            // The client has closed or reset the connection.
            let read = ready!(Pin::new(io.tcp()).poll_read(context, &mut buffer));
            if read.is_err() || buffer.filled().is_empty() {
                break;
            }
        }
        Poll::Ready(Ok(()))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let connection = self.get_mut();
        let polled = match &mut connection.io {
            Io::Plain(stream) => Pin::new(stream).poll_write_vectored(context, slices),
            Io::Tls(stream) => Pin::new(stream).poll_write_vectored(context, slices),
        };
        connection.count_sent(polled)
    }

    fn is_write_vectored(&self) -> bool {
        match &self.io {
            Io::Plain(stream) => stream.is_write_vectored(),
            Io::Tls(stream) => stream.is_write_vectored(),
        }
    }
}
