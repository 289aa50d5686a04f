//! Clients in the master's own process: through its doorway, and only with the number of what was left there.
use crate::harness::{Cluster, join, within};
use quiltwork_master::Ear;
use quiltwork_protocol::client_to_master::Question;
use quiltwork_protocol::master_to_client::Answer;
use quiltwork_protocol::{ClientToMaster, MasterToClient, Parcel, Purpose, RefusalKind};
use quiltwork_transport::{JoinError, Role};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// Passes on what it hears; the channel ends with it.
struct Listening(UnboundedSender<MasterToClient>);

impl Ear for Listening {
    fn hear(&self, parcel: Parcel<MasterToClient>) {
        drop(self.0.send(parcel.message));
    }
}

fn ear() -> (Box<Listening>, UnboundedReceiver<MasterToClient>) {
    let (told, heard) = unbounded_channel();
    (Box::new(Listening(told)), heard)
}

const fn inside(number: u64) -> Purpose {
    Purpose::Client { node: None, inside: Some(number) }
}

#[tokio::test]
async fn a_client_inside_speaks_and_hears_through_memory_until_the_master_ends() {
    let cluster = Cluster::start();
    let (ear, mut heard) = ear();
    let (left, sender) = cluster.master.doorway().leave(7, ear);
    let connection = cluster.connect(Role::Client).await;
    let link = join::<ClientToMaster, MasterToClient>(&connection, inside(left.number())).await.unwrap();
    drop((link, left));

    for question in 1..=3 {
        sender.push(&Parcel::bare(ClientToMaster::Ask { question, about: Question::Workers })).unwrap();
        let answer = MasterToClient::Answer { question, answer: Answer::Workers(Vec::new()) };
        assert_eq!(within(heard.recv()).await, Some(answer));
    }
    drop(cluster);
    assert_eq!(within(heard.recv()).await, None);
    assert!(sender.is_closed());
}

#[tokio::test]
async fn nobody_comes_in_under_a_number_nothing_was_left_for() {
    let cluster = Cluster::start();
    let (ear, mut heard) = ear();
    let (left, sender) = cluster.master.doorway().leave(7, ear);
    let guess = cluster.connect(Role::Client).await;
    let refused = join::<ClientToMaster, MasterToClient>(&guess, inside(8)).await;
    assert!(matches!(refused, Err(JoinError::Refused(RefusalKind::Role, _))), "{refused:?}");

    drop(left);
    assert_eq!(within(heard.recv()).await, None, "what was taken back hears nothing more");
    assert!(sender.is_closed());
    let connection = cluster.connect(Role::Client).await;
    let refused = join::<ClientToMaster, MasterToClient>(&connection, inside(7)).await;
    assert!(matches!(refused, Err(JoinError::Refused(RefusalKind::Role, _))), "{refused:?}");
}
