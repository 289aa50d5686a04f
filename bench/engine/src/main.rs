//! The contenders of `bench/run` that are written in Rust. Each answers measurements line by line, as those in Python do.
//!
//! `quiltwork-bench NAME` reads requests from its input and writes an answer to each: `figures` with the seconds they took,
//! or why there are none. What the measurements mean is in `bench/comparison/measurements`.
mod actors;
mod engine;
mod learning;
mod life;
mod memcpy;
mod moves;
mod programs;
mod raw_quinn;
mod request;
mod small;
mod unix_socket;

use anyhow::{Context, Result, bail};
use engine::Engine;
use memcpy::Memcpy;
use raw_quinn::RawQuinn;
use request::serve;
use unix_socket::UnixSocket;

#[quiltwork::main]
async fn main() -> Result<()> {
    let name = std::env::args().nth(1).context("no contender is named\nhint: this program is run by bench/run")?;
    match name.as_str() {
        "quiltwork-rust" => serve(Engine::default()).await,
        "raw-quinn" => serve(RawQuinn::default()).await,
        "unix-socket" => serve(UnixSocket::default()).await,
        "memcpy" => serve(Memcpy).await,
        raw_quinn::PEER => raw_quinn::run_peer().await,
        unix_socket::PEER => unix_socket::run_peer(),
        life::FIRST_RESULT => life::first_result().await,
        other => bail!("there is no contender {other:?}"),
    }
}
