//! Publishes labelled messages and dead letters, and acknowledges the messages that they come from.

use super::{settings::Settings, tracking::Held};
use crate::relay::{
    backoff::{BackOff, LONGEST_WAIT},
    delivery::{Action, Delivery},
    error::cause,
    health::{Health, Need},
    message::{Outgoing, PUBLISHED_BY, is_passed_on, one_line},
    metrics::{MessageOutcome, Metrics},
};
use async_nats::{
    HeaderMap,
    header::NATS_MESSAGE_ID,
    jetstream::{
        AckKind, Context, Error as BrokerError, ErrorCode,
        context::{PublishError, PublishErrorKind},
        message::OutboundMessage,
    },
};
use futures_util::future::join_all;
use std::{sync::Arc, time::Duration};

/// The broker redelivers a message after this time when it caused an internal error.
const REDELIVERY_DELAY: Duration = Duration::from_secs(1);

/// Publishes, and acknowledges.
pub struct Publisher {
    context: Context,
    metrics: Arc<Metrics>,
    health: Arc<Health>,
    durable: String,
    /// The stream that messages are read from.
    stream: String,
    /// The subject of dead letters.
    dead_letter: String,
}

impl Publisher {
    /// A publisher to `context`.
    pub fn new(context: Context, metrics: Arc<Metrics>, health: Arc<Health>, settings: &Settings) -> Self {
        let Settings { durable, stream, relay, .. } = settings.clone();
        Publisher { context, metrics, health, durable, stream, dead_letter: relay.dead_letter }
    }

    /// Does what was decided about messages.
    pub async fn finish(&self, decided: Vec<(Held, Action)>) {
        join_all(decided.into_iter().map(|(held, action)| self.apply(held, action))).await;
    }

    async fn apply(&self, held: Held, action: Action) {
        match action {
            Action::DeadLetter(reason) => self.dead_letter(held, reason).await,
            Action::Redeliver(reason) => {
                tracing::warn!(message = held.place(), reason, "message will be redelivered");
                self.metrics.retries.inc();
                let _ = held.acker.ack_with(AckKind::Nak(Some(REDELIVERY_DELAY))).await;
            }
            Action::Drop(reason) => {
                tracing::warn!(message = held.place(), reason, "message dropped");
                let _ = held.acker.ack_with(AckKind::Term).await;
                self.metrics.count(MessageOutcome::Looped).inc();
            }
            Action::Publish(outgoing, outcome) => self.publish_labelled(held, outgoing, outcome).await,
        }
    }

    async fn publish_labelled(&self, held: Held, outgoing: Outgoing, outcome: MessageOutcome) {
        let mut headers = passed_on(held.message.headers.as_ref());
        headers.insert(NATS_MESSAGE_ID, held.id.as_str());
        headers.insert(PUBLISHED_BY, self.durable.as_str());
        for (name, value) in outgoing.headers {
            headers.insert(name, value);
        }
        let message = OutboundMessage::new(outgoing.subject.into(), outgoing.payload.into(), Some(headers));
        if self.publish(message).await {
            self.acknowledge(held, outcome).await;
        } else {
            self.dead_letter(held, "with its labels the message exceeds the broker's size limit".to_owned()).await;
        }
    }

    /// Publishes a message unchanged as a dead letter, with the reason in its headers.
    async fn dead_letter(&self, held: Held, reason: String) {
        tracing::warn!(message = held.place(), reason, "dead letter");
        let mut headers = passed_on(held.message.headers.as_ref());
        headers.insert(NATS_MESSAGE_ID, format!("dead:{}", held.id));
        headers.insert(PUBLISHED_BY, self.durable.as_str());
        headers.insert("Dateline-Reason", one_line(&reason));
        headers.insert("Dateline-Stream", self.stream.as_str());
        headers.insert("Dateline-Subject", one_line(&held.message.subject));
        headers.insert("Dateline-Sequence", held.sequence().to_string());
        headers.insert("Dateline-Deliveries", held.deliveries().to_string());
        let payload = held.message.payload.clone();
        let whole = OutboundMessage::new(self.dead_letter.clone().into(), payload, Some(headers.clone()));
        // A message of the largest size has no room for these headers.
        if !self.publish(whole).await && !self.publish_without_payload(&headers).await {
            tracing::error!(
                message = held.place(),
                "the stream of dead letters refuses the message, which will be redelivered"
            );
            let _ = held.acker.ack_with(AckKind::Nak(Some(LONGEST_WAIT))).await;
            return;
        }
        self.acknowledge(held, MessageOutcome::Dead).await;
    }

    /// Publishes a dead letter that is too large: only the headers by which the message is found in its stream.
    async fn publish_without_payload(&self, headers: &HeaderMap) -> bool {
        let mut kept = HeaderMap::new();
        for name in ["Nats-Msg-Id", PUBLISHED_BY, "Dateline-Reason", "Dateline-Stream", "Dateline-Sequence"] {
            headers.get(name).into_iter().for_each(|value| kept.insert(name, value.clone()));
        }
        kept.insert("Dateline-Cut-Off", "the message is too large; read it from its stream by its sequence number");
        self.publish(OutboundMessage::new(self.dead_letter.clone().into(), Vec::new().into(), Some(kept))).await
    }

    /// Publishes a message, and retries until the broker has acknowledged it; `false` if it exceeds a size limit.
    async fn publish(&self, message: OutboundMessage) -> bool {
        let mut back_off = BackOff::default();
        loop {
            let headers = message.headers.clone().unwrap_or_default();
            let sent =
                self.context.publish_with_headers(message.subject.clone(), headers, message.payload.clone()).await;
            let acknowledged = match sent {
                Ok(acknowledgement) => acknowledgement.await,
                Err(error) => Err(error),
            };
            match acknowledged {
                Ok(acknowledgement) => {
                    if self.health.set(Need::Outputs, true) {
                        tracing::info!(subject = %message.subject, "streams to publish to are there again");
                    }
                    self.metrics.duplicates.inc_by(u64::from(acknowledgement.duplicate));
                    return true;
                }
                Err(error) if is_too_large(&error) => return false,
                Err(error) => {
                    if error.kind() == PublishErrorKind::StreamNotFound {
                        self.health.set(Need::Outputs, false);
                    }
                    self.metrics.retries.inc();
                    tracing::warn!(subject = %message.subject, reason = cause(&error), "not published, trying again");
                    back_off.wait().await;
                }
            }
        }
    }

    async fn acknowledge(&self, held: Held, outcome: MessageOutcome) {
        // If this one is lost, the message is redelivered, and the broker drops its second publication.
        if let Err(error) = held.acker.double_ack().await {
            tracing::debug!(message = held.place(), %error, "not acknowledged");
        }
        self.metrics.count(outcome).inc();
        self.metrics.whole.observe(held.since.elapsed().as_secs_f64());
    }
}

/// The headers to copy to the published message.
fn passed_on(headers: Option<&HeaderMap>) -> HeaderMap {
    let mut passed = HeaderMap::new();
    for (name, values) in headers.into_iter().flat_map(HeaderMap::iter).filter(|(name, _)| is_passed_on(name.as_ref()))
    {
        values.iter().for_each(|value| passed.append(name.clone(), value.clone()));
    }
    passed
}

/// Whether the broker, or a stream, refuses messages of this size.
fn is_too_large(error: &PublishError) -> bool {
    let of_broker = std::error::Error::source(error).and_then(|source| source.downcast_ref::<BrokerError>());
    let code = of_broker.map(BrokerError::error_code);
    let limits = [ErrorCode::STREAM_MESSAGE_EXCEEDS_MAXIMUM, ErrorCode::STREAM_HEADER_EXCEEDS_MAXIMUM];
    error.kind() == PublishErrorKind::MaxPayloadExceeded || code.is_some_and(|code| limits.contains(&code))
}
