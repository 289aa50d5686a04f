//! Values on streams of their own: they arrive equal, and no lie about them costs memory or time.
use crate::support::{Cluster, sized, soon};
use bytes::Bytes;
use quiltwork_protocol::{Asker, BulkReply, BulkRequest, ByteRange, codec};
use quiltwork_transport::{BulkError, Connection, Endpoint, Fetched, Role};
use quiltwork_types::{Encoding, JobId, TaskId, ValueId, WorkerId};

const TASK: TaskId = TaskId { job: JobId(1), index: 2 };
const VALUE: ValueId = ValueId::of(TASK);
const LIMIT: u64 = 1 << 30;
const WHOLE: BulkRequest = BulkRequest::Fetch { value: VALUE, range: ByteRange::WHOLE, asker: Asker::Reader };

fn pattern(len: usize) -> Bytes {
    (0..=250_u8).cycle().zip(0..len).map(|(low, index)| low ^ index.to_le_bytes()[2]).collect()
}

/// Answers fetches with these bytes, uploads with `stored`, until the connection ends; what was uploaded.
async fn serve(connection: Connection, value: Option<Bytes>) -> Vec<Bytes> {
    let mut uploads = Vec::new();
    while let Ok(incoming) = connection.accept_bulk().await {
        match (incoming.request(), &value) {
            (BulkRequest::Fetch { value: asked, .. }, Some(bytes)) => {
                assert_eq!(asked, VALUE);
                // It ends in an error when the reader does not want all of it.
                let _ = incoming.found(Encoding::Raw, bytes).await;
            }
            (BulkRequest::Fetch { .. }, None) => incoming.missing().await,
            (BulkRequest::Upload { task, .. }, _) => {
                assert_eq!(task, TASK);
                if let Ok((bytes, done)) = incoming.receive(LIMIT).await {
                    uploads.push(bytes);
                    done.stored().await;
                }
            }
        }
    }
    uploads
}

async fn connect() -> (Cluster, Connection, Connection) {
    let cluster = Cluster::new();
    let (at_master, at_client) = soon(cluster.connect()).await;
    (cluster, at_master, at_client)
}

#[tokio::test]
async fn values_of_all_sizes_come_back_equal() {
    for size in [0, 1, 256 << 10, (256 << 10) + 1, 64 << 20, (80 << 20) + 3] {
        let (_cluster, at_master, at_client) = connect().await;
        let value = pattern(size);
        let server = tokio::spawn(serve(at_master, Some(value.clone())));
        let (encoding, fetched) = soon(at_client.fetch(VALUE, LIMIT)).await.unwrap().unwrap();
        assert_eq!(encoding, Encoding::Raw);
        assert!(fetched == value, "{size} bytes differ");
        at_client.close("done");
        soon(server).await.unwrap();
    }
}

#[tokio::test]
async fn a_range_brings_its_own_bytes_and_where_they_stand() {
    let (_cluster, at_master, at_client) = connect().await;
    let value = pattern(3 << 20);
    tokio::spawn(serve(at_master, Some(value.clone())));
    let end = value.len();
    for (start, length, bytes) in [
        (0, 10, 0..10),
        (5, 2 << 20, 5..5 + (2 << 20)),
        (end - 7, 100, end - 7..end),
        (end, 1, end..end),
        (usize::MAX, usize::MAX, end..end),
    ] {
        let range = ByteRange { start: start as u64, length: length as u64 };
        let fetched = soon(at_client.fetch_range(VALUE, range, Asker::Reader)).await.unwrap();
        let Fetched::Found(mut arriving) = fetched else { panic!("{fetched:?}") };
        assert_eq!((arriving.encoding(), arriving.size()), (Encoding::Raw, end as u64));
        assert_eq!(arriving.left(), bytes.start as u64..bytes.end as u64);
        let mut arrived = Vec::new();
        while let Some((offset, chunks)) = soon(arriving.next()).await.unwrap() {
            assert_eq!(offset, (bytes.start + arrived.len()) as u64);
            chunks.iter().for_each(|chunk| arrived.extend_from_slice(chunk));
        }
        assert!(arrived == value[bytes], "{length} bytes from {start}");
    }
}

#[tokio::test]
async fn the_accepting_side_can_fetch_too() {
    let (_cluster, at_master, at_client) = connect().await;
    tokio::spawn(serve(at_client, Some(pattern(1000))));
    assert_eq!(soon(at_master.fetch(VALUE, LIMIT)).await.unwrap().unwrap().1, pattern(1000));
}

#[tokio::test]
async fn many_fetches_at_once_more_than_there_are_streams() {
    let (_cluster, at_master, at_client) = connect().await;
    tokio::spawn(serve(at_master, Some(pattern(100_000))));
    let fetches: Vec<_> = (0..200)
        .map(|_| {
            let connection = at_client.clone();
            tokio::spawn(async move { connection.fetch(VALUE, LIMIT).await })
        })
        .collect();
    for fetch in fetches {
        assert_eq!(soon(fetch).await.unwrap().unwrap().unwrap().1, pattern(100_000));
    }
}

#[tokio::test]
async fn a_missing_value_is_none() {
    let (_cluster, at_master, at_client) = connect().await;
    tokio::spawn(serve(at_master, None));
    assert!(soon(at_client.fetch(VALUE, LIMIT)).await.unwrap().is_none());
}

#[tokio::test]
async fn whoever_keeps_a_value_says_so_and_can_be_sent_elsewhere() {
    let (_cluster, at_master, at_client) = connect().await;
    let (worker, address) = (WorkerId(7), ([127, 0, 0, 1], 4433).into());
    let asker = Asker::Worker { worker: WorkerId(8), insists: true };
    let serve = async {
        let asked = at_master.accept_bulk().await.unwrap();
        assert_eq!(asked.request(), BulkRequest::Fetch { value: VALUE, range: ByteRange::WHOLE, asker });
        asked.elsewhere(worker, address).await;
        at_master.accept_bulk().await.unwrap().elsewhere(worker, address).await;
    };
    let ask = async {
        let fetched = at_client.fetch_range(VALUE, ByteRange::WHOLE, asker).await.unwrap();
        assert!(matches!(fetched, Fetched::Elsewhere { worker: w, address: a } if (w, a) == (worker, address)));
        let read = at_client.fetch(VALUE, LIMIT).await;
        assert!(matches!(read, Err(BulkError::Broken(_))), "a reader cannot go elsewhere: {read:?}");
    };
    soon(async { tokio::join!(serve, ask) }).await;
}

#[tokio::test]
async fn an_upload_ends_when_it_is_stored() {
    let (_cluster, at_master, at_client) = connect().await;
    let server = tokio::spawn(serve(at_master, None));
    for size in [0, 10, 30 << 20] {
        soon(at_client.upload(TASK, &pattern(size))).await.unwrap();
    }
    at_client.close("done");
    let stored: Vec<usize> = soon(server).await.unwrap().iter().map(Bytes::len).collect();
    assert_eq!(stored, [0, 10, 30 << 20]);
}

#[tokio::test]
async fn an_upload_that_arrived_but_was_not_kept_fails() {
    let (_cluster, at_master, at_client) = connect().await;
    let serve = async {
        let (bytes, done) = at_master.accept_bulk().await.unwrap().receive(LIMIT).await.unwrap();
        assert_eq!(bytes, pattern(10));
        drop(done);
    };
    let value = pattern(10);
    let (uploaded, ()) = soon(async { tokio::join!(at_client.upload(TASK, &value), serve) }).await;
    assert!(matches!(uploaded, Err(BulkError::Broken(_))), "{uploaded:?}");
}

#[tokio::test]
async fn uploads_over_the_limit_and_refused_requests_hear_so() {
    let (_cluster, at_master, at_client) = connect().await;
    let serve = async {
        let upload = at_master.accept_bulk().await.unwrap();
        let error = upload.receive((20 << 20) - 1).await.unwrap_err();
        assert!(matches!(error, BulkError::TooLarge { size: 20_971_520, limit: 20_971_519 }), "{error:?}");
        at_master.accept_bulk().await.unwrap().refuse().await;
    };
    let ask = async {
        // More than fits on the way, so that it is refused while it is being written.
        let uploaded = at_client.upload(TASK, &pattern(20 << 20)).await;
        assert!(matches!(uploaded, Err(BulkError::Refused)), "{uploaded:?}");
        let fetched = at_client.fetch(VALUE, LIMIT).await;
        assert!(matches!(fetched, Err(BulkError::Refused)), "{fetched:?}");
    };
    soon(async { tokio::join!(serve, ask) }).await;
}

#[tokio::test]
async fn a_value_over_the_readers_limit_is_refused_and_the_connection_lives() {
    let (_cluster, at_master, at_client) = connect().await;
    tokio::spawn(serve(at_master, Some(pattern(40 << 20))));
    for _ in 0..3 {
        let fetched = soon(at_client.fetch(VALUE, 1 << 20)).await;
        assert!(matches!(fetched, Err(BulkError::TooLarge { size: 41_943_040, limit: 1_048_576 })), "{fetched:?}");
    }
    assert_eq!(soon(at_client.fetch(VALUE, LIMIT)).await.unwrap().unwrap().1.len(), 40 << 20);
}

#[tokio::test]
async fn a_dropped_fetch_stops_the_transfer_and_leaves_room_for_others() {
    let (_cluster, at_master, at_client) = connect().await;
    let serve = async {
        let stopped = at_master.accept_bulk().await.unwrap().found(Encoding::Raw, &pattern(200 << 20)).await;
        assert!(matches!(stopped, Err(BulkError::Broken(_))), "{stopped:?}");
        at_master.accept_bulk().await.unwrap().found(Encoding::Raw, &pattern(30 << 20)).await.unwrap();
    };
    let ask = async {
        let mut fetch = Box::pin(at_client.fetch(VALUE, LIMIT));
        tokio::select! {
            _ = &mut fetch => panic!("200 MiB in no time"),
            () = tokio::time::sleep(std::time::Duration::from_millis(10)) => {}
        }
        drop(fetch);
        assert_eq!(at_client.fetch(VALUE, LIMIT).await.unwrap().unwrap().1.len(), 30 << 20);
    };
    soon(async { tokio::join!(serve, ask) }).await;
}

/// A server made of plain quinn streams that answers a fetch with these bytes and ends the stream, or keeps it open.
async fn lying_server(reply: BulkReply, body: &[u8], ends: bool) -> Result<Option<(Encoding, Bytes)>, BulkError> {
    let cluster = Cluster::new();
    let identity = cluster.authority.issue(Role::Client).unwrap();
    let raw = crate::support::raw_client(&identity, Some(&identity));
    let connecting = raw.connect(cluster.master.local_address(), "master.quiltwork").unwrap();
    let (accepted, quic) = tokio::join!(cluster.master.accept(), connecting);
    let (accepted, quic) = (accepted.unwrap(), quic.unwrap());
    let lie = async {
        let (mut send, _receive) = quic.accept_bi().await.unwrap();
        send.write_all(&sized(&codec::encode_value(&reply).unwrap())).await.unwrap();
        send.write_all(body).await.unwrap();
        if ends {
            send.finish().unwrap();
        }
        quic.closed().await;
        drop(send);
    };
    tokio::select! {
        fetched = accepted.fetch(VALUE, u64::MAX) => fetched,
        () = lie => panic!("the connection ended"),
    }
}

#[tokio::test]
async fn a_forged_size_costs_nothing_ahead_and_fails_when_the_stream_ends() {
    let forged = BulkReply::Found { encoding: Encoding::Raw, size: 1 << 50 };
    let fetched = soon(lying_server(forged, b"only this", true)).await;
    assert!(matches!(fetched, Err(BulkError::Broken(_))), "{fetched:?}");
}

#[tokio::test]
async fn more_bytes_than_announced_are_an_error() {
    let short = BulkReply::Found { encoding: Encoding::Raw, size: 4 };
    let fetched = soon(lying_server(short, b"four and more", true)).await;
    assert!(matches!(fetched, Err(BulkError::Broken(_))), "{fetched:?}");
}

#[tokio::test]
async fn an_answer_to_another_question_is_an_error() {
    let fetched = soon(lying_server(BulkReply::Stored, b"", true)).await;
    assert!(matches!(fetched, Err(BulkError::Broken(_))), "{fetched:?}");
}

#[tokio::test]
async fn a_value_that_stops_moving_is_given_up() {
    let promised = BulkReply::Found { encoding: Encoding::Raw, size: 1000 };
    let fetched = soon(lying_server(promised, b"the beginning", false)).await;
    assert!(matches!(fetched, Err(BulkError::Stalled)), "{fetched:?}");
}

#[tokio::test]
async fn waiting_for_a_request_can_be_given_up_and_broken_requests_are_skipped() {
    let cluster = Cluster::new();
    let identity = cluster.authority.issue(Role::Worker).unwrap();
    let raw = crate::support::raw_client(&identity, Some(&identity));
    let connecting = raw.connect(cluster.master.local_address(), "master.quiltwork").unwrap();
    let (accepted, quic) = soon(async { tokio::join!(cluster.master.accept(), connecting) }).await;
    let (accepted, quic) = (accepted.unwrap(), quic.unwrap());
    let (mut broken, _receive) = quic.open_bi().await.unwrap();
    broken.write_all(&[0xff; 10]).await.unwrap();
    let (mut slow, _receive) = quic.open_bi().await.unwrap();
    for byte in sized(&codec::encode_value(&WHOLE).unwrap()) {
        tokio::select! {
            biased;
            _ = accepted.accept_bulk() => panic!("the request is not whole"),
            () = tokio::time::sleep(std::time::Duration::from_millis(5)) => {}
        }
        slow.write_all(&[byte]).await.unwrap();
    }
    assert_eq!(soon(accepted.accept_bulk()).await.unwrap().request(), WHOLE);
}

#[tokio::test]
async fn a_lost_connection_ends_transfers_on_both_sides() {
    let (cluster, at_master, at_client) = connect().await;
    let serve = async {
        let incoming = at_master.accept_bulk().await.unwrap();
        Endpoint::close(&cluster.master, "gone").await;
        drop(incoming);
        at_master.accept_bulk().await.unwrap_err()
    };
    let (fetched, accepted) = soon(async { tokio::join!(at_client.fetch(VALUE, LIMIT), serve) }).await;
    assert!(matches!(&fetched, Err(BulkError::Lost(reason)) if reason.contains("gone")), "{fetched:?}");
    assert!(matches!(accepted, BulkError::Lost(_)), "{accepted:?}");
}
