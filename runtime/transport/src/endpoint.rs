//! One UDP socket that serves and connects: it ends with authenticated connections, not with what is said on them.
use crate::connection::Connection;
use crate::error::{ConnectError, EndpointError, describe};
use crate::identity::{Identity, Role};
use crate::limits::{self, ACCEPT_BACKLOG, CLOSE_TIME, HANDSHAKE_TIME, HANDSHAKES_MAX, HANDSHAKES_UNPROVEN};
use crate::tls;
use quinn::{ClientConfig, Incoming, ServerConfig, VarInt};
use socket2::{Domain, Protocol, Socket, Type};
use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use tokio::sync::{Mutex, mpsc};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::timeout;
use tracing::debug;

/// A bound endpoint. Clones are the same endpoint; when the last one is dropped it accepts no more, while its
/// connections live on.
#[derive(Clone)]
pub struct Endpoint {
    inner: Arc<Inner>,
}

struct Inner {
    quic: quinn::Endpoint,
    address: SocketAddr,
    calls: PerPath<ClientConfig>,
    accepted: Mutex<mpsc::Receiver<Connection>>,
    acceptor: AbortHandle,
}

/// Two settings of one thing: datagrams are larger where the path is known to be loopback.
#[derive(Clone)]
struct PerPath<T> {
    loopback: T,
    network: T,
}

impl<T> PerPath<T> {
    /// Makes both from the address of a typical peer.
    fn new(make: impl Fn(IpAddr) -> T) -> Self {
        Self { loopback: make(Ipv4Addr::LOCALHOST.into()), network: make(Ipv4Addr::UNSPECIFIED.into()) }
    }

    fn to(&self, peer: IpAddr) -> &T {
        if peer.is_loopback() { &self.loopback } else { &self.network }
    }
}

impl Endpoint {
    /// Binds a UDP socket; port 0 takes a free one.
    ///
    /// # Errors
    /// If the system refuses the address or the identity is of no use.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn bind(address: SocketAddr, identity: &Identity) -> Result<Self, EndpointError> {
        let serving = Arc::new(tls::server(identity)?);
        let calling = Arc::new(tls::client(identity)?);
        let serves = PerPath::new(|peer| {
            let mut config = ServerConfig::with_crypto(serving.clone());
            limits::limit_server(&mut config, Arc::new(limits::transport_config(peer)));
            Arc::new(config)
        });
        let calls = PerPath::new(|peer| {
            let mut config = ClientConfig::new(calling.clone());
            config.transport_config(Arc::new(limits::transport_config(peer)));
            config
        });
        let (quic, address) =
            open(address, (*serves.network).clone()).map_err(|source| EndpointError::Bind { address, source })?;
        let (connections, accepted) = mpsc::channel(ACCEPT_BACKLOG);
        let acceptor = tokio::spawn(run_handshakes(quic.clone(), serves, connections)).abort_handle();
        Ok(Self { inner: Arc::new(Inner { quic, address, calls, accepted: Mutex::new(accepted), acceptor }) })
    }

    /// Where it is bound.
    #[must_use]
    pub fn local_address(&self) -> SocketAddr {
        self.inner.address
    }

    /// The next connection whose handshake is done; none once the endpoint is closed. Handshakes go on side by side
    /// whether or not somebody waits here, each for at most [`HANDSHAKE_TIME`]; failed ones are logged and skipped. A
    /// connection that nobody takes within that time is closed again. Cancel safe.
    pub async fn accept(&self) -> Option<Connection> {
        self.inner.accepted.lock().await.recv().await
    }

    /// Connects to a peer that must be of this role.
    ///
    /// The peer checks our certificate after we have checked its own: if it refuses ours, the connection comes to be and
    /// ends at once, and whatever is tried on it first says so.
    ///
    /// # Errors
    /// If nobody answers within [`HANDSHAKE_TIME`], or the one who answers is not of this cluster or role.
    pub async fn connect(&self, address: SocketAddr, expected: Role) -> Result<Connection, ConnectError> {
        let config = self.inner.calls.to(address.ip()).clone();
        let connecting = self
            .inner
            .quic
            .connect_with(config, address, expected.server_name())
            .map_err(|error| ConnectError::Impossible { address, reason: error.to_string() })?;
        let quic = timeout(HANDSHAKE_TIME, connecting)
            .await
            .map_err(|_| ConnectError::Silent { address, expected })?
            .map_err(|error| ConnectError::from_handshake(&error, address, expected))?;
        Connection::authenticated(quic)
            .filter(|connection| connection.peer_role() == expected)
            .ok_or(ConnectError::WrongRole { address, expected })
    }

    /// Closes every connection, tells the peers why, and takes no more. Waits at most [`CLOSE_TIME`] for the word to
    /// get out.
    pub async fn close(&self, reason: &str) {
        self.inner.quic.close(VarInt::from_u32(0), reason.as_bytes());
        if timeout(CLOSE_TIME, self.inner.quic.wait_idle()).await.is_err() {
            debug!(address = %self.inner.address, "some peers did not confirm the end of their connection");
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.acceptor.abort();
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint").field("local_address", &self.inner.address).finish_non_exhaustive()
    }
}

/// Opens the socket with its buffers and starts QUIC on it.
fn open(address: SocketAddr, server: ServerConfig) -> io::Result<(quinn::Endpoint, SocketAddr)> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_recv_buffer_size(limits::SOCKET_BUFFER)?;
    socket.set_send_buffer_size(limits::SOCKET_BUFFER)?;
    socket.bind(&address.into())?;
    let socket = UdpSocket::from(socket);
    let bound = socket.local_addr()?;
    let runtime = Arc::new(quinn::TokioRuntime);
    let quic = quinn::Endpoint::new(limits::endpoint_config(), Some(server), socket, runtime)?;
    Ok((quic, bound))
}

/// Lets handshakes run side by side until the endpoint is closed.
async fn run_handshakes(
    quic: quinn::Endpoint,
    configs: PerPath<Arc<ServerConfig>>,
    connections: mpsc::Sender<Connection>,
) {
    let mut running = JoinSet::new();
    loop {
        tokio::select! {
            incoming = quic.accept() => match incoming {
                Some(incoming) if running.len() >= HANDSHAKES_MAX => incoming.refuse(),
                Some(incoming) if running.len() >= HANDSHAKES_UNPROVEN && incoming.may_retry() => {
                    incoming.retry().unwrap_or_else(|error| error.into_incoming().refuse());
                }
                Some(incoming) => {
                    let config = configs.to(incoming.remote_address().ip()).clone();
                    running.spawn(run_handshake(incoming, config, connections.clone()));
                }
                None => return,
            },
            Some(_) = running.join_next() => {}
        }
    }
}

/// One handshake, from the first datagram to a connection in the hands of `accept`.
async fn run_handshake(incoming: Incoming, config: Arc<ServerConfig>, connections: mpsc::Sender<Connection>) {
    let peer = incoming.remote_address();
    let handshake = async {
        let quic = incoming.accept_with(config)?.await?;
        let Some(connection) = Connection::authenticated(quic) else {
            debug!(%peer, "refused a certificate without exactly one role");
            return Ok(());
        };
        // The only error is that the endpoint is gone, and the connection goes with it.
        let _ = connections.send(connection).await;
        Ok(())
    };
    match timeout(HANDSHAKE_TIME, handshake).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => debug!(%peer, reason = describe(&error), "a handshake failed"),
        Err(_) => debug!(%peer, "a handshake was not done, or its connection not accepted, in time"),
    }
}
