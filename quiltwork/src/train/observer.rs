//! Who is told how a training goes, and the ready-made progress bar; nothing here can change the training.
use super::early_stop::Ending;
use super::round::RoundReport;
use indicatif::{ProgressBar, ProgressStyle};
use std::io::IsTerminal;
use std::time::{Duration, Instant};

/// What is known when a training starts.
#[derive(Clone, Copy, Debug)]
pub struct Start {
    /// How many rounds there are at most.
    pub rounds: u32,
    /// How many partitions there are.
    pub partitions: u32,
    /// The round whose checkpoint it goes on from.
    pub resumed_from: Option<u32>,
}

/// Somebody who is told how a training goes. A closure over a round's report is one.
pub trait Observer: Send {
    /// A round is done.
    fn on_round(&mut self, report: &RoundReport);

    /// The training starts or goes on.
    fn on_started(&mut self, _start: &Start) {}

    /// Something a person should know, such as a damaged checkpoint that was passed over.
    fn on_notice(&mut self, _notice: &str) {}

    /// The training ended well.
    fn on_ended(&mut self, _ending: &Ending) {}
}

impl<F: FnMut(&RoundReport) + Send> Observer for F {
    fn on_round(&mut self, report: &RoundReport) {
        self(report);
    }
}

/// Progress on standard error: a live bar on a terminal; elsewhere a line for the first round, the last one, and one
/// every few seconds.
pub struct Progress<'a> {
    bar: ProgressBar,
    live: bool,
    rounds: u32,
    told: Option<Instant>,
    note: Box<dyn FnMut() -> String + Send + 'a>,
}

impl Default for Progress<'_> {
    fn default() -> Self {
        Self::new()
    }
}

impl<'a> Progress<'a> {
    const RHYTHM: Duration = Duration::from_secs(2);

    /// Shows the round and every metric of its report.
    #[must_use]
    pub fn new() -> Self {
        let live = std::io::stderr().is_terminal();
        Self { bar: ProgressBar::hidden(), live, rounds: 0, told: None, note: Box::new(String::new) }
    }

    /// Adds a note of yours, asked for after each round: how many workers there are, for example.
    #[must_use]
    pub fn with_note(mut self, note: impl FnMut() -> String + Send + 'a) -> Self {
        self.note = Box::new(note);
        self
    }

    fn line(&mut self, report: &RoundReport) -> String {
        let shown = report.training.iter().filter(|(name, _)| !report.evaluation.contains_key(*name));
        let metrics = shown.chain(&report.evaluation).map(|(name, value)| format!("{name} {value:.4}"));
        let absent = (!report.absences.is_empty()).then(|| format!("{} partitions absent", report.absences.len()));
        let note = Some((self.note)()).filter(|note| !note.is_empty());
        metrics.chain(absent).chain(note).collect::<Vec<_>>().join("  ")
    }
}

impl Observer for Progress<'_> {
    fn on_started(&mut self, start: &Start) {
        self.rounds = start.rounds;
        if self.live {
            let style = ProgressStyle::with_template("{bar:20.cyan/dim} round {pos}/{len}  {elapsed}  {wide_msg}");
            self.bar = ProgressBar::new(start.rounds.into()).with_style(style.expect("the template is a valid one"));
            self.bar.set_position(start.resumed_from.unwrap_or(0).into());
        }
    }

    fn on_notice(&mut self, notice: &str) {
        self.bar.suspend(|| eprintln!("{notice}"));
    }

    fn on_round(&mut self, report: &RoundReport) {
        let due = self.told.is_none_or(|told| told.elapsed() >= Self::RHYTHM) || report.round == self.rounds;
        if !self.live && !due {
            return;
        }
        self.told = Some(Instant::now());
        let line = self.line(report);
        if self.live {
            self.bar.set_message(line);
            self.bar.set_position(report.round.into());
        } else {
            eprintln!("round {}/{}  {line}", report.round, self.rounds);
        }
    }

    fn on_ended(&mut self, _ending: &Ending) {
        self.bar.abandon();
    }
}
