//! Functions of another language: what an executor is given and may return, and what surrounds its threads.
use crate::master::{Call, FakeMaster, Said, attempt, value};
use bytes::Bytes;
use quiltwork_protocol::MasterToWorker;
use quiltwork_protocol::worker_to_master::Made;
use quiltwork_transport::{Endpoint, Role};
use quiltwork_types::{AttemptId, Encoding, TaskFailure};
use quiltwork_worker::{Argument, Arguments, Executor, Product, TaskError};
use std::cell::Cell;
use std::sync::Mutex;

thread_local! {
    static HOSTED: Cell<bool> = const { Cell::new(false) };
}

/// What this process's executors were told to interrupt.
static INTERRUPTED: Mutex<Vec<AttemptId>> = Mutex::new(Vec::new());

/// Its functions are called by what they do with their arguments' bytes.
struct Foreign;

impl Executor for Foreign {
    fn execute(&self, function: &str, arguments: &mut Arguments) -> Result<Product, TaskError> {
        assert!(HOSTED.get(), "the thread is one that was prepared");
        let given: Vec<Bytes> = arguments.rest().map(bytes_of).collect();
        match function {
            "pieces" => Ok(Product::Pieces(Encoding::Pickle, given)),
            "repeat" => Ok(Product::Pieces(Encoding::Pickle, vec![given[0].clone(); 10_000])),
            other => Err(TaskError::Raised {
                message: format!("{other} is not for me"),
                type_name: "Refusal".into(),
                location: None,
                original: b"all of it".to_vec(),
            }),
        }
    }

    fn interrupt(&self, attempt: AttemptId) {
        INTERRUPTED.lock().unwrap().push(attempt);
    }

    fn host(&self, work: &mut (dyn FnMut() + Send)) {
        HOSTED.set(true);
        work();
    }
}

fn bytes_of(argument: Argument) -> Bytes {
    match argument {
        Argument::One((_, bytes)) => bytes,
        other => panic!("these tests give literals only, not {other:?}"),
    }
}

#[tokio::test]
async fn pieces_of_a_value_are_joined_wherever_it_is_kept() {
    let mut master = FakeMaster::new();
    let mut worker = master.worker_with(1, |config| quiltwork_worker::run_with(config, Box::new(Foreign))).await;
    worker.dispatch(1, "pieces", Call::new().literal(&1_u8).literal(&2_u8));
    let small = Bytes::from_static(&[1, 2]);
    assert_eq!(worker.hear_more().await, Said::Finished(attempt(1), Encoding::Pickle, Made::Inline, Some(small)));
    worker.dispatch(2, "repeat", Call::new().literal(&7_u8));
    assert_eq!(worker.hear_more().await, Said::Finished(attempt(2), Encoding::Pickle, Made::Stored, None));

    let endpoint = Endpoint::bind(([127, 0, 0, 1], 0).into(), &master.identity(Role::Client)).unwrap();
    let connection = endpoint.connect(worker.address, Role::Worker).await.unwrap();
    let (encoding, bytes) = connection.fetch(value(2), u64::MAX).await.unwrap().expect("it was stored");
    assert_eq!((encoding, &bytes[..]), (Encoding::Pickle, &[7; 10_000][..]));
}

#[tokio::test]
async fn what_another_language_raises_travels_whole() {
    let mut master = FakeMaster::new();
    let mut worker = master.worker_with(1, |config| quiltwork_worker::run_with(config, Box::new(Foreign))).await;
    worker.dispatch(1, "else", Call::new());
    let TaskFailure { message, details, original, .. } = worker.hear_failure(1).await;
    assert_eq!((message.as_str(), &details[..]), ("else is not for me", &["error type: Refusal".to_owned()][..]));
    assert_eq!(original.as_deref(), Some(&b"all of it"[..]));
}

#[tokio::test]
async fn an_executor_is_told_what_nobody_wants_any_more() {
    let mut master = FakeMaster::new();
    let mut worker = master.worker_with(1, |config| quiltwork_worker::run_with(config, Box::new(Foreign))).await;
    worker.say(MasterToWorker::Cancel { attempts: vec![attempt(77)] });
    worker.dispatch(1, "pieces", Call::new());
    // Messages are obeyed in their order.
    assert!(matches!(worker.hear_more().await, Said::Finished(..)));
    assert!(INTERRUPTED.lock().unwrap().contains(&attempt(77)));
}
