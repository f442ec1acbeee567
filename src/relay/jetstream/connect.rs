//! The connection to the broker: addresses, credentials and TLS.

use super::settings::Settings;
use crate::{
    credentials::{certificates, private_key, warn_if_readable_by_others},
    relay::{
        error::RelayError,
        health::{Health, Need},
    },
};
use async_nats::{Client, ConnectOptions, Event, ServerAddr};
use percent_encoding::percent_decode_str;
use std::{path::Path, sync::Arc, time::Duration};

/// The longest pause between attempts to reconnect.
const LONGEST_RECONNECT_PAUSE: Duration = Duration::from_secs(2);

/// Checks addresses, and that all files of the settings hold what they should.
///
/// # Errors
/// [`RelayError::Setting`], [`RelayError::File`].
pub async fn check(settings: &Settings) -> Result<(), RelayError> {
    with_certificates(settings, with_identity(settings).await?)?;
    addresses(settings.nats.split(',').map(|address| without_user(address.trim())))?;
    Ok(())
}

/// Connects to the broker; `health` knows whether the connection stands, from then on.
pub async fn connect(settings: &Settings, health: Arc<Health>) -> Result<Client, RelayError> {
    let refused = |reason: String| RelayError::Connect { broker: without_passwords(&settings.nats), reason };
    let options = with_certificates(settings, with_identity(settings).await?)?;
    let key = settings.certificate.as_ref().map(|(_, key)| key);
    settings.credentials.iter().chain(key).for_each(|secret| warn_if_readable_by_others(secret));
    // The client gets addresses without passwords, so that none can reach its log.
    let addresses = addresses(settings.nats.split(',').map(|address| without_user(address.trim())))?;
    options
        .name("dateline relay")
        .event_callback(move |event| {
            observe(&event, &health);
            async {}
        })
        .reconnect_delay_callback(|attempt| {
            let doubled = Duration::from_millis(1 << attempt.min(16));
            doubled.min(LONGEST_RECONNECT_PAUSE)
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
    let given = addresses(settings.nats.split(',').map(|address| address.trim().to_owned()))?;
    // The client ignores the user of an address.
    let Some(named) = given.iter().find(|address| address.username().is_some()) else { return Ok(options) };
    let user = percent_decoded(named.username().unwrap_or_default());
    Ok(match named.password().map(percent_decoded) {
        Some(password) => options.user_and_password(user, password),
        None => options.token(user),
    })
}

/// Reads all files first: the client's own errors would not name them.
fn with_certificates(settings: &Settings, mut options: ConnectOptions) -> Result<ConnectOptions, RelayError> {
    if let Some(ca) = &settings.ca {
        certificates(ca)?;
        options = options.add_root_certificates(ca.clone()).require_tls(true);
    }
    if let Some((certificate, key)) = &settings.certificate {
        certificates(certificate)?;
        private_key(key)?;
        options = options.add_client_certificate(certificate.clone(), key.clone()).require_tls(true);
    }
    Ok(options)
}

fn file_error(path: &Path, error: &std::io::Error) -> RelayError {
    RelayError::File { path: path.to_owned(), reason: error.to_string() }
}

/// Logs an event of the connection, and keeps `health` up to date.
fn observe(event: &Event, health: &Health) {
    match event {
        Event::Connected => {
            tracing::info!("connected to the broker");
            health.set(Need::Broker, true);
        }
        Event::Disconnected => {
            tracing::warn!("disconnected from the broker, reconnecting");
            health.set(Need::Broker, false);
        }
        Event::Closed => {
            // Expected at shutdown.
            tracing::debug!("connection to the broker closed");
            health.set(Need::Broker, false);
        }
        // One for each attempt to reconnect.
        event if !health.has(Need::Broker) => tracing::debug!(%event, "event of the connection"),
        event => tracing::warn!(%event, "event of the connection"),
    }
}

fn addresses(given: impl Iterator<Item = String>) -> Result<Vec<ServerAddr>, RelayError> {
    let invalid = || RelayError::Setting("invalid address of the broker: write nats://HOST:PORT".to_owned());
    given.map(|address| address.parse().map_err(|_| invalid())).collect()
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
