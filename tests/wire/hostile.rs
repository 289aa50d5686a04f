//! Damaged and invented bytes: whatever a peer sends is refused or understood, never a panic.
use crate::catalogue::specimens;
use crate::specimen::{Reading, Specimen};
use proptest::prelude::*;
use quiltwork_protocol::PARCEL_HEADER;
use std::sync::LazyLock;

static SPECIMENS: LazyLock<Vec<Specimen>> = LazyLock::new(specimens);

fn any_specimen() -> impl Strategy<Value = &'static Specimen> {
    (0..SPECIMENS.len()).prop_map(|index| &SPECIMENS[index])
}

#[test]
fn what_is_cut_short_is_never_taken_for_whole() {
    for specimen in SPECIMENS.iter() {
        for len in 0..specimen.bytes.len() {
            let reading = specimen.read(&specimen.bytes[..len]);
            assert!(
                matches!(reading, Reading::Incomplete | Reading::Refused(_)),
                "{specimen:?} cut to {len} bytes was read as {reading:?}"
            );
        }
    }
}

#[test]
fn bytes_after_a_head_are_refused() {
    for specimen in SPECIMENS.iter() {
        let longer = if is_parcel(specimen) {
            with_head_grown_by_one(&specimen.bytes)
        } else {
            [&specimen.bytes[..], &[0]].concat()
        };
        let Reading::Refused(why) = specimen.read(&longer) else {
            panic!("{specimen:?} was read although a byte follows its head");
        };
        assert!(why.contains("1 bytes are left over"), "{specimen:?}: {why}");
    }
}

#[test]
fn a_number_of_no_variant_is_refused() {
    for specimen in SPECIMENS.iter().filter(|specimen| !is_parcel(specimen) && specimen.name.contains('.')) {
        let mut bytes = specimen.bytes.clone();
        bytes[0] = 200;
        assert!(matches!(specimen.read(&bytes), Reading::Refused(_)), "{specimen:?} has a variant 200");
    }
}

proptest! {
    #[test]
    fn flipped_bits_do_no_harm(
        specimen in any_specimen(),
        flips in prop::collection::vec((any::<prop::sample::Index>(), 0..8_u32), 1..6),
    ) {
        let mut bytes = specimen.bytes.clone();
        for (at, bit) in flips {
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
        }
        specimen.read(&bytes);
    }

    #[test]
    fn invented_bytes_do_no_harm(
        specimen in any_specimen(),
        bytes in prop::collection::vec(any::<u8>(), 0..300),
    ) {
        specimen.read(&bytes);
        specimen.read(&framed(&bytes));
    }

    #[test]
    fn spliced_messages_do_no_harm(
        specimen in any_specimen(),
        other in any_specimen(),
        cut in any::<prop::sample::Index>(),
    ) {
        let front = &specimen.bytes[..cut.index(specimen.bytes.len())];
        let back = &other.bytes[cut.index(other.bytes.len())..];
        specimen.read(&[front, back].concat());
    }
}

fn is_parcel(specimen: &Specimen) -> bool {
    let directions = ["ClientToMaster.", "MasterToClient.", "MasterToWorker.", "WorkerToMaster."];
    directions.iter().any(|direction| specimen.name.starts_with(direction))
}

/// A parcel whose header claims, and whose body has, one byte more in the head.
fn with_head_grown_by_one(parcel: &[u8]) -> Vec<u8> {
    let head = u32::from_le_bytes(parcel[..4].try_into().expect("four bytes")) + 1;
    let payloads = usize::from(u16::from_le_bytes(parcel[4..PARCEL_HEADER].try_into().expect("two bytes")));
    let head_end = PARCEL_HEADER + 4 * payloads + head as usize - 1;
    [&head.to_le_bytes()[..], &parcel[4..head_end], &[0], &parcel[head_end..]].concat()
}

/// A header that fits, so that the bytes reach the decoder of heads.
fn framed(head: &[u8]) -> Vec<u8> {
    let len = u32::try_from(head.len()).expect("short");
    [&len.to_le_bytes()[..], &[0, 0], head].concat()
}
