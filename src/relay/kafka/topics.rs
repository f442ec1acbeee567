//! The topics of a relay: their names, and whether they are there.

use super::{client::Client, events::LastError, settings::Settings};
use crate::relay::{
    error::{RelayError, cause},
    subject::{Template, overlap},
};
use rdkafka::{
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    client::DefaultClientContext,
    consumer::{BaseConsumer, Consumer},
    error::KafkaError,
    types::RDKafkaErrorCode,
};
use std::time::Duration;

/// The longest time for an answer about a topic.
const TIMEOUT: Duration = Duration::from_secs(10);
/// The longest name of a topic.
const MAX_NAME_BYTES: usize = 249;

/// The topic for a subject: a topic's name has no colon.
pub fn topic_of(subject: &str) -> String {
    subject.replace(':', "_")
}

/// Checks the names of the group and of all topics, and that the relay does not read what it publishes.
///
/// # Errors
/// [`RelayError::Setting`], [`RelayError::Loop`].
pub fn check(settings: &Settings) -> Result<(), RelayError> {
    let Settings { relay, topics, .. } = settings;
    if settings.group.trim().is_empty() {
        return Err(RelayError::Setting("the group has no name".to_owned()));
    }
    let published = topic_of(&relay.publish.subject(None));
    for name in topics.iter().chain([&published, &relay.dead_letter]) {
        if !is_topic(name) {
            return Err(RelayError::Setting(format!(
                "invalid topic {name:?}: write a name of letters, digits, dots, _ and -"
            )));
        }
    }
    for output in [topic_of(&relay.publish.pattern()), relay.dead_letter.clone()] {
        if let Some(input) = topics.iter().find(|input| overlap(input, &output)) {
            return Err(RelayError::Loop { output, input: input.clone() });
        }
    }
    Ok(())
}

fn is_topic(name: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    !["", ".", ".."].contains(&name) && name.len() <= MAX_NAME_BYTES && name.chars().all(fits)
}

/// The topics with fixed names.
fn fixed(settings: &Settings) -> Vec<String> {
    let Settings { relay, topics, .. } = settings;
    let published = is_fixed(&relay.publish).then(|| topic_of(&relay.publish.subject(None)));
    topics.iter().cloned().chain(published).chain([relay.dead_letter.clone()]).collect()
}

fn is_fixed(template: &Template) -> bool {
    template.pattern() == template.subject(None)
}

/// Checks that the topics exist; creates missing ones with [`Settings::create`].
///
/// # Errors
/// [`RelayError::Connect`], [`RelayError::Missing`] or [`RelayError::Create`].
pub async fn provision(client: &Client, settings: &Settings) -> Result<(), RelayError> {
    let missing = find_missing(client, settings).await?;
    if let Some(partitions) = settings.create {
        let names: Vec<&str> = missing.iter().map(|(name, _)| name.as_str()).collect();
        return create(client, &names, partitions).await;
    }
    match missing.into_iter().next() {
        Some((name, reason)) => Err(RelayError::Missing { what: format!("topic {name}"), reason }),
        None => Ok(()),
    }
}

/// The topics that the broker does not have, and what it says of them.
async fn find_missing(client: &Client, settings: &Settings) -> Result<Vec<(String, String)>, RelayError> {
    let (client, settings) = (client.clone(), settings.clone());
    let find = move || {
        let unreachable = |reason| RelayError::Connect { broker: settings.brokers.clone(), reason };
        // A producer would have the broker create a topic that it asks for.
        let consumer: BaseConsumer<LastError> =
            client.consumer().create_with_context(LastError::default()).map_err(|error| unreachable(cause(&error)))?;
        let mut missing = Vec::new();
        for name in fixed(&settings) {
            let metadata = consumer.fetch_metadata(Some(&name), TIMEOUT).map_err(|error| {
                // Has the reason reported, such as a wrong password: the error itself is a time-out.
                let _ = consumer.poll(Duration::from_millis(100));
                unreachable(consumer.context().take().unwrap_or_else(|| cause(&error)))
            })?;
            let error = metadata.topics().iter().find_map(|topic| topic.error()).map(RDKafkaErrorCode::from);
            match error {
                None => {}
                Some(error @ (RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic)) => {
                    missing.push((name, error.to_string()));
                }
                Some(error) => return Err(unreachable(format!("topic {name}: {error}"))),
            }
        }
        Ok(missing)
    };
    let cancelled = |_| RelayError::Setting("the question for topics was cancelled".to_owned());
    tokio::task::spawn_blocking(find).await.map_err(cancelled)?
}

async fn create(client: &Client, names: &[&str], partitions: u16) -> Result<(), RelayError> {
    if names.is_empty() {
        return Ok(());
    }
    let refused = |what: String, reason: String| RelayError::Create { what, reason };
    let all = |error: KafkaError| refused("topics".to_owned(), cause(&error));
    let admin: AdminClient<DefaultClientContext> = client.consumer().create().map_err(all)?;
    // -1 is the replication that the broker is set to.
    let topic = |name| NewTopic::new(name, partitions.into(), TopicReplication::Fixed(-1));
    let topics: Vec<NewTopic<'_>> = names.iter().copied().map(topic).collect();
    let options = AdminOptions::new().operation_timeout(Some(TIMEOUT)).request_timeout(Some(TIMEOUT));
    for created in admin.create_topics(&topics, &options).await.map_err(all)? {
        match created {
            Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
            Err((name, error)) => return Err(refused(format!("the topic {name}"), error.to_string())),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_topics_are_checked() {
        assert!(["news", "news.in-1_a"].into_iter().all(is_topic));
        let long = "x".repeat(250);
        assert!(!["", ".", "..", "a b", "a:b", "ä", &long].into_iter().any(is_topic));
        assert_eq!(topic_of("labelled.medtop:04000000.KE"), "labelled.medtop_04000000.KE");
        let fixed = |text: &str| is_fixed(&text.parse().expect("a template"));
        assert_eq!((fixed("labelled"), fixed("labelled.{topic}")), (true, false));
    }
}
