//! An actor in its worker: the user's object, and how its methods are run: in turn, side by side on threads, or as futures
//! of one event loop.
use super::ActorType;
use quiltwork_worker::{Arguments, Call, Calls, Instance, Product, TaskError};
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::Builder;
use tokio::task::{LocalSet, spawn_local};

/// A method of an actor of type `T`.
pub struct Method<T> {
    /// Its path, by which it is called.
    pub path: &'static str,
    /// How it runs.
    pub run: Run<T>,
}

/// What the work of an async method is.
type Work<'a> = Pin<Box<dyn Future<Output = Made> + 'a>>;
type Made = Result<Product, TaskError>;

/// The forms of methods.
pub enum Run<T> {
    /// `&mut self`: alone.
    Exclusive(fn(&mut T, &mut Arguments) -> Made),
    /// `&self` of a type with async methods: on the actor's thread, between them.
    Inline(fn(&T, &mut Arguments) -> Made),
    /// `&self` of another type: perhaps on a thread of its own.
    Shared(fn(Arc<T>, Call) -> Job),
    /// `async`, `&self`: beside others.
    Async(fn(Arc<T>, Arguments) -> Work<'static>),
    /// `async`, `&mut self`: alone.
    AsyncExclusive(for<'a> fn(&'a mut T, Arguments) -> Work<'a>),
}

/// A call that can run on any thread.
type Job = Box<dyn FnOnce() + Send>;

impl<T> Run<T> {
    pub(super) const fn is_async(&self) -> bool {
        matches!(self, Self::Async(_) | Self::AsyncExclusive(_) | Self::Inline(_))
    }

    /// How a `&self` method runs whose type can be shared between threads. It lets go of the object before it answers.
    pub const fn shared(run: fn(Arc<T>, Call) -> Job) -> Self
    where
        T: Send + Sync,
    {
        Self::Shared(run)
    }
}

/// Does the work of a `&self` method and lets go of the object before the call is answered.
pub fn job<T: Send + Sync + 'static>(object: Arc<T>, call: Call, run: fn(&T, &mut Arguments) -> Made) -> Job {
    Box::new(move || call.run(move |arguments| run(&object, arguments)))
}

/// The user's object in its worker.
pub struct Resident<T: ActorType> {
    /// Shared with the calls that run; a call that runs alone has it for itself.
    object: Arc<T>,
    helpers: Helpers,
}

impl<T: ActorType> Resident<T> {
    /// The object that the constructor has made.
    pub fn instance(object: T) -> Box<dyn Instance> {
        Box::new(Self { object: Arc::new(object), helpers: Helpers::default() })
    }

    /// The object for a call that runs alone: all others have been answered, and let go of it before.
    fn alone(&mut self) -> &mut T {
        Arc::get_mut(&mut self.object)
            .expect("no other call runs, and each lets go of the object before it is answered")
    }

    fn find(method: &str) -> Option<&'static Run<T>> {
        T::METHODS.iter().find(|known| known.path == method).map(|known| &known.run)
    }

    async fn serve_async(&mut self, calls: &mut Calls) {
        while let Some(call) = poll_fn(|context| calls.poll_next(context)).await {
            match Self::find(call.method()) {
                Some(Run::Async(run)) => {
                    let (object, run) = (Arc::clone(&self.object), *run);
                    spawn_local(call.drive(move |arguments| run(object, arguments)));
                }
                Some(Run::AsyncExclusive(run)) => {
                    poll_fn(|context| calls.poll_until_running(1, context)).await;
                    let (object, run) = (self.alone(), *run);
                    call.drive(move |arguments| run(object, arguments)).await;
                }
                Some(Run::Exclusive(_)) => {
                    poll_fn(|context| calls.poll_until_running(1, context)).await;
                    self.call(call);
                }
                _ => self.call(call),
            }
        }
        // They were told, and are given up where they wait.
        poll_fn(|context| calls.poll_until_running(0, context)).await;
    }
}

impl<T: ActorType> Instance for Resident<T> {
    /// Runs a call here and now.
    fn call(&mut self, call: Call) {
        match Self::find(call.method()) {
            Some(Run::Exclusive(run)) => {
                let object = self.alone();
                call.run(|arguments| run(object, arguments));
            }
            Some(Run::Inline(run)) => call.run(|arguments| run(&self.object, arguments)),
            Some(Run::Shared(run)) => run(Arc::clone(&self.object), call)(),
            Some(Run::Async(_) | Run::AsyncExclusive(_)) => {
                unreachable!("a type with async methods serves in its loop")
            }
            None => {
                let (actor, method) = (std::any::type_name::<T>(), call.method().to_owned());
                call.run(|_| Err(TaskError::NoSuchMethod { actor, method }));
            }
        }
    }

    fn serve(&mut self, calls: &mut Calls) {
        if T::METHODS.iter().any(|method| method.run.is_async()) {
            let local = LocalSet::new();
            return quiltwork_worker::block_on(local.run_until(self.serve_async(calls)));
        }
        let are_side_by_side = calls.max_concurrency() > 1;
        while let Some(call) = calls.next() {
            match Self::find(call.method()) {
                Some(Run::Shared(run)) if are_side_by_side => {
                    self.helpers.run(run(Arc::clone(&self.object), call), calls.max_concurrency());
                }
                _ => {
                    calls.wait_until_running(1);
                    self.call(call);
                }
            }
        }
    }
}

/// Threads that run calls beside each other: as many as ever were needed at a time. They end with the actor.
#[derive(Default)]
struct Helpers {
    jobs: Option<Sender<Job>>,
    /// Where they wait for jobs, one after the other.
    queue: Option<Arc<Mutex<Receiver<Job>>>>,
    threads: usize,
}

impl Helpers {
    /// Has a thread run the job; a new one for each of the first jobs, up to so many as may run at a time.
    fn run(&mut self, job: Job, most: usize) {
        let (jobs, queue) = (&mut self.jobs, &mut self.queue);
        if jobs.is_none() {
            let (sender, receiver) = mpsc::channel();
            (*jobs, *queue) = (Some(sender), Some(Arc::new(Mutex::new(receiver))));
        }
        if self.threads < most
            && let Some(queue) = queue
        {
            let queue = Arc::clone(queue);
            let helper = Builder::new().name("quiltwork-actor-helper".into()).spawn(move || help(&queue));
            self.threads += usize::from(helper.is_ok());
        }
        match jobs {
            Some(jobs) if self.threads > 0 => drop(jobs.send(job)),
            // The system gives no threads: in turn is better than not at all.
            _ => job(),
        }
    }
}

fn help(queue: &Mutex<Receiver<Job>>) {
    loop {
        // The lock is held while waiting: the others wait for the lock instead.
        let job = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        match job {
            Ok(job) => job(),
            Err(_) => return,
        }
    }
}
