//! Large values on their way to a worker: cut, resumed, and sent by several holders, which are played by the test.
use crate::master::{Call, FakeMaster, Said, Worker, attempt, soon, value};
use crate::tasks::checksum;
use bytes::Bytes;
use quiltwork_protocol::{Asker, BulkRequest, ByteRange, Holder};
use quiltwork_transport::{Connection, Endpoint, Fetched, IncomingBulk, Role};
use quiltwork_types::{Encoding, WorkerId};
use std::ops::Range;
use std::time::Duration;
use tokio::sync::mpsc;

/// Large enough for several holders, and for several pieces each.
const SIZE: u64 = 80 << 20;
/// More than QUIC lets be on its way: when that was handed over, most of it has arrived.
const WINDOW: u64 = 8 << 20;

fn pattern(size: u64) -> Bytes {
    (0..size).map(|index| index.wrapping_mul(0x9e37_79b9).to_le_bytes()[2]).collect()
}

/// A holder of values that does what the test says.
struct Peer {
    holder: Holder,
    endpoint: Endpoint,
}

impl Peer {
    fn new(master: &FakeMaster, number: u32) -> Self {
        let endpoint = Endpoint::bind(([127, 0, 0, 1], 0).into(), &master.identity(Role::Worker)).unwrap();
        let holder = Holder::Worker { worker: WorkerId(number), address: endpoint.local_address() };
        Self { holder, endpoint }
    }

    async fn accept(&self) -> Connection {
        soon("a connection", self.endpoint.accept()).await.unwrap()
    }

    /// Serves all it is asked for, and tells what that was.
    fn serve(self, bytes: Bytes) -> mpsc::UnboundedReceiver<Range<u64>> {
        let (tell, told) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            let connection = self.accept().await;
            while let Ok(request) = connection.accept_bulk().await {
                tell.send(range(&request)).unwrap();
                request.found(Encoding::Raw, &bytes).await.unwrap();
            }
        });
        told
    }
}

/// What is asked for of the value.
fn range(request: &IncomingBulk) -> Range<u64> {
    let BulkRequest::Fetch { range, .. } = request.request() else { panic!("{request:?}") };
    range.within(SIZE)
}

async fn request(connection: &Connection) -> IncomingBulk {
    soon("a request", connection.accept_bulk()).await.unwrap()
}

/// Sends the first so many bytes of what is asked for, and no more.
async fn send_some(request: IncomingBulk, bytes: &Bytes, length: u64) -> Range<u64> {
    let mut outgoing = request.begin(Encoding::Raw, SIZE).await.unwrap();
    let start = outgoing.left().start;
    soon("the bytes to go", outgoing.write(ByteRange { start, length }.of(bytes))).await.unwrap();
    outgoing.left()
}

async fn fetches(worker: &mut Worker, bytes: &Bytes, holders: Vec<Holder>) {
    worker.dispatch(2, "test::checksum", Call::new().stored::<Vec<u8>>(1, holders));
    assert_eq!(worker.hear_more().await, Said::Copied(value(1)));
    assert_eq!(worker.hear_result::<u64>(2).await, checksum(bytes));
}

#[tokio::test]
async fn a_cut_fetch_goes_on_behind_what_has_arrived() {
    let mut master = FakeMaster::new();
    let mut user = master.worker(1).await;
    let (peer, bytes) = (Peer::new(&master, 99), pattern(SIZE));
    let holders = vec![peer.holder.clone()];
    let serve = async {
        let connection = peer.accept().await;
        let first = request(&connection).await;
        assert_eq!(range(&first), 0..SIZE);
        let rest = send_some(first, &bytes, 20 << 20).await;
        // The stream ended early. All that was sent on it has arrived.
        let second = request(&connection).await;
        assert_eq!(range(&second).start, rest.start);
        let rest = send_some(second, &bytes, 12 << 20).await;
        connection.close("the test cuts the connection");
        let connection = peer.accept().await;
        let mut here = rest.start - WINDOW;
        while here < SIZE {
            let more = request(&connection).await;
            let asked = range(&more);
            assert!(asked.start >= here, "{asked:?} is asked for again, although all below {here} has arrived");
            more.found(Encoding::Raw, &bytes).await.unwrap();
            here = asked.end;
        }
        connection
    };
    let (_connection, ()) = tokio::join!(serve, fetches(&mut user, &bytes, holders));
    user.shut_down().await;
}

#[tokio::test]
async fn several_holders_each_send_a_part_and_none_sends_what_another_has_sent() {
    let mut master = FakeMaster::new();
    let mut user = master.worker(1).await;
    let bytes = pattern(SIZE);
    let peers = [Peer::new(&master, 98), Peer::new(&master, 99)];
    let holders = peers.iter().map(|peer| peer.holder.clone()).collect();
    let mut told = peers.map(|peer| peer.serve(bytes.clone()));
    fetches(&mut user, &bytes, holders).await;
    let mut all = Vec::new();
    for told in &mut told {
        let before = all.len();
        while let Ok(range) = told.try_recv() {
            all.push(range);
        }
        assert!(all.len() > before, "a holder was not asked for anything");
    }
    all.sort_by_key(|range| range.start);
    assert!(all.windows(2).all(|pair| pair[0].end == pair[1].start), "{all:?}");
    assert_eq!((all[0].start, all[all.len() - 1].end), (0, SIZE));
    user.shut_down().await;
}

#[tokio::test]
async fn what_one_holder_does_not_bring_another_one_is_asked_for() {
    let mut master = FakeMaster::new();
    let mut user = master.worker(1).await;
    let bytes = pattern(SIZE);
    let (weak, strong) = (Peer::new(&master, 98), Peer::new(&master, 99));
    let holders = vec![weak.holder.clone(), strong.holder.clone()];
    let mut told = strong.serve(bytes.clone());
    let served = bytes.clone();
    let begin = async move {
        let connection = weak.accept().await;
        let rest = send_some(request(&connection).await, &served, 5 << 20).await;
        while let Ok(request) = connection.accept_bulk().await {
            request.missing().await;
        }
        rest
    };
    let begin = tokio::spawn(begin);
    fetches(&mut user, &bytes, holders).await;
    user.shut_down().await;
    let rest = soon("the weak holder's end", begin).await.unwrap();
    let mut asked = Vec::new();
    while let Some(range) = told.recv().await {
        asked.push(range);
    }
    assert!(asked.contains(&rest), "{rest:?} is not among {asked:?}");
    assert_eq!(asked.iter().map(|range| range.end - range.start).sum::<u64>(), SIZE - (5 << 20));
}

#[tokio::test]
async fn holders_that_bring_nothing_are_not_asked_for_ever() {
    let mut master = FakeMaster::new();
    let mut user = master.worker(1).await;
    let peer = Peer::new(&master, 99);
    let holders = vec![peer.holder.clone()];
    let refuse = async move {
        let connection = peer.accept().await;
        while let Ok(request) = connection.accept_bulk().await {
            drop(request.begin(Encoding::Raw, SIZE).await.unwrap());
        }
    };
    let refuse = tokio::spawn(refuse);
    user.dispatch(2, "test::checksum", Call::new().stored::<Vec<u8>>(1, holders));
    assert_eq!(user.hear().await, Said::Missing(attempt(2), vec![(value(1), WorkerId(99))]));
    user.shut_down().await;
    soon("the holder's end", refuse).await.unwrap();
}

/// Asks for all of the value as a worker would that is to hold it.
async fn ask(connection: &Connection, number: u32, insists: bool) -> Fetched {
    let asker = Asker::Worker { worker: WorkerId(number), insists };
    soon("an answer", connection.fetch_range(value(1), ByteRange::WHOLE, asker)).await.unwrap()
}

fn asker(request: &IncomingBulk) -> Asker {
    let BulkRequest::Fetch { asker, .. } = request.request() else { panic!("{request:?}") };
    asker
}

#[tokio::test]
async fn a_holder_sends_a_large_value_to_two_workers_and_all_others_to_these() {
    let mut master = FakeMaster::new();
    let mut holder = master.worker(1).await;
    holder.dispatch(1, "test::zeros", Call::new().literal(&(2_u64 << 20)));
    holder.hear_stored(1).await;
    let peers = [91, 92, 93].map(|number| Peer::new(&master, number));
    let mut connections = Vec::new();
    for peer in &peers {
        connections.push(peer.endpoint.connect(holder.address, Role::Worker).await.unwrap());
    }
    for (connection, number) in connections.iter().zip([91, 92]) {
        assert!(matches!(ask(connection, number, false).await, Fetched::Found(_)));
    }
    let Fetched::Elsewhere { worker, address } = ask(&connections[2], 93, false).await else { panic!("it was sent") };
    let sent_to = Holder::Worker { worker, address };
    assert!(sent_to == peers[0].holder || sent_to == peers[1].holder, "{sent_to:?}");
    assert!(matches!(ask(&connections[2], 93, true).await, Fetched::Found(_)), "who insists is served");
    let read = soon("an answer", connections[0].fetch(value(1), u64::MAX)).await.unwrap();
    assert!(read.is_some(), "readers are always served");
    holder.shut_down().await;
}

#[tokio::test]
async fn who_is_sent_elsewhere_gets_it_there_while_it_is_still_arriving() {
    let mut master = FakeMaster::new();
    let (mut first, mut second) = (master.worker(1).await, master.worker(1).await);
    let (source, bytes) = (Peer::new(&master, 99), pattern(SIZE));
    let holders = vec![source.holder.clone()];
    let Holder::Worker { worker, address } = first.holder() else { panic!("it is a worker") };
    let serve = async {
        let connection = source.accept().await;
        let mut outgoing = request(&connection).await.begin(Encoding::Raw, SIZE).await.unwrap();
        soon("half of it", outgoing.write(bytes.slice(..40 << 20))).await.unwrap();
        let to_second = source.accept().await;
        request(&to_second).await.elsewhere(worker, address).await;
        // No other worker of this program sends as much.
        let relayed = async {
            while quiltwork_worker::sent_bytes() < 20 << 20 {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        soon("the first half to be passed on", relayed).await;
        soon("the rest", outgoing.write(bytes.slice(40 << 20..))).await.unwrap();
        outgoing.finish();
        (connection, to_second)
    };
    let follow = async {
        let begun = Call::new().stored::<Vec<u8>>(1, holders.clone());
        first.dispatch(2, "test::checksum", begun);
        // The source has accepted the first one before the second one comes.
        tokio::time::sleep(Duration::from_millis(50)).await;
        fetches(&mut second, &bytes, holders).await;
        assert_eq!(first.hear_more().await, Said::Copied(value(1)));
        assert_eq!(first.hear_result::<u64>(2).await, checksum(&bytes));
    };
    let (_connections, ()) = tokio::join!(serve, follow);
    for worker in [first, second] {
        worker.shut_down().await;
    }
}

#[tokio::test]
async fn who_was_sent_to_somebody_without_it_comes_back_and_insists() {
    let mut master = FakeMaster::new();
    let mut user = master.worker(1).await;
    let (source, poor, bytes) = (Peer::new(&master, 98), Peer::new(&master, 99), pattern(SIZE));
    let Holder::Worker { worker, address } = poor.holder else { panic!("it is a worker") };
    let holders = vec![source.holder.clone()];
    let serve = async {
        let connection = source.accept().await;
        let first = request(&connection).await;
        assert_eq!(asker(&first), Asker::Worker { worker: user_id(), insists: false });
        first.elsewhere(worker, address).await;
        let to_poor = poor.accept().await;
        request(&to_poor).await.missing().await;
        let second = request(&connection).await;
        assert_eq!(asker(&second), Asker::Worker { worker: user_id(), insists: true });
        second.found(Encoding::Raw, &bytes).await.unwrap();
        (connection, to_poor)
    };
    let (_connections, ()) = tokio::join!(serve, fetches(&mut user, &bytes, holders));
    user.shut_down().await;
}

/// The only worker of a test's master.
const fn user_id() -> WorkerId {
    WorkerId(1)
}
