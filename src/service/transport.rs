//! Connections: accepted one by one, counted, with TLS where it is asked for, closed when nothing is asked on them.

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

/// A client that has not shaken hands for TLS by then is closed, and so is one that has not begun HTTP/2 by then.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// The bytes with which every client begins HTTP/2 (RFC 9113, section 3.4).
const PREFACE: usize = 24;
/// What was read so shortly ago is not idleness.
const JUST_NOW: Duration = Duration::from_secs(1);
/// A connection that the server ended takes, and drops, what its client still sends for so long. Were it closed at once, TCP
/// would answer the client's next bytes with a reset, and the client might lose the last answers before it reads them.
const LINGER: Duration = Duration::from_secs(2);
/// After an error of the system's, such as too many open files, accepting waits so long.
const AFTER_AN_ERROR: Duration = Duration::from_millis(100);

/// Accepts connections for as long as the result is kept, at most `limits.connections` open at once: the others wait in the
/// system's queue. A connection that is older than its age and `drain` is closed, whatever is open on it.
pub fn connections(
    listener: TcpListener,
    tls: Option<Arc<Tls>>,
    limits: &Limits,
    drain: Duration,
    metrics: Arc<Metrics>,
) -> ReceiverStream<io::Result<Connection>> {
    let (send, accepted) = mpsc::channel(1);
    let places = Arc::new(Semaphore::new(limits.connections));
    let idle = nonzero(limits.connection_idle);
    let oldest = nonzero(limits.connection_age).map(|age| age + drain);
    tokio::spawn(async move {
        loop {
            let place = tokio::select! {
                biased;
                () = send.closed() => return,
                place = places.clone().acquire_owned() => place,
            };
            // Closed never.
            let Ok(place) = place else { return };
            let stream = tokio::select! {
                () = send.closed() => return,
                accepted = listener.accept() => match accepted {
                    Ok((stream, _)) => stream,
                    Err(error) => {
                        tracing::warn!(%error, "a connection cannot be accepted");
                        tokio::time::sleep(AFTER_AN_ERROR).await;
                        continue;
                    }
                },
            };
            // tonic leaves this to whoever accepts.
            if let Err(error) = stream.set_nodelay(true) {
                tracing::debug!(%error, "TCP_NODELAY cannot be set");
            }
            let (send, tls, metrics) = (send.clone(), tls.clone(), metrics.clone());
            // Hands are shaken side by side, so that a slow client holds up no other.
            tokio::spawn(async move {
                let open = GaugeGuard::new(&metrics.connections);
                let io = match tls {
                    None => Io::Plain(stream),
                    Some(tls) => {
                        let shaken = TlsAcceptor::from(tls.config()).accept(stream);
                        match tokio::time::timeout(HANDSHAKE, shaken).await {
                            Ok(Ok(stream)) => Io::Tls(Box::new(stream)),
                            Ok(Err(error)) => return tracing::debug!(%error, "no TLS with a client"),
                            Err(_) => return tracing::debug!("a client was too slow for TLS"),
                        }
                    }
                };
                // Where nobody takes it the server is at its end.
                let _ = send
                    .send(Ok(Connection {
                        io,
                        silent: Some(Box::pin(sleep(HANDSHAKE))),
                        read: 0,
                        activity: Activity::new(),
                        idle: idle.map(|idle| (idle, Box::pin(sleep(idle)))),
                        end: oldest.map(|oldest| Box::pin(sleep(oldest))),
                        lingering: None,
                        last_read: Instant::now(),
                        metrics,
                        _open: open,
                        _place: place,
                    }))
                    .await;
            });
        }
    });
    ReceiverStream::new(accepted)
}

/// An accepted connection; its place is free again when it is dropped.
pub struct Connection {
    io: Io,
    /// Until the client has begun to speak HTTP.
    silent: Option<Pin<Box<Sleep>>>,
    read: usize,
    activity: Activity,
    /// How long the connection may be idle, and when to look whether it is.
    idle: Option<(Duration, Pin<Box<Sleep>>)>,
    /// When the connection is too old even for what is open on it.
    end: Option<Pin<Box<Sleep>>>,
    /// Until when the client may end its side; set once the server has ended its own.
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

/// What goes on on a connection, known to its calls.
#[derive(Clone)]
pub struct Activity(Arc<Calls>);

struct Calls {
    accepted: Instant,
    open: AtomicUsize,
    /// When a call ended last.
    ended: Mutex<Instant>,
}

/// A call that is open on a connection.
pub struct OpenCall(Activity);

impl Activity {
    fn new() -> Self {
        let now = Instant::now();
        Activity(Arc::new(Calls { accepted: now, open: AtomicUsize::new(0), ended: Mutex::new(now) }))
    }

    /// When the connection was accepted.
    pub fn accepted(&self) -> Instant {
        self.0.accepted
    }

    /// A call begins; it is open as long as the result is kept.
    pub fn begin(&self) -> OpenCall {
        self.0.open.fetch_add(1, Ordering::AcqRel);
        OpenCall(self.clone())
    }

    /// Since when no call is open; `None` while one is.
    fn idle_since(&self) -> Option<Instant> {
        // In this order: a call that begins and ends meanwhile has ended just now.
        let none = self.0.open.load(Ordering::Acquire) == 0;
        let ended = *self.0.ended.lock().unwrap_or_else(PoisonError::into_inner);
        none.then_some(ended)
    }
}

impl Drop for OpenCall {
    fn drop(&mut self) {
        let Calls { open, ended, .. } = &*self.0.0;
        *ended.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
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
    /// Whether no call has been open for as long as that may last; otherwise the task is woken to ask again.
    fn is_idle(&mut self, context: &mut Context<'_>) -> bool {
        let Some((most, look)) = &mut self.idle else { return false };
        while look.as_mut().poll(context).is_ready() {
            let since = self.activity.idle_since().unwrap_or_else(Instant::now);
            // What has just been read may be a call that nobody has seen yet.
            let end = (since + *most).max(self.last_read + JUST_NOW);
            if end <= Instant::now() {
                return true;
            }
            *look = Box::pin(sleep_until(end));
        }
        false
    }

    fn wrote(&self, polled: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Ok(bytes)) = &polled {
            self.metrics.sent.inc_by(*bytes as u64);
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
        connection.metrics.received.inc_by(read as u64);
        if read > 0 {
            connection.last_read = Instant::now();
        }
        if let Some(end) = &mut connection.end
            && end.as_mut().poll(context).is_ready()
        {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        if let Some(silent) = &mut connection.silent {
            connection.read += read;
            if connection.read >= PREFACE {
                connection.silent = None;
            } else if polled.is_pending() && silent.as_mut().poll(context).is_ready() {
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
        }
        if polled.is_pending() && connection.is_idle(context) {
            // As if the client had closed it, which one that wants no more should have done.
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
        connection.wrote(polled)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().io {
            Io::Plain(stream) => Pin::new(stream).poll_flush(context),
            Io::Tls(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    /// Done when the client has ended its side as well, or after [`LINGER`].
    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Connection { io, lingering, .. } = self.get_mut();
        let until = match lingering {
            Some(until) => until,
            None => {
                ready!(match io {
                    Io::Plain(stream) => Pin::new(stream).poll_shutdown(context),
                    Io::Tls(stream) => Pin::new(stream).poll_shutdown(context),
                })?;
                lingering.insert(Box::pin(sleep(LINGER)))
            }
        };
        let mut dropped = [0; 4096];
        while until.as_mut().poll(context).is_pending() {
            let mut buffer = ReadBuf::new(&mut dropped);
            // A connection that the client has broken off is closed.
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
        connection.wrote(polled)
    }

    fn is_write_vectored(&self) -> bool {
        match &self.io {
            Io::Plain(stream) => stream.is_write_vectored(),
            Io::Tls(stream) => stream.is_write_vectored(),
        }
    }
}
