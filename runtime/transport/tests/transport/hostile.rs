//! Garbage, half-open and lying peers end within their limit and hurt nobody else.
use crate::support::{Cluster, Note, Wire, hello, link, note, raw_client, sized, soon};
use quiltwork_protocol::{MAGIC, codec};
use quiltwork_transport::limits::HANDSHAKES_MAX;
use quiltwork_transport::{Connection, MeetError, Role, join, meet};
use std::sync::atomic::Ordering::Relaxed;
use tokio::net::UdpSocket;

#[tokio::test]
async fn garbage_datagrams_do_not_keep_anybody_out() {
    let cluster = Cluster::new();
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    for len in (0..200).map(|i| i * 7).chain([1200; 50]) {
        let datagram: Vec<u8> = (0..len)
            .map(|_| {
                random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                (random >> 56) as u8
            })
            .collect();
        socket.send_to(&datagram, cluster.master.local_address()).await.unwrap();
        // The same with the first byte of an Initial packet of QUIC version 1.
        let initial = [&[0xc3, 0, 0, 0, 1, 8][..], &datagram].concat();
        socket.send_to(&initial, cluster.master.local_address()).await.unwrap();
    }
    soon(async { link(cluster.connect().await).await }).await;
}

/// More handshakes than there are places, none of which ever goes on: from forged addresses, as it looks to the master.
#[tokio::test]
async fn half_open_handshakes_do_not_keep_anybody_out() {
    let cluster = Cluster::new();
    let wire = Wire::to(cluster.master.local_address()).await;
    wire.to_client.store(false, Relaxed);
    let raw = raw_client(&cluster.authority.issue(Role::Client).unwrap(), None);
    let mut half_open = Vec::new();
    for count in 1..=HANDSHAKES_MAX + 50 {
        half_open.push(tokio::spawn(raw.connect(wire.address, "master.quiltwork").unwrap()));
        while wire.carried.load(Relaxed) < count {
            tokio::task::yield_now().await;
        }
    }
    soon(async { link(cluster.connect().await).await }).await;
    for handshake in half_open {
        handshake.abort();
    }
}

/// An authenticated peer that says these bytes first; how it was met.
async fn meet_one_who_says(cluster: &Cluster, words: &[u8], and_ends: bool) -> MeetError {
    let identity = cluster.authority.issue(Role::Client).unwrap();
    let raw = raw_client(&identity, Some(&identity));
    let connecting = raw.connect(cluster.master.local_address(), "master.quiltwork").unwrap();
    let (accepted, quic) = tokio::join!(cluster.master.accept(), connecting);
    let (quic, accepted) = (quic.unwrap(), accepted.unwrap());
    let (mut send, _receive) = quic.open_bi().await.unwrap();
    send.write_all(words).await.unwrap();
    if and_ends {
        send.finish().unwrap();
    }
    let error = meet(accepted.clone()).await.unwrap_err();
    assert!(accepted.is_closed());
    // The peer hears that it is over, and does not wait for ever.
    soon(quic.closed()).await;
    error
}

fn framed(head: &[u8]) -> Vec<u8> {
    [&MAGIC[..], &sized(head)].concat()
}

#[tokio::test]
async fn what_is_no_hello_is_garbage() {
    let cluster = Cluster::new();
    let mut proper = framed(&codec::encode_value(&hello()).unwrap());
    let cases: [(&str, Vec<u8>); 5] = [
        ("wrong magic", b"GET / HTTP/1.1\r\n\r\n".to_vec()),
        ("huge announced hello", [&MAGIC[..], &[0xff; 4], &[0; 100]].concat()),
        ("hello that does not decode", framed(&[0xff; 40])),
        ("hello with something behind it", framed(&[&codec::encode_value(&hello()).unwrap()[..], &[0]].concat())),
        ("truncated hello", {
            proper.pop();
            proper
        }),
    ];
    for (case, words) in cases {
        let error = soon(meet_one_who_says(&cluster, &words, true)).await;
        assert!(matches!(error, MeetError::Garbage(_)), "{case}: {error:?}");
    }
}

#[tokio::test]
async fn who_stops_in_the_middle_of_the_hello_is_dropped_while_others_come_in() {
    let cluster = Cluster::new();
    let begun = framed(&codec::encode_value(&hello()).unwrap());
    let silent = async {
        let (half, nothing): (_, Connection) =
            (meet_one_who_says(&cluster, &begun[..20], false).await, cluster.connect().await.0);
        assert!(matches!(half, MeetError::Silent), "{half:?}");
        meet(nothing).await.unwrap_err()
    };
    let other = Cluster::new();
    let busy = async { link(other.connect().await).await };
    let (nothing, linked) = soon(async { tokio::join!(silent, busy) }).await;
    // The client that never spoke has gone with its side of the connection.
    assert!(matches!(nothing, MeetError::Lost(_)), "{nothing:?}");
    drop(linked);
}

#[tokio::test]
async fn half_open_guests_are_met_side_by_side() {
    let cluster = Cluster::new();
    let mut quiet = Vec::new();
    for _ in 0..20 {
        let (at_master, at_client) = soon(cluster.connect()).await;
        quiet.push((tokio::spawn(meet(at_master)), at_client));
    }
    let mut linked = soon(async { link(cluster.connect().await).await }).await;
    linked.at_client.sender.push(&note(4)).unwrap();
    let mut got = Vec::new();
    soon(linked.at_master.receiver.receive(&mut got)).await.unwrap();
    assert_eq!(got, [note(4)]);
    for (meeting, at_client) in quiet {
        let error = soon(meeting).await.unwrap().unwrap_err();
        assert!(matches!(error, MeetError::Silent), "{error:?}");
        assert!(soon(at_client.closed()).await.contains("did not say hello"));
    }
}

#[tokio::test]
async fn a_link_that_carries_garbage_ends_with_a_reason() {
    let cluster = Cluster::new();
    let identity = cluster.authority.issue(Role::Client).unwrap();
    let raw = raw_client(&identity, Some(&identity));
    let connecting = raw.connect(cluster.master.local_address(), "master.quiltwork").unwrap();
    let (accepted, quic) = soon(async { tokio::join!(cluster.master.accept(), connecting) }).await;
    let (mut send, _receive) = quic.unwrap().open_bi().await.unwrap();
    send.write_all(&framed(&codec::encode_value(&hello()).unwrap())).await.unwrap();
    let guest = soon(meet(accepted.unwrap())).await.unwrap();
    let mut link = guest.welcome::<Note, Note>(crate::support::welcome()).await.unwrap();
    send.write_all(&[0xff; 64]).await.unwrap();
    let mut got = Vec::new();
    let error = soon(link.receiver.receive(&mut got)).await.unwrap_err();
    assert!(matches!(error, quiltwork_transport::LinkError::Garbage(_)), "{error:?}");
    assert!(got.is_empty() && link.sender.is_closed());
    let again = soon(link.receiver.receive(&mut got)).await.unwrap_err();
    assert!(matches!(again, quiltwork_transport::LinkError::Closed(_)), "{again:?}");
}

#[tokio::test]
async fn a_master_that_answers_garbage_is_not_joined() {
    let cluster = Cluster::new();
    let (at_master, at_client) = soon(cluster.connect()).await;
    // A bulk server instead of a master: it refuses what it takes for a broken request.
    let serve = tokio::spawn(async move { at_master.accept_bulk().await });
    let error = soon(join::<Note, Note>(at_client, hello())).await.unwrap_err();
    assert!(matches!(error, quiltwork_transport::JoinError::Garbage(_)), "{error:?}");
    soon(serve).await.unwrap().unwrap_err();
}
