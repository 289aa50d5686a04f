//! What the tests share: a cluster of two endpoints, a message type, raw peers, and a network that can be cut.
use quiltwork_protocol::{ALPN, BUILD, Hello, Message, Parcel, Purpose, VersionRange, Welcome, You, codec};
use quiltwork_transport::{Authority, Connection, Endpoint, Identity, Link, Role, join, meet};
use quiltwork_types::{Epoch, JobId};
use rustls::RootCertStore;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use serde::{Deserialize, Serialize};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;
use tokio::net::UdpSocket;
use tokio::time::timeout;

pub(crate) const ANYWHERE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// A message of tests: a number and as many payloads as it says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Note {
    pub(crate) number: u64,
    pub(crate) payloads: usize,
}

impl Message for Note {
    fn payloads(&self) -> usize {
        self.payloads
    }
}

pub(crate) fn note(number: u64) -> Parcel<Note> {
    Parcel::bare(Note { number, payloads: 0 })
}

pub(crate) fn loaded(number: u64, payload: Vec<u8>) -> Parcel<Note> {
    Parcel::new(Note { number, payloads: 1 }, vec![payload.into()])
}

/// A head as it stands in a stream: its length, then itself.
pub(crate) fn sized(head: &[u8]) -> Vec<u8> {
    let length = u32::try_from(head.len()).expect("heads are short");
    [&length.to_le_bytes(), head].concat()
}

/// Fails a test that would hang; nothing in it is expected to take nearly as long.
pub(crate) async fn soon<F: Future>(what: F) -> F::Output {
    timeout(Duration::from_secs(30), what).await.expect("the test hangs")
}

pub(crate) fn hello() -> Hello {
    Hello {
        versions: VersionRange::OURS,
        build: BUILD.to_owned(),
        registry: 7,
        purpose: Purpose::Client { node: None, inside: None },
    }
}

pub(crate) fn welcome() -> Welcome {
    Welcome { version: 0, epoch: Epoch(3), registry: 7, value_limit: 1 << 20, you: You::Client(JobId(5)) }
}

/// A master and a client of one cluster, each with its endpoint.
pub(crate) struct Cluster {
    pub(crate) authority: Authority,
    pub(crate) master: Endpoint,
    pub(crate) client: Endpoint,
}

impl Cluster {
    pub(crate) fn new() -> Self {
        let authority = Authority::new().unwrap();
        let master = Endpoint::bind(ANYWHERE, &authority.issue(Role::Master).unwrap()).unwrap();
        let client = Endpoint::bind(ANYWHERE, &authority.issue(Role::Client).unwrap()).unwrap();
        Self { authority, master, client }
    }

    /// Both sides of a new connection, first the master's.
    pub(crate) async fn connect(&self) -> (Connection, Connection) {
        self.connect_through(self.master.local_address()).await
    }

    pub(crate) async fn connect_through(&self, address: SocketAddr) -> (Connection, Connection) {
        let (accepted, connected) = tokio::join!(self.master.accept(), self.client.connect(address, Role::Master));
        (accepted.expect("the endpoint is open"), connected.expect("the handshake succeeds"))
    }
}

/// A link with what keeps it alive, first the master's side.
pub(crate) struct Linked {
    pub(crate) at_master: Link<Note, Note>,
    pub(crate) at_client: Link<Note, Note>,
    pub(crate) connections: (Connection, Connection),
}

pub(crate) async fn link(connections: (Connection, Connection)) -> Linked {
    let serve = async { meet(connections.0.clone()).await.unwrap().welcome(welcome()).await.unwrap() };
    let (at_master, joined) = tokio::join!(serve, join(connections.1.clone(), hello()));
    Linked { at_master, at_client: joined.unwrap().1, connections }
}

/// What an [`Identity`] is made of, for peers and certificates that the crate itself would not make.
#[derive(Serialize, Deserialize)]
pub(crate) struct Parts {
    pub(crate) role: Role,
    pub(crate) certificate: Vec<u8>,
    pub(crate) key: Vec<u8>,
    pub(crate) authority: Vec<u8>,
}

impl Parts {
    pub(crate) fn of(identity: &Identity) -> Self {
        codec::decode_head(&codec::encode_value(identity).unwrap()).unwrap()
    }

    pub(crate) fn assemble(&self) -> Identity {
        codec::decode_head(&codec::encode_value(self).unwrap()).unwrap()
    }
}

/// A plain quinn endpoint that trusts the cluster and shows the identity's certificate, or none.
pub(crate) fn raw_client(trusted: &Identity, shown: Option<&Identity>) -> quinn::Endpoint {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from(Parts::of(trusted).authority)).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_root_certificates(roots);
    let mut config = match shown.map(Parts::of) {
        Some(parts) => config
            .with_client_auth_cert(
                vec![CertificateDer::from(parts.certificate)],
                PrivatePkcs8KeyDer::from(parts.key).into(),
            )
            .unwrap(),
        None => config.with_no_client_auth(),
    };
    config.alpn_protocols = vec![ALPN.to_vec()];
    let config = quinn::crypto::rustls::QuicClientConfig::try_from(config).unwrap();
    let mut endpoint = quinn::Endpoint::client(ANYWHERE).unwrap();
    endpoint.set_default_client_config(quinn::ClientConfig::new(Arc::new(config)));
    endpoint
}

/// A way for datagrams that can be cut in either direction.
pub(crate) struct Wire {
    pub(crate) address: SocketAddr,
    pub(crate) to_server: Arc<AtomicBool>,
    pub(crate) to_client: Arc<AtomicBool>,
    /// Datagrams that went to the server.
    pub(crate) carried: Arc<AtomicUsize>,
}

impl Wire {
    /// Lays a wire to `server` for one client socket.
    pub(crate) async fn to(server: SocketAddr) -> Self {
        let (near, far) = (UdpSocket::bind(ANYWHERE).await.unwrap(), UdpSocket::bind(ANYWHERE).await.unwrap());
        far.connect(server).await.unwrap();
        let wire = Self {
            address: near.local_addr().unwrap(),
            to_server: Arc::new(AtomicBool::new(true)),
            to_client: Arc::new(AtomicBool::new(true)),
            carried: Arc::new(AtomicUsize::new(0)),
        };
        let (to_server, to_client) = (wire.to_server.clone(), wire.to_client.clone());
        let carried = wire.carried.clone();
        tokio::spawn(async move {
            let (mut up, mut down) = (vec![0; 65_536], vec![0; 65_536]);
            let mut client = None;
            loop {
                tokio::select! {
                    Ok((len, from)) = near.recv_from(&mut up) => {
                        client = Some(from);
                        if to_server.load(Relaxed) {
                            let _ = far.send(&up[..len]).await;
                            carried.fetch_add(1, Relaxed);
                        }
                    }
                    Ok(len) = far.recv(&mut down) => {
                        if let Some(client) = client.filter(|_| to_client.load(Relaxed)) {
                            let _ = near.send_to(&down[..len], client).await;
                        }
                    }
                }
            }
        });
        wire
    }

    pub(crate) fn cut(&self) {
        self.to_server.store(false, Relaxed);
        self.to_client.store(false, Relaxed);
    }
}
