//! Every call of every service, thrown bytes at. The methods are those of the descriptors, and the services are what
//! production serves: the whole server stack over a store in memory, without a socket. So a new call is thrown at
//! from the day it exists.

mod frames;
mod seeds;
mod servers;

pub(super) use seeds::seeds;

use frames::Ending;
use prost_reflect::{DescriptorPool, MethodDescriptor};
use servers::Servers;
use std::{cell::RefCell, sync::LazyLock};

/// So many calls meet one network. Then a new one begins: what registrations at random leave behind stays small.
const CALLS_A_NETWORK: u32 = 2_000;

/// Every method of evmesh's, in the order of the descriptors.
static METHODS: LazyLock<Vec<MethodDescriptor>> = LazyLock::new(|| {
    let pool = DescriptorPool::decode(evmesh_proto::FILE_DESCRIPTOR_SET).expect("our descriptors are valid");
    pool.services().flat_map(|service| service.methods().collect::<Vec<_>>()).collect()
});

/// As HTTP/2 has it.
fn path(method: &MethodDescriptor) -> String {
    format!("/{}/{}", method.parent_service().full_name(), method.name())
}

/// A call: which method, how the rest is framed (see [`frames::framed`]), and the rest. It is answered, or refused
/// with a reason and never as the service's own fault.
pub fn calls(input: &[u8]) -> bool {
    let [method, how, rest @ ..] = input else { return false };
    let method = &METHODS[usize::from(*method) % METHODS.len()];
    match ending(method, frames::framed(*how, rest)) {
        Ending::Answered => true,
        Ending::Refused(status) => {
            let path = path(method);
            assert!(mesh::grpc::reason(&status).is_some(), "{path} refuses without a reason: {status:?}");
            assert!(
                !matches!(status.code(), tonic::Code::Internal | tonic::Code::Unknown),
                "{path} takes it for its own fault: {status:?}"
            );
            false
        }
    }
}

fn ending(method: &MethodDescriptor, body: Vec<u8>) -> Ending {
    struct World {
        servers: Servers,
        runtime: tokio::runtime::Runtime,
        calls: u32,
    }
    fn new() -> World {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let servers = runtime.block_on(Servers::start()).expect("the services start");
        World { servers, runtime, calls: 0 }
    }
    thread_local! {
        static WORLD: RefCell<World> = RefCell::new(new());
    }
    WORLD.with_borrow_mut(|world| {
        if world.calls == CALLS_A_NETWORK {
            *world = new();
        }
        world.calls += 1;
        let World { servers, runtime, .. } = world;
        runtime.block_on(frames::ending(servers.of(method), &path(method), body))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn the_targets_are_the_methods_that_exist_and_each_is_served() {
        let fuzzed: BTreeSet<String> = METHODS.iter().map(path).collect();
        let set =
            <prost_types::FileDescriptorSet as prost::Message>::decode(evmesh_proto::FILE_DESCRIPTOR_SET);
        let mut exist = BTreeSet::new();
        for file in &set.expect("our descriptors are valid").file {
            for service in &file.service {
                let of = |name: &str| format!("/{}.{}/{name}", file.package(), service.name());
                exist.extend(service.method.iter().map(|method| of(method.name())));
            }
        }
        assert_eq!(fuzzed, exist);
        assert!(METHODS.len() <= usize::from(u8::MAX), "one byte chooses among them");
        for method in &*METHODS {
            if let Ending::Refused(status) = ending(method, frames::framed(1, &[])) {
                assert_ne!(status.code(), tonic::Code::Unimplemented, "{} is not served", path(method));
            }
        }
    }

    #[test]
    fn every_method_answers_one_of_its_examples_or_denies_it() {
        let mut silent: BTreeSet<String> = METHODS.iter().map(path).collect();
        for seed in seeds() {
            let method = &METHODS[usize::from(seed[0])];
            let understood = match ending(method, frames::framed(seed[1], &seed[2..])) {
                Ending::Answered => true,
                Ending::Refused(status) => !matches!(
                    mesh::grpc::reason(&status).as_deref(),
                    Some("MALFORMED_REQUEST" | "INVALID_FIELD") | None
                ),
            };
            if understood {
                silent.remove(&path(method));
            }
        }
        assert_eq!(silent, BTreeSet::new(), "no example reaches behind the checks of fields");
    }
}
