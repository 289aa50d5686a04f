//! Every limit of the transport with its reason; no other file of this crate decides how much or how long.
//!
//! The defaults of quinn suit a download from the internet. A master must also survive peers that are slow, mute or
//! hostile, so each of them is set here.
use crate::identity::Role;
use quinn::{EndpointConfig, MtuDiscoveryConfig, ServerConfig, TransportConfig, VarInt};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

/// A TLS handshake, and after it the hello with its answer, may each take this long: a peer that is alive needs
/// milliseconds, and everything half-open costs memory.
pub const HANDSHAKE_TIME: Duration = Duration::from_secs(5);

/// A connection on which nothing was heard for this long is lost. Short, because the tasks of a silent worker wait for
/// somebody to notice; longer than three keep-alives, so that two lost datagrams are no loss of a worker.
pub const IDLE_TIME: Duration = Duration::from_secs(10);

/// How often a side that has nothing to say shows that it lives.
const KEEP_ALIVE: Duration = Duration::from_secs(3);

/// A bulk stream that does not move one byte for this long has failed.
pub(crate) const STALL_TIME: Duration = Duration::from_secs(10);

/// How long closing waits for the word to get out. It travels in one datagram, and a peer that misses it notices the
/// silence, so there is no point in waiting longer.
pub const CLOSE_TIME: Duration = Duration::from_millis(500);

/// Bytes a link holds that QUIC has not taken; beyond, a push is refused. Two full parcels and some: enough to ride out
/// a peer that pauses, little enough to have for every link.
pub const OUTBOX_LIMIT: usize = 64 << 20;

/// Bytes handed to QUIC, or asked from it, at a time on a link. Many small writes make quinn search a long list for
/// every datagram; from here on more does not help.
pub const WRITE_SIZE: usize = 64 << 10;

/// Bytes of a value handed to QUIC at a time. QUIC frees what was acknowledged in these units, so it must be a small
/// part of the window for sending.
pub(crate) const BULK_WRITE_SIZE: usize = 256 << 10;

/// Chunks of a value taken from QUIC at a time. Each is what one datagram brought, so that these can be written in one call
/// of the system, and the peer hears that there is room again often enough.
pub(crate) const BULK_CHUNKS: usize = 64;

/// Buffers of a link that grew beyond this in a burst are given back after it, in bytes.
pub(crate) const BUFFER_KEPT: usize = 1 << 20;

/// The largest hello, hello reply or bulk head, in bytes: they hold numbers, and the names of a program's functions.
pub(crate) const FRAME_LIMIT: usize = 256 << 10;

/// Bytes set aside for a value before any of it has arrived. A peer that announces more has to send it first.
pub(crate) const BULK_AHEAD: u64 = 64 << 20;

/// Handshakes going on at once; further ones are refused. Each holds some kilobytes of TLS state.
pub const HANDSHAKES_MAX: usize = 1024;

/// From this many handshakes on a peer must show that it can be reached at the address it claims (QUIC's Retry), so
/// that forged addresses cannot fill the remaining places.
pub(crate) const HANDSHAKES_UNPROVEN: usize = 256;

/// Finished connections waiting for [`accept`](crate::Endpoint::accept).
pub(crate) const ACCEPT_BACKLOG: usize = 64;

/// First datagrams that wait inside QUIC for the endpoint's task, in bytes altogether (quinn: 100 MiB).
const INCOMING_BYTES: u64 = 16 << 20;

/// The same for one handshake: a hello of TLS with its certificates is a few kilobytes (quinn: 10 MiB).
const INCOMING_BYTES_EACH: u64 = 64 << 10;

/// The most that GSO can send: ten datagrams of this size make one call and must stay under 65,507 bytes together.
/// On loopback this more than doubles the rate of the internet's 1,452.
const DATAGRAM_MAX: u16 = 6500;

/// What every network carries (RFC 9000); discovery goes up from here when the path is not loopback.
const DATAGRAM_MIN: u16 = 1200;

/// Streams a peer may have open at once: the link and 63 values on their way.
const BIDI_STREAMS: u32 = 64;

/// One stream may be this far ahead of its reader, in bytes: what 10 Gbit/s brings in 6 ms. QUIC has one number for all
/// streams; a link stays far below it because its owner reads it all the time.
pub const STREAM_WINDOW: u32 = 8 << 20;

/// All streams of a connection together, if the other side moves values between workers.
const CONNECTION_WINDOW: u32 = 16 << 20;

/// The same for connections from clients, of which there may be many more.
const CLIENT_WINDOW: u32 = 4 << 20;

/// Bytes on their way and not acknowledged, per connection: as much as a peer can have room for.
const SEND_WINDOW: u64 = 16 << 20;

/// TLS messages that arrive out of order; a handshake of ours is smaller.
const CRYPTO_BUFFER: usize = 16 << 10;

/// Socket buffers in bytes: with them loopback loses nothing at full rate, with the system's 208 KiB thousands of
/// datagrams. The kernel cuts this to what the machine allows.
pub const SOCKET_BUFFER: usize = 4 << 20;

/// How many bytes a peer of this role may have on their way to us.
#[must_use]
pub const fn connection_window(peer: Role) -> VarInt {
    VarInt::from_u32(match peer {
        Role::Master | Role::Worker => CONNECTION_WINDOW,
        Role::Admin | Role::Client | Role::Viewer => CLIENT_WINDOW,
    })
}

/// The limits of the socket's side of QUIC.
#[must_use]
pub fn endpoint_config() -> EndpointConfig {
    let mut config = EndpointConfig::default();
    config.max_udp_payload_size(DATAGRAM_MAX).expect("between 1,200 and 65,527");
    config
}

/// The limits before a connection is one.
pub(crate) fn limit_server(config: &mut ServerConfig, transport: Arc<TransportConfig>) {
    config
        .transport_config(transport)
        .max_incoming(HANDSHAKES_MAX)
        .incoming_buffer_size(INCOMING_BYTES_EACH)
        .incoming_buffer_size_total(INCOMING_BYTES)
        .retry_token_lifetime(HANDSHAKE_TIME)
        // A process does not move to another address; who claims so is not the peer that was authenticated there.
        .migration(false);
    // Tokens that skip the proof of the address next time: nobody reconnects often enough to gain from them.
    config.validation_token_config({
        let mut tokens = quinn::ValidationTokenConfig::default();
        tokens.sent(0);
        tokens
    });
}

/// The limits of one connection to or from `peer`.
#[must_use]
pub fn transport_config(peer: IpAddr) -> TransportConfig {
    let mut config = TransportConfig::default();
    config
        .max_concurrent_bidi_streams(VarInt::from_u32(BIDI_STREAMS))
        // Nothing of ours travels on these, so nobody may fill our memory through them.
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .datagram_receive_buffer_size(None)
        .stream_receive_window(VarInt::from_u32(STREAM_WINDOW))
        // The smaller one, until the certificate has shown the role.
        .receive_window(VarInt::from_u32(CLIENT_WINDOW))
        .send_window(SEND_WINDOW)
        .crypto_buffer_size(CRYPTO_BUFFER)
        .max_idle_timeout(Some(IDLE_TIME.try_into().expect("milliseconds that fit a variable-length integer")))
        .keep_alive_interval(Some(KEEP_ALIVE))
        .enable_segmentation_offload(true)
        .min_mtu(DATAGRAM_MIN)
        .initial_mtu(if peer.is_loopback() { DATAGRAM_MAX } else { DATAGRAM_MIN });
    let mut discovery = MtuDiscoveryConfig::default();
    discovery.upper_bound(DATAGRAM_MAX);
    config.mtu_discovery_config(Some(discovery));
    config
}
