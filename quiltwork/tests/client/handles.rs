//! What handles tell, and when they let go.
use crate::fake_master::{FakeMaster, task};
use crate::{add, total};
use quiltwork::{Error, ErrorKind, FailureKind, TaskFailure, as_completed, blocking};
use quiltwork_protocol::client_to_master::Question;
use quiltwork_protocol::master_to_client::{Answer, End};
use quiltwork_protocol::{ClientToMaster, MasterToClient};
use quiltwork_types::{Chapter, StoryEntry, TaskState, Time};
use std::time::Duration;

#[test]
fn a_result_can_be_waited_for_again_and_by_every_clone() {
    let mut master = FakeMaster::start();
    let client = master.client();
    let handle = client.submit(add(1_u64, 2));
    let clone = handle.clone();
    master.hear_tasks();
    assert!(!handle.is_done());
    master.finish(0, &3_u64);
    assert_eq!((handle.wait().unwrap(), handle.wait().unwrap(), clone.wait().unwrap()), (3, 3, 3));
    assert!(handle.is_done());
    drop(handle);
    assert_eq!(clone.wait().unwrap(), 3);
    drop(clone);
    assert_eq!(master.hear().0, ClientToMaster::Release { tasks: vec![task(0)] });
}

#[test]
fn a_handle_outlives_its_client_and_the_last_one_ends_the_link() {
    let mut master = FakeMaster::start();
    let client = master.client();
    let handle = client.submit(add(1_u64, 2));
    master.hear_tasks();
    drop(client);
    master.finish(0, &3_u64);
    assert_eq!(handle.wait().unwrap(), 3);
    drop(handle);
    assert_eq!(master.hear_rest(), [ClientToMaster::Release { tasks: vec![task(0)] }]);
}

#[test]
fn a_cancel_is_said_before_the_release() {
    let mut master = FakeMaster::start();
    let client = master.client();
    let handle = client.submit(add(1_u64, 2));
    master.hear_tasks();
    handle.cancel();
    drop(handle);
    assert_eq!(master.hear().0, ClientToMaster::Cancel { tasks: vec![task(0)] });
    assert_eq!(master.hear().0, ClientToMaster::Release { tasks: vec![task(0)] });
}

#[test]
fn a_failure_names_the_task_that_was_asked_for_and_the_one_that_failed() {
    let mut master = FakeMaster::start();
    let client = master.client();
    let first = client.submit(add(1_u64, 2));
    let second = client.submit(total([first.clone()]).named("sum of all"));
    let mut failure = TaskFailure::new(FailureKind::Panicked, task(0), "attempt to add with overflow");
    failure.name = "client::add".to_owned();
    for index in 0..2 {
        master.end(index, End::Failed(failure.clone()), vec![]);
    }
    let error = first.wait().unwrap_err();
    assert_eq!(error.to_string(), "task `add` (task 7.0) panicked: attempt to add with overflow");
    assert_eq!((error.kind(), error.is_retryable()), (ErrorKind::Task(FailureKind::Panicked), true));
    assert_eq!(
        second.wait().unwrap_err().to_string(),
        "task `sum of all` (task 7.1) was not run: its input `add` (task 7.0) panicked: attempt to add with overflow"
    );
}

#[test]
fn a_result_of_another_type_is_refused() {
    let mut master = FakeMaster::start();
    let client = master.client();
    let handle = client.submit(add(1_u64, 2));
    master.finish(0, &"three".to_owned());
    let error = handle.wait().unwrap_err();
    assert!(matches!(error, Error::Decode(_)) && error.to_string().contains("u64"), "{error}");
}

#[test]
fn everybody_hears_of_a_lost_link() {
    let mut master = FakeMaster::start();
    let client = master.client();
    let [early, late] = [client.submit(add(1_u64, 2)), client.submit(add(3_u64, 4))];
    master.finish(0, &3_u64);
    assert_eq!(early.wait().unwrap(), 3);
    master.cut();
    let asked = client.blocking().workers().unwrap_err();
    for error in [late.wait().unwrap_err(), asked, client.submit(add(1_u64, 1)).wait().unwrap_err()] {
        assert!(matches!(error, Error::ConnectionLost(_)) && error.is_retryable(), "{error}");
        assert!(error.hint().is_some_and(|hint| hint.contains("connect again")), "{error}");
        assert!(error.to_string().contains("has had enough"), "{error}");
    }
    assert_eq!(early.wait().unwrap(), 3, "what has arrived stays");
}

#[test]
fn a_wait_with_a_limit_ends_and_the_task_goes_on() {
    let mut master = FakeMaster::start();
    let client = master.client();
    let handle = client.submit(add(1_u64, 2));
    let error = handle.wait_timeout(Duration::from_millis(20)).unwrap_err();
    assert!(matches!(error, Error::Timeout(_)) && error.to_string().contains("`client::add` (task 7.0)"), "{error}");
    master.finish(0, &3_u64);
    assert_eq!(handle.wait_timeout(Duration::MAX).unwrap(), 3);
}

#[test]
fn handles_come_in_the_order_in_which_tasks_end() {
    let mut master = FakeMaster::start();
    let client = master.client();
    let mut completed = blocking::as_completed(client.map(0..3_u64, |n| add(n, n)));
    for index in [2, 0, 1] {
        master.finish(index, &u64::from(2 * index));
        let (place, handle) = completed.next().unwrap();
        assert_eq!((place, handle.wait().unwrap()), (index as usize, u64::from(2 * index)));
    }
    assert!(completed.next().is_none());
}

#[tokio::test]
async fn handles_and_completions_are_futures() {
    let mut master = FakeMaster::start();
    let client = master.client();
    let handles = client.map(0..2_u64, |n| add(n, n));
    let second = handles[1].clone();
    let waiting = tokio::spawn(async move { (&second).await });
    let mut completed = as_completed(handles.clone());
    master.finish(1, &2_u64);
    assert_eq!(completed.next().await.unwrap().0, 1);
    assert_eq!(waiting.await.unwrap().unwrap(), 2);
    // A `next` that is given up loses nothing.
    assert!(tokio::time::timeout(Duration::from_millis(5), completed.next()).await.is_err());
    master.finish(0, &0_u64);
    handles[0].ready().await;
    assert_eq!(completed.next().await.unwrap().0, 0);
    assert_eq!(client.gather(handles).await.unwrap(), [0, 2]);
}

#[test]
fn gathering_ends_with_the_first_failure_that_is_heard_of() {
    let mut master = FakeMaster::start();
    let client = master.client();
    let handles = client.map(0..3_u64, |n| add(n, n));
    let failure = TaskFailure::new(FailureKind::Poisoned, task(2), "");
    master.end(2, End::Failed(failure), vec![]);
    let error = client.blocking().gather(handles).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Task(FailureKind::Poisoned));
}

#[test]
fn progress_is_the_latest_that_was_heard() {
    let mut master = FakeMaster::start();
    let client = master.client();
    let handle = client.submit(add(1_u64, 2));
    assert_eq!(handle.progress(), None);
    master.say(MasterToClient::Progress { reports: vec![(task(0), 1, 4), (task(0), 3, 4), (task(5), 1, 1)] }, vec![]);
    master.finish(0, &3_u64);
    handle.wait().unwrap();
    assert_eq!(handle.progress(), Some((3, 4)));
}

#[test]
fn questions_get_their_own_answers() {
    let mut master = FakeMaster::start();
    let client = master.client();
    let handle = client.submit(add(1_u64, 2));
    master.hear_tasks();
    let asking = {
        let client = client.blocking();
        std::thread::spawn(move || client.story(&handle))
    };
    let (message, _) = master.hear();
    let ClientToMaster::Ask { question, about: Question::Story(about) } = message else { panic!("{message:?}") };
    assert_eq!(about, task(0));
    let submitted = StoryEntry { at: Time(1_500_000), chapter: Chapter::Submitted };
    for (number, state) in [(question + 1, TaskState::Lost), (question, TaskState::Queued)] {
        let answer = Answer::Story(Some((state, vec![submitted])));
        master.say(MasterToClient::Answer { question: number, answer }, vec![]);
    }
    let story = asking.join().unwrap().unwrap();
    assert_eq!(story.to_string(), "task 7.0 is queued\n    0.001500 s  submitted");
}

#[test]
fn a_ticket_of_another_cluster_does_not_let_in() {
    let (here, there) = (FakeMaster::start(), FakeMaster::start());
    let [mut mixed, other]: [quiltwork::Ticket; 2] = [&here, &there].map(|master| master.ticket.parse().unwrap());
    mixed.master = other.master;
    let error = quiltwork::Client::connect_blocking(&mixed.to_string()).unwrap_err();
    assert!(matches!(error, Error::Refused(_)) && !error.is_retryable(), "{error:?}");
    assert!(error.hint().is_some(), "{error}");
}

#[test]
fn there_is_no_current_client_outside_of_a_worker() {
    let error = quiltwork::Client::current().unwrap_err();
    assert!(matches!(error, Error::Invalid(_)) && error.hint().is_some(), "{error}");
}
