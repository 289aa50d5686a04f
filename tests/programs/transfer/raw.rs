//! Bare QUIC between two processes, with the transport's own settings: the rate a transfer is measured against.
use crate::{Moved, moved};
use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use quiltwork_transport::limits;
use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use quinn::{ClientConfig, Connection, Endpoint, EndpointConfig, ServerConfig, TokioRuntime};
use rustls::RootCertStore;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use socket2::{Domain, Socket, Type};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

/// What this program is called with to be the sending peer.
pub(crate) const PEER: &str = "raw-peer";
/// Bytes handed to QUIC at a time.
const WRITE_SIZE: usize = 256 << 10;

/// The sending process and a connection to it.
pub(crate) struct Raw {
    peer: Child,
    connection: Connection,
    _endpoint: Endpoint,
}

impl Raw {
    /// Starts this program a second time and connects to it.
    pub(crate) async fn start() -> Result<Self> {
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

    /// Receives so many streams of `size` bytes each, side by side. The bytes are let go as they arrive.
    pub(crate) async fn receive(&self, streams: usize, size: u64) -> Result<Moved> {
        let bytes = streams * usize::try_from(size)?;
        moved(bytes, [self.peer.id(), std::process::id()], async {
            let mut running = tokio::task::JoinSet::new();
            for _ in 0..streams {
                running.spawn(receive_one(self.connection.clone(), size));
            }
            while let Some(received) = running.join_next().await {
                received??;
            }
            Ok(())
        })
        .await
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        // Its input ends, and it with that.
        drop(self.peer.stdin.take());
        let _ = self.peer.wait();
    }
}

async fn receive_one(connection: Connection, size: u64) -> Result<()> {
    let (mut send, mut receive) = connection.open_bi().await?;
    send.write_all(&size.to_le_bytes()).await?;
    send.finish()?;
    let mut chunks = vec![Bytes::new(); 64];
    let mut received = 0;
    while let Some(count) = receive.read_chunks(&mut chunks).await? {
        received += chunks[..count].iter().map(|chunk| chunk.len() as u64).sum::<u64>();
    }
    ensure!(received == size, "{received} bytes came");
    Ok(())
}

/// Sends as many bytes as each stream asks for, until the input ends.
pub(crate) fn run_peer() -> Result<()> {
    std::thread::spawn(|| {
        let _ = std::io::stdin().read(&mut [0]);
        std::process::exit(0);
    });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
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
            let mut size = [0; 8];
            receive.read_exact(&mut size).await?;
            let size = usize::try_from(u64::from_le_bytes(size))?;
            if all.len() < size {
                all = vec![7; size].into();
            }
            tokio::spawn(send_one(send, all.slice(..size)));
        }
        Ok(())
    })
}

async fn send_one(mut send: quinn::SendStream, mut bytes: Bytes) -> Result<()> {
    while !bytes.is_empty() {
        let piece = bytes.split_to(bytes.len().min(WRITE_SIZE));
        send.write_chunk(piece).await?;
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
