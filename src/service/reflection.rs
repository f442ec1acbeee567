//! Server reflection: serves the file descriptors of the contract.

use crate::wire::DESCRIPTORS;

/// Version 1 of the reflection service.
pub fn v1(
    services: &[&str],
) -> tonic_reflection::server::v1::ServerReflectionServer<impl tonic_reflection::server::v1::ServerReflection> {
    builder(services).build_v1().unwrap_or_else(|error| unreachable!("build.rs made invalid descriptors: {error}"))
}

/// Version 1alpha, for older clients.
pub fn v1alpha(
    services: &[&str],
) -> tonic_reflection::server::v1alpha::ServerReflectionServer<impl tonic_reflection::server::v1alpha::ServerReflection>
{
    builder(services).build_v1alpha().unwrap_or_else(|error| unreachable!("build.rs made invalid descriptors: {error}"))
}

/// Registers the descriptors; lists only `services` and reflection itself.
fn builder(services: &[&str]) -> tonic_reflection::server::Builder<'static> {
    let builder = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(DESCRIPTORS)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET);
    let builder = builder.with_service_name("grpc.reflection.v1.ServerReflection");
    services.iter().fold(builder, |builder, service| builder.with_service_name(*service))
}
