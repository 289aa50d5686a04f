//! Which thread drives the worker is nobody's business: whatever runs, the worker hears, and nothing waits for a wake-up that
//! does not come.
use crate::master::{Call, FakeMaster, Said, Worker, attempt};
use crate::tasks::open;
use quiltwork_protocol::MasterToWorker;
use quiltwork_types::FailureKind;

/// Short tasks, one after the other: after these a slot thread drives.
async fn warm_up(worker: &mut Worker, first: u32) {
    for index in first..first + 10 {
        worker.dispatch(index, "test::add", Call::new().literal(&index).literal(&1_u32));
        assert_eq!(worker.hear_result::<u32>(index).await, index + 1);
    }
}

#[tokio::test]
async fn a_function_that_runs_long_after_short_ones_delays_no_start_and_no_cancel() {
    let mut worker = FakeMaster::new().worker(1).await;
    for round in 0..5 {
        let first = round * 100;
        warm_up(&mut worker, first).await;
        // It ends only because it is cancelled.
        worker.dispatch(first + 50, "test::until_cancelled", Call::new());
        worker.hear_start(first + 50).await;
        worker.say(MasterToWorker::Cancel { attempts: vec![attempt(first + 50)] });
        assert!(matches!(worker.hear_more().await, Said::Finished(ended, ..) if ended == attempt(first + 50)));
    }
    worker.shut_down().await;
}

#[tokio::test]
async fn while_a_function_runs_long_another_slot_and_the_queue_go_on() {
    let mut worker = FakeMaster::new().worker(2).await;
    for round in 0..5 {
        let first = round * 100;
        warm_up(&mut worker, first).await;
        let gate = 700 + round;
        worker.dispatch(first + 50, "test::wait", Call::new().literal(&gate));
        worker.hear_start(first + 50).await;
        warm_up(&mut worker, first + 60).await;
        worker.dispatch(first + 80, "test::until_cancelled", Call::new());
        worker.hear_start(first + 80).await;
        worker.dispatch(first + 81, "test::add", Call::new().literal(&1_u32).literal(&1_u32));
        worker.say(MasterToWorker::Cancel { attempts: vec![attempt(first + 80), attempt(first + 81)] });
        let mut ends = Vec::new();
        while ends.len() < 2 {
            match worker.hear_more().await {
                Said::Finished(ended, ..) => ends.push((ended, None)),
                Said::Failed(ended, failure) => ends.push((ended, Some(failure.kind))),
                other => panic!("{other:?}"),
            }
        }
        ends.sort_unstable_by_key(|(ended, _)| *ended);
        assert_eq!(ends, [(attempt(first + 80), None), (attempt(first + 81), Some(FailureKind::Cancelled))]);
        open(gate);
        assert!(worker.hear_result::<bool>(first + 50).await);
    }
    worker.shut_down().await;
}

#[tokio::test]
async fn few_and_many_at_a_time_on_several_slots_end_once_each() {
    let mut worker = FakeMaster::new().worker(3).await;
    let mut given = 0;
    for size in [1, 2, 1, 3, 5, 1, 20, 1, 1, 2].into_iter().cycle().take(300) {
        worker.dispatch_all((given..given + size).map(|index| (index, "test::nothing", Call::new())).collect());
        let mut waited_for: Vec<_> = (given..given + size).map(attempt).collect();
        while !waited_for.is_empty() {
            match worker.hear_more().await {
                Said::Finished(ended, ..) => {
                    let place = waited_for.iter().position(|known| *known == ended).expect("it has not ended before");
                    waited_for.swap_remove(place);
                }
                other => panic!("{other:?}"),
            }
        }
        given += size;
    }
    worker.shut_down().await;
}
