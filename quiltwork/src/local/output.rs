//! Where the output of worker processes goes: line by line to its place, the last lines remembered; never to standard output.
//!
//! A worker's standard output and error are one pipe, so their order is kept, and a driver's own standard output
//! (a JSON summary, say) stays the driver's.
use super::meter::Meter;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::borrow::Cow;
use std::collections::VecDeque;
use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, PipeReader, Read, Write};
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// What is done with what worker processes print, to standard output or error.
#[derive(Clone, Debug, Default)]
pub enum WorkerLog {
    /// Goes line by line to this process's standard error, each line after `[worker <process id>] `. Of more than 1,000
    /// lines of a worker in a second the rest is dropped, and how many that were is said.
    #[default]
    Inherit,
    /// Goes line by line to a function of the program, as many as with `Inherit`.
    Lines(LineSink),
    /// Is thrown away; only the last lines of a worker that dies are still shown with its death.
    Null,
    /// Goes to one file per worker in this folder (`worker-1.log`, …), which is made if need be and appended to.
    Directory(PathBuf),
}

/// A function that takes what workers print, for [`WorkerLog::Lines`].
#[derive(Clone)]
pub struct LineSink(Arc<TakeLine>);

type TakeLine = dyn Fn(u32, &[u8]) -> bool + Send + Sync;

impl LineSink {
    /// `take` is called for each line with the worker's process id, on a thread that does nothing else for that worker,
    /// and says whether it has taken the line: what it has not counts as dropped.
    pub fn new(take: impl Fn(u32, &[u8]) -> bool + Send + Sync + 'static) -> Self {
        Self(Arc::new(take))
    }
}

impl fmt::Debug for LineSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LineSink")
    }
}

/// What begins a line that a worker of another language has made of parts, for a sink that can tell them apart.
const MARK: u8 = 0x1e;
/// The characters that stand around and between these parts.
const SEPARATORS: std::ops::RangeInclusive<u8> = 0x1c..=0x1f;

/// Longer lines are cut here, so that one endless line cannot grow memory.
const LINE_LIMIT: usize = 8 * 1024;
/// Bytes a run of a worker may add to its file; what comes after is dropped.
const FILE_LIMIT: u64 = 64 << 20;
/// How many lines are remembered.
const TAIL_LINES: usize = 5;
/// Characters of a remembered line.
const TAIL_LINE_LIMIT: usize = 160;
/// Characters of all remembered lines: what a task's history of deaths has room for.
const TAIL_LIMIT: usize = 320;
/// How long a dead worker's output is waited for: it is all in the pipe, unless a child of a task still holds it open.
const DRAIN_LIMIT: Duration = Duration::from_millis(200);

/// One worker process's output on its way.
pub(super) struct Output {
    tail: Arc<Mutex<Tail>>,
    ended: Receiver<()>,
}

impl Output {
    /// Forwards everything that comes through `pipe` until its end, on a thread of its own.
    pub(super) fn forward(pipe: PipeReader, log: &WorkerLog, number: usize, pid: u32) -> io::Result<Self> {
        let place = Place::open(log, number, pid)?;
        let tail = Arc::new(Mutex::new(Tail::default()));
        let (ending, ended) = mpsc::channel();
        let thread_tail = Arc::clone(&tail);
        thread::Builder::new().name(format!("quiltwork-output-{number}")).spawn(move || {
            forward_all(pipe, place, &thread_tail);
            drop(ending);
        })?;
        Ok(Self { tail, ended })
    }

    /// The last lines of a process that has ended.
    pub(super) fn last_lines(self) -> Vec<String> {
        // Nothing is ever sent: the wait ends when the forwarding does, or at its limit.
        let _ = self.ended.recv_timeout(DRAIN_LIMIT);
        self.tail.lock().unwrap_or_else(PoisonError::into_inner).0.drain(..).collect()
    }
}

fn forward_all(mut pipe: PipeReader, mut place: Place, tail: &Mutex<Tail>) {
    let mut lines = LineSplitter::default();
    let mut chunk = [0; LINE_LIMIT];
    loop {
        if place.note_due().is_some_and(|due| !has_more_before(&pipe, due)) {
            place.note_dropped();
        }
        match pipe.read(&mut chunk) {
            Ok(0) => break,
            Ok(count) => lines.split(&chunk[..count], &mut |line| deliver(line, &mut place, tail)),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => break,
        }
    }
    lines.finish(&mut |line| deliver(line, &mut place, tail));
    place.note_dropped();
}

fn deliver(line: &[u8], place: &mut Place, tail: &Mutex<Tail>) {
    tail.lock().unwrap_or_else(PoisonError::into_inner).remember(line);
    place.write(line);
}

/// Waits until the pipe has something to read or is at its end, but not longer than that; whether it has.
fn has_more_before(pipe: &PipeReader, due: Instant) -> bool {
    let left = due.saturating_duration_since(Instant::now());
    let mut readable = [PollFd::new(pipe.as_fd(), PollFlags::POLLIN)];
    let wait = PollTimeout::try_from(left).unwrap_or(PollTimeout::ZERO);
    !matches!(poll(&mut readable, wait), Ok(0))
}

/// Where lines go. A place that cannot take a line loses it: the worker must never wait for a full disk.
enum Place {
    Metered(Meter, Flow),
    File { file: File, room: u64 },
    Nowhere,
}

/// Where only so many lines go.
enum Flow {
    DriverStderr { prefix: String },
    Sink { sink: LineSink, pid: u32 },
}

impl Flow {
    /// Whether the line was taken.
    fn write(&self, line: &[u8]) -> bool {
        match self {
            // One write per line, so that lines of several workers do not mix.
            Self::DriverStderr { prefix } => {
                io::stderr().write_all(&[prefix.as_bytes(), &plain(line), b"\n"].concat()).is_ok()
            }
            Self::Sink { sink, pid } => (sink.0)(*pid, line),
        }
    }
}

/// The line as people read it: without what stands between parts of it.
fn plain(line: &[u8]) -> Cow<'_, [u8]> {
    if !line.contains(&MARK) {
        return Cow::Borrowed(line);
    }
    let parts = line.split(|byte| SEPARATORS.contains(byte)).filter(|part| !part.is_empty());
    Cow::Owned(parts.collect::<Vec<_>>().join(&b' '))
}

impl Place {
    fn open(log: &WorkerLog, number: usize, pid: u32) -> io::Result<Self> {
        match log {
            WorkerLog::Inherit => Ok(Self::metered(Flow::DriverStderr { prefix: format!("[worker {pid}] ") })),
            WorkerLog::Lines(sink) => Ok(Self::metered(Flow::Sink { sink: sink.clone(), pid })),
            WorkerLog::Null => Ok(Self::Nowhere),
            WorkerLog::Directory(folder) => {
                let path = folder.join(format!("worker-{number}.log"));
                let mut file = OpenOptions::new().create(true).append(true).open(path)?;
                writeln!(file, "--- started as process {pid}")?;
                Ok(Self::File { file, room: FILE_LIMIT })
            }
        }
    }

    fn metered(flow: Flow) -> Self {
        Self::Metered(Meter::new(Instant::now()), flow)
    }

    fn write(&mut self, line: &[u8]) {
        if self.note_due().is_some_and(|due| Instant::now() >= due) {
            self.note_dropped();
        }
        match self {
            Self::Metered(meter, flow) => {
                if meter.admit(Instant::now()) && !flow.write(line) {
                    meter.drop_one();
                }
            }
            Self::File { file, room } => drop(write_within(file, room, &plain(line))),
            Self::Nowhere => {}
        }
    }

    /// When it is to be said how many lines were dropped.
    fn note_due(&self) -> Option<Instant> {
        match self {
            Self::Metered(meter, _) => meter.due(),
            Self::File { .. } | Self::Nowhere => None,
        }
    }

    /// Says how many lines were dropped, if any were.
    fn note_dropped(&mut self) {
        if let Self::Metered(meter, flow) = self
            && meter.dropped() > 0
        {
            let (count, them) = (meter.dropped(), if meter.dropped() == 1 { "line was" } else { "lines were" });
            if flow.write(format!("… {count} {them} dropped: a worker may print 1,000 in a second").as_bytes()) {
                meter.forget();
            }
        }
    }
}

fn write_within(file: &mut File, room: &mut u64, line: &[u8]) -> io::Result<()> {
    let wanted = line.len() as u64 + 1;
    if *room == 0 {
        return Ok(());
    }
    if *room < wanted {
        *room = 0;
        return writeln!(file, "--- the rest is left out: over {} MiB", FILE_LIMIT >> 20);
    }
    *room -= wanted;
    file.write_all(&[line, b"\n"].concat())
}

/// Cuts a stream of bytes into lines without their ends.
#[derive(Default)]
struct LineSplitter {
    begun: Vec<u8>,
    cut: bool,
}

impl LineSplitter {
    fn split(&mut self, mut bytes: &[u8], deliver: &mut impl FnMut(&[u8])) {
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            self.extend(&bytes[..end]);
            self.end_line(deliver);
            bytes = &bytes[end + 1..];
        }
        self.extend(bytes);
    }

    /// Delivers a last line that was not ended.
    fn finish(&mut self, deliver: &mut impl FnMut(&[u8])) {
        if !self.begun.is_empty() {
            self.end_line(deliver);
        }
    }

    fn extend(&mut self, bytes: &[u8]) {
        let room = LINE_LIMIT - self.begun.len();
        self.cut |= bytes.len() > room;
        self.begun.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    fn end_line(&mut self, deliver: &mut impl FnMut(&[u8])) {
        if std::mem::take(&mut self.cut) {
            self.begun.extend_from_slice(" … (cut)".as_bytes());
        }
        deliver(self.begun.strip_suffix(b"\r").unwrap_or(&self.begun));
        self.begun.clear();
    }
}

/// The last lines that say something.
#[derive(Default)]
struct Tail(VecDeque<String>);

impl Tail {
    fn remember(&mut self, line: &[u8]) {
        let line = plain(line);
        let text = String::from_utf8_lossy(&line);
        if text.trim().is_empty() {
            return;
        }
        self.0.push_back(text.trim_end().chars().take(TAIL_LINE_LIMIT).collect());
        while self.0.len() > TAIL_LINES || self.characters() > TAIL_LIMIT {
            self.0.pop_front();
        }
    }

    fn characters(&self) -> usize {
        self.0.iter().map(|line| line.chars().count()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines_of(chunks: &[&[u8]]) -> Vec<String> {
        let mut lines = Vec::new();
        let mut deliver = |line: &[u8]| lines.push(String::from_utf8_lossy(line).into_owned());
        let mut splitter = LineSplitter::default();
        for chunk in chunks {
            splitter.split(chunk, &mut deliver);
        }
        splitter.finish(&mut deliver);
        lines
    }

    #[test]
    fn lines_are_whole_however_the_bytes_arrive() {
        assert_eq!(lines_of(&[b"one\ntwo\n"]), ["one", "two"]);
        assert_eq!(lines_of(&[b"o", b"ne\r", b"\n\nthr", b"ee"]), ["one", "", "three"]);
        assert!(lines_of(&[]).is_empty());
    }

    #[test]
    fn an_endless_line_is_cut_and_the_next_one_is_whole() {
        let endless = vec![b'x'; 3 * LINE_LIMIT];
        let lines = lines_of(&[&endless, &endless, b"\nnext\n"]);
        assert_eq!(lines.len(), 2);
        assert!(lines[0].ends_with("(cut)") && lines[0].len() < LINE_LIMIT + 20);
        assert_eq!(lines[1], "next");
        let exact = vec![b'x'; LINE_LIMIT];
        assert_eq!(lines_of(&[&exact, b"\n"])[0].len(), LINE_LIMIT);
    }

    #[test]
    fn only_the_last_telling_lines_are_remembered() {
        let (reader, mut writer) = io::pipe().expect("a pipe");
        let output = Output::forward(reader, &WorkerLog::Null, 1, 1).expect("a thread");
        for number in 0..8 {
            write!(writer, "line {number}\n\n").expect("the pipe is read");
        }
        writer.write_all(&[0xff, b'!']).expect("the pipe is read");
        drop(writer);
        assert_eq!(output.last_lines(), ["line 4", "line 5", "line 6", "line 7", "\u{fffd}!"]);
    }

    #[test]
    fn what_is_made_of_parts_is_shown_without_what_divides_them() {
        assert_eq!(*plain(b"\x1e30\x1fmodule\x1ftask\x1fwords \xc3\xbc"), *b"30 module task words \xc3\xbc");
        assert_eq!(*plain(b"\tplain \x1b[1mwords"), *b"\tplain \x1b[1mwords");
    }

    #[test]
    fn a_flood_is_dropped_and_counted_and_what_comes_before_it_is_there() {
        let taken = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&taken);
        let take = move |pid, line: &[u8]| {
            sink.lock().expect("no test panics").push((pid, String::from_utf8_lossy(line).into_owned()));
            true
        };
        let (reader, mut writer) = io::pipe().expect("a pipe");
        let log = WorkerLog::Lines(LineSink::new(take));
        let output = Output::forward(reader, &log, 1, 42).expect("a thread");
        for number in 0..5000 {
            writeln!(writer, "line {number}").expect("the pipe is read");
        }
        // What was dropped is told although nothing follows.
        let deadline = Instant::now() + Duration::from_secs(60);
        while !taken.lock().expect("no test panics").last().is_some_and(|(_, line)| line.starts_with('…')) {
            assert!(Instant::now() < deadline, "nothing is told");
            thread::sleep(Duration::from_millis(5));
        }
        drop(writer);
        let last = output.ended.recv_timeout(Duration::from_secs(60)).expect_err("nothing is ever sent");
        assert_eq!(last, mpsc::RecvTimeoutError::Disconnected);
        let taken = taken.lock().expect("no test panics");
        assert!(taken.iter().take(1000).enumerate().all(|(n, line)| *line == (42, format!("line {n}"))));
        let told = |line: &str| line.strip_prefix("… ")?.split(' ').next()?.parse::<usize>().ok();
        let (notes, lines): (Vec<_>, Vec<_>) =
            taken.iter().map(|(_, line)| line).partition(|line| told(line).is_some());
        let dropped: usize = notes.into_iter().filter_map(|line| told(line)).sum();
        assert_eq!((lines.len() + dropped, dropped > 0), (5000, true));
    }

    #[test]
    fn of_long_lines_fewer_are_remembered() {
        let mut tail = Tail::default();
        for character in ["a", "b", "ü"] {
            tail.remember(character.repeat(10_000).as_bytes());
        }
        assert_eq!(tail.0, ["b", "ü"].map(|character| character.repeat(TAIL_LINE_LIMIT)));
    }

    #[test]
    fn a_pipe_that_stays_open_is_not_waited_for() {
        let (reader, writer) = io::pipe().expect("a pipe");
        let output = Output::forward(reader, &WorkerLog::Null, 1, 1).expect("a thread");
        assert!(output.last_lines().is_empty());
        drop(writer);
    }

    #[test]
    fn a_file_takes_every_line_up_to_its_limit() {
        let folder = tempfile::tempdir().expect("a folder");
        let log = WorkerLog::Directory(folder.path().into());
        let mut place = Place::open(&log, 7, 42).expect("a file");
        place.write(b"hello");
        if let Place::File { room, .. } = &mut place {
            *room = 3;
        }
        place.write(b"too long");
        place.write(b"x");
        let text = std::fs::read_to_string(folder.path().join("worker-7.log")).expect("the file is there");
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[..2], ["--- started as process 42", "hello"]);
        assert!(lines[2].contains("left out"), "{text}");
        assert_eq!(lines.len(), 3);
    }
}
