//! The first words on a link: who speaks which versions, from which build, with which tasks, and the master's answer.
use quiltwork_types::{Epoch, JobId, NodeId, Resources, WorkerId};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::SocketAddr;

/// The application protocol in the TLS handshake.
pub const ALPN: &[u8] = b"quiltwork";

/// The first eight bytes of every control stream; what does not begin so is not spoken to.
pub const MAGIC: [u8; 8] = *b"QUILTWK\n";

/// The oldest protocol version this build speaks.
pub const VERSION_MIN: u16 = 1;
/// The newest protocol version this build speaks.
pub const VERSION_MAX: u16 = 1;

/// What this build calls itself in messages about mismatches.
pub const BUILD: &str = concat!("quiltwork ", env!("CARGO_PKG_VERSION"));

/// The protocol versions a side speaks, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VersionRange {
    /// The oldest.
    pub min: u16,
    /// The newest.
    pub max: u16,
}

impl VersionRange {
    /// What this build speaks.
    pub const OURS: Self = Self { min: VERSION_MIN, max: VERSION_MAX };

    /// The newest version both sides speak.
    #[must_use]
    pub fn agree(self, other: Self) -> Option<u16> {
        let newest = self.max.min(other.max);
        (newest >= self.min.max(other.min)).then_some(newest)
    }
}

impl fmt::Display for VersionRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.min == self.max { write!(f, "{}", self.max) } else { write!(f, "{} to {}", self.min, self.max) }
    }
}

/// What the connecting side says first, after [`MAGIC`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// The protocol versions it speaks.
    pub versions: VersionRange,
    /// What its build calls itself.
    pub build: String,
    /// Hash over the names and signatures of its own registered tasks; 0 if it has none.
    pub registry: u64,
    /// What it wants to be; its certificate must allow that.
    pub purpose: Purpose,
}

/// What the connecting side wants to be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Purpose {
    /// Submit tasks.
    Client {
        /// The node into whose area it writes values; none if it uploads them all.
        node: Option<NodeId>,
        /// Under what number it has left its end of a link in the memory of the master's process, if it is there too:
        /// then nothing more is said on this stream.
        inside: Option<u64>,
    },
    /// Run tasks.
    Worker {
        /// Its process id, so that whoever started it can tell the master of its end.
        pid: u32,
        /// What it has.
        capacity: Resources,
        /// Where it serves values to others.
        address: SocketAddr,
        /// The node whose store of values it shares; none if it keeps its values to itself.
        node: Option<NodeId>,
        /// What it can run.
        repertoire: Repertoire,
    },
}

/// The functions a worker can run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Repertoire {
    /// The names of those its program was built with.
    pub functions: Vec<String>,
    /// Whether it runs any function of Python's as well, `module:function`, which it finds when it is asked for it.
    pub any_python: bool,
}

/// The master's answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum HelloReply {
    /// Come in.
    Welcome(Welcome),
    /// Stay out; the text names both sides' versions, builds or roles and says what to do.
    Refused(RefusalKind, String),
}

/// Why a peer was not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RefusalKind {
    /// No protocol version is spoken by both.
    Version,
    /// The certificate does not allow the purpose.
    Role,
    /// The master has no room for more links.
    Full,
}

/// What a peer needs to know once it is in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Welcome {
    /// The version both speak.
    pub version: u16,
    /// The master's life.
    pub epoch: Epoch,
    /// The registry hash of the master's first client; differs if the builds differ. 0 if there was none, and in a mixed
    /// cluster, where each function is looked for by its name.
    pub registry: u64,
    /// The largest value accepted, in bytes.
    pub value_limit: u64,
    /// The number the peer goes by.
    pub you: You,
}

/// The number a peer goes by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum You {
    /// A client, with the job its tasks belong to.
    Client(JobId),
    /// A worker.
    Worker(WorkerId),
}
