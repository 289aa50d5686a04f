//! The control stream's first words: the hello, the version both speak, and the master's answer; then it is a link.
use crate::connection::Connection;
use crate::error::{JoinError, MeetError, describe, tls_alert};
use crate::frame::{FrameError, FrameReader, encode_frame};
use crate::limits::{CLOSE_TIME, HANDSHAKE_TIME};
use crate::link::Link;
use quiltwork_protocol::{BUILD, Hello, HelloReply, MAGIC, Message, RefusalKind, VersionRange, Welcome};
use quinn::{ConnectionError, ReadExactError, RecvStream, SendStream, WriteError};
use tokio::time::timeout;

/// Says hello on a connection to the master and waits for the answer, at most
/// [`HANDSHAKE_TIME`](crate::limits::HANDSHAKE_TIME). Must be the first thing done on the connection.
///
/// # Errors
/// If the master refuses, does not answer, or goes away; the connection is closed then.
pub async fn join<Out: Message, In: Message>(
    connection: Connection,
    hello: Hello,
) -> Result<(Welcome, Link<Out, In>), JoinError> {
    let answer = timeout(HANDSHAKE_TIME, say_hello(&connection, &hello)).await.unwrap_or(Err(JoinError::Silent));
    match answer {
        Ok((HelloReply::Welcome(welcome), send, receive)) => {
            Ok((welcome, Link::over_stream(&connection, send, receive)))
        }
        Ok((HelloReply::Refused(kind, text), ..)) => {
            connection.close("was refused");
            Err(JoinError::Refused(kind, text))
        }
        Err(error) => {
            connection.close("found no master here");
            Err(error)
        }
    }
}

async fn say_hello(connection: &Connection, hello: &Hello) -> Result<(HelloReply, SendStream, RecvStream), JoinError> {
    let (mut send, mut receive) = connection.quic().open_bi().await.map_err(|error| join_lost(&error))?;
    let mut words = MAGIC.to_vec();
    encode_frame(hello, &mut words).map_err(|error| JoinError::Garbage(error.to_string()))?;
    send.write_all(&words).await.map_err(|error| match error {
        WriteError::ConnectionLost(error) => join_lost(&error),
        other => JoinError::Garbage(other.to_string()),
    })?;
    match FrameReader::default().read(&mut receive).await {
        Ok(reply) => Ok((reply, send, receive)),
        Err(FrameError::Lost(error)) => Err(join_lost(&error)),
        Err(FrameError::Broken(reason)) => Err(JoinError::Garbage(reason)),
    }
}

fn join_lost(error: &ConnectionError) -> JoinError {
    if tls_alert(error).is_some() {
        return JoinError::Untrusted(describe(error));
    }
    JoinError::Lost(describe(error))
}

/// Hears the hello of somebody who connected, at most [`HANDSHAKE_TIME`](crate::limits::HANDSHAKE_TIME). Must be the
/// first thing done on the connection. Run it beside other work: a half-open peer takes all of that time.
///
/// # Errors
/// If the peer says nothing, something else, or speaks none of our versions (then it was told so); the connection is
/// closed then.
pub async fn meet(connection: Connection) -> Result<Guest, MeetError> {
    let heard = timeout(HANDSHAKE_TIME, hear_hello(&connection)).await.unwrap_or(Err(MeetError::Silent));
    let (hello, send, receive) = heard.inspect_err(|error| connection.close(&error.to_string()))?;
    let common = VersionRange::OURS.agree(hello.versions);
    let guest = Guest { hello, version: common.unwrap_or_default(), connection, send, receive };
    if common.is_some() {
        return Ok(guest);
    }
    let text = format!(
        "no common version: the master is {BUILD} and speaks version {}, the peer is {} and speaks version {}\n\
         hint: install the same release on both sides",
        VersionRange::OURS,
        guest.hello.build,
        guest.hello.versions
    );
    guest.refuse(RefusalKind::Version, text.clone()).await;
    Err(MeetError::Version(text))
}

async fn hear_hello(connection: &Connection) -> Result<(Hello, SendStream, RecvStream), MeetError> {
    let lost = |error: &ConnectionError| MeetError::Lost(describe(error));
    let (send, mut receive) = connection.quic().accept_bi().await.map_err(|error| lost(&error))?;
    let mut magic = [0; MAGIC.len()];
    receive.read_exact(&mut magic).await.map_err(|error| match error {
        ReadExactError::ReadError(quinn::ReadError::ConnectionLost(error)) => lost(&error),
        other => MeetError::Garbage(other.to_string()),
    })?;
    if magic != MAGIC {
        return Err(MeetError::Garbage("they do not begin with the magic of quiltwork".to_owned()));
    }
    match FrameReader::default().read(&mut receive).await {
        Ok(hello) => Ok((hello, send, receive)),
        Err(FrameError::Lost(error)) => Err(lost(&error)),
        Err(FrameError::Broken(reason)) => Err(MeetError::Garbage(reason)),
    }
}

/// Somebody who said a proper hello, speaks a common version and waits for the answer. Whether the certificate allows
/// what the hello asks for ([`Connection::peer_role`]) is for the host to judge.
#[derive(Debug)]
pub struct Guest {
    /// What it said.
    pub hello: Hello,
    version: u16,
    connection: Connection,
    send: SendStream,
    receive: RecvStream,
}

impl Guest {
    /// The newest version both sides speak.
    #[must_use]
    pub const fn version(&self) -> u16 {
        self.version
    }

    /// The connection it came on.
    #[must_use]
    pub const fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Lets it in. The version in `welcome` is replaced by the common one.
    ///
    /// # Errors
    /// If it has gone meanwhile or does not take the answer in time; the connection is closed then.
    pub async fn welcome<Out: Message, In: Message>(mut self, welcome: Welcome) -> Result<Link<Out, In>, MeetError> {
        let welcome = Welcome { version: self.version, ..welcome };
        self.answer(&HelloReply::Welcome(welcome))
            .await
            .inspect_err(|error| self.connection.close(&error.to_string()))?;
        Ok(Link::over_stream(&self.connection, self.send, self.receive))
    }

    /// Keeps it out and says why; the connection is closed when it knows, or soon.
    pub async fn refuse(mut self, kind: RefusalKind, text: String) {
        if self.answer(&HelloReply::Refused(kind, text)).await.is_ok() {
            // It may be gone already, which is as good. Closing before it has read the answer would take it back.
            let _ = self.send.finish();
            let _ = timeout(CLOSE_TIME, self.connection.closed()).await;
        }
        self.connection.close("was refused");
    }

    async fn answer(&mut self, reply: &HelloReply) -> Result<(), MeetError> {
        let mut words = Vec::new();
        encode_frame(reply, &mut words).map_err(|error| MeetError::Garbage(error.to_string()))?;
        match timeout(HANDSHAKE_TIME, self.send.write_all(&words)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(WriteError::ConnectionLost(error))) => Err(MeetError::Lost(describe(&error))),
            Ok(Err(other)) => Err(MeetError::Lost(other.to_string())),
            Err(_) => Err(MeetError::Silent),
        }
    }
}
