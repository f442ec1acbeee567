//! The connection to the broker: addresses, credentials, TLS, and whether it stands.

use super::{error::RelayError, settings::Settings};
use async_nats::{Client, ConnectOptions, Event, ServerAddr};
use percent_encoding::percent_decode_str;
use std::path::Path;
use tokio::sync::watch;

/// Connects to the broker. `connected` holds whether the connection stands, from then on.
pub async fn connect(settings: &Settings, connected: watch::Sender<bool>) -> Result<Client, RelayError> {
    let refused = |reason: String| RelayError::Connect { nats: without_passwords(&settings.nats), reason };
    let options = with_certificates(settings, with_identity(settings).await?)?;
    // The client gets addresses without passwords, so that none can reach its log.
    let addresses = addresses(settings.nats.split(',').map(|address| without_user(address.trim())))
        .map_err(|reason| refused(reason.to_owned()))?;
    options
        .name("dateline relay")
        .event_callback(move |event| {
            observe(&event, &connected);
            async {}
        })
        .connect(addresses)
        .await
        .map_err(|error| refused(error.to_string()))
}

/// Options with the credentials of the file, or the user of the first address that has one.
async fn with_identity(settings: &Settings) -> Result<ConnectOptions, RelayError> {
    let options = match &settings.credentials {
        Some(path) => ConnectOptions::with_credentials_file(path).await.map_err(|error| file_error(path, &error))?,
        None => ConnectOptions::new(),
    };
    let given = addresses(settings.nats.split(',').map(|address| address.trim().to_owned()));
    let given = given
        .map_err(|reason| RelayError::Connect { nats: without_passwords(&settings.nats), reason: reason.to_owned() })?;
    // The client ignores the user of an address.
    let Some(named) = given.iter().find(|address| address.username().is_some()) else { return Ok(options) };
    let user = percent_decoded(named.username().unwrap_or_default());
    Ok(match named.password().map(percent_decoded) {
        Some(password) => options.user_and_password(user, password),
        None => options.token(user),
    })
}

fn with_certificates(settings: &Settings, mut options: ConnectOptions) -> Result<ConnectOptions, RelayError> {
    let pair = settings.certificate.iter().flat_map(|(certificate, key)| [certificate, key]);
    for path in settings.ca.iter().chain(pair) {
        // The client's own error would not name the file.
        std::fs::read(path).map_err(|error| file_error(path, &error))?;
    }
    if let Some(ca) = &settings.ca {
        options = options.add_root_certificates(ca.clone()).require_tls(true);
    }
    if let Some((certificate, key)) = &settings.certificate {
        options = options.add_client_certificate(certificate.clone(), key.clone()).require_tls(true);
    }
    Ok(options)
}

fn file_error(path: &Path, error: &std::io::Error) -> RelayError {
    RelayError::File { path: path.to_owned(), reason: error.to_string() }
}

/// Logs an event of the connection, and keeps `connected` up to date.
fn observe(event: &Event, connected: &watch::Sender<bool>) {
    match event {
        Event::Connected => {
            tracing::info!("connected to the broker");
            connected.send_replace(true);
        }
        Event::Disconnected => {
            tracing::warn!("disconnected from the broker, reconnecting");
            connected.send_replace(false);
        }
        Event::Closed => {
            // Expected at shutdown.
            tracing::debug!("connection to the broker closed");
            connected.send_replace(false);
        }
        event => tracing::warn!(%event, "event of the broker"),
    }
}

fn addresses(given: impl Iterator<Item = String>) -> Result<Vec<ServerAddr>, &'static str> {
    given.map(|address| address.parse()).collect::<Result<_, _>>().map_err(|_| "write nats://HOST:PORT")
}

/// Addresses for logs and errors: all before the last `@` is masked, for a password may hold any character.
fn without_passwords(addresses: &str) -> String {
    addresses.rsplit_once('@').map_or_else(|| addresses.to_owned(), |(_, host)| format!("****@{host}"))
}

/// An address without its user and password.
fn without_user(address: &str) -> String {
    match (address.split_once("://"), address.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, host))) => format!("{scheme}://{host}"),
        (None, Some((_, host))) => host.to_owned(),
        _ => address.to_owned(),
    }
}

fn percent_decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_masked_and_decoded() {
        assert_eq!(without_passwords("nats://desk:sec,ret@a:4222,tls://b:4222"), "****@a:4222,tls://b:4222");
        assert_eq!(without_passwords("nats://a:4222"), "nats://a:4222");
        assert_eq!(without_user("nats://desk:secret@a:4222"), "nats://a:4222");
        assert_eq!(
            ["p%40ss", "s3cret%3D", "100%", "%zz", "é%C3%A9"].map(percent_decoded),
            ["p@ss", "s3cret=", "100%", "%zz", "éé"]
        );
    }
}
