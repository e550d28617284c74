//! A registry without a socket, as tests begin with it.

use crate::{
    Beginning, Data, Error,
    api::RegistryApi,
    owner::{Office, Registry},
    service::start,
};
use domain::Wall;
use mesh::{group_commit::Running, store::MemoryStore};
use tempfile::TempDir;
use testing::known;
use tonic::Request;

/// A network's folder, inside one that goes with this.
pub(crate) fn folder(now: Wall) -> (TempDir, Data) {
    let top = tempfile::tempdir().unwrap();
    let data = Data::at(&top.path().join("registry"));
    let name = |name: &str| name.parse().unwrap();
    let (trust_domain, hosts) = ("madrid".parse().unwrap(), vec![]);
    let beginning = Beginning { trust_domain, central: name("main"), admin: name("ana"), hosts };
    data.init(beginning, now).unwrap();
    (top, data)
}

/// Its owner, at work.
pub(crate) struct Begun {
    _top: TempDir,
    pub(crate) data: Data,
    pub(crate) office: Office,
    pub(crate) running: Running<Error>,
}

impl Begun {
    pub(crate) fn new() -> Self {
        let (top, data) = folder(mesh::now().wall);
        let (office, running) = start(Registry::open(MemoryStore::new(), &data).unwrap()).unwrap();
        Self { _top: top, data, office, running }
    }
}

/// Its calls.
pub(crate) struct World {
    pub(crate) api: RegistryApi,
    pub(crate) begun: Begun,
}

impl World {
    pub(crate) fn begun() -> Self {
        let begun = Begun::new();
        let api = RegistryApi { office: begun.office.clone(), address: "127.0.0.1:1".parse().unwrap() };
        Self { api, begun }
    }
}

/// A call of somebody's.
pub(crate) fn by<T>(who: &str, message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.extensions_mut().insert(known(who));
    request
}
