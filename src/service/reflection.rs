//! The descriptors of the contract, for clients that ask for them.

use crate::wire::DESCRIPTORS;

/// Version 1 of the service.
pub fn v1(
    spoken: &[&str],
) -> tonic_reflection::server::v1::ServerReflectionServer<impl tonic_reflection::server::v1::ServerReflection> {
    builder(spoken).build_v1().unwrap_or_else(|error| unreachable!("the descriptors come from build.rs: {error}"))
}

/// Version 1alpha, which older clients ask for.
pub fn v1alpha(
    spoken: &[&str],
) -> tonic_reflection::server::v1alpha::ServerReflectionServer<impl tonic_reflection::server::v1alpha::ServerReflection>
{
    builder(spoken).build_v1alpha().unwrap_or_else(|error| unreachable!("the descriptors come from build.rs: {error}"))
}

/// The descriptors of the services that are spoken.
fn builder(spoken: &[&str]) -> tonic_reflection::server::Builder<'static> {
    let builder = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(DESCRIPTORS)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET);
    let builder = builder.with_service_name("grpc.reflection.v1.ServerReflection");
    spoken.iter().fold(builder, |builder, service| builder.with_service_name(*service))
}
