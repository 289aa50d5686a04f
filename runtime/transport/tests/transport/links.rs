//! Links, over sockets and in memory: order, batches, back-pressure and their end. Each body runs over both.
use crate::support::{Cluster, Note, link, loaded, note, soon};
use quiltwork_protocol::{PARCEL_LIMIT, Parcel};
use quiltwork_transport::limits::OUTBOX_LIMIT;
use quiltwork_transport::{Link, LinkError, LinkReceiver, LinkSender, PushError, memory_pair};
use std::any::Any;
use std::time::Duration;
use tokio::time::timeout;

type Ends = (Link<Note, Note>, Link<Note, Note>);

/// Runs a test over both kinds of link.
macro_rules! over_both {
    ($($body:ident),* $(,)?) => {
        mod over_quic {
            $(#[tokio::test]
            async fn $body() {
                let (_alive, ends) = super::quic_pair().await;
                super::soon(super::$body(ends)).await;
            })*
        }
        mod in_memory {
            $(#[tokio::test]
            async fn $body() {
                super::soon(super::$body(super::memory_pair())).await;
            })*
        }
    };
}

over_both!(
    parcels_arrive_in_order_and_in_few_batches,
    payloads_of_all_sizes_arrive_whole,
    both_directions_work_at_once,
    a_receiver_that_does_not_read_makes_the_outbox_full,
    a_send_waits_for_room_and_goes_on,
    a_blocked_thread_goes_on_when_there_is_room,
    whoever_waits_for_room_hears_the_end_of_the_link,
    a_closed_link_delivers_what_was_pushed_and_ends_on_both_sides,
    dropping_the_last_sender_closes_the_link,
    dropping_the_receiver_ends_the_other_sender,
    flushed_waits_for_what_was_pushed,
    a_parcel_over_the_limit_is_refused_and_nothing_else_suffers,
    a_dropped_receive_loses_nothing,
);

async fn quic_pair() -> (Box<dyn Any>, Ends) {
    let cluster = Cluster::new();
    let linked = soon(async { link(cluster.connect().await).await }).await;
    (Box::new((cluster, linked.connections)), (linked.at_master, linked.at_client))
}

/// Receives this many parcels and says in how many batches they came.
async fn receive(receiver: &mut LinkReceiver<Note>, count: usize) -> (Vec<Parcel<Note>>, usize) {
    let (mut got, mut batches) = (Vec::new(), 0);
    while got.len() < count {
        receiver.receive(&mut got).await.unwrap();
        batches += 1;
    }
    assert_eq!(got.len(), count);
    (got, batches)
}

async fn ends(receiver: &mut LinkReceiver<Note>) -> Vec<Parcel<Note>> {
    let mut got = Vec::new();
    loop {
        match receiver.receive(&mut got).await {
            Ok(()) => {}
            Err(LinkError::Closed(_)) => return got,
            Err(other) => panic!("{other:?}"),
        }
    }
}

const MEBIBYTE: usize = 1 << 20;

/// Pushes parcels of about a mebibyte until the outbox is full; how many went in.
async fn fill(sender: &LinkSender<Note>) -> usize {
    let parcel = loaded(0, vec![0; MEBIBYTE]);
    let mut pushed = 0;
    loop {
        match sender.push(&parcel) {
            Ok(()) => pushed += 1,
            // QUIC may still take some.
            Err(PushError::Full) => match timeout(Duration::from_millis(300), sender.send(&parcel)).await {
                Ok(sent) => {
                    sent.unwrap();
                    pushed += 1;
                }
                Err(_) => return pushed,
            },
            Err(other) => panic!("{other:?}"),
        }
    }
}

async fn parcels_arrive_in_order_and_in_few_batches((left, mut right): Ends) {
    const COUNT: usize = 10_000;
    for number in 0..COUNT as u64 {
        left.sender.push(&note(number)).unwrap();
    }
    let (got, batches) = receive(&mut right.receiver, COUNT).await;
    assert!(got.iter().map(|parcel| parcel.message.number).eq(0..COUNT as u64));
    assert!(batches < 500, "{batches} batches for {COUNT} parcels");
}

async fn payloads_of_all_sizes_arrive_whole((left, mut right): Ends) {
    let sizes = [0, 1, 63, 4096, 65_535, 65_536, 65_537, MEBIBYTE, 20 * MEBIBYTE, 3];
    let parcels: Vec<_> =
        sizes.iter().zip(0_u8..).map(|(size, number)| loaded(number.into(), vec![number; *size])).collect();
    for parcel in &parcels {
        left.sender.push(parcel).unwrap();
    }
    assert_eq!(receive(&mut right.receiver, parcels.len()).await.0, parcels);
}

async fn both_directions_work_at_once((mut left, mut right): Ends) {
    const ROUNDS: u64 = 1000;
    let echo = async {
        let mut got = Vec::new();
        for _ in 0..ROUNDS {
            right.receiver.receive(&mut got).await.unwrap();
            for parcel in got.drain(..) {
                right.sender.push(&parcel).unwrap();
            }
        }
    };
    let ask = async {
        for number in 0..ROUNDS {
            left.sender.push(&note(number)).unwrap();
            assert_eq!(receive(&mut left.receiver, 1).await.0, [note(number)]);
        }
    };
    tokio::join!(echo, ask);
}

async fn a_receiver_that_does_not_read_makes_the_outbox_full((left, _right): Ends) {
    let bytes = fill(&left.sender).await * MEBIBYTE;
    assert!(bytes >= OUTBOX_LIMIT - MEBIBYTE, "full after {bytes} bytes");
    assert!(bytes <= OUTBOX_LIMIT + PARCEL_LIMIT, "{bytes} bytes were taken");
}

async fn a_send_waits_for_room_and_goes_on((left, mut right): Ends) {
    let pushed = fill(&left.sender).await;
    let send = tokio::spawn(async move { left.sender.send(&note(99)).await.map(|()| left) });
    tokio::task::yield_now().await;
    assert!(!send.is_finished());
    let (got, _) = receive(&mut right.receiver, pushed + 1).await;
    send.await.unwrap().unwrap();
    assert_eq!(got.last(), Some(&note(99)));
}

async fn a_blocked_thread_goes_on_when_there_is_room((left, mut right): Ends) {
    let pushed = fill(&left.sender).await;
    let threads: Vec<_> = (0..3)
        .map(|_| {
            let sender = left.sender.clone();
            std::thread::spawn(move || (0..100).try_for_each(|number| sender.push_blocking(&note(number))))
        })
        .collect();
    receive(&mut right.receiver, pushed + 300).await;
    for thread in threads {
        thread.join().unwrap().unwrap();
    }
}

async fn whoever_waits_for_room_hears_the_end_of_the_link((left, right): Ends) {
    fill(&left.sender).await;
    let sender = left.sender.clone();
    let thread = std::thread::spawn(move || sender.push_blocking(&note(0)));
    let sender = left.sender.clone();
    let task = tokio::spawn(async move { sender.send(&note(0)).await });
    tokio::time::sleep(Duration::from_millis(20)).await;
    drop(right);
    assert!(matches!(task.await.unwrap(), Err(PushError::Closed)));
    assert!(matches!(tokio::task::spawn_blocking(|| thread.join().unwrap()).await.unwrap(), Err(PushError::Closed)));
}

async fn a_closed_link_delivers_what_was_pushed_and_ends_on_both_sides((mut left, mut right): Ends) {
    for number in 0..100 {
        left.sender.push(&note(number)).unwrap();
        right.sender.push(&note(number)).unwrap();
    }
    left.sender.close();
    assert!(left.sender.is_closed());
    assert!(matches!(left.sender.push(&note(100)), Err(PushError::Closed)));
    assert_eq!(ends(&mut right.receiver).await.len(), 100);
    assert!(right.sender.is_closed());
    assert_eq!(ends(&mut left.receiver).await.len(), 100);
}

async fn dropping_the_last_sender_closes_the_link((mut left, mut right): Ends) {
    let clone = left.sender.clone();
    drop(left.sender);
    clone.push(&note(1)).unwrap();
    drop(clone);
    assert_eq!(ends(&mut right.receiver).await, [note(1)]);
    assert_eq!(ends(&mut left.receiver).await, []);
}

async fn dropping_the_receiver_ends_the_other_sender((left, right): Ends) {
    drop(left.receiver);
    while !right.sender.is_closed() {
        let _ = right.sender.push(&note(0));
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    right.sender.flushed().await;
}

async fn flushed_waits_for_what_was_pushed((left, mut right): Ends) {
    left.sender.flushed().await;
    let pushed = fill(&left.sender).await;
    assert!(timeout(Duration::from_millis(20), left.sender.flushed()).await.is_err());
    let ((), (got, _)) = tokio::join!(left.sender.flushed(), receive(&mut right.receiver, pushed));
    assert_eq!(got.len(), pushed);
}

async fn a_parcel_over_the_limit_is_refused_and_nothing_else_suffers((left, mut right): Ends) {
    left.sender.push(&note(1)).unwrap();
    assert!(matches!(left.sender.push(&loaded(2, vec![0; PARCEL_LIMIT])), Err(PushError::Bad(_))));
    left.sender.push(&note(3)).unwrap();
    assert_eq!(receive(&mut right.receiver, 2).await.0, [note(1), note(3)]);
}

async fn a_dropped_receive_loses_nothing((left, mut right): Ends) {
    let mut got = Vec::new();
    for number in 0..200 {
        left.sender.push(&loaded(number, vec![7; 20_000])).unwrap();
    }
    while got.len() < 200 {
        // Sometimes dropped before anything is there, sometimes in the middle of a parcel.
        tokio::select! {
            biased;
            result = right.receiver.receive(&mut got) => result.unwrap(),
            () = tokio::task::yield_now() => {}
        }
    }
    assert!(got.iter().map(|parcel| parcel.message.number).eq(0..200));
}
