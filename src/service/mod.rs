//! The gRPC server: moves messages between the wire and a [`Model`].
//!
//! In: articles on a call or a stream. Out: one answer each, in order. Classification runs on threads of its own, so that a
//! long article does not hold up the network. What a label is worth is not known here.

mod classifier;
mod convert;

/// The contract, as generated from `proto/dateline/v1/classifier.proto`.
#[allow(missing_docs, clippy::all)]
pub mod proto {
    /// The package `dateline.v1`.
    pub mod dateline {
        /// Version 1.
        pub mod v1 {
            tonic::include_proto!("dateline.v1");
        }
    }
    /// The package `google.rpc`.
    pub mod google {
        /// Errors.
        pub mod rpc {
            tonic::include_proto!("google.rpc");
        }
    }
}

pub use classifier::WINDOW;
pub(crate) use convert::{answer_from_proto, article_to_proto, options_to_proto};

use crate::model::Model;
use proto::dateline::v1::classifier_server::ClassifierServer;
use std::{future::Future, io, net::SocketAddr, sync::Arc, time::Duration};
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::Server;

/// The descriptors of the contract, for reflection.
const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));

/// The largest message that is read (16 MiB). An article over its own limit answers with its own error; only a message over
/// this ends the stream.
pub const MAX_MESSAGE_BYTES: usize = 16 << 20;

/// How long open streams may go on once the server was asked to stop.
const DRAIN: Duration = Duration::from_secs(10);

/// Why the server stopped, or never began.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {source}; choose another address with --listen")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// Threads cannot be started.
    #[error("cannot start threads: {0}")]
    Threads(String),
    /// The transport failed.
    #[error("the server failed: {0}")]
    Transport(#[from] tonic::transport::Error),
}

/// A server that listens already, and has not begun to answer.
pub struct Listening {
    listener: TcpListener,
    address: SocketAddr,
}

impl Listening {
    /// Listens on an address; port 0 takes a free one.
    ///
    /// # Errors
    /// [`ServeError::Listen`].
    pub async fn on(address: SocketAddr) -> Result<Self, ServeError> {
        let fault = |source| ServeError::Listen { address, source };
        let listener = TcpListener::bind(address).await.map_err(fault)?;
        let address = listener.local_addr().map_err(fault)?;
        Ok(Listening { listener, address })
    }

    /// The address that is listened on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers with `model` until `stop` is done; then health turns NOT_SERVING, new connections are refused, and open
    /// streams have ten seconds to end.
    ///
    /// # Errors
    /// [`ServeError`].
    pub async fn serve(
        self,
        model: Arc<Model>,
        stop: impl Future<Output = ()> + Send + 'static,
    ) -> Result<(), ServeError> {
        let classifier = ClassifierServer::new(classifier::Service::new(model)?)
            .max_decoding_message_size(MAX_MESSAGE_BYTES)
            .max_encoding_message_size(usize::MAX);
        let (health, health_service) = tonic_health::server::health_reporter();
        health.set_serving::<ClassifierServer<classifier::Service>>().await;

        let (stopping, stopped) = tokio::sync::oneshot::channel();
        let stop = async move {
            stop.await;
            tracing::info!("stopping");
            health.set_not_serving::<ClassifierServer<classifier::Service>>().await;
            health.set_service_status("", tonic_health::ServingStatus::NotServing).await;
            let _ = stopping.send(());
        };
        let incoming = TcpListenerStream::new(self.listener);
        let server = Server::builder()
            .add_service(health_service)
            .add_service(reflection_v1())
            .add_service(reflection_v1alpha())
            .add_service(classifier)
            .serve_with_incoming_shutdown(NoDelay(incoming), stop);
        // tonic waits for idle connections for as long as they stay open.
        let deadline = async move {
            match stopped.await {
                Ok(()) => tokio::time::sleep(DRAIN).await,
                Err(_) => std::future::pending().await,
            }
        };
        tokio::select! {
            ended = server => ended?,
            () = deadline => tracing::warn!("connections were still open after {} seconds and are closed", DRAIN.as_secs()),
        }
        Ok(())
    }
}

fn reflection_v1()
-> tonic_reflection::server::v1::ServerReflectionServer<impl tonic_reflection::server::v1::ServerReflection> {
    reflection().build_v1().unwrap_or_else(|error| unreachable!("the descriptors come from build.rs: {error}"))
}

fn reflection_v1alpha()
-> tonic_reflection::server::v1alpha::ServerReflectionServer<impl tonic_reflection::server::v1alpha::ServerReflection> {
    reflection().build_v1alpha().unwrap_or_else(|error| unreachable!("the descriptors come from build.rs: {error}"))
}

fn reflection() -> tonic_reflection::server::Builder<'static> {
    tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(DESCRIPTORS)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
}

/// Connections with Nagle's algorithm off: tonic leaves that to whoever accepts them.
struct NoDelay(TcpListenerStream);

impl tokio_stream::Stream for NoDelay {
    type Item = io::Result<tokio::net::TcpStream>;

    fn poll_next(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Self::Item>> {
        std::pin::Pin::new(&mut self.0).poll_next(context).map_ok(|connection| {
            if let Err(error) = connection.set_nodelay(true) {
                tracing::debug!(%error, "TCP_NODELAY cannot be set");
            }
            connection
        })
    }
}
