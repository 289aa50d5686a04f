//! Every enum that travels, with all its variants: one that is added and not listed here does not compile.
use crate::exemplars;
use crate::specimen::Specimen;
use quiltwork_protocol::client_to_master::{Argument, Question};
use quiltwork_protocol::master_to_client::{Answer, End};
use quiltwork_protocol::master_to_worker::{Duty, Input, Place};
use quiltwork_protocol::worker_to_master::{AttemptOutcome, Made};
use quiltwork_protocol::{
    Asker, BulkReply, BulkRequest, ClientToMaster, HelloReply, Holder, MasterToClient, MasterToWorker, Parcel, Purpose,
    RefusalKind, WorkerToMaster, You,
};
use quiltwork_types::{ActorName, Chapter, Encoding, FailureKind, TaskRole, TaskState};

/// An enum whose variants are known by name.
pub(crate) trait Listed: Sized {
    /// The enum and its variants.
    const ENUM: &str;
    const VARIANTS: &[&str];
    /// The name of this one.
    fn variant(&self) -> &'static str;
}

/// Lists the variants of enums; the match has no wildcard, so the list is complete or it does not compile.
macro_rules! list {
    ($($name:ident { $($variant:ident),* $(,)? })*) => {$(
        impl Listed for $name {
            const ENUM: &str = stringify!($name);
            const VARIANTS: &[&str] = &[$(stringify!($variant)),*];
            fn variant(&self) -> &'static str {
                match self { $(Self::$variant { .. } => stringify!($variant)),* }
            }
        }
    )*};
}

list! {
    ClientToMaster { DefineFunction, Submit, Put, Refer, UploadFailed, Cancel, Release, ReportMissing, Ask, Give }
    MasterToClient { Ended, WorkersLost, Progress, Answer }
    MasterToWorker {
        DefineFunction, Dispatch, Recall, Cancel, Superseded, Free, Inherit, Adopt, ClearAway, WorkersLost, Shutdown,
    }
    WorkerToMaster {
        Started, Ended, Returned, InputsMissing, Copied, NotInherited, NotAdopted, Lent, Reclaimed, Progress, Pressed,
        Relieved, OutOfMemory,
    }
    HelloReply { Welcome, Refused }
    BulkRequest { Fetch, Upload }
    BulkReply { Found, Missing, Elsewhere, Stored, Refused }
    Asker { Reader, Worker }
    Purpose { Client, Worker }
    RefusalKind { Version, Role, Full }
    You { Client, Worker }
    Argument { Literal, Value, Values, Reference, References }
    Question { Workers, Story, Holders }
    Answer { Workers, Story, Holders }
    End { Inline, Stored, Failed }
    Input { Literal, Value, Values, Reference, References }
    Place { Inline, Stored, Coming }
    AttemptOutcome { Finished, Failed }
    Made { Inline, Stored }
    Holder { Master, Worker }
    Encoding { Bincode, Raw, Pickle, Actor, MessagePack, Array }
    TaskRole { Plain, Actor, Call, Reference }
    ActorName { Task, Given }
    Duty { Task, Actor, Call }
    TaskState { Waiting, Queued, Assigned, Running, Finished, Failed, Cancelled, Lost }
    Chapter {
        Submitted, Queued, Assigned, Started, Returned, Finished, Retrying, Failed, WorkerLost, ValueLost, Cancelled,
    }
    FailureKind {
        Error, Panicked, UnknownTask, BadArgument, ResultTooLarge, StoreFull, Cancelled, Poisoned, ValueLost,
        NoSuchResources, Refused, OutOfMemory, ActorLost, ActorDied, ActorFull, TimedOut,
    }
}

/// Everything that has a line in the golden file, in its order.
pub(crate) fn specimens() -> Vec<Specimen> {
    let mut all = vec![Specimen::head("Hello".to_owned(), exemplars::hello())];
    all.extend(whole(exemplars::hello_replies(), Specimen::head));
    all.extend(whole(exemplars::bulk_requests(), Specimen::head));
    all.extend(whole(exemplars::bulk_replies(), Specimen::head));
    all.extend(parcels(exemplars::client_to_master()));
    all.extend(parcels(exemplars::master_to_client()));
    all.extend(parcels(exemplars::master_to_worker()));
    all.extend(parcels(exemplars::worker_to_master()));
    all.extend(parts());
    all
}

/// The enums inside the messages: the number of each variant is part of the wire too.
fn parts() -> Vec<Specimen> {
    let mut all = Vec::new();
    all.extend(whole(exemplars::purposes(), Specimen::head));
    all.extend(whole(exemplars::refusal_kinds(), Specimen::head));
    all.extend(whole(exemplars::yous(), Specimen::head));
    all.extend(whole(exemplars::arguments(), Specimen::head));
    all.extend(whole(exemplars::questions(), Specimen::head));
    all.extend(whole(exemplars::answers(), Specimen::head));
    all.extend(whole(exemplars::ends(), Specimen::head));
    all.extend(whole(exemplars::inputs(), Specimen::head));
    all.extend(whole(exemplars::places(), Specimen::head));
    all.extend(whole(exemplars::attempt_outcomes(), Specimen::head));
    all.extend(whole(exemplars::mades(), Specimen::head));
    all.extend(whole(exemplars::holders(), Specimen::head));
    all.extend(whole(exemplars::askers(), Specimen::head));
    all.extend(whole(exemplars::encodings(), Specimen::head));
    all.extend(whole(exemplars::task_roles(), Specimen::head));
    all.extend(whole(exemplars::actor_names(), Specimen::head));
    all.extend(whole(exemplars::duties(), Specimen::head));
    all.extend(whole(exemplars::task_states(), Specimen::head));
    all.extend(whole(exemplars::chapters(), Specimen::head));
    all.extend(whole(exemplars::failure_kinds(), Specimen::head));
    all
}

fn parcels<M>(exemplars: Vec<Parcel<M>>) -> Vec<Specimen>
where
    M: quiltwork_protocol::Message + Listed + Clone + std::fmt::Debug + PartialEq + Sync,
{
    complete::<M>(exemplars.iter().map(|parcel| parcel.message.variant()));
    let name = |parcel: &Parcel<M>| format!("{}.{}", M::ENUM, parcel.message.variant());
    exemplars.into_iter().map(|parcel| Specimen::parcel(name(&parcel), parcel)).collect()
}

fn whole<T: Listed>(exemplars: Vec<T>, specimen: impl Fn(String, T) -> Specimen) -> Vec<Specimen> {
    complete::<T>(exemplars.iter().map(Listed::variant));
    let name = |exemplar: &T| format!("{}.{}", T::ENUM, exemplar.variant());
    exemplars.into_iter().map(|exemplar| specimen(name(&exemplar), exemplar)).collect()
}

/// Demands one exemplar per variant, in the order of their declaration.
fn complete<T: Listed>(shown: impl Iterator<Item = &'static str>) {
    let shown: Vec<_> = shown.collect();
    assert_eq!(shown, T::VARIANTS, "every variant of {} needs one exemplar in tests/wire/exemplars.rs", T::ENUM);
}
