//! One authenticated connection and the role of who is at the other end; it knows nothing of what travels on it.
use crate::bulk::Opening;
use crate::error::describe;
use crate::identity::Role;
use crate::limits;
use quinn::VarInt;
use rustls::pki_types::CertificateDer;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::sync::Mutex;

/// A connection to a peer of the same cluster. Clones are the same connection; it is closed when the last clone, link
/// and stream of it is dropped.
#[derive(Clone)]
pub struct Connection {
    inner: Arc<Inner>,
}

struct Inner {
    quic: quinn::Connection,
    role: Role,
    /// The bulk stream whose request is being read; it stays here when the one who waits for it gives up.
    opening: Mutex<Option<Opening>>,
}

impl Connection {
    /// Takes over a connection whose handshake is done; none if its certificate gives no role, or several.
    pub(crate) fn authenticated(quic: quinn::Connection) -> Option<Self> {
        let certificates = quic.peer_identity()?.downcast::<Vec<CertificateDer<'static>>>().ok()?;
        let role = Role::of_certificate(certificates.first()?)?;
        quic.set_receive_window(limits::connection_window(role));
        Some(Self { inner: Arc::new(Inner { quic, role, opening: Mutex::new(None) }) })
    }

    /// What the peer is, as its certificate says.
    #[must_use]
    pub fn peer_role(&self) -> Role {
        self.inner.role
    }

    /// Where the peer is.
    #[must_use]
    pub fn remote_address(&self) -> SocketAddr {
        self.inner.quic.remote_address()
    }

    /// Waits until the connection has ended and says why. A peer that vanished is noticed after
    /// [`IDLE_TIME`](crate::limits::IDLE_TIME).
    pub async fn closed(&self) -> String {
        describe(&self.inner.quic.closed().await)
    }

    /// Closes the connection at once and tells the peer why. What was pushed or written and has not arrived may be
    /// lost: to part in good order, say goodbye on the link and let the peer close.
    pub fn close(&self, reason: &str) {
        self.inner.quic.close(VarInt::from_u32(0), reason.as_bytes());
    }

    /// Whether the connection has ended.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.inner.quic.close_reason().is_some()
    }

    pub(crate) fn quic(&self) -> &quinn::Connection {
        &self.inner.quic
    }

    pub(crate) fn opening(&self) -> &Mutex<Option<Opening>> {
        &self.inner.opening
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("peer_role", &self.inner.role)
            .field("remote_address", &self.remote_address())
            .finish_non_exhaustive()
    }
}
