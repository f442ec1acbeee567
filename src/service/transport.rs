//! Connections: accepted one by one, counted, with TLS where it is asked for.

use super::security::Tls;
use std::{
    future::Future,
    io,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
    time::Sleep,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::server::Connected;

/// A client that has not shaken hands for TLS by then is closed, and so is one that has not begun HTTP/2 by then.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// The bytes with which every client begins HTTP/2 (RFC 9113, section 3.4).
const PREFACE: usize = 24;
/// After an error of the system's, such as too many open files, accepting waits so long.
const AFTER_AN_ERROR: Duration = Duration::from_millis(100);

/// Accepts connections for as long as the result is kept, at most `most` open at once: the others wait in the system's
/// queue.
pub fn connections(
    listener: TcpListener,
    tls: Option<Arc<Tls>>,
    most: usize,
) -> ReceiverStream<io::Result<Connection>> {
    let (send, accepted) = mpsc::channel(1);
    let places = Arc::new(Semaphore::new(most));
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
            let (send, tls) = (send.clone(), tls.clone());
            // Hands are shaken side by side, so that a slow client holds up no other.
            tokio::spawn(async move {
                let address = stream.peer_addr().ok();
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
                        address,
                        silent: Some(Box::pin(tokio::time::sleep(HANDSHAKE))),
                        read: 0,
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
    address: Option<SocketAddr>,
    /// Until the client has begun to speak HTTP/2.
    silent: Option<Pin<Box<Sleep>>>,
    read: usize,
    _place: OwnedSemaphorePermit,
}

enum Io {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Connected for Connection {
    type ConnectInfo = Option<SocketAddr>;

    fn connect_info(&self) -> Self::ConnectInfo {
        self.address
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
        if let Some(silent) = &mut connection.silent {
            connection.read += buffer.filled().len() - before;
            if connection.read >= PREFACE {
                connection.silent = None;
            } else if polled.is_pending() && silent.as_mut().poll(context).is_ready() {
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
        }
        polled
    }
}

impl AsyncWrite for Connection {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.get_mut().io {
            Io::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
            Io::Tls(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().io {
            Io::Plain(stream) => Pin::new(stream).poll_flush(context),
            Io::Tls(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().io {
            Io::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Io::Tls(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut self.get_mut().io {
            Io::Plain(stream) => Pin::new(stream).poll_write_vectored(context, slices),
            Io::Tls(stream) => Pin::new(stream).poll_write_vectored(context, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match &self.io {
            Io::Plain(stream) => stream.is_write_vectored(),
            Io::Tls(stream) => stream.is_write_vectored(),
        }
    }
}
