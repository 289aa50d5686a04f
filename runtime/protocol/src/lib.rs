//! The wire messages of Quiltwork and their codec: one enum file per direction, nothing that touches a socket.

mod apart;
pub mod client_to_master;
pub mod codec;
mod handshake;
mod kept;
pub mod master_to_client;
pub mod master_to_worker;
mod parcel;
mod peer;
mod plain;
pub mod worker_to_master;

pub use apart::Run;
pub use client_to_master::ClientToMaster;
pub use codec::CodecError;
pub use handshake::{
    ALPN, BUILD, Hello, HelloReply, MAGIC, Purpose, RefusalKind, Repertoire, VERSION_MAX, VERSION_MIN, VersionRange,
    Welcome, You,
};
pub use kept::Kept;
pub use master_to_client::MasterToClient;
pub use master_to_worker::MasterToWorker;
pub use parcel::{
    Message, PARCEL_HEADER, PARCEL_LIMIT, PAYLOADS_LIMIT, Parcel, ParcelError, decode_parcels, encode_parcel,
};
pub use peer::{Asker, BulkReply, BulkRequest, ByteRange, Holder};
pub use plain::{PLAIN_DEPTH, encode_plain};
pub use worker_to_master::WorkerToMaster;

/// Results and arguments up to this many bytes travel with the messages; larger ones stay where they were made.
pub const INLINE_LIMIT: usize = 8 * 1024;

/// The largest value a cluster accepts unless told otherwise, in bytes.
pub const VALUE_LIMIT: u64 = 4 << 30;
