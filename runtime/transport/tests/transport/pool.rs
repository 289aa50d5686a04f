//! What a pool of ways to workers promises: one try for all who ask, a new one after a break, none after a loss.
use crate::support::{ANYWHERE, Cluster, soon};
use quiltwork_transport::{BulkError, Connection, Endpoint, Role, WorkerPool};
use quiltwork_types::{JobId, TaskId, ValueId, WorkerId};
use std::collections::HashSet;
use std::net::{SocketAddr, UdpSocket};
use std::pin::pin;

const WORKER: WorkerId = WorkerId(7);
const VALUE: ValueId = ValueId::of(TaskId { job: JobId(1), index: 2 });

/// A client's pool and a worker it can reach.
struct Stage {
    pool: WorkerPool,
    worker: Endpoint,
}

impl Stage {
    fn new() -> Self {
        let cluster = Cluster::new();
        let worker = Endpoint::bind(ANYWHERE, &cluster.authority.issue(Role::Worker).unwrap()).unwrap();
        Self { pool: WorkerPool::new(cluster.client), worker }
    }

    async fn reach(&self) -> Option<Connection> {
        soon(self.pool.connection(WORKER, self.worker.local_address())).await
    }

    /// Both ends of a new connection, first the pool's.
    async fn reach_anew(&self) -> (Connection, Connection) {
        let (reached, accepted) = soon(async { tokio::join!(self.reach(), self.worker.accept()) }).await;
        (reached.expect("the worker is there"), accepted.expect("the endpoint is open"))
    }
}

/// A socket nobody answers from.
fn mute() -> (UdpSocket, SocketAddr) {
    let socket = UdpSocket::bind(ANYWHERE).unwrap();
    socket.set_nonblocking(true).unwrap();
    let address = socket.local_addr().unwrap();
    (socket, address)
}

async fn until_called(socket: &UdpSocket) {
    let socket = tokio::net::UdpSocket::from_std(socket.try_clone().unwrap()).unwrap();
    soon(socket.recv(&mut [0; 1])).await.unwrap();
}

/// The tries whose datagrams wait here. Each repeats its first one under the same id, which stands with its length
/// behind the flags and the version.
fn tries(socket: &UdpSocket) -> HashSet<Vec<u8>> {
    let mut datagram = [0; 2048];
    let datagrams = std::iter::from_fn(|| {
        let len = socket.recv(&mut datagram).ok()?;
        let id = &datagram[6..len.min(6 + usize::from(datagram[5]))];
        Some(id.to_vec())
    });
    datagrams.collect()
}

#[tokio::test]
async fn who_asks_again_gets_the_same_connection() {
    let stage = Stage::new();
    let (first, _accepted) = stage.reach_anew().await;
    let second = stage.reach().await.expect("it is there already");
    first.close("enough");
    assert!(second.is_closed());
}

#[tokio::test]
async fn who_asks_meanwhile_gets_the_same_connection() {
    let stage = Stage::new();
    let (a, b, c) = soon(async { tokio::join!(stage.reach(), stage.reach(), stage.reach()) }).await;
    let [a, b, c] = [a, b, c].map(|reached| reached.expect("the worker is there"));
    b.close("enough");
    assert!(a.is_closed() && c.is_closed());
}

#[tokio::test]
async fn who_asks_meanwhile_shares_a_try_in_vain() {
    let stage = Stage::new();
    let (socket, address) = mute();
    let mut first = pin!(stage.pool.connection(WORKER, address));
    tokio::select! {
        biased;
        _ = &mut first => panic!("nobody answers there"),
        () = until_called(&socket) => {}
    }
    let (first, second) = soon(async { tokio::join!(first, stage.pool.connection(WORKER, address)) }).await;
    assert!(first.is_none() && second.is_none());
    assert_eq!(tries(&socket).len(), 1);
}

#[tokio::test]
async fn a_try_ends_with_the_last_who_asks() {
    let stage = Stage::new();
    let (socket, address) = mute();
    tokio::select! {
        _ = stage.pool.connection(WORKER, address) => panic!("nobody answers there"),
        () = until_called(&socket) => {}
    }
    assert!(stage.reach().await.is_some(), "it was called where it is not any more");
}

#[tokio::test]
async fn a_broken_connection_is_made_anew() {
    let stage = Stage::new();
    let (first, accepted) = stage.reach_anew().await;
    accepted.close("enough");
    soon(first.closed()).await;
    let (second, _accepted) = stage.reach_anew().await;
    assert!(!second.is_closed());
}

#[tokio::test]
async fn a_worker_that_was_not_there_is_tried_again() {
    let stage = Stage::new();
    let (_socket, address) = mute();
    assert!(soon(stage.pool.connection(WORKER, address)).await.is_none());
    assert!(stage.reach().await.is_some());
}

#[tokio::test]
async fn a_loss_ends_a_fetch_under_way() {
    let stage = Stage::new();
    let (connection, accepted) = stage.reach_anew().await;
    let mut fetch = pin!(connection.fetch(VALUE, 1 << 20));
    let unanswered = tokio::select! {
        biased;
        _ = &mut fetch => panic!("nobody answers it"),
        request = soon(accepted.accept_bulk()) => request.unwrap(),
    };
    stage.pool.lose(WORKER);
    let error = soon(fetch).await.expect_err("the worker is lost");
    assert!(matches!(error, BulkError::Lost(_)), "not by the loss but: {error}");
    drop(unanswered);
}

#[tokio::test]
async fn a_loss_ends_a_try_under_way() {
    let stage = Stage::new();
    let (socket, address) = mute();
    let mut first = pin!(stage.pool.connection(WORKER, address));
    let mut second = pin!(stage.pool.connection(WORKER, address));
    tokio::select! {
        biased;
        _ = &mut first => panic!("nobody answers there"),
        _ = &mut second => panic!("nobody answers there"),
        () = until_called(&socket) => {}
    }
    stage.pool.lose(WORKER);
    // Both end by the loss: waiting for anything, a time-out for one, would leave them pending here.
    let both = async { tokio::join!(first, second) };
    tokio::select! {
        biased;
        (first, second) = both => assert!(first.is_none() && second.is_none()),
        () = std::future::ready(()) => panic!("somebody waits for a worker that is lost"),
    }
}

#[tokio::test]
async fn a_lost_worker_is_not_called_again() {
    let stage = Stage::new();
    let (socket, address) = mute();
    stage.pool.lose(WORKER);
    assert!(soon(stage.pool.connection(WORKER, address)).await.is_none());
    stage.pool.lose(WORKER);
    assert!(soon(stage.pool.connection(WORKER, address)).await.is_none());
    // Whatever the endpoint was to send before this has been sent after it.
    assert!(soon(stage.pool.connection(WorkerId(8), stage.worker.local_address())).await.is_some());
    assert!(tries(&socket).is_empty());
}

#[tokio::test]
async fn a_loss_does_not_touch_other_workers() {
    let stage = Stage::new();
    let (connection, _accepted) = stage.reach_anew().await;
    stage.pool.lose(WorkerId(8));
    assert!(!connection.is_closed());
    assert!(stage.reach().await.is_some());
}
