//! Memory that is copied within a process: what no `put` can be faster than.
use crate::moves::gigabytes;
use crate::request::{Contender, Figures, Request};
use anyhow::Result;
use std::time::Instant;

/// One thread, memory that was touched before.
pub(crate) struct Memcpy;

impl Contender for Memcpy {
    async fn start(&mut self, _: &Request) -> Result<()> {
        Ok(())
    }

    async fn run(&mut self, request: &Request) -> Result<Option<Figures>> {
        if request.measurement != "client-moves" {
            return Ok(None);
        }
        let size = request.size("bytes")?;
        let (from, mut to) = (vec![7_u8; size], vec![1_u8; size]);
        let began = Instant::now();
        to.copy_from_slice(std::hint::black_box(&from));
        std::hint::black_box(&to);
        Ok(Some([("put", gigabytes(size, began.elapsed()))].into()))
    }

    async fn stop(self) {}
}
