//! Callers by TLS that are none of ours, and certificates that no authority of ours would give.

use hyper_util::rt::TokioIo;
use identity::Authority;
use mesh::grpc::Address;
use rcgen::{CertificateParams, Issuer, KeyPair, SanType};
use rustls::{
    ClientConfig, RootCertStore, SupportedProtocolVersion,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject as _},
};
use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};
use tokio::net::TcpSocket;
use tokio_rustls::TlsConnector;
use tonic::transport::{self, Channel};

/// A certificate and its key, PEM.
pub type Shown = [String; 2];

fn named(names: &[&str]) -> (CertificateParams, KeyPair) {
    let mut params = CertificateParams::default();
    let uri = |name: &&str| SanType::URI((*name).try_into().expect("ASCII"));
    params.subject_alt_names = names.iter().map(uri).collect();
    (params, KeyPair::generate().expect("a key"))
}

/// A certificate with these names, of whatever role, by an authority.
pub fn signed_by(authority: &Authority, names: &[&str]) -> Shown {
    let (params, key) = named(names);
    let issuer = KeyPair::from_pem(&authority.key_pem()).expect("its key");
    let issuer = Issuer::from_ca_cert_pem(authority.certificate_pem(), issuer).expect("its certificate");
    [params.signed_by(&key, &issuer).expect("a certificate").pem(), key.serialize_pem()]
}

/// The same by nobody but itself.
pub fn self_signed(names: &[&str]) -> Shown {
    let (params, key) = named(names);
    [params.self_signed(&key).expect("a certificate").pem(), key.serialize_pem()]
}

/// A request for a certificate (PKCS #10, PEM) that asks for these names.
pub fn request_for(names: &[&str]) -> String {
    let (params, key) = named(names);
    params.serialize_request(&key).and_then(|request| request.pem()).expect("a request")
}

/// Whoever knows the server by its host's name, as grpcurl with `-cacert core.pem`, and shows a certificate or nothing.
pub fn by_host(core_pem: &str, shown: Option<Shown>) -> Arc<ClientConfig> {
    by_versions(rustls::DEFAULT_VERSIONS, core_pem, shown)
}

/// The same, by these versions of TLS.
pub fn by_versions(
    versions: &[&'static SupportedProtocolVersion],
    core_pem: &str,
    shown: Option<Shown>,
) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(core_pem.as_bytes()).expect("PEM")).expect("an authority");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_protocol_versions(versions);
    let config = config.expect("versions of its own").with_root_certificates(roots);
    let mut config = match shown {
        None => config.with_no_client_auth(),
        Some([certificate, key]) => {
            let chain = CertificateDer::pem_slice_iter(certificate.as_bytes()).map(|one| one.expect("PEM"));
            let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).expect("PEM");
            config.with_client_auth_cert(chain.collect(), key).expect("a key of its certificate")
        }
    };
    config.alpn_protocols = vec![b"h2".to_vec()];
    Arc::new(config)
}

/// A connection of its caller's own, from that address of this host where it matters.
pub async fn connect(
    config: Arc<ClientConfig>,
    to: SocketAddr,
    from: Option<IpAddr>,
) -> Result<Channel, transport::Error> {
    let connector = TlsConnector::from(config);
    let connect = tower::service_fn(move |_: http::Uri| {
        let connector = connector.clone();
        async move {
            let socket = if to.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
            if let Some(from) = from {
                socket.bind((from, 0).into())?;
            }
            let stream = socket.connect(to).await?;
            connector.connect(ServerName::from(to.ip()), stream).await.map(TokioIo::new)
        }
    });
    Address::from(to).endpoint().connect_with_connector(connect).await
}
