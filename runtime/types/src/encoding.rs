//! The tag that says how a value's bytes are to be read; the bytes themselves are elsewhere.
use serde::{Deserialize, Serialize};

/// How the bytes of a value were made. A consumer that expects another encoding refuses the value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Encoding {
    /// bincode of a Rust type; the hash is of the type's name.
    Bincode(TypeHash),
    /// Bytes that mean what the two tasks agree on.
    Raw,
    /// What Python's pickle makes of an object, with its large buffers behind an index.
    Pickle,
    /// The name of an actor: what [`TaskId::to_bytes`](crate::TaskId::to_bytes) makes of its constructor or of a
    /// reference to it.
    Actor,
}

/// A hash of a type's name (FNV-1a, 64 bit): equal names give equal hashes in every build.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct TypeHash(pub u64);

impl TypeHash {
    /// Hashes a name, for example what `core::any::type_name` says.
    #[must_use]
    pub const fn of(name: &str) -> Self {
        let bytes = name.as_bytes();
        let mut hash = 0xcbf2_9ce4_8422_2325_u64;
        let mut i = 0;
        while i < bytes.len() {
            hash = (hash ^ bytes[i] as u64).wrapping_mul(0x0000_0100_0000_01b3);
            i += 1;
        }
        Self(hash)
    }
}
