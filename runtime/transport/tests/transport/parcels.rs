//! The byte stream of a link may be cut anywhere and may be anything.
use crate::support::Note;
use bytes::{Bytes, BytesMut};
use proptest::collection::vec;
use proptest::prelude::*;
use quiltwork_protocol::{Parcel, decode_parcels, encode_parcel};

fn parcel() -> impl Strategy<Value = Parcel<Note>> {
    (any::<u64>(), vec(vec(any::<u8>(), 0..300), 0..4)).prop_map(|(number, payloads)| {
        let payloads: Vec<Bytes> = payloads.into_iter().map(Bytes::from).collect();
        Parcel::new(Note { number, payloads: payloads.len() }, payloads)
    })
}

proptest! {
    #[test]
    fn any_split_of_the_stream_gives_the_same_parcels(
        parcels in vec(parcel(), 0..20),
        cuts in vec(any::<prop::sample::Index>(), 0..30),
    ) {
        let mut stream = Vec::new();
        for parcel in &parcels {
            encode_parcel(parcel, &mut stream).unwrap();
        }
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).chain([0, stream.len()]).collect();
        cuts.sort_unstable();
        let (mut buffer, mut decoded) = (BytesMut::new(), Vec::new());
        for piece in cuts.windows(2) {
            buffer.extend_from_slice(&stream[piece[0]..piece[1]]);
            decode_parcels(&mut buffer, &mut decoded).unwrap();
        }
        prop_assert_eq!(decoded, parcels);
        prop_assert!(buffer.is_empty());
    }

    #[test]
    fn random_bytes_never_panic(bytes in vec(any::<u8>(), 0..2000)) {
        let _ = decode_parcels::<Note>(&mut BytesMut::from(&bytes[..]), &mut Vec::new());
    }

    /// Small numbers where the lengths are, so that more than the first check is reached.
    #[test]
    fn plausible_lengths_never_panic(head in 0..40_u32, count in 0..5_u16, bytes in vec(0..4_u8, 0..200)) {
        let stream = [&head.to_le_bytes()[..], &count.to_le_bytes(), &bytes].concat();
        let mut decoded = Vec::new();
        let _ = decode_parcels::<Note>(&mut BytesMut::from(&stream[..]), &mut decoded);
        for Parcel { message, payloads } in decoded {
            prop_assert_eq!(message.payloads, payloads.len());
        }
    }
}
