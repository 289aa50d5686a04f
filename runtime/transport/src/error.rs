//! What can go wrong, one small enum per operation; each variant says what its receiver should do.
use crate::identity::Role;
use crate::limits::{HANDSHAKE_TIME, IDLE_TIME, STALL_TIME};
use quiltwork_protocol::{CodecError, ParcelError, RefusalKind};
use quinn::ConnectionError;
use std::io;
use std::net::SocketAddr;

/// Why an identity could not be made or used.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// No certificate could be made: the system gives no randomness. Nothing to be done from here.
    #[error("cannot make a certificate: {0}")]
    Issue(#[from] rcgen::Error),
    /// The parts of the identity do not fit together: it was damaged on its way. Get a new one.
    #[error("cannot use this identity: {0}")]
    Tls(#[from] rustls::Error),
    /// The same, found later.
    #[error("cannot use this identity: {0}")]
    Unusable(String),
}

/// Why no endpoint could be bound.
#[derive(Debug, thiserror::Error)]
pub enum EndpointError {
    /// The system refused the address. Choose another, or find out who has it.
    #[error(
        "cannot listen on {address}: {source}\nhint: is the port taken, and does the address belong to this machine?"
    )]
    Bind {
        /// The address asked for.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The identity is of no use. Get a new one.
    #[error(transparent)]
    Identity(#[from] IdentityError),
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// Nobody answers there. Worth another try, after a pause.
    #[error(
        "no quiltwork {expected} answers at {address} within {} s\nhint: is it running, and is UDP open on the way?",
        HANDSHAKE_TIME.as_secs()
    )]
    Silent {
        /// Who was called.
        address: SocketAddr,
        /// What it should have been.
        expected: Role,
    },
    /// The peer is of the same cluster but has another role. The address is wrong; trying again does not help.
    #[error(
        "the peer at {address} is no quiltwork {expected}\nhint: the address belongs to another process of the cluster"
    )]
    WrongRole {
        /// Who was called.
        address: SocketAddr,
        /// What it should have been.
        expected: Role,
    },
    /// One of the sides does not accept the other's certificate. Trying again does not help.
    #[error(
        "this process and the peer at {address} do not trust each other: {reason}\nhint: use the ticket of the cluster that runs there"
    )]
    Untrusted {
        /// Who was called.
        address: SocketAddr,
        /// What TLS said.
        reason: String,
    },
    /// The peer answered and then gave up. Worth another try, after a pause.
    #[error("the connection to {address} failed: {reason}")]
    Failed {
        /// Who was called.
        address: SocketAddr,
        /// Why.
        reason: String,
    },
    /// This endpoint is closed or the address cannot be called. Trying again does not help.
    #[error("cannot call {address}: {reason}")]
    Impossible {
        /// Who was to be called.
        address: SocketAddr,
        /// Why not.
        reason: String,
    },
}

impl ConnectError {
    /// Sorts out why the handshake with `address` failed.
    pub(crate) fn from_handshake(error: &ConnectionError, address: SocketAddr, expected: Role) -> Self {
        match error {
            ConnectionError::TimedOut => Self::Silent { address, expected },
            error => match tls_alert(error) {
                // Found here, by comparing names: the chain of the certificate was right.
                Some(ALERT_BAD_CERTIFICATE) if matches!(error, ConnectionError::TransportError(_)) => {
                    Self::WrongRole { address, expected }
                }
                Some(_) => Self::Untrusted { address, reason: describe(error) },
                None => Self::Failed { address, reason: describe(error) },
            },
        }
    }
}

/// Why the master did not let this process in.
#[derive(Debug, thiserror::Error)]
pub enum JoinError {
    /// It said no. For [`RefusalKind::Full`] another try after a pause makes sense; otherwise a person has to act.
    #[error("the master refused: {1}")]
    Refused(RefusalKind, String),
    /// It does not accept this certificate: another cluster. Trying again does not help.
    #[error("the master does not accept this identity: {0}\nhint: use the ticket of the cluster that runs there")]
    Untrusted(String),
    /// It did not answer in time. Worth another try.
    #[error("the master did not answer the hello within {} s", HANDSHAKE_TIME.as_secs())]
    Silent,
    /// The connection ended meanwhile. Worth another try.
    #[error("the connection to the master ended before it answered the hello: {0}")]
    Lost(String),
    /// What came back is no answer. Trying again does not help.
    #[error("the master's answer to the hello is no answer: {0}\nhint: is this the port of a quiltwork master?")]
    Garbage(String),
}

/// Why somebody who connected was not met. The connection is closed when this is returned; log it and go on.
#[derive(Debug, thiserror::Error)]
pub enum MeetError {
    /// It opened no stream or stopped in the middle of its hello.
    #[error("the peer did not say hello within {} s", HANDSHAKE_TIME.as_secs())]
    Silent,
    /// It went away.
    #[error("the peer went away before it said hello: {0}")]
    Lost(String),
    /// It speaks something else.
    #[error("the peer's first words are no hello: {0}")]
    Garbage(String),
    /// It speaks other versions; it was told so in these words.
    #[error("the peer was refused: {0}")]
    Version(String),
}

/// Why a parcel was not taken.
#[derive(Debug, thiserror::Error)]
pub enum PushError {
    /// The peer does not keep up and the outbox is full. Wait ([`send`](crate::LinkSender::send)), or give the peer up.
    #[error("the peer does not keep up: more than {} MiB wait for it", crate::limits::OUTBOX_LIMIT >> 20)]
    Full,
    /// The link is closed. The receiver of the same link says why.
    #[error("the link is closed")]
    Closed,
    /// The parcel itself cannot be sent; the link is as it was. Do not try again.
    #[error(transparent)]
    Bad(#[from] ParcelError),
}

/// Why no more parcels come.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// Somebody ended the link, here or there, for this reason.
    #[error("the link was closed: {0}")]
    Closed(String),
    /// The peer has gone silent: its process, its machine or the way to it is gone.
    #[error("nothing was heard from the peer for {} s", IDLE_TIME.as_secs())]
    TimedOut,
    /// The peer sent something that is no parcel. The link is closed; close the connection too.
    #[error("the peer sent no valid message: {0}")]
    Garbage(#[from] ParcelError),
}

/// Why a value did not get across.
#[derive(Debug, thiserror::Error)]
pub enum BulkError {
    /// The connection is gone. Ask another holder, or the same one over a new connection.
    #[error("the connection ended: {0}")]
    Lost(String),
    /// Nothing moved for too long. Ask another holder.
    #[error("the value did not move for {} s", STALL_TIME.as_secs())]
    Stalled,
    /// The value is larger than the reader allows. Do not try again.
    #[error("a value of {size} bytes is over the limit of {limit}")]
    TooLarge {
        /// Its announced size in bytes.
        size: u64,
        /// What the reader allows, in bytes.
        limit: u64,
    },
    /// The peer does not allow this, or has no room for it. Do not try again at once.
    #[error("the peer refused the request")]
    Refused,
    /// The stream ended early, or holds something else than was announced. Ask another holder.
    #[error("the stream is broken: {0}")]
    Broken(String),
}

impl From<CodecError> for BulkError {
    fn from(error: CodecError) -> Self {
        Self::Broken(error.to_string())
    }
}

impl From<ConnectionError> for BulkError {
    fn from(error: ConnectionError) -> Self {
        Self::Lost(describe(&error))
    }
}

const ALERT_BAD_CERTIFICATE: u64 = 42;

/// The TLS alert that ended the connection, whoever raised it.
pub(crate) fn tls_alert(error: &ConnectionError) -> Option<u64> {
    let code = match error {
        ConnectionError::TransportError(error) => error.code,
        ConnectionError::ConnectionClosed(frame) => frame.error_code,
        _ => return None,
    };
    // RFC 9001, section 4.8: alerts are the transport errors 0x100 to 0x1ff.
    u64::from(code).checked_sub(0x100).filter(|alert| *alert <= 0xff)
}

/// Why a connection ended, in words for people.
pub(crate) fn describe(error: &ConnectionError) -> String {
    match error {
        ConnectionError::ApplicationClosed(close) if close.reason.is_empty() => "the peer let go of it".to_owned(),
        ConnectionError::ApplicationClosed(close) => {
            format!("the peer closed it: {}", String::from_utf8_lossy(&close.reason))
        }
        ConnectionError::LocallyClosed => "it was closed on this side".to_owned(),
        ConnectionError::TimedOut => format!("nothing was heard from the peer for {} s", IDLE_TIME.as_secs()),
        ConnectionError::Reset => "the peer does not know it any more".to_owned(),
        other => other.to_string(),
    }
}
