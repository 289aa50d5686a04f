//! Bare QUIC between two processes, with the transport's own settings: what Quiltwork's links and transfers are measured against.
use crate::moves::{gigabytes, moved};
use crate::request::{Contender, Figures, Request, trip_figures};
use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use quiltwork_transport::limits;
use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use quinn::{ClientConfig, Connection, Endpoint, EndpointConfig, RecvStream, SendStream, ServerConfig, TokioRuntime};
use rustls::RootCertStore;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use socket2::{Domain, Socket, Type};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Instant;

/// What this program is called with to be the sending peer.
pub(crate) const PEER: &str = "raw-quinn-peer";
/// Bytes handed to QUIC at a time.
const WRITE_SIZE: usize = 256 << 10;
/// A question, and the answer of a round trip: as long as a message of a small task.
const MESSAGE: usize = 64;
const WARM_UP: usize = 2;

/// The connection, when it was asked for.
#[derive(Default)]
pub(crate) struct RawQuinn {
    raw: Option<Raw>,
}

impl Contender for RawQuinn {
    async fn start(&mut self, _: &Request) -> Result<()> {
        if self.raw.is_none() {
            self.raw = Some(Raw::start().await?);
        }
        Ok(())
    }

    async fn run(&mut self, request: &Request) -> Result<Option<Figures>> {
        let raw = self.raw.as_ref().context("it was started")?;
        match request.measurement.as_str() {
            "round-trip" => raw.round_trips(request).await.map(Some),
            "between-nodes" => raw.bulk(request.size("bytes")?).await.map(Some),
            _ => Ok(None),
        }
    }

    async fn stop(self) {}
}

/// The sending process and a connection to it.
struct Raw {
    peer: Child,
    connection: Connection,
    _endpoint: Endpoint,
}

impl Raw {
    /// Starts this program a second time and connects to it.
    async fn start() -> Result<Self> {
        let mut peer =
            Command::new(std::env::current_exe()?).arg(PEER).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let mut said = BufReader::new(peer.stdout.take().context("it was piped")?).lines();
        let address: SocketAddr = said.next().context("no address")??.parse()?;
        let certificate: Vec<u8> =
            said.next().context("no certificate")??.split(' ').map(str::parse).collect::<Result<_, _>>()?;
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from(certificate))?;
        let tls = rustls::ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let mut config = ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls)?));
        config.transport_config(Arc::new(limits::transport_config(Ipv4Addr::LOCALHOST.into())));
        let endpoint = open(None)?;
        let connection = endpoint.connect_with(config, address, "localhost")?.await?;
        connection.set_receive_window(limits::connection_window(quiltwork_transport::Role::Worker));
        Ok(Self { peer, connection, _endpoint: endpoint })
    }

    /// Messages there and back on one stream.
    async fn round_trips(&self, request: &Request) -> Result<Figures> {
        let (mut send, mut receive) = self.connection.open_bi().await?;
        let warm_up = request.size("warm_up")?;
        let mut trips = Vec::new();
        for _ in 0..warm_up + request.size("trips")? {
            let began = Instant::now();
            send.write_all(&question(MESSAGE)).await?;
            receive.read_exact(&mut [0; MESSAGE]).await?;
            trips.push(began.elapsed().as_secs_f64() * 1e6);
        }
        Ok(trip_figures(trips.split_off(warm_up)))
    }

    /// One stream of so many bytes, and four of 60 % of that side by side.
    async fn bulk(&self, size: usize) -> Result<Figures> {
        let mut figures = Figures::new();
        let pids = [self.peer.id(), std::process::id()];
        for _ in 0..=WARM_UP {
            figures.extend(moved(size, pids, self.receive(1, size)).await?.figures());
        }
        let quarter = size * 6 / 10;
        for _ in 0..=WARM_UP {
            let began = Instant::now();
            self.receive(4, quarter).await?;
            figures.insert("four", gigabytes(4 * quarter, began.elapsed()));
        }
        Ok(figures)
    }

    /// Receives so many streams of `size` bytes each, side by side. The bytes are let go as they arrive.
    async fn receive(&self, streams: usize, size: usize) -> Result<()> {
        let mut running = tokio::task::JoinSet::new();
        for _ in 0..streams {
            running.spawn(receive_one(self.connection.clone(), size));
        }
        while let Some(received) = running.join_next().await {
            received??;
        }
        Ok(())
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        // Its input ends, and it with that.
        drop(self.peer.stdin.take());
        let _ = self.peer.wait();
    }
}

fn question(size: usize) -> [u8; MESSAGE] {
    let mut question = [0; MESSAGE];
    question[..8].copy_from_slice(&(size as u64).to_le_bytes());
    question
}

async fn receive_one(connection: Connection, size: usize) -> Result<()> {
    let (mut send, mut receive) = connection.open_bi().await?;
    send.write_all(&question(size)).await?;
    send.finish()?;
    let mut chunks = vec![Bytes::new(); 64];
    let mut received = 0;
    while let Some(count) = receive.read_chunks(&mut chunks).await? {
        received += chunks[..count].iter().map(Bytes::len).sum::<usize>();
    }
    ensure!(received == size, "{received} bytes came");
    Ok(())
}

/// Sends as many bytes as each question asks for, until its input ends.
pub(crate) async fn run_peer() -> Result<()> {
    std::thread::spawn(|| {
        let _ = std::io::stdin().read(&mut [0]);
        std::process::exit(0);
    });
    let key = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
    let certificate = key.cert.der().clone();
    let tls = rustls::ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.clone()],
            PrivatePkcs8KeyDer::from(key.signing_key.serialize_der()).into(),
        )?;
    let mut config = ServerConfig::with_crypto(Arc::new(QuicServerConfig::try_from(tls)?));
    config.transport_config(Arc::new(limits::transport_config(Ipv4Addr::LOCALHOST.into())));
    let endpoint = open(Some(config))?;
    let certificate: Vec<_> = certificate.iter().map(u8::to_string).collect();
    println!("{}\n{}", endpoint.local_addr()?, certificate.join(" "));
    std::io::stdout().flush()?;
    let connection = endpoint.accept().await.context("the endpoint is open")?.await?;
    let mut all = Bytes::new();
    while let Ok((send, mut receive)) = connection.accept_bi().await {
        let Some(size) = asked(&mut receive).await? else { continue };
        if all.len() < size {
            all = vec![7; size].into();
        }
        tokio::spawn(answer(send, receive, all.slice(..size)));
    }
    Ok(())
}

/// How many bytes the next question asks for; nothing if there is none.
async fn asked(receive: &mut RecvStream) -> Result<Option<usize>> {
    let mut question = [0; MESSAGE];
    if receive.read_exact(&mut question).await.is_err() {
        return Ok(None);
    }
    let size = question[..8].try_into().expect("eight of the bytes");
    Ok(Some(usize::try_from(u64::from_le_bytes(size))?))
}

/// Answers this question and all that follow it on its stream, each with the same bytes.
async fn answer(mut send: SendStream, mut receive: RecvStream, bytes: Bytes) -> Result<()> {
    loop {
        let mut left = bytes.clone();
        while !left.is_empty() {
            let piece = left.split_to(left.len().min(WRITE_SIZE));
            send.write_chunk(piece).await?;
        }
        if asked(&mut receive).await?.is_none() {
            break;
        }
    }
    send.finish()?;
    Ok(())
}

fn open(config: Option<ServerConfig>) -> Result<Endpoint> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, None)?;
    socket.set_recv_buffer_size(limits::SOCKET_BUFFER)?;
    socket.set_send_buffer_size(limits::SOCKET_BUFFER)?;
    socket.bind(&address.into())?;
    let settings: EndpointConfig = limits::endpoint_config();
    Ok(Endpoint::new(settings, config, socket.into(), Arc::new(TokioRuntime))?)
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}
