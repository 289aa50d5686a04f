//! The strategies beyond plain averaging: identities, hand-computed sequences, published fixed points, hostile updates, resumes.
use proptest::prelude::*;
use quiltwork::train::{
    self, Absence, Assignment, Checkpoints, CoordinateMedian, Error, FedProx, Krum, Metrics, Outcome, Parameters,
    Reply, Result, Round, Scaffold, ServerOptimizer, Strategy, Tensor, Trainer, TrimmedMean, Update, WeightedAverage,
};
use std::path::Path;

fn vector(values: impl Into<Vec<f64>>) -> Parameters {
    let values = values.into();
    let tensor = Tensor::new([values.len()], values).expect("one dimension of that length");
    [("x".to_owned(), tensor)].into_iter().collect()
}

fn x(parameters: &Parameters) -> &[f64] {
    parameters.slice("x").expect("the only tensor there is")
}

fn reply(partition: u32, samples: u64, values: impl Into<Vec<f64>>) -> Reply {
    let update = Update::new(vector(values), samples, Metrics::new()).walked(0.5);
    Reply { partition, result: Ok(update) }
}

fn merge(strategy: &mut dyn Strategy, parameters: &Parameters, replies: &[Reply]) -> Result<Parameters> {
    let partitions = u32::try_from(replies.len()).expect("a handful");
    strategy.merge(&Round { number: 1, parameters, partitions, seed: 0 }, replies)
}

/// Trains on one number per partition, each of which makes a hundredth of the way to its number.
fn towards(trainer: Trainer<'_>, targets: &[f64]) -> Result<Outcome> {
    train::serial(trainer, targets, |assignment, model, target| {
        let mut parameters = model.clone();
        let now = &mut parameters.slice_mut::<f64>("x")?[0];
        let mut gradient = [*now - target];
        assignment.add_control("x", &mut gradient)?;
        *now -= 0.01 * gradient[0];
        Ok::<_, Error>(Update::new(parameters, 1, Metrics::new()).walked(0.01))
    })
}

/// The parameters after each of these pseudo-gradients, from 0.
fn sequence(mut strategy: ServerOptimizer, gradients: &[f64]) -> Vec<f64> {
    let mut now = 0.0;
    let step = |gradient: &f64| {
        let merged = merge(&mut strategy, &vector([now]), &[reply(0, 1, [now + gradient])]).expect("one update");
        now = x(&merged)[0];
        now
    };
    gradients.iter().map(step).collect()
}

#[track_caller]
fn assert_near(found: &[f64], expected: &[f64]) {
    assert_eq!(found.len(), expected.len());
    let near = found.iter().zip(expected).all(|(a, b)| (a - b).abs() <= 1e-12 * b.abs().max(1.0));
    assert!(near, "found {found:?}, expected {expected:?}");
}

#[test]
fn momentum_is_the_sequence_computed_by_hand() {
    // Velocities 1, 0.9 + 1, 1.71 + 1, 2.439 - 3; half of each is a step.
    let found = sequence(ServerOptimizer::fed_avg_m(0.5, 0.9), &[1.0, 1.0, 1.0, -3.0]);
    assert_near(&found, &[0.5, 1.45, 2.805, 2.5245]);
}

/// Algorithm 2 of Reddi et al. (2021), written down once more, for one number.
fn published(gradients: &[f64], beta: (f64, f64), second: impl Fn(f64, f64) -> f64) -> Vec<f64> {
    let (mut m, mut v, mut x) = (0.0, 1e-3_f64 * 1e-3, 0.0);
    let step = |gradient: &f64| {
        m = beta.0 * m + (1.0 - beta.0) * gradient;
        v = second(v, gradient * gradient);
        x += 0.1 * m / (v.sqrt() + 1e-3);
        x
    };
    gradients.iter().map(step).collect()
}

#[test]
fn adaptive_rates_are_those_of_the_published_algorithm() {
    let gradients = [1.0, -2.0, 0.5, 0.0, 1e-4];
    let adam = published(&gradients, (0.9, 0.99), |v, square| 0.99 * v + 0.01 * square);
    assert_near(&sequence(ServerOptimizer::fed_adam(0.1), &gradients), &adam);
    // The first step by hand: 0.1 * 0.1 / (sqrt(0.99e-6 + 0.01) + 0.001).
    assert!((adam[0] - 0.099_005_0).abs() < 1e-6, "{adam:?}");

    let sign = |a: f64, b: f64| if a > b { 1.0 } else { -1.0 };
    let yogi = published(&gradients, (0.9, 0.99), |v, square| v - 0.01 * square * sign(v, square));
    assert_near(&sequence(ServerOptimizer::fed_yogi(0.1), &gradients), &yogi);
    let adagrad = published(&gradients, (0.0, 0.0), |v, square| v + square);
    assert_near(&sequence(ServerOptimizer::fed_adagrad(0.1), &gradients), &adagrad);
    let adagrad = published(&gradients, (0.3, 0.0), |v, square| v + square);
    assert_near(&sequence(ServerOptimizer::fed_adagrad(0.1).momentum(0.3), &gradients), &adagrad);
}

#[test]
fn a_server_step_of_rate_one_is_the_average() {
    let replies = [reply(0, 3, [1.0, -7.25, 1e3]), reply(1, 5, [0.1, 8.5, 1e-3]), reply(2, 1, [0.7, 0.0, 12.0])];
    let start = vector([0.3, 5.0, -1.0]);
    let average = merge(&mut WeightedAverage, &start, &replies).expect("three updates");
    let stepped = merge(&mut ServerOptimizer::fed_avg_m(1.0, 0.0), &start, &replies).expect("three updates");
    assert_near(x(&stepped), x(&average));
}

/// The published problem of two unlike quadratics a/2 (x - c)², with ten local steps of rate 0.05.
fn quadratics(strategy: impl Strategy, samples: [u64; 2], absent: impl Fn(&Assignment) -> bool + Sync) -> Outcome {
    let parts = [(1.0, 0.0, samples[0]), (10.0, 1.0, samples[1])];
    let trainer = Trainer::new(vector([-3.0])).rounds(400).quorum(1).strategy(strategy);
    let outcome = train::serial(trainer, &parts, |assignment, model, (a, c, samples)| {
        if absent(assignment) {
            return Err(Error::Setup("it is away".to_owned()));
        }
        let mut parameters = model.clone();
        let now = parameters.slice_mut::<f64>("x")?;
        for _ in 0..10 {
            let mut gradient = [a * (now[0] - c)];
            assignment.add_control("x", &mut gradient)?;
            assignment.add_proximal(x(model), now, &mut gradient);
            now[0] -= 0.05 * gradient[0];
        }
        Ok(Update::new(parameters, *samples, Metrics::new()).walked(10.0 * 0.05))
    });
    outcome.expect("the quorum is met")
}

#[test]
fn scaffold_ends_where_all_data_in_one_place_would() {
    let together = quadratics(Scaffold::new(), [1, 1], |_| false);
    assert!((x(&together.parameters)[0] - 10.0 / 11.0).abs() < 1e-6, "{:?}", together.parameters);
    // Weighted by samples: 3 x + 10 (x - 1) = 0.
    let weighted = quadratics(Scaffold::new(), [3, 1], |_| false);
    assert!((x(&weighted.parameters)[0] - 10.0 / 13.0).abs() < 1e-6, "{:?}", weighted.parameters);
    let slow = quadratics(Scaffold::new().server_rate(0.5), [1, 1], |_| false);
    assert!((x(&slow.parameters)[0] - 10.0 / 11.0).abs() < 1e-6, "{:?}", slow.parameters);
    let averaged = quadratics(WeightedAverage, [1, 1], |_| false);
    assert!((x(&averaged.parameters)[0] - 0.713_442_170).abs() < 1e-9, "{:?}", averaged.parameters);
}

#[test]
fn control_variates_outlast_the_absence_of_their_partition() {
    let outcome =
        quadratics(Scaffold::new(), [1, 1], |assignment| assignment.round % 3 == 1 && assignment.partition == 1);
    assert!(matches!(outcome.history[0].absences.get(&1), Some(Absence::Failed { .. })));
    assert!((x(&outcome.parameters)[0] - 10.0 / 11.0).abs() < 1e-6, "{:?}", outcome.parameters);
}

#[test]
fn a_proximal_term_pulls_local_training_together() {
    let digest = |strategy: FedProx| quadratics(strategy, [1, 1], |_| false).parameters.digest();
    let averaged = quadratics(WeightedAverage, [1, 1], |_| false).parameters.digest();
    assert_eq!(digest(FedProx::new(0.0)), averaged);
    // K local steps on a/2 (x - c)² + mu/2 (x - x0)² make the way g = a/(a + mu) (1 - (1 - rate (a + mu))^K) to c.
    let g = |a: f64| a / (a + 2.0) * (1.0 - (1.0 - 0.05 * (a + 2.0)).powi(10));
    let pulled = quadratics(FedProx::new(2.0), [1, 1], |_| false);
    assert!((x(&pulled.parameters)[0] - g(10.0) / (g(1.0) + g(10.0))).abs() < 1e-9, "{:?}", pulled.parameters);
}

#[test]
fn a_trimmed_mean_of_beta_zero_is_the_mean() {
    let replies: Vec<Reply> = (0..7).map(|p| reply(p, 9, [f64::from(p) / 7.0, 1.0 / f64::from(p + 1)])).collect();
    let start = vector([0.0, 0.0]);
    let trimmed = merge(&mut TrimmedMean::new(0.0), &start, &replies).expect("seven updates");
    assert_near(x(&trimmed), x(&merge(&mut WeightedAverage, &start, &replies).expect("seven updates")));
    let trimmed = merge(&mut TrimmedMean::new(0.3), &start, &replies).expect("seven updates");
    assert_near(x(&trimmed), &[3.0 / 7.0, (1.0 / 3.0 + 1.0 / 4.0 + 1.0 / 5.0) / 3.0]);
}

#[test]
fn a_median_is_the_middle_or_the_mean_of_two() {
    let replies: Vec<Reply> = [5.0, -1.0, 2.0, 3.0].into_iter().zip(0..).map(|(v, p)| reply(p, 1, [v])).collect();
    let median = |replies: &[Reply]| x(&merge(&mut CoordinateMedian, &vector([0.0]), replies).expect("updates"))[0];
    assert_near(&[median(&replies[..3]), median(&replies)], &[2.0, 2.5]);
}

/// Nine partitions, of which three send nonsense that claims all the samples there are.
fn under_attack(nonsense: f64) -> Vec<Reply> {
    let honest = (0..6).map(|p| reply(p, 10, [1.0 + 0.01 * f64::from(p), -1.0]));
    honest.chain((6..9).map(|p| reply(p, u64::MAX, [nonsense, -nonsense]))).collect()
}

#[test]
fn hostile_updates_are_survived() {
    let start = vector([0.0, 0.0]);
    for nonsense in [50.0, 1e300, f64::INFINITY, f64::NAN, -f64::NAN] {
        let replies = under_attack(nonsense);
        let strategies: [Box<dyn Strategy>; 4] = [
            Box::new(CoordinateMedian),
            Box::new(TrimmedMean::new(0.34)),
            Box::new(Krum::new(3)),
            Box::new(Krum::multi(3, 6)),
        ];
        for mut strategy in strategies {
            let merged = merge(&mut strategy, &start, &replies).expect("six of nine are honest");
            let [first, second] = *x(&merged) else { panic!("two elements") };
            assert!((1.0..=1.05).contains(&first) && (-1.0 - second).abs() < 1e-12, "{}: {merged:?}", strategy.name());
        }
        let average = merge(&mut WeightedAverage, &start, &replies);
        assert!(average.is_err() || x(&average.expect("it is not an error"))[0] > 10.0, "the attack does no harm");
    }
}

#[test]
fn krum_takes_an_update_as_it_is_and_multi_krum_the_mean_of_the_best() {
    let places = [0.0, 0.1, 0.25, 7.0, 0.32, 8.0, 0.45];
    let replies: Vec<Reply> = places.into_iter().zip(0..).map(|(v, p)| reply(p, 1, [v])).collect();
    let krum = |strategy: &mut Krum| x(&merge(strategy, &vector([0.0]), &replies).expect("seven updates"))[0];
    // The sums of the squares to the three nearest: 0.25 has 0.0674, 0.32 has 0.0702, 0.1 has 0.0809.
    assert_near(&[krum(&mut Krum::new(2)), krum(&mut Krum::multi(2, 2))], &[0.25, 0.285]);
}

#[test]
fn settings_that_make_no_sense_are_refused_before_the_first_round() {
    let refused = |strategy: Box<dyn Strategy>| {
        let trainer = Trainer::new(vector([0.0])).strategy(strategy);
        towards(trainer, &[1.0, 2.0, 3.0, 4.0]).expect_err("it makes no sense").to_string()
    };
    let text = refused(Box::new(ServerOptimizer::fed_adam(-1.0)));
    assert_eq!(text, "cannot train: a server's rate of -1 makes no sense\n  hint: it is more than 0");
    assert!(refused(Box::new(ServerOptimizer::fed_avg_m(1.0, 1.0))).contains("a momentum of 1 makes no sense"));
    assert!(refused(Box::new(ServerOptimizer::fed_yogi(0.1).decay(f64::NAN))).contains("a decay of NaN"));
    assert!(refused(Box::new(ServerOptimizer::fed_adam(0.1).adaptivity(0.0))).contains("an adaptivity of 0"));
    assert!(refused(Box::new(FedProx::new(f64::INFINITY))).contains("a proximal mu of inf makes no sense"));
    assert!(refused(Box::new(TrimmedMean::new(0.5))).contains("hint: it is at least 0 and less than 0.5"));
    assert!(refused(Box::new(Scaffold::new().server_rate(0.0))).contains("a server's rate of 0"));
    let text = refused(Box::new(Krum::new(1)));
    assert_eq!(text, "cannot train: Krum bears 1 hostile updates of at least 5, but there are 4 partitions");
    assert!(refused(Box::new(Krum::multi(0, 5))).contains("hint: it is from 1 to 4 updates"));
}

#[test]
fn scaffold_names_an_update_that_does_not_say_how_far_it_went() {
    let trainer = Trainer::new(vector([0.0])).strategy(Scaffold::new());
    let outcome =
        train::serial(trainer, &[()], |_, model, ()| Ok::<_, Error>(Update::new(model.clone(), 1, Metrics::new())));
    let text = outcome.expect_err("it cannot know").to_string();
    assert!(text.starts_with("round 1: the update of partition 0 does not say how far"), "{text}");
    assert!(text.contains("hint: "), "{text}");
}

fn resumed(make: fn() -> Box<dyn Strategy>, directory: &Path) -> (Outcome, Outcome) {
    let targets = [1.0, 4.0, -2.0];
    let trainer = |rounds| Trainer::new(vector([0.5])).rounds(rounds).seed(3).strategy(make());
    let whole = towards(trainer(9), &targets).expect("nothing fails");
    let kept = |rounds| trainer(rounds).checkpoints(Checkpoints::new(directory));
    towards(kept(4), &targets).expect("nothing fails");
    (whole, towards(kept(9).resume_from(directory), &targets).expect("it can be resumed"))
}

#[test]
fn what_a_strategy_remembers_is_in_its_checkpoints() {
    let strategies: [fn() -> Box<dyn Strategy>; 4] = [
        || Box::new(ServerOptimizer::fed_avg_m(1.0, 0.9)),
        || Box::new(ServerOptimizer::fed_adam(0.1)),
        || Box::new(Scaffold::new()),
        || Box::new(FedProx::new(0.1)),
    ];
    for make in strategies {
        let directory = tempfile::tempdir().expect("a directory");
        let (whole, resumed) = resumed(make, directory.path());
        assert_eq!(resumed.resumed_from, Some(4));
        assert_eq!(resumed.parameters.digest(), whole.parameters.digest(), "{}", make().name());

        let other = Trainer::new(vector([0.5])).seed(3).strategy(ServerOptimizer::fed_avg_m(1.0, 0.8));
        let error = towards(other.resume_from(directory.path()), &[1.0, 4.0, -2.0]).expect_err("another strategy");
        assert!(error.to_string().contains("the strategy `FedAvgM, rate 1, momentum 0.8`"), "{error}");
    }
}

#[test]
fn a_state_of_another_strategy_is_refused() {
    let model = vector([0.0]);
    let state: Parameters = [("samples/x".to_owned(), Tensor::new([], vec![1.0]).expect("one"))].into_iter().collect();
    let text = Scaffold::new().restore(&model, state.clone()).expect_err("no partition is called x").to_string();
    assert!(text.contains("strange tensor `samples/x`"), "{text}");
    let text = ServerOptimizer::fed_adam(0.1).restore(&model, state).expect_err("no momentum").to_string();
    assert!(text.starts_with("tensor `momentum/x` of the strategy's state: found missing"), "{text}");
}

fn all_strategies() -> Vec<Box<dyn Strategy>> {
    vec![
        Box::new(ServerOptimizer::fed_avg_m(0.7, 0.9)),
        Box::new(ServerOptimizer::fed_adam(0.1)),
        Box::new(ServerOptimizer::fed_yogi(0.1)),
        Box::new(ServerOptimizer::fed_adagrad(0.1)),
        Box::new(FedProx::new(0.1)),
        Box::new(Scaffold::new()),
        Box::new(CoordinateMedian),
        Box::new(TrimmedMean::new(0.2)),
        Box::new(Krum::new(1)),
        Box::new(Krum::multi(1, 3)),
    ]
}

proptest! {
    /// Contract 7 for every strategy, over two rounds, so that what they remember is in it.
    #[test]
    fn the_order_of_replies_changes_no_strategy(
        updates in prop::collection::btree_map(0_u32..64, (1_u64..1000, -1e6_f64..1e6, -1e-3_f64..1e-3), 5..12),
        order in any::<u64>(),
    ) {
        let sorted: Vec<Reply> = updates.iter().map(|(&p, &(n, x, y))| reply(p, n, [x, y])).collect();
        let mut arrived = sorted.clone();
        arrived.sort_by_key(|reply| (u64::from(reply.partition) + 1).wrapping_mul(order | 1).rotate_left(17));
        for (mut one, mut other) in all_strategies().into_iter().zip(all_strategies()) {
            let (mut a, mut b) = (vector([0.5, 0.0]), vector([0.5, 0.0]));
            for _ in 0..2 {
                (a, b) = (merge(&mut one, &a, &sorted)?, merge(&mut other, &b, &arrived)?);
            }
            prop_assert_eq!(a.digest(), b.digest(), "{}", one.name());
            prop_assert_eq!(one.state().digest(), other.state().digest(), "{}", one.name());
        }
    }
}
