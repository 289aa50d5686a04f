//! The first words: who is welcome, who is told why not.
use crate::support::{Cluster, Note, hello, note, soon, welcome};
use quiltwork_protocol::{BUILD, Hello, RefusalKind, VERSION_MAX, VersionRange};
use quiltwork_transport::{ConnectError, JoinError, MeetError, Role, join, meet};

#[tokio::test]
async fn the_hello_and_the_welcome_arrive_and_the_version_is_agreed() {
    let cluster = Cluster::new();
    let (at_master, at_client) = soon(cluster.connect()).await;
    let said = Hello { versions: VersionRange { min: 0, max: VERSION_MAX + 5 }, ..hello() };
    let serve = async {
        let guest = meet(at_master).await.unwrap();
        assert_eq!(guest.hello, said);
        assert_eq!(guest.connection().peer_role(), Role::Client);
        assert_eq!(guest.version(), VERSION_MAX);
        guest.welcome::<Note, Note>(welcome()).await.unwrap()
    };
    let (link, joined) = soon(async { tokio::join!(serve, join::<Note, Note>(at_client, said.clone())) }).await;
    let (heard, mut mine) = joined.unwrap();
    assert_eq!(heard.version, VERSION_MAX);
    assert_eq!((heard.epoch, heard.you, heard.value_limit), (welcome().epoch, welcome().you, welcome().value_limit));
    link.sender.push(&note(1)).unwrap();
    let mut got = Vec::new();
    soon(mine.receiver.receive(&mut got)).await.unwrap();
    assert_eq!(got, [note(1)]);
}

#[tokio::test]
async fn a_peer_of_another_version_hears_both_builds_and_both_ranges() {
    let cluster = Cluster::new();
    let (at_master, at_client) = soon(cluster.connect()).await;
    let future = Hello { versions: VersionRange { min: 400, max: 402 }, build: "quiltwork 9.9.9".into(), ..hello() };
    let (met, joined) = soon(async { tokio::join!(meet(at_master), join::<Note, Note>(at_client, future)) }).await;
    let JoinError::Refused(kind, text) = joined.unwrap_err() else { panic!("not refused") };
    assert_eq!(kind, RefusalKind::Version);
    for part in [BUILD, "quiltwork 9.9.9", &VersionRange::OURS.to_string(), "400 to 402", "hint: "] {
        assert!(text.contains(part), "{part} is missing in: {text}");
    }
    assert!(matches!(met.unwrap_err(), MeetError::Version(told) if told == text));
}

#[tokio::test]
async fn a_refused_guest_hears_why_before_the_connection_ends() {
    let cluster = Cluster::new();
    let (at_master, at_client) = soon(cluster.connect()).await;
    let serve = async { meet(at_master.clone()).await.unwrap().refuse(RefusalKind::Full, "no room".into()).await };
    let ((), joined) = soon(async { tokio::join!(serve, join::<Note, Note>(at_client.clone(), hello())) }).await;
    let error = joined.unwrap_err();
    assert!(matches!(&error, JoinError::Refused(RefusalKind::Full, text) if text == "no room"), "{error:?}");
    assert!(at_master.is_closed() && at_client.is_closed());
}

#[tokio::test]
async fn a_master_that_goes_away_before_it_answers_is_noticed() {
    let cluster = Cluster::new();
    let (at_master, at_client) = soon(cluster.connect()).await;
    let leave = async {
        let guest = meet(at_master.clone()).await.unwrap();
        at_master.close("restarting");
        drop(guest);
    };
    let ((), joined) = soon(async { tokio::join!(leave, join::<Note, Note>(at_client, hello())) }).await;
    let error = joined.unwrap_err();
    assert!(matches!(&error, JoinError::Lost(reason) if reason.contains("restarting")), "{error:?}");
}

#[tokio::test]
async fn calling_where_nobody_answers_says_so_with_a_hint() {
    let cluster = Cluster::new();
    let mute = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = mute.local_addr().unwrap();
    let error = soon(cluster.client.connect(address, Role::Master)).await.unwrap_err();
    assert!(matches!(error, ConnectError::Silent { .. }), "{error:?}");
    let text = error.to_string();
    assert!(text.starts_with(&format!("no quiltwork master answers at {address}")), "{text}");
    assert!(text.contains("hint: "), "{text}");
}

#[tokio::test]
async fn a_closed_endpoint_tells_its_peers_and_takes_no_more() {
    let cluster = Cluster::new();
    let (_at_master, at_client) = soon(cluster.connect()).await;
    soon(cluster.master.close("the master shuts down")).await;
    assert!(soon(at_client.closed()).await.contains("the master shuts down"));
    assert!(soon(cluster.master.accept()).await.is_none());
}
