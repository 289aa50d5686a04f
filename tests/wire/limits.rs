//! Sizes at and over their limits: what may leave may arrive, and a forged length costs no memory.
use bytes::{Bytes, BytesMut};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use quiltwork_protocol::codec::{self, HEAD_LIMIT};
use quiltwork_protocol::master_to_worker::{Assignment, Duty, Input};
use quiltwork_protocol::{
    ClientToMaster, MasterToWorker, PARCEL_LIMIT, PAYLOADS_LIMIT, Parcel, ParcelError, decode_parcels, encode_parcel,
};
use quiltwork_types::{AttemptId, Encoding, FunctionId, JobId, TaskId, ValueId};

/// Address space this test program may use: an allocation that follows a forged length goes over it and aborts.
const MEMORY: u64 = 2 << 30;

fn limit_memory() {
    let (_, hard) = getrlimit(Resource::RLIMIT_AS).expect("the limit can be read");
    setrlimit(Resource::RLIMIT_AS, MEMORY.min(hard), hard).expect("a limit can be lowered");
}

fn decode(bytes: &[u8]) -> Result<Vec<Parcel<MasterToWorker>>, ParcelError> {
    let mut parcels = Vec::new();
    decode_parcels(&mut BytesMut::from(bytes), &mut parcels)?;
    Ok(parcels)
}

fn encode(parcel: &Parcel<MasterToWorker>) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode_parcel(parcel, &mut bytes).expect("within all limits");
    bytes
}

/// A parcel header and nothing after it.
fn header(head: u32, payloads: &[u32]) -> Vec<u8> {
    let count = u16::try_from(payloads.len()).expect("few payloads");
    let mut bytes = [&head.to_le_bytes()[..], &count.to_le_bytes()].concat();
    bytes.extend(payloads.iter().flat_map(|len| len.to_le_bytes()));
    bytes
}

fn free(values: u32) -> MasterToWorker {
    let value = |index| ValueId::of(TaskId { job: JobId(1), index: index % 200 });
    MasterToWorker::Free { values: (0..values).map(value).collect() }
}

fn dispatch(payloads: usize) -> MasterToWorker {
    let assignment = Assignment {
        attempt: AttemptId { task: TaskId { job: JobId(1), index: 2 }, number: 1 },
        function: FunctionId(0),
        inputs: vec![Input::Literal(Encoding::Raw); payloads],
        slots: 1,
        name: None,
        partition: None,
        plain: false,
        duty: Duty::Task,
        time_limit: None,
    };
    MasterToWorker::Dispatch { assignments: vec![assignment] }
}

#[test]
fn a_header_over_a_limit_is_refused_before_its_bytes_arrive() {
    let len = |n: usize| u32::try_from(n).expect("a limit fits");
    assert!(matches!(decode(&header(len(HEAD_LIMIT) + 1, &[])), Err(ParcelError::TooLarge { .. })));
    assert!(matches!(decode(&header(1, &[len(PARCEL_LIMIT)])), Err(ParcelError::TooLarge { .. })));
    assert!(matches!(decode(&header(1, &[u32::MAX; 100])), Err(ParcelError::TooLarge { .. })));
    assert!(decode(&header(len(HEAD_LIMIT), &[1])).expect("at the limit").is_empty());
}

#[test]
fn a_wrong_number_of_payloads_is_refused() {
    let bytes = encode(&Parcel::new(dispatch(1), vec![Bytes::from_static(b"one")]));
    let head_len = &bytes[..4];
    let head = &bytes[10..bytes.len() - 3];
    let none = [head_len, &[0, 0], head].concat();
    let two = [head_len, &[2, 0], &[3, 0, 0, 0], &[0, 0, 0, 0], head, b"one"].concat();
    assert!(matches!(decode(&none), Err(ParcelError::PayloadCount { expected: 1, found: 0 })));
    assert!(matches!(decode(&two), Err(ParcelError::PayloadCount { expected: 1, found: 2 })));
}

#[test]
fn a_forged_length_is_refused_without_allocating_it() {
    limit_memory();
    let varint = |n: u64| [&[253][..], &n.to_le_bytes()].concat();
    for len in [20 << 20, 100 << 20, 1 << 40, u64::MAX >> 1, u64::MAX] {
        let text = [&[0, 6][..], &varint(len)].concat();
        assert!(codec::decode_head::<ClientToMaster>(&text).is_err(), "a name of {len} bytes");
        let list = [&[5][..], &varint(len)].concat();
        assert!(codec::decode_head::<MasterToWorker>(&list).is_err(), "a list of {len} values");
        let encoding = codec::encoding_of::<String>();
        assert!(codec::decode_value::<String>(encoding, &varint(len).into()).is_err(), "a string of {len} bytes");
        let encoding = codec::encoding_of::<Vec<[u64; 4]>>();
        assert!(
            codec::decode_value::<Vec<[u64; 4]>>(encoding, &varint(len).into()).is_err(),
            "a list of {len} elements"
        );
    }
}

#[test]
fn the_largest_head_that_may_leave_may_arrive() {
    let values = u32::try_from(HEAD_LIMIT / 3 - 8).expect("fits");
    let parcel = Parcel::bare(free(values));
    let bytes = encode(&parcel);
    assert!(bytes.len() > HEAD_LIMIT * 9 / 10, "close to the limit, or the test shows nothing");
    assert!(decode(&bytes).expect("may arrive") == [parcel]);
}

#[test]
fn what_is_over_a_limit_is_not_encoded_and_leaves_nothing_behind() {
    let mut out = b"before".to_vec();
    let large_head = Parcel::bare(free(u32::try_from(HEAD_LIMIT / 2).expect("fits")));
    assert!(matches!(encode_parcel(&large_head, &mut out), Err(ParcelError::Codec(_))));
    let large_payload = Parcel::new(dispatch(1), vec![Bytes::from(vec![0; PARCEL_LIMIT])]);
    assert!(matches!(encode_parcel(&large_payload, &mut out), Err(ParcelError::TooLarge { .. })));
    let many_payloads = Parcel::new(dispatch(PAYLOADS_LIMIT + 1), vec![Bytes::new(); PAYLOADS_LIMIT + 1]);
    assert!(matches!(encode_parcel(&many_payloads, &mut out), Err(ParcelError::TooManyPayloads { .. })));
    assert_eq!(out, b"before");
}

#[test]
fn parcels_arrive_whole_and_in_order_however_the_bytes_are_cut() {
    let sent = [
        Parcel::new(dispatch(2), vec![Bytes::from_static(b"one"), Bytes::from_static(b"two")]),
        Parcel::bare(MasterToWorker::Shutdown),
        Parcel::bare(free(1000)),
    ];
    let bytes: Vec<u8> = sent.iter().flat_map(encode).collect();
    for step in [1, 2, 7, 64, bytes.len()] {
        let mut buffer = BytesMut::new();
        let mut received = Vec::new();
        for piece in bytes.chunks(step) {
            buffer.extend_from_slice(piece);
            decode_parcels(&mut buffer, &mut received).expect("these are parcels");
        }
        assert_eq!(received, sent, "in pieces of {step} bytes");
        assert!(buffer.is_empty());
    }
}

#[test]
fn payloads_are_slices_of_the_buffer_that_was_read() {
    let payload = Bytes::from(vec![7; 4096]);
    let mut buffer = BytesMut::from(&encode(&Parcel::new(dispatch(1), vec![payload]))[..]);
    let read = buffer.as_ptr_range();
    let mut parcels: Vec<Parcel<MasterToWorker>> = Vec::new();
    decode_parcels(&mut buffer, &mut parcels).expect("a parcel");
    assert!(read.contains(&parcels[0].payloads[0].as_ptr()));
}
