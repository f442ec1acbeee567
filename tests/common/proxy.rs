//! A TCP proxy that treats connections badly.

use std::{net::SocketAddr, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
};

/// How a proxy passes bytes on.
#[derive(Debug, Clone, Copy)]
pub struct Network {
    /// The most bytes that are passed on at once.
    pub piece: usize,
    /// The time before each piece.
    pub delay: Duration,
    /// The number of bytes of each direction after which the connection is cut.
    pub cut_after: usize,
}

/// A network without faults.
pub const GOOD: Network = Network { piece: 1 << 16, delay: Duration::ZERO, cut_after: usize::MAX };

/// Starts a proxy to a server and returns its address. It ends with the runtime of the test.
pub async fn start_proxy(server: &str, network: Network) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
    let address = listener.local_addr().expect("the listener has an address");
    let server = server.to_owned();
    tokio::spawn(async move {
        loop {
            let (client, _) = listener.accept().await.expect("the connection is accepted");
            let Ok(upstream) = TcpStream::connect(&server).await else { continue };
            let (client, upstream) = (client.into_split(), upstream.into_split());
            tokio::spawn(async move {
                // The end of one direction cuts the connection.
                tokio::select! {
                    () = pass(client.0, upstream.1, network) => {}
                    () = pass(upstream.0, client.1, network) => {}
                }
            });
        }
    });
    address
}

async fn pass(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, network: Network) {
    let mut buffer = vec![0; network.piece];
    let mut passed = 0;
    while passed < network.cut_after {
        match from.read(&mut buffer).await {
            Ok(0) | Err(_) => return,
            Ok(count) => {
                tokio::time::sleep(network.delay).await;
                if to.write_all(&buffer[..count]).await.is_err() {
                    return;
                }
                passed += count;
            }
        }
    }
}
