//! Bytes as they are kept for long; where they are kept and for whom is not known here.
use bytes::Bytes;

/// Few bytes take no more room than a pointer to them and what belongs to that.
const FEW: usize = 23;
/// Up to here a reader gets a copy: cheaper than the counter that sharing would leave with what is kept.
const COPIED: usize = 256;

/// Bytes that are kept for long, of which there may be millions: few of them stand where a pointer to more would.
#[derive(Clone, Debug)]
pub struct Kept(Room);

#[derive(Clone, Debug)]
enum Room {
    Few { length: u8, bytes: [u8; FEW] },
    Many(Bytes),
}

impl Kept {
    /// Keeps these bytes; unless they are few, not a copy of them.
    #[must_use]
    pub fn new(bytes: Bytes) -> Self {
        Self(Room::few(&bytes).unwrap_or(Room::Many(bytes)))
    }

    /// Keeps a copy: the bytes may be a small part of something large, which would be kept with them.
    #[must_use]
    pub fn copied(bytes: &[u8]) -> Self {
        Self(Room::few(bytes).unwrap_or_else(|| Room::Many(Bytes::copy_from_slice(bytes))))
    }

    /// How many bytes there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        match &self.0 {
            Room::Few { length, .. } => *length as usize,
            Room::Many(bytes) => bytes.len(),
        }
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bytes for one more reader; large ones are shared.
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        match &self.0 {
            Room::Few { length, bytes } => Bytes::copy_from_slice(&bytes[..usize::from(*length)]),
            Room::Many(bytes) if bytes.len() <= COPIED => Bytes::copy_from_slice(bytes),
            Room::Many(bytes) => bytes.clone(),
        }
    }
}

impl Room {
    fn few(bytes: &[u8]) -> Option<Self> {
        let length = u8::try_from(bytes.len()).ok()?;
        let mut few = [0; FEW];
        few.get_mut(..bytes.len())?.copy_from_slice(bytes);
        Some(Self::Few { length, bytes: few })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_comes_back_however_much_it_is() {
        for length in [0, 1, FEW, FEW + 1, COPIED, COPIED + 1] {
            let bytes = Bytes::from(vec![7; length]);
            for kept in [Kept::copied(&bytes), Kept::new(bytes.clone())] {
                assert_eq!((kept.to_bytes(), kept.len(), kept.is_empty()), (bytes.clone(), length, length == 0));
            }
        }
    }

    #[test]
    fn many_bytes_are_shared_unless_a_copy_is_asked_for() {
        let bytes = Bytes::from(vec![7; COPIED + 1]);
        assert_eq!(Kept::new(bytes.clone()).to_bytes().as_ptr(), bytes.as_ptr());
        assert_ne!(Kept::copied(&bytes).to_bytes().as_ptr(), bytes.as_ptr());
    }

    #[test]
    fn it_takes_no_more_room_than_what_it_stands_for() {
        assert_eq!(size_of::<Kept>(), size_of::<Bytes>());
    }
}
