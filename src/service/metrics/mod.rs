//! The metrics of the server. Labels hold codes of models and of gRPC, never data of clients.

mod articles;
mod calls;
mod connections;
mod credentials;
mod exporter;
mod gauge;
mod models;
mod register;
mod resources;

pub use articles::StageTimes;
pub use credentials::CredentialMetrics;
pub use exporter::Metrics;
pub use gauge::GaugeGuard;
