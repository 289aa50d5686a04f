//! The slot machine: tables of commands and effects, and what must hold whatever it is told.
use super::*;
use Command::{Cancel, InputsFailed, InputsReady, Lend, Recall, Reclaim, RunEnded};
use Effect::{Discarded, Ended, Fetch, Lacking, Lent, Resume, Returned, Start, Tell};
use proptest::prelude::*;
use quiltwork_types::{JobId, TaskId};

fn id(index: u32) -> AttemptId {
    AttemptId { task: TaskId { job: JobId(0), index }, number: 1 }
}

const fn assigned(attempt: AttemptId, slots: u32, ready: bool) -> Command {
    Command::Assigned { attempt, slots, ready }
}

/// An attempt of one slot whose inputs are here.
const fn ready(attempt: AttemptId) -> Command {
    assigned(attempt, 1, true)
}

/// A machine with this many slots.
struct Slots(u32);

impl Slots {
    /// Gives it the commands and compares the effects of each.
    fn obey(self, rows: &[(Command, &[Effect])]) {
        let mut machine = SlotMachine::new(self.0);
        let mut effects = Vec::new();
        for (row, (command, expected)) in rows.iter().enumerate() {
            machine.handle(*command, &mut effects);
            assert_eq!(effects, *expected, "row {row}: {command:?}");
            effects.clear();
        }
    }
}

#[test]
fn ready_attempts_start_in_the_order_in_which_they_came() {
    let [a, b, c] = [1, 2, 3].map(id);
    Slots(1).obey(&[
        (ready(a), &[Start(a)]),
        (ready(b), &[]),
        (ready(c), &[]),
        (RunEnded(a), &[Ended(a), Start(b)]),
        (RunEnded(b), &[Ended(b), Start(c)]),
        (RunEnded(c), &[Ended(c)]),
    ]);
}

#[test]
fn an_attempt_queues_when_its_inputs_are_here() {
    let [a, b, c] = [1, 2, 3].map(id);
    Slots(1).obey(&[
        (assigned(a, 1, false), &[Fetch(a)]),
        (assigned(b, 1, false), &[Fetch(b)]),
        (ready(c), &[Start(c)]),
        (InputsReady(b), &[]),
        (InputsReady(a), &[]),
        (RunEnded(c), &[Ended(c), Start(b)]),
        (RunEnded(b), &[Ended(b), Start(a)]),
    ]);
}

#[test]
fn an_attempt_without_its_inputs_goes_back() {
    let a = id(1);
    Slots(1).obey(&[
        (assigned(a, 1, false), &[Fetch(a)]),
        (InputsFailed(a), &[Lacking(a)]),
        (InputsFailed(a), &[]),
        (InputsReady(a), &[]),
    ]);
}

#[test]
fn only_unstarted_attempts_are_given_back() {
    let [a, b, c] = [1, 2, 3].map(id);
    Slots(1).obey(&[
        (ready(a), &[Start(a)]),
        (ready(b), &[]),
        (assigned(c, 1, false), &[Fetch(c)]),
        (Recall(a), &[]),
        (Recall(b), &[Returned(b)]),
        (Recall(c), &[Returned(c)]),
        (InputsReady(c), &[]),
        (RunEnded(a), &[Ended(a)]),
        (Recall(a), &[]),
    ]);
}

#[test]
fn cancelling_ends_unstarted_attempts_and_tells_running_ones_once() {
    let [a, b, c] = [1, 2, 3].map(id);
    Slots(1).obey(&[
        (ready(a), &[Start(a)]),
        (ready(b), &[]),
        (assigned(c, 1, false), &[Fetch(c)]),
        (Cancel(a), &[Tell(a)]),
        (Cancel(a), &[]),
        (Cancel(b), &[Discarded(b)]),
        (Cancel(c), &[Discarded(c)]),
        (RunEnded(a), &[Ended(a)]),
        (Cancel(a), &[]),
    ]);
}

#[test]
fn a_lent_slot_runs_others_and_comes_back_before_the_queue_moves() {
    let [a, b, c] = [1, 2, 3].map(id);
    Slots(1).obey(&[
        (ready(a), &[Start(a)]),
        (ready(b), &[]),
        (ready(c), &[]),
        (Lend(a), &[Lent(a), Start(b)]),
        (Reclaim(a), &[]),
        (RunEnded(b), &[Ended(b), Resume(a)]),
        (RunEnded(a), &[Ended(a), Start(c)]),
    ]);
}

#[test]
fn a_lent_slot_nobody_took_comes_back_at_once() {
    let a = id(1);
    Slots(1).obey(&[(ready(a), &[Start(a)]), (Lend(a), &[Lent(a)]), (Reclaim(a), &[Resume(a)])]);
}

#[test]
fn overlapping_waits_lend_once_and_reclaim_after_the_last() {
    let [a, b] = [1, 2].map(id);
    Slots(1).obey(&[
        (ready(a), &[Start(a)]),
        (Lend(a), &[Lent(a)]),
        (Lend(a), &[]),
        (ready(b), &[Start(b)]),
        (Reclaim(a), &[]),
        (RunEnded(b), &[Ended(b)]),
        (Reclaim(a), &[Resume(a)]),
        (Reclaim(a), &[]),
    ]);
}

#[test]
fn an_attempt_that_waits_again_before_it_got_its_slot_goes_on_lending() {
    let [a, b] = [1, 2].map(id);
    Slots(1).obey(&[
        (ready(a), &[Start(a)]),
        (ready(b), &[]),
        (Lend(a), &[Lent(a), Start(b)]),
        (Reclaim(a), &[]),
        (Lend(a), &[]),
        (RunEnded(b), &[Ended(b)]),
        (Reclaim(a), &[Resume(a)]),
    ]);
}

#[test]
fn resuming_attempts_come_back_in_order_and_cancelled_ones_too() {
    let [a, b, c] = [1, 2, 3].map(id);
    Slots(1).obey(&[
        (ready(a), &[Start(a)]),
        (Lend(a), &[Lent(a)]),
        (ready(b), &[Start(b)]),
        (Lend(b), &[Lent(b)]),
        (ready(c), &[Start(c)]),
        (Reclaim(b), &[]),
        (Reclaim(a), &[]),
        (Cancel(b), &[Tell(b)]),
        (RunEnded(c), &[Ended(c), Resume(b)]),
        (RunEnded(b), &[Ended(b), Resume(a)]),
    ]);
}

#[test]
fn an_attempt_may_end_while_it_lends_or_waits_for_its_slot() {
    let [a, b, c] = [1, 2, 3].map(id);
    Slots(1).obey(&[
        (ready(a), &[Start(a)]),
        (Lend(a), &[Lent(a)]),
        (ready(b), &[Start(b)]),
        (RunEnded(a), &[Ended(a)]),
        (Reclaim(a), &[]),
        (Lend(b), &[Lent(b)]),
        (ready(c), &[Start(c)]),
        (Reclaim(b), &[]),
        (RunEnded(b), &[Ended(b)]),
        (RunEnded(c), &[Ended(c)]),
        (ready(id(4)), &[Start(id(4))]),
    ]);
}

#[test]
fn nobody_overtakes_an_attempt_that_waits_for_several_slots() {
    let [a, b, c, d] = [1, 2, 3, 4].map(id);
    Slots(2).obey(&[
        (ready(a), &[Start(a)]),
        (assigned(b, 2, true), &[]),
        (ready(c), &[]),
        (RunEnded(a), &[Ended(a), Start(b)]),
        (ready(d), &[]),
        (RunEnded(b), &[Ended(b), Start(c), Start(d)]),
    ]);
}

#[test]
fn an_attempt_that_asks_for_more_slots_than_there_are_gets_all() {
    let [a, b] = [1, 2].map(id);
    Slots(2).obey(&[(assigned(a, 9, true), &[Start(a)]), (ready(b), &[]), (RunEnded(a), &[Ended(a), Start(b)])]);
}

#[test]
fn an_attempt_of_no_slots_never_waits() {
    let [a, b] = [1, 2].map(id);
    Slots(1).obey(&[
        (ready(a), &[Start(a)]),
        (assigned(b, 0, true), &[Start(b)]),
        (Lend(b), &[Lent(b)]),
        (Reclaim(b), &[Resume(b)]),
        (RunEnded(b), &[Ended(b)]),
        (RunEnded(a), &[Ended(a)]),
    ]);
}

#[test]
fn doubled_and_unknown_commands_change_nothing() {
    let [a, b] = [1, 2].map(id);
    Slots(1).obey(&[
        (ready(a), &[Start(a)]),
        (ready(a), &[]),
        (InputsReady(a), &[]),
        (InputsFailed(a), &[]),
        (Reclaim(a), &[]),
        (InputsReady(b), &[]),
        (Recall(b), &[]),
        (Cancel(b), &[]),
        (RunEnded(b), &[]),
        (Lend(b), &[]),
    ]);
}

/// What an observer of the effects believes, to be compared with what must hold.
#[derive(Default)]
struct Observer {
    slots: HashMap<AttemptId, u32>,
    running: HashMap<AttemptId, u32>,
    lending: HashMap<AttemptId, u32>,
    ends: HashMap<AttemptId, u32>,
}

impl Observer {
    fn see(&mut self, effect: Effect, capacity: u32) -> Result<(), TestCaseError> {
        match effect {
            Fetch(_) | Tell(_) => {}
            Start(attempt) => {
                prop_assert!(!self.lending.contains_key(&attempt));
                let slots = self.slots[&attempt].min(capacity);
                prop_assert_eq!(self.running.insert(attempt, slots), None, "started twice");
            }
            Lent(attempt) => {
                let slots = self.running.remove(&attempt);
                prop_assert!(slots.is_some(), "only a running attempt lends");
                self.lending.extend(slots.map(|slots| (attempt, slots)));
            }
            Resume(attempt) => {
                let slots = self.lending.remove(&attempt);
                prop_assert!(slots.is_some(), "only a lending attempt resumes");
                self.running.extend(slots.map(|slots| (attempt, slots)));
            }
            Returned(attempt) | Lacking(attempt) | Discarded(attempt) => {
                prop_assert!(!self.running.contains_key(&attempt) && !self.lending.contains_key(&attempt));
                *self.ends.entry(attempt).or_default() += 1;
            }
            Ended(attempt) => {
                let ran = self.running.remove(&attempt).or(self.lending.remove(&attempt));
                prop_assert!(ran.is_some(), "only what was started can end");
                *self.ends.entry(attempt).or_default() += 1;
            }
        }
        let busy: u32 = self.running.values().sum();
        prop_assert!(busy <= capacity, "{busy} of {capacity} slots are busy");
        Ok(())
    }

    fn see_all(&mut self, effects: &mut Vec<Effect>, capacity: u32) -> Result<(), TestCaseError> {
        effects.drain(..).try_for_each(|effect| self.see(effect, capacity))
    }
}

/// One of the commands, about this attempt.
fn command(kind: u32, attempt: AttemptId, slots: u32, ready: bool) -> Command {
    match kind {
        0 | 1 => assigned(attempt, slots, ready),
        2 => InputsReady(attempt),
        3 => InputsFailed(attempt),
        4 => Recall(attempt),
        5 => Cancel(attempt),
        6 => RunEnded(attempt),
        7 => Lend(attempt),
        _ => Reclaim(attempt),
    }
}

proptest! {
    #[test]
    fn slots_are_never_oversold_and_every_attempt_ends_exactly_once(
        capacity in 1_u32..4,
        commands in prop::collection::vec((0_u32..9, 0_u32..6, 0_u32..4, any::<bool>()), 0..200),
    ) {
        let mut machine = SlotMachine::new(capacity);
        let mut observer = Observer::default();
        let mut effects = Vec::new();
        for (kind, index, slots, ready) in commands {
            // Once an attempt of a task has ended, the task's next commands are about another attempt.
            let mut attempt = id(index);
            let ended = observer.ends.keys().filter(|ended| ended.task == attempt.task).count();
            attempt.number += u32::try_from(ended).expect("there are few commands");
            let command = command(kind, attempt, slots, ready);
            if matches!(command, Command::Assigned { .. }) {
                observer.slots.entry(attempt).or_insert(slots);
            }
            machine.handle(command, &mut effects);
            observer.see_all(&mut effects, capacity)?;
        }
        // Then all goes well: inputs come, waits are over, functions return. Nothing may be left waiting.
        for _ in 0..observer.slots.len() {
            for attempt in observer.slots.keys().copied().collect::<Vec<_>>() {
                machine.handle(InputsReady(attempt), &mut effects);
                observer.see_all(&mut effects, capacity)?;
                while let Some(Phase::Lending { .. }) = machine.phase(attempt) {
                    machine.handle(Reclaim(attempt), &mut effects);
                }
                observer.see_all(&mut effects, capacity)?;
                if machine.phase(attempt) == Some(Phase::Running) {
                    machine.handle(RunEnded(attempt), &mut effects);
                }
                observer.see_all(&mut effects, capacity)?;
            }
        }
        for attempt in observer.slots.keys() {
            prop_assert_eq!(observer.ends.get(attempt), Some(&1), "{:?} at the end: {:?}", attempt, machine.phase(*attempt));
        }
    }
}
