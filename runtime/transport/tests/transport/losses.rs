//! A peer that vanishes without a word is noticed, and a runtime that ends wakes those who wait for it.
use crate::support::{ANYWHERE, Cluster, Note, Wire, hello, link, loaded, note, soon, welcome};
use quiltwork_transport::{Authority, ConnectError, Endpoint, Link, LinkError, PushError, Role, join, meet};
use std::net::SocketAddr;
use std::sync::mpsc;
use tokio::sync::oneshot;

#[tokio::test]
async fn a_cut_wire_is_noticed_on_both_sides() {
    let cluster = Cluster::new();
    let wire = Wire::to(cluster.master.local_address()).await;
    let linked = soon(async { link(cluster.connect_through(wire.address).await).await }).await;
    let (mut at_master, mut at_client) = (linked.at_master, linked.at_client);
    wire.cut();
    let (mut here, mut there) = (Vec::new(), Vec::new());
    let (master, client) =
        soon(async { tokio::join!(at_master.receiver.receive(&mut here), at_client.receiver.receive(&mut there)) })
            .await;
    assert!(matches!(master, Err(LinkError::TimedOut)), "{master:?}");
    assert!(matches!(client, Err(LinkError::TimedOut)), "{client:?}");
    assert!(soon(linked.connections.0.closed()).await.contains("nothing was heard"));
    assert!(at_master.sender.is_closed() && at_client.sender.is_closed());
}

#[tokio::test]
async fn a_closed_connection_is_noticed_on_both_sides_with_its_reason() {
    let cluster = Cluster::new();
    let mut linked = soon(async { link(cluster.connect().await).await }).await;
    linked.connections.0.close("enough");
    let mut got = Vec::new();
    let there = soon(linked.at_client.receiver.receive(&mut got)).await.unwrap_err();
    assert!(matches!(&there, LinkError::Closed(reason) if reason.contains("enough")), "{there:?}");
    let here = soon(linked.at_master.receiver.receive(&mut got)).await.unwrap_err();
    assert!(matches!(&here, LinkError::Closed(reason) if reason.contains("this side")), "{here:?}");
}

/// The link lives on a runtime of its own; a thread that waits for room must not wait for ever when that ends.
#[test]
fn a_runtime_that_ends_wakes_blocked_threads() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (done, outcome) = mpsc::channel();
    runtime.block_on(async {
        let cluster = Cluster::new();
        let linked = soon(async { link(cluster.connect().await).await }).await;
        let sender = linked.at_master.sender.clone();
        std::thread::spawn(move || {
            let parcel = loaded(0, vec![0; 1 << 20]);
            let error = loop {
                if let Err(error) = sender.push_blocking(&parcel) {
                    break error;
                }
            };
            done.send(matches!(error, PushError::Closed)).unwrap();
        });
        while linked.at_master.sender.push(&loaded(0, vec![0; 1 << 20])).is_ok() {
            tokio::task::yield_now().await;
        }
        // Leaked, so that nothing but the end of the runtime can wake the thread.
        std::mem::forget((linked, cluster));
    });
    drop(runtime);
    assert!(outcome.recv_timeout(std::time::Duration::from_secs(30)).expect("the thread hangs"));
}

/// What a new cluster on a port that was free again must not do to those who still believe in the old one, nor they to it.
#[tokio::test]
async fn a_foreign_master_at_the_port_of_a_killed_one_neither_answers_its_peers_nor_suffers_from_them() {
    let (old, mut new) = (Cluster::new(), Cluster::new());
    let doomed = Doomed::start(&old.authority);
    let address = soon(doomed.listening).await.unwrap();
    let connection = soon(old.client.connect(address, Role::Master)).await.unwrap();
    let (_, mut orphan): (_, Link<Note, Note>) = soon(join(connection, hello())).await.unwrap();
    doomed.kill.send(()).unwrap();
    soon(doomed.dead).await.unwrap();

    new.master = Endpoint::bind(address, &new.authority.issue(Role::Master).unwrap()).unwrap();
    let mut linked = soon(async { link(new.connect().await).await }).await;
    orphan.sender.push(&note(1)).unwrap();
    // A reset, or anything else it believed, would end it in another way.
    let end = soon(orphan.receiver.receive(&mut Vec::new())).await.unwrap_err();
    assert!(matches!(end, LinkError::TimedOut), "{end:?}");
    let refused = soon(old.client.connect(address, Role::Master)).await.unwrap_err();
    assert!(matches!(refused, ConnectError::Untrusted { .. }), "{refused:?}");

    linked.at_client.sender.push(&note(2)).unwrap();
    let mut got = Vec::new();
    soon(linked.at_master.receiver.receive(&mut got)).await.unwrap();
    assert_eq!(got, [note(2)]);
}

/// A master that lets one peer in and can be killed: no last word of it gets out.
struct Doomed {
    listening: oneshot::Receiver<SocketAddr>,
    kill: oneshot::Sender<()>,
    dead: oneshot::Receiver<()>,
}

impl Doomed {
    fn start(authority: &Authority) -> Self {
        let identity = authority.issue(Role::Master).unwrap();
        let (listens, listening) = oneshot::channel();
        let (kill, killed) = oneshot::channel::<()>();
        let (dies, dead) = oneshot::channel();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let belongings = runtime.block_on(async {
                let endpoint = Endpoint::bind(ANYWHERE, &identity).unwrap();
                listens.send(endpoint.local_address()).unwrap();
                let guest = meet(endpoint.accept().await.unwrap()).await.unwrap();
                let link: Link<Note, Note> = guest.welcome(welcome()).await.unwrap();
                killed.await.unwrap();
                (endpoint, link)
            });
            // Whoever would send a farewell goes first.
            drop(runtime);
            drop(belongings);
            dies.send(()).unwrap();
        });
        Self { listening, kill, dead }
    }
}
