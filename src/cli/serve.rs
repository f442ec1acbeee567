use super::{Failure, model};
use crate::{region::tree, service::Listening};
use std::{
    io::IsTerminal,
    net::{SocketAddr, ToSocketAddrs},
    path::PathBuf,
    sync::Arc,
};
use tracing_subscriber::EnvFilter;

/// Answer articles over gRPC
///
/// Serves dateline.v1.Classifier, the standard health service and server reflection, until SIGINT or SIGTERM. The log goes
/// to standard error; RUST_LOG=debug says more.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  dateline serve\n  dateline serve --listen 127.0.0.1:8080 --model my-model\n  \
                        grpcurl -plaintext 127.0.0.1:50051 list")]
pub struct Args {
    /// The address to listen on; port 0 takes a free one, and the log tells which
    #[arg(long, default_value = "127.0.0.1:50051", value_name = "ADDRESS:PORT", value_parser = address)]
    listen: SocketAddr,
    /// A folder that `dateline train` wrote, instead of the bundled model
    #[arg(long, value_name = "DIR")]
    model: Option<PathBuf>,
}

/// An address, or a name that has one.
fn address(text: &str) -> Result<SocketAddr, String> {
    let found = text.to_socket_addrs().ok().and_then(|mut addresses| addresses.next());
    found.ok_or_else(|| "write ADDRESS:PORT, such as 127.0.0.1:50051 or localhost:0".to_owned())
}

pub fn run(args: Args) -> Result<(), Failure> {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false)
        .init();
    // A panic's message may quote the text that it stumbled over, which must not be logged.
    std::panic::set_hook(Box::new(|panic| {
        let location = panic.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(location, "a fault of the program");
    }));
    let model = Arc::new(model(args.model.as_ref()).map_err(Failure::failed)?);
    model.warm_up();
    let runtime = tokio::runtime::Runtime::new().map_err(Failure::failed)?;
    runtime.block_on(async {
        let listening = Listening::on(args.listen).await.map_err(Failure::failed)?;
        tracing::info!(
            address = %listening.address(),
            model = %model.version(),
            topics = model.topics().topics().len(),
            countries = tree::countries(),
            "listening"
        );
        let stop = stop_signal().map_err(Failure::failed)?;
        listening.serve(model, stop).await.map_err(Failure::failed)
    })
}

/// Done at the first SIGINT or SIGTERM.
fn stop_signal() -> std::io::Result<impl Future<Output = ()> + Send + 'static> {
    #[cfg(unix)]
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    Ok(async move {
        let interrupt = tokio::signal::ctrl_c();
        #[cfg(unix)]
        tokio::select! {
            _ = interrupt => {}
            _ = terminate.recv() => {}
        }
        #[cfg(not(unix))]
        let _ = interrupt.await;
    })
}
