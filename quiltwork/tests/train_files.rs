//! Safetensors files and checkpoints: whole or refused, and a resumed run is bit for bit the run that never stopped.
use proptest::prelude::*;
use quiltwork::train::{
    self, Checkpoint, Checkpoints, Error, Metrics, Observer, Outcome, Parameters, Reply, Result, Round, RoundReport,
    Strategy, Tensor, Trainer, Update, average,
};
use quiltwork_protocol::codec;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

fn named(tensors: impl IntoIterator<Item = (&'static str, Tensor)>) -> Parameters {
    tensors.into_iter().map(|(name, tensor)| (name.to_owned(), tensor)).collect()
}

proptest! {
    #[test]
    fn parameters_come_back_bit_for_bit_from_a_file_and_from_the_wire(
        single in prop::collection::vec(any::<u32>(), 0..9),
        double in prop::collection::vec(any::<u64>(), 0..9),
    ) {
        let single = Tensor::new([1, single.len()], single.into_iter().map(f32::from_bits).collect())?;
        let double = Tensor::new([double.len()], double.into_iter().map(f64::from_bits).collect())?;
        let parameters = named([("a", single), ("b", double), ("scalar", Tensor::new([], vec![1.5_f32])?)]);

        let directory = tempfile::tempdir()?;
        let file = directory.path().join("model.safetensors");
        parameters.save(&file)?;
        prop_assert_eq!(Parameters::load(&file)?.digest(), parameters.digest());
        prop_assert_eq!(fs::read_dir(directory.path())?.count(), 1, "nothing but the file is left");

        let bytes = codec::encode_value(&parameters)?;
        let back: Parameters = codec::decode_whole(&bytes)?;
        prop_assert_eq!(back.digest(), parameters.digest());
    }
}

#[test]
fn large_parameters_travel_without_a_copy_but_into_the_area() {
    let numbers: Vec<f32> = (0..50_000_u16).map(f32::from).collect();
    let mut parameters = Parameters::new();
    parameters.insert("small", Tensor::new([2], vec![1.0_f64, 2.0]).expect("two elements"));
    parameters.insert("large", Tensor::new([numbers.len()], numbers).expect("all of them"));
    let (encoding, pieces) = codec::encode_in_pieces(&parameters).expect("it can be encoded");
    let place = parameters.slice::<f32>("large").expect("it is f32").as_ptr();
    assert!(pieces.iter().any(|piece| piece.as_ptr().cast() == place), "the elements stay where they are");
    let bytes = pieces.concat();
    let range = bytes.as_ptr_range();
    let read: Parameters = codec::decode_value(encoding, &bytes.into()).expect("it is whole");
    assert_eq!(read.digest(), parameters.digest());
    let place = read.slice::<f32>("large").expect("it is f32").as_ptr();
    assert!(range.contains(&place.cast()), "they are read in place");
}

#[test]
fn a_tensor_from_the_wire_must_fit_its_shape() {
    let tensor = Tensor::new([3], vec![1.0_f64, 2.0, 3.0]).expect("three elements");
    let mut bytes = codec::encode_value(&tensor).expect("it can be encoded");
    assert_eq!(bytes[2], 3, "the length of the only dimension");
    bytes[2] = 4;
    let error = codec::decode_whole::<Tensor>(&bytes).expect_err("24 bytes are no 4 numbers");
    assert!(error.to_string().contains("a tensor of shape [4] cannot be made of 3 elements"), "{error}");
}

#[test]
fn digests_differ_by_name_type_shape_and_data() {
    let one = || Tensor::new([2], vec![1.0_f32, 2.0]).expect("two elements");
    let all = [
        named([("a", one())]),
        named([("b", one())]),
        named([("a", Tensor::new([2, 1], vec![1.0_f32, 2.0]).expect("two elements"))]),
        named([("a", Tensor::new([1], vec![f64::from_bits(0x4000_0000_3f80_0000)]).expect("one element"))]),
        named([("a", Tensor::new([2], vec![1.0_f32, 3.0]).expect("two elements"))]),
        named([("a", one()), ("b", one())]),
    ];
    for (i, a) in all.iter().enumerate() {
        for b in &all[i + 1..] {
            assert_ne!(a.digest(), b.digest(), "{a:?} and {b:?}");
        }
    }
}

#[test]
fn other_files_are_refused_by_name() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("model.safetensors");
    let refused = |path: &Path| Parameters::load(path).expect_err("no parameters").to_string();
    assert!(refused(&path).starts_with(&format!("cannot read {}: ", path.display())), "{}", refused(&path));
    fs::write(&path, b"hello").expect("it can be written");
    assert!(refused(&path).contains("it is not a whole safetensors file"), "{}", refused(&path));
    let header = br#"{"t":{"dtype":"I32","shape":[1],"data_offsets":[0,4]}}  "#;
    fs::write(&path, [&(header.len() as u64).to_le_bytes()[..], header, &[0; 4]].concat()).expect("it can be written");
    assert!(refused(&path).contains("tensor `t` is of type I32, but only f32 and f64 are known"), "{}", refused(&path));
}

/// Averaging with a momentum of the server's: a strategy with something to remember.
#[derive(Default)]
struct WithMomentum {
    velocity: Option<Parameters>,
}

impl Strategy for WithMomentum {
    fn name(&self) -> &'static str {
        "with momentum"
    }

    fn merge(&mut self, round: &Round<'_>, replies: &[Reply]) -> Result<Parameters> {
        let mut merged = average(round, replies)?;
        let mut velocity = self.velocity.take().unwrap_or_else(|| model(0.0));
        let (x, v) = (merged.slice_mut::<f64>("x")?, velocity.slice_mut::<f64>("x")?);
        v[0] = 0.3 * v[0] + (x[0] - round.parameters.slice::<f64>("x")?[0]);
        x[0] += v[0];
        self.velocity = Some(velocity);
        Ok(merged)
    }

    fn state(&self) -> Parameters {
        self.velocity.clone().unwrap_or_default()
    }

    fn restore(&mut self, _: &Parameters, state: Parameters) -> Result<()> {
        self.velocity = (!state.is_empty()).then_some(state);
        Ok(())
    }
}

fn model(x: f64) -> Parameters {
    named([("x", Tensor::new([1], vec![x]).expect("one element"))])
}

/// Twelve rounds at most over three partitions, with noise from the assignments' seeds.
fn train(trainer: Trainer<'_>) -> Result<Outcome> {
    train::serial(trainer.strategy(WithMomentum::default()), &[1.0, 4.0, -2.0], |assignment, model, target| {
        let mut parameters = model.clone();
        let x = &mut parameters.slice_mut::<f64>("x")?[0];
        *x += 0.1 * (target - *x) + (assignment.seed as f64) * 1e-21;
        let metrics = Metrics::from([("distance".to_owned(), (target - *x).abs())]);
        Ok::<_, Error>(Update::new(parameters, 1, metrics))
    })
}

fn trainer(rounds: u32, directory: &Path) -> Trainer<'static> {
    Trainer::new(model(0.0)).rounds(rounds).seed(5).checkpoints(Checkpoints::new(directory).every(2).keep(3))
}

fn files(directory: &Path) -> Vec<String> {
    let name =
        |entry: std::io::Result<fs::DirEntry>| entry.expect("readable").file_name().into_string().expect("plain");
    let mut files: Vec<_> = fs::read_dir(directory).expect("a directory").map(name).collect();
    files.sort();
    files
}

fn without_times(mut outcome: Outcome) -> (Parameters, Vec<RoundReport>) {
    outcome.history.iter_mut().for_each(|report| report.seconds = 0.0);
    (outcome.parameters, outcome.history)
}

fn never_stopped() -> Outcome {
    train(Trainer::new(model(0.0)).rounds(12).seed(5)).expect("nothing fails")
}

#[test]
fn a_resumed_run_is_bit_for_bit_the_run_that_never_stopped() {
    for stopped_after in [1, 2, 7, 12] {
        let directory = tempfile::tempdir().expect("a directory");
        train(trainer(stopped_after, directory.path())).expect("nothing fails");
        let resumed = train(trainer(12, directory.path()).resume_from(directory.path())).expect("it can be resumed");
        assert_eq!(resumed.resumed_from, (stopped_after > 1).then_some(stopped_after / 2 * 2));
        assert_eq!(resumed.parameters.digest(), never_stopped().parameters.digest());
        assert_eq!(without_times(resumed), without_times(never_stopped()));
        let newest = ["round-000008.safetensors", "round-000010.safetensors", "round-000012.safetensors"];
        assert_eq!(files(directory.path()), newest, "the newest three are kept");
    }
}

/// Writes down what it is told.
#[derive(Clone, Default)]
struct Notices(Arc<Mutex<Vec<String>>>);

impl Observer for Notices {
    fn on_round(&mut self, _: &RoundReport) {}

    fn on_notice(&mut self, notice: &str) {
        self.0.lock().expect("nobody panics").push(notice.to_owned());
    }
}

/// A run stopped after 6 rounds whose newest checkpoint then comes to harm.
fn damaged(harm: impl FnOnce(&PathBuf)) {
    let directory = tempfile::tempdir().expect("a directory");
    train(trainer(6, directory.path())).expect("nothing fails");
    harm(&directory.path().join("round-000006.safetensors"));
    fs::write(directory.path().join(".partial-xyz"), b"half").expect("it can be written");

    let notices = Notices::default();
    let again = trainer(12, directory.path()).resume_from(directory.path()).observe(notices.clone());
    let resumed = train(again).expect("an older one is whole");
    assert_eq!(resumed.resumed_from, Some(4));
    assert_eq!(resumed.parameters.digest(), never_stopped().parameters.digest());
    let notices = notices.0.lock().expect("nobody panics");
    assert!(notices.len() == 1 && notices[0].contains("round-000006.safetensors cannot be used"), "{notices:?}");
    assert_eq!(files(directory.path()).len(), 3, "what was left half written is gone");
}

#[test]
fn a_torn_checkpoint_is_passed_over_with_a_notice() {
    damaged(|path| {
        let bytes = fs::read(path).expect("readable");
        fs::write(path, &bytes[..bytes.len() - 3]).expect("writable");
    });
}

#[test]
fn a_checkpoint_with_one_flipped_bit_is_passed_over_with_a_notice() {
    damaged(|path| {
        let mut bytes = fs::read(path).expect("readable");
        *bytes.last_mut().expect("not empty") ^= 1;
        fs::write(path, bytes).expect("writable");
    });
}

#[test]
fn no_prefix_of_a_checkpoint_is_taken_for_a_whole_one() {
    let directory = tempfile::tempdir().expect("a directory");
    train(trainer(2, directory.path())).expect("nothing fails");
    let path = directory.path().join("round-000002.safetensors");
    let bytes = fs::read(&path).expect("readable");
    assert_eq!(Checkpoint::load(&path).expect("it is whole").round(), 2);
    for length in 0..bytes.len() {
        fs::write(&path, &bytes[..length]).expect("writable");
        assert!(matches!(Checkpoint::load(&path), Err(Error::BadFile { .. })), "the first {length} bytes");
    }
}

#[test]
fn a_checkpoint_of_another_run_is_refused() {
    let directory = tempfile::tempdir().expect("a directory");
    train(trainer(4, directory.path())).expect("nothing fails");

    let other_seed = trainer(12, directory.path()).seed(6).resume_from(directory.path());
    let text = train(other_seed).expect_err("another seed").to_string();
    assert!(text.contains("seed 5, 3 partitions and the strategy `with momentum`, this run has seed 6"), "{text}");

    let other_model = Trainer::new(named([("y", Tensor::new([1], vec![0.0]).expect("one element"))])).seed(5);
    let text = train(other_model.resume_from(directory.path())).expect_err("another model").to_string();
    assert!(text.starts_with("tensor `y` of the checkpoint "), "{text}");

    let text = train(trainer(12, directory.path())).expect_err("not resumed").to_string();
    assert!(text.contains("holds the checkpoints of another run\n  hint: resume that run"), "{text}");
    assert_eq!(files(directory.path()).len(), 2, "nothing of the other run was touched");
}
