//! The round loop: deadlines and quorums with a team that does as it is told, early stops, and settings that make no sense.
use quiltwork::train::{
    self, Absence, Assignment, Better, EarlyStop, Ending, Error, Metrics, Outcome, Parameters, Plan, Reply, Result,
    Round, RoundReport, Strategy, Team, Tensor, Trainer, Update, WeightedAverage,
};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::time::Instant;

fn model(x: f64) -> Parameters {
    [("x".to_owned(), Tensor::new([1], vec![x]).expect("one element"))].into_iter().collect()
}

/// What a partition does in every round.
#[derive(Clone, Copy)]
enum Part {
    /// Answers with this number after so many seconds.
    Answers(u64, f64),
    /// Fails after so many seconds.
    Fails(u64),
    Hangs,
}

/// A team by the script, on tokio's paused clock.
struct Script {
    parts: Vec<Part>,
    waiting: Vec<(Instant, Reply)>,
    abandoned: Arc<Mutex<u32>>,
}

impl Script {
    fn new(parts: impl Into<Vec<Part>>) -> Self {
        Self { parts: parts.into(), waiting: Vec::new(), abandoned: Arc::default() }
    }
}

impl Team for Script {
    fn partitions(&self) -> u32 {
        u32::try_from(self.parts.len()).expect("a handful")
    }

    fn start(&mut self, _: &Parameters, assignments: &[Assignment]) -> Result<()> {
        let reply = |assignment: &Assignment| {
            let (seconds, result) = match self.parts[assignment.partition as usize] {
                Part::Answers(seconds, x) => (seconds, Ok(Update::new(model(x), 1, Metrics::new()))),
                Part::Fails(seconds) => {
                    (seconds, Err(Absence::Failed { message: "no luck".to_owned(), retryable: true }))
                }
                Part::Hangs => return None,
            };
            Some((Instant::now() + Duration::from_secs(seconds), Reply { partition: assignment.partition, result }))
        };
        self.waiting = assignments.iter().filter_map(reply).collect();
        self.waiting.sort_by_key(|(at, _)| *at);
        Ok(())
    }

    async fn reply(&mut self) -> Reply {
        match self.waiting.first() {
            Some((at, _)) => tokio::time::sleep_until(*at).await,
            None => std::future::pending().await,
        }
        self.waiting.remove(0).1
    }

    fn abandon(&mut self) {
        *self.abandoned.lock().expect("nobody panics") += 1;
    }
}

const LATE: Option<&Absence> = Some(&Absence::Late);

#[tokio::test(start_paused = true)]
async fn a_round_goes_on_without_the_late_when_its_quorum_is_met() {
    let team = Script::new([Part::Answers(1, 1.0), Part::Hangs, Part::Answers(9, 100.0), Part::Answers(2, 3.0)]);
    let abandoned = Arc::clone(&team.abandoned);
    let trainer = Trainer::new(model(0.0)).rounds(2).deadline(Duration::from_secs(5)).quorum(2);
    let started = Instant::now();
    let outcome = trainer.fit(team).await.expect("the quorum is met");

    assert_eq!(outcome.parameters, model(2.0), "the average of those who answered in time");
    for report in &outcome.history {
        assert_eq!(report.trained, 2);
        assert_eq!((report.absences.get(&1), report.absences.get(&2)), (LATE, LATE));
    }
    assert_eq!(started.elapsed().as_secs(), 2 * 5, "each round waits for its deadline");
    assert_eq!(*abandoned.lock().expect("nobody panics"), 2, "what is late is given up");
}

#[tokio::test(start_paused = true)]
async fn a_round_does_not_wait_for_its_deadline_when_all_have_answered() {
    let team = Script::new([Part::Answers(1, 1.0), Part::Fails(3), Part::Answers(2, 3.0)]);
    let started = Instant::now();
    let outcome =
        Trainer::new(model(0.0)).deadline(Duration::from_secs(60)).quorum(2).fit(team).await.expect("quorum met");
    assert_eq!(started.elapsed().as_secs(), 3);
    assert_eq!(outcome.parameters, model(2.0));
    assert!(matches!(outcome.history[0].absences.get(&1), Some(Absence::Failed { .. })));
}

#[tokio::test(start_paused = true)]
async fn a_deadline_without_the_quorum_ends_the_training_and_says_who_was_missing() {
    let team = Script::new([Part::Answers(1, 1.0), Part::Hangs, Part::Fails(2)]);
    let trainer = Trainer::new(model(0.0)).deadline(Duration::from_secs(5)).quorum(2);
    let error = trainer.fit(team).await.expect_err("one is not two");
    assert!(error.is_retryable());
    let text = error.to_string();
    let expected = "round 1: 1 partitions trained, but the quorum is 2\n  \
                    partition 1: had not answered by the deadline\n  partition 2: no luck\n  hint: ";
    assert!(text.starts_with(expected), "{text}");
}

#[tokio::test(start_paused = true)]
async fn a_round_ends_at_once_when_its_quorum_is_out_of_reach() {
    let team = Script::new([Part::Answers(60, 1.0), Part::Fails(2), Part::Answers(1, 2.0)]);
    let started = Instant::now();
    let error = Trainer::new(model(0.0)).fit(team).await.expect_err("all were needed");
    assert_eq!(started.elapsed().as_secs(), 2);
    let Error::Quorum { round: 1, trained: 1, quorum: 3, absences } = error else { panic!("{error}") };
    assert_eq!(absences.get(&0), Some(&Absence::Abandoned));
}

/// Asks for the partitions it is given, in whatever order.
struct Planned(Vec<u32>);

impl Strategy for Planned {
    fn name(&self) -> &'static str {
        "planned"
    }

    fn plan(&self, round: &Round<'_>) -> Plan {
        Plan { assignments: self.0.iter().map(|&partition| round.assign(partition)).collect() }
    }

    fn merge(&mut self, round: &Round<'_>, replies: &[Reply]) -> Result<Parameters> {
        let order: Vec<u32> = replies.iter().map(|reply| reply.partition).collect();
        assert!(order.is_sorted(), "replies stand in partition order: {order:?}");
        WeightedAverage.merge(round, replies)
    }
}

#[tokio::test(start_paused = true)]
async fn a_strategy_decides_who_trains() {
    let parts = [Part::Answers(2, 1.0), Part::Hangs, Part::Answers(1, 5.0)];
    let trainer = Trainer::new(model(0.0)).strategy(Planned(vec![2, 0]));
    let outcome = trainer.fit(Script::new(parts)).await.expect("partition 1 is not asked");
    assert_eq!(outcome.parameters, model(3.0));

    for (plan, reason) in [
        (vec![], "the plan lets nobody train"),
        (vec![0, 0], "the plan names partition 0 twice"),
        (vec![3], "the plan names partition 3, but there are 3"),
    ] {
        let trainer = Trainer::new(model(0.0)).strategy(Planned(plan));
        let error = trainer.fit(Script::new(parts)).await.expect_err("not a plan");
        assert_eq!(error.to_string(), format!("round 1: {reason}"));
    }
}

/// Trains one number serially; the evaluation reads its course from a list.
fn along(course: &[f64], trainer: Trainer<'_>) -> Result<Outcome> {
    let mut course = course.iter();
    let evaluate =
        |_: &Parameters| course.next().map(|&y| Metrics::from([("y".to_owned(), y)])).ok_or("the course is over");
    train::serial(trainer.rounds(20).evaluate(evaluate), &[()], |_, model, ()| {
        Ok::<_, Error>(Update::new(model.clone(), 1, Metrics::from([("z".to_owned(), 0.0)])))
    })
}

#[test]
fn training_stops_early_for_a_reason() {
    let stop_after = |course: &[f64], stop: EarlyStop| {
        let outcome = along(course, Trainer::new(model(0.0)).stop(stop)).expect("it stops in time");
        (outcome.history.len(), outcome.ending)
    };
    let (reached, stalled) = (Ending::Reached("y".to_owned()), Ending::Stalled("y".to_owned()));
    let higher = EarlyStop::reaching("y", Better::Higher, 0.9);
    assert_eq!(stop_after(&[0.5, f64::NAN, 0.9, 1.0], higher), (3, reached.clone()));
    let lower = EarlyStop::reaching("y", Better::Lower, 0.1);
    assert_eq!(stop_after(&[0.5, 0.2, 0.05], lower), (3, reached));
    let stall = EarlyStop::stalling("y", Better::Lower, 2);
    assert_eq!(stop_after(&[0.5, 0.6, 0.4, 0.4, f64::NAN, 0.1], stall), (5, stalled));
}

#[test]
fn an_early_stop_over_an_unknown_metric_names_the_known_ones() {
    let trainer = Trainer::new(model(0.0)).stop(EarlyStop::reaching("accuracy", Better::Higher, 1.0));
    let text = along(&[0.0], trainer).expect_err("no such metric").to_string();
    assert!(text.contains("`accuracy`, which round 1 does not have; it has `y`, `z`"), "{text}");
}

#[test]
fn a_failing_evaluation_ends_the_training() {
    let text = along(&[0.0], Trainer::new(model(0.0))).expect_err("the second round is not on the course").to_string();
    assert_eq!(text, "round 2: the evaluation failed: the course is over");
}

#[test]
fn metrics_are_means_weighted_by_samples_and_observers_hear_of_every_round() {
    let mut heard = Vec::new();
    let trainer = Trainer::new(model(0.0)).rounds(3).observe(|report: &RoundReport| heard.push(report.clone()));
    let outcome = train::serial(trainer, &[(1, 8.0), (3, 4.0)], |_, model, &(samples, loss)| {
        let metrics = Metrics::from([("loss".to_owned(), loss)]);
        Ok::<_, Error>(Update::new(model.clone(), samples, metrics))
    });
    let history = outcome.expect("nothing fails").history;
    assert_eq!(
        history.iter().map(|report| (report.round, report.samples)).collect::<Vec<_>>(),
        [(1, 4), (2, 4), (3, 4)]
    );
    assert_eq!(history[0].metric("loss"), Some(5.0));
    assert_eq!(heard, history);
}

#[test]
fn a_diverging_partition_is_named() {
    let error = train::serial(Trainer::new(model(0.0)), &[1.0, f64::INFINITY], |_, _, &x| {
        Ok::<_, Error>(Update::new(model(x), 1, Metrics::new()))
    });
    let text = error.expect_err("infinity is no parameter").to_string();
    assert!(text.starts_with("tensor `x` of partition 1 is not finite\n  hint: "), "{text}");
}

#[test]
fn every_assignment_has_a_seed_of_its_own_and_the_same_in_every_run() {
    let seeds = |seed: u64| {
        let mut seeds = Vec::new();
        train::serial(Trainer::new(model(0.0)).rounds(5).seed(seed), &[(); 4], |assignment, model, ()| {
            seeds.push(assignment.seed);
            Ok::<_, Error>(Update::new(model.clone(), 1, Metrics::new()))
        })
        .expect("nothing fails");
        seeds
    };
    let mut all = [seeds(0), seeds(1)].concat();
    assert_eq!(seeds(1), all[20..]);
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), 40);
}

#[tokio::test]
async fn settings_that_make_no_sense_are_refused_at_once() {
    let refused = async |trainer: Trainer<'_>, parts: &[Part]| match trainer.fit(Script::new(parts)).await {
        Err(error @ (Error::Setup(_) | Error::NotFinite { .. })) => error.to_string(),
        other => panic!("{other:?}"),
    };
    let new = || Trainer::new(model(0.0));
    let two = [Part::Hangs, Part::Hangs];
    assert_eq!(refused(new(), &[]).await, "cannot train: there are no partitions");
    assert_eq!(
        refused(new().quorum(0), &two).await,
        "cannot train: a quorum of 0 partitions leaves nothing to average"
    );
    assert_eq!(refused(new().quorum(3), &two).await, "cannot train: a quorum of 3 cannot be met by 2 partitions");
    let empty = Trainer::new(Parameters::new());
    assert_eq!(refused(empty, &two).await, "cannot train: the model has no parameters");
    assert!(refused(Trainer::new(model(f64::NAN)), &two).await.contains("tensor `x` of the initial model"));
}
