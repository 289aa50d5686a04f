//! What a worker process is given at its start, and how it knows that it is one; it starts nothing and reads no task.
//!
//! The environment carries only a summons: start version, the driver's process id and the inode of the pipe the kit
//! comes through. A process is a worker exactly if its standard input *is* that pipe. A task's own children inherit the
//! variable but not the pipe, so they may be drivers of their own; a worker whose driver died a moment ago still sees
//! that it is a worker, and never runs the program's `main` as if it were a driver.
use quiltwork_protocol::codec::{self, CodecError};
use quiltwork_transport::Identity;
use quiltwork_types::NamedResource;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::PathBuf;

/// The environment variable that carries the summons.
pub(crate) const VARIABLE: &str = "QUILTWORK_START";

/// Grows when the kit or the way it is handed over changes.
const VERSION: u32 = 1;

/// The largest kit accepted, in bytes: two identities of a few kilobytes and some room for resource names.
const KIT_LIMIT: u32 = 1 << 20;

/// Names the process that is asked to be a worker, and who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Summons {
    /// The start version the driver speaks.
    version: u32,
    /// The driver's process id.
    pub(crate) driver: u32,
    /// The inode of the pipe that is the worker's standard input.
    pipe: u64,
}

impl Summons {
    /// A summons by this process for whoever gets `pipe` as its standard input.
    pub(crate) fn through(pipe: impl AsFd) -> io::Result<Self> {
        let pipe = pipe_inode(pipe)?.ok_or_else(|| io::Error::other("the start kit's channel is not a pipe"))?;
        Ok(Self { version: VERSION, driver: std::process::id(), pipe })
    }

    /// The summons addressed to this very process, if there is one.
    pub(crate) fn to_this_process() -> Option<Self> {
        let summons = Self::parse(&std::env::var(VARIABLE).ok()?)?;
        let stdin = pipe_inode(io::stdin()).ok().flatten()?;
        (stdin == summons.pipe).then_some(summons)
    }

    /// Whether the driver hands kits over the way this build expects.
    pub(crate) fn is_understood(self) -> bool {
        self.version == VERSION
    }

    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split(':');
        let summons = Self {
            version: parts.next()?.parse().ok()?,
            driver: parts.next()?.parse().ok()?,
            pipe: parts.next()?.parse().ok()?,
        };
        Some(summons)
    }
}

impl fmt::Display for Summons {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.version, self.driver, self.pipe)
    }
}

/// The inode behind a descriptor if it is a pipe; both ends of a pipe have the same.
fn pipe_inode(descriptor: impl AsFd) -> io::Result<Option<u64>> {
    let metadata = File::from(descriptor.as_fd().try_clone_to_owned()?).metadata()?;
    Ok(metadata.file_type().is_fifo().then(|| metadata.ino()))
}

/// Everything a worker needs to join its master.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct StartKit {
    /// Where the master listens.
    pub(crate) master: SocketAddr,
    /// Who the worker is to the master and to other workers.
    pub(crate) identity: Identity,
    /// With what its tasks become clients of the same cluster.
    pub(crate) client_ticket: String,
    /// How many tasks it runs at a time.
    pub(crate) slots: u32,
    /// Bytes of values it may hold, and of memory its tasks may ask for.
    pub(crate) memory: u64,
    /// Named resources, sorted by name.
    pub(crate) named: Box<[NamedResource]>,
    /// The area of its node.
    pub(crate) area: PathBuf,
    /// Bytes of values it may hold there in memory.
    pub(crate) area_share: u64,
    /// Bytes of values it may hold on disk.
    pub(crate) spill_share: u64,
}

impl StartKit {
    /// The kit as it goes through the pipe: its length (4 bytes, little endian), then its encoding.
    pub(crate) fn to_frame(&self) -> Result<Vec<u8>, CodecError> {
        let mut frame = vec![0; 4];
        let length = codec::encode_head(self, &mut frame)?;
        let length = u32::try_from(length).expect("a head is at most 16 MiB");
        frame[..4].copy_from_slice(&length.to_le_bytes());
        Ok(frame)
    }

    /// Reads one kit and not a byte more: what follows on the pipe is the driver's silence, and then its end.
    pub(crate) fn receive(pipe: &mut impl Read) -> io::Result<Self> {
        let mut length = [0; 4];
        pipe.read_exact(&mut length)?;
        let length = u32::from_le_bytes(length);
        if length > KIT_LIMIT {
            return Err(io::Error::other(format!("the start kit claims {length} bytes, the limit is {KIT_LIMIT}")));
        }
        let mut body = vec![0; length as usize];
        pipe.read_exact(&mut body)?;
        codec::decode_head(&body).map_err(io::Error::other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quiltwork_transport::{Authority, Role};
    use std::io::Write;

    fn kit() -> StartKit {
        let authority = Authority::new().expect("an authority needs nothing from outside");
        StartKit {
            master: "127.0.0.1:7".parse().expect("an address"),
            identity: authority.issue(Role::Worker).expect("an authority issues every role"),
            client_ticket: "ticket".into(),
            slots: 3,
            memory: 1 << 30,
            named: Box::new([NamedResource { name: "gpu".into(), amount: 2 }]),
            area: "/dev/shm/x".into(),
            area_share: 5,
            spill_share: 6,
        }
    }

    #[test]
    fn a_kit_arrives_as_it_was_sent_and_leaves_the_rest_of_the_pipe_alone() {
        let sent = kit();
        let mut bytes = sent.to_frame().expect("a kit can be encoded");
        bytes.extend_from_slice(b"after");
        let mut pipe = bytes.as_slice();
        let received = StartKit::receive(&mut pipe).expect("the kit is whole");
        assert_eq!(received.master, sent.master);
        assert_eq!(received.named, sent.named);
        assert_eq!((received.slots, received.memory), (3, 1 << 30));
        assert_eq!(pipe, b"after");
    }

    #[test]
    fn a_cut_or_absurd_kit_is_an_error() {
        let whole = kit().to_frame().expect("a kit can be encoded");
        for cut in [0, 3, 4, whole.len() - 1] {
            assert!(StartKit::receive(&mut &whole[..cut]).is_err(), "cut at {cut}");
        }
        let absurd = u32::MAX.to_le_bytes();
        let error = StartKit::receive(&mut absurd.as_slice()).expect_err("4 GiB are over the limit");
        assert!(error.to_string().contains("limit"), "{error}");
    }

    #[test]
    fn a_summons_names_the_pipe_by_either_end_and_survives_the_environment() {
        let (reader, mut writer) = io::pipe().expect("a pipe");
        let summons = Summons::through(&writer).expect("a pipe has an inode");
        assert_eq!(summons, Summons::through(&reader).expect("a pipe has an inode"));
        assert_eq!(Summons::parse(&summons.to_string()), Some(summons));
        assert!(summons.is_understood());
        writer.write_all(b"x").expect("the pipe has room");
    }

    #[test]
    fn what_is_not_a_summons_is_ignored() {
        for text in ["", "1", "1:2", "1:x:3", "yes"] {
            assert_eq!(Summons::parse(text), None, "{text:?}");
        }
    }
}
