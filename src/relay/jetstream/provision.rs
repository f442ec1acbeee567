//! The streams and the consumer of a relay: created if asked for, and checked.

use super::settings::{NewStreams, Settings};
use crate::relay::{
    error::{RelayError, cause},
    subject::overlap,
};
use async_nats::jetstream::{
    Context,
    consumer::{AckPolicy, PullConsumer, pull},
    stream::{self, Stream},
};
use std::time::Duration;

/// How long created streams keep messages.
const MAX_AGE: Duration = Duration::from_secs(7 * 24 * 3600);
/// The shortest de-duplication window of created streams.
const LEAST_WINDOW: Duration = Duration::from_secs(120);

/// The relay's consumer, after all that the relay needs was created, if asked for, and checked.
pub async fn provision(context: &Context, settings: &Settings) -> Result<PullConsumer, RelayError> {
    if let Some(names) = &settings.create {
        create_streams(context, settings, names).await?;
    }
    let stream = context
        .get_stream(&settings.stream)
        .await
        .map_err(|error| RelayError::Missing { what: format!("stream {}", settings.stream), reason: cause(&error) })?;
    let consumer = open_consumer(&stream, settings).await?;
    check_consumer(&consumer, settings)?;
    // An existing consumer may read other subjects than the settings say.
    let config = &consumer.cached_info().config;
    let filters = config.filter_subjects.iter().chain(Some(&config.filter_subject).filter(|one| !one.is_empty()));
    let filters: Vec<String> = filters.cloned().collect();
    let inputs = if filters.is_empty() { &stream.cached_info().config.subjects } else { &filters };
    check_no_loop(settings, inputs)?;
    check_target_streams(context, settings, consumer.cached_info().config.ack_wait).await?;
    Ok(consumer)
}

/// Checks that the relay does not read what it publishes, as far as the settings show.
///
/// # Errors
/// [`RelayError::Loop`].
pub fn check_subjects(settings: &Settings) -> Result<(), RelayError> {
    check_no_loop(settings, &settings.subjects)
}

fn check_no_loop(settings: &Settings, inputs: &[String]) -> Result<(), RelayError> {
    for output in [settings.relay.publish.pattern(), settings.relay.dead_letter.clone()] {
        if let Some(input) = inputs.iter().find(|input| overlap(input, &output)) {
            return Err(RelayError::Loop { output, input: input.clone() });
        }
    }
    Ok(())
}

/// Creates the streams that are missing.
///
/// # Errors
/// [`RelayError::Create`].
pub async fn create_streams(context: &Context, settings: &Settings, names: &NewStreams) -> Result<(), RelayError> {
    let streams = [
        (&settings.stream, settings.subjects.clone()),
        (&names.labelled, vec![settings.relay.publish.pattern()]),
        (&names.dead_letters, vec![settings.relay.dead_letter.clone()]),
    ];
    for (name, subjects) in streams {
        let config = stream::Config {
            name: name.clone(),
            subjects,
            max_age: MAX_AGE,
            duplicate_window: LEAST_WINDOW.max(settings.ack_wait * 4),
            ..stream::Config::default()
        };
        let created = context.get_or_create_stream(config).await;
        created.map_err(|error| RelayError::Create { what: format!("the stream {name}"), reason: cause(&error) })?;
    }
    Ok(())
}

async fn open_consumer(stream: &Stream, settings: &Settings) -> Result<PullConsumer, RelayError> {
    let Settings { stream: name, durable, .. } = settings;
    if settings.create.is_none() {
        return stream.get_consumer(durable).await.map_err(|error| RelayError::Missing {
            what: format!("consumer {durable} of the stream {name}"),
            reason: error.to_string(),
        });
    }
    let (filter_subject, filter_subjects) = match &settings.subjects[..] {
        [one] => (one.clone(), Vec::new()),
        several => (String::new(), several.to_vec()),
    };
    let config = pull::Config {
        durable_name: Some(durable.clone()),
        ack_policy: AckPolicy::Explicit,
        ack_wait: settings.ack_wait,
        // The relay counts deliveries itself: a broker that stops delivering a message does so silently.
        max_deliver: -1,
        max_ack_pending: -1,
        filter_subject,
        filter_subjects,
        ..pull::Config::default()
    };
    stream
        .get_or_create_consumer(durable, config)
        .await
        .map_err(|error| RelayError::Create { what: format!("the consumer {durable}"), reason: cause(&error) })
}

fn check_consumer(consumer: &PullConsumer, settings: &Settings) -> Result<(), RelayError> {
    let config = &consumer.cached_info().config;
    let unfit = |reason| Err(RelayError::Unfit { durable: settings.durable.clone(), reason });
    if config.ack_policy != AckPolicy::Explicit {
        return unfit(
            "does not require each message to be acknowledged: create another one with the acknowledgement policy explicit",
        );
    }
    if config.max_deliver > 0 && config.max_deliver <= i64::from(settings.relay.max_deliver) {
        return unfit(
            "stops delivering a message, silently, before the relay makes it a dead letter: raise its max_deliver above --max-deliver, or to -1",
        );
    }
    if config.ack_wait != settings.ack_wait {
        tracing::warn!(
            consumer = ?config.ack_wait,
            setting = ?settings.ack_wait,
            "the existing consumer has another acknowledgement wait than --ack-wait; the consumer's applies"
        );
    }
    Ok(())
}

/// Checks that streams take what the relay publishes, and that they de-duplicate for long enough.
async fn check_target_streams(context: &Context, settings: &Settings, ack_wait: Duration) -> Result<(), RelayError> {
    for subject in [settings.relay.publish.subject(None), settings.relay.dead_letter.clone()] {
        let missing = |error: &dyn std::error::Error| RelayError::Missing {
            what: format!("stream that takes {subject}"),
            reason: cause(error),
        };
        let name = context.stream_by_subject(&subject).await.map_err(|error| missing(&error))?;
        let stream = context.get_stream(&name).await.map_err(|error| missing(&error))?;
        let window = stream.cached_info().config.duplicate_window;
        if window < ack_wait * 2 {
            tracing::warn!(
                stream = name,
                ?window,
                ?ack_wait,
                "messages may be published twice: set the stream's de-duplication window to several times the acknowledgement wait"
            );
        }
    }
    Ok(())
}
