//! A bare Unix socket between two processes: the quickest way to another process that the system offers.
use crate::moves::{gigabytes, moved};
use crate::request::{Contender, Figures, Request, trip_figures};
use anyhow::{Context, Result};
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

/// What this program is called with to be the other process.
pub(crate) const PEER: &str = "unix-socket-peer";
/// Bytes written or read at a time.
const PIECE: usize = 256 << 10;
/// A message of a round trip, as long as one of a small task.
const MESSAGE: usize = 64;
const WARM_UP: usize = 2;

/// The other process, with the socket as its input.
#[derive(Default)]
pub(crate) struct UnixSocket {
    peer: Option<(Child, UnixStream)>,
}

impl Contender for UnixSocket {
    async fn start(&mut self, _: &Request) -> Result<()> {
        if self.peer.is_none() {
            let (ours, theirs) = UnixStream::pair()?;
            let program = std::env::current_exe()?;
            let child = Command::new(program).arg(PEER).stdin(OwnedFd::from(theirs)).stdout(Stdio::null()).spawn()?;
            self.peer = Some((child, ours));
        }
        Ok(())
    }

    async fn run(&mut self, request: &Request) -> Result<Option<Figures>> {
        let (child, socket) = self.peer.as_mut().context("it was started")?;
        match request.measurement.as_str() {
            "round-trip" => round_trips(socket, request).map(Some),
            "between-nodes" => {
                let size = request.size("bytes")?;
                let mut figures = Figures::new();
                for _ in 0..=WARM_UP {
                    let pids = [child.id(), std::process::id()];
                    figures.extend(moved(size, pids, async { receive(socket, size) }).await?.figures());
                }
                let began = Instant::now();
                receive(socket, 4 * (size * 6 / 10))?;
                figures.insert("four", gigabytes(4 * (size * 6 / 10), began.elapsed()));
                Ok(Some(figures))
            }
            _ => Ok(None),
        }
    }

    async fn stop(self) {
        if let Some((mut child, socket)) = self.peer {
            // Its input ends, and it with that.
            drop(socket);
            let _ = child.wait();
        }
    }
}

fn round_trips(socket: &mut UnixStream, request: &Request) -> Result<Figures> {
    let warm_up = request.size("warm_up")?;
    let mut trips = Vec::new();
    for _ in 0..warm_up + request.size("trips")? {
        let began = Instant::now();
        receive(socket, MESSAGE)?;
        trips.push(began.elapsed().as_secs_f64() * 1e6);
    }
    Ok(trip_figures(trips.split_off(warm_up)))
}

/// Asks for so many bytes and reads them.
fn receive(socket: &mut UnixStream, size: usize) -> Result<()> {
    let mut question = [0; MESSAGE];
    question[..8].copy_from_slice(&(size as u64).to_le_bytes());
    socket.write_all(&question)?;
    let mut piece = vec![0; size.min(PIECE)];
    let mut left = size;
    while left > 0 {
        let room = left.min(PIECE);
        let read = socket.read(&mut piece[..room])?;
        anyhow::ensure!(read > 0, "the socket was closed");
        left -= read;
    }
    Ok(())
}

/// Sends as many bytes as each question asks for, until its input ends.
pub(crate) fn run_peer() -> Result<()> {
    let mut socket = UnixStream::from(std::io::stdin().as_fd().try_clone_to_owned()?);
    let piece = vec![7; PIECE];
    let mut question = [0; MESSAGE];
    while socket.read_exact(&mut question).is_ok() {
        let size = question[..8].try_into().expect("eight of the bytes");
        let mut left = usize::try_from(u64::from_le_bytes(size))?;
        while left > 0 {
            let now = left.min(PIECE);
            socket.write_all(&piece[..now])?;
            left -= now;
        }
    }
    Ok(())
}
