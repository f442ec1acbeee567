//! An accepted connection: its bytes are counted, and it is closed when it is idle or old.

use super::{
    metrics::{GaugeGuard, Metrics},
    peers::PeerPlace,
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
    net::TcpStream,
    sync::OwnedSemaphorePermit,
    time::{Instant, Sleep, sleep, sleep_until},
};
use tokio_rustls::server::TlsStream;
use tonic::transport::server::Connected;

/// The length of the client's connection preface in bytes (RFC 9113, section 3.4).
const PREFACE_BYTES: usize = 24;
/// A connection that received data within this time is not idle.
const RECENT_READ: Duration = Duration::from_secs(1);
/// The maximum time for which a connection that the server has closed still reads, and drops, the client's data. After an
/// immediate close, TCP would answer this data with a reset, and the client might lose the last answers.
const LINGER: Duration = Duration::from_secs(2);

/// The maximum durations of a connection.
#[derive(Debug, Clone, Copy)]
pub struct Lifetime {
    /// From the handshake until the client has begun HTTP.
    pub preface: Duration,
    /// Without a call.
    pub idle: Option<Duration>,
    /// In all.
    pub age: Option<Duration>,
}

/// What an open connection takes from the limits; dropped with it.
pub struct Places {
    pub _open: GaugeGuard,
    pub _total: OwnedSemaphorePermit,
    pub _peer: PeerPlace,
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
    _places: Places,
}

/// The bytes of a connection.
pub enum Io {
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
    /// A connection whose handshake is complete.
    pub fn new(io: Io, lifetime: Lifetime, metrics: Arc<Metrics>, places: Places) -> Self {
        Connection {
            io,
            preface_timeout: Some(Box::pin(sleep(lifetime.preface))),
            preface_read: 0,
            activity: Activity::new(),
            idle: lifetime.idle.map(|idle| (idle, Box::pin(sleep(idle)))),
            end: lifetime.age.map(|age| Box::pin(sleep(age))),
            lingering: None,
            last_read: Instant::now(),
            metrics,
            _places: places,
        }
    }

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
            self.metrics.connections.sent.inc_by(*bytes as u64);
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
        connection.metrics.connections.received.inc_by(read as u64);
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
                connection.metrics.connections.count_failed_handshake("no_preface");
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
