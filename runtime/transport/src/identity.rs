//! Who may be what: a cluster's authority, the identities it issues, and how a certificate says its role.
use crate::error::IdentityError;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};
use rustls::client::verify_server_name;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer, ServerName};
use rustls::server::ParsedCertificate;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How long certificates of an in-memory authority hold: longer than any process lives.
const VALIDITY: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);
/// Certificates hold from a while ago, so that machines with differing clocks understand each other.
const BACKDATED: Duration = Duration::from_secs(24 * 60 * 60);

/// What a process is in the cluster. It stands in its certificate as the name `<role>.quiltwork`, never in a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Role {
    /// Decides.
    Master,
    /// Submits tasks and may change the cluster.
    Admin,
    /// Submits tasks.
    Client,
    /// Runs tasks.
    Worker,
    /// Looks on.
    Viewer,
}

impl Role {
    const ALL: [Self; 5] = [Self::Master, Self::Admin, Self::Client, Self::Worker, Self::Viewer];

    /// The name in a certificate of this role.
    pub(crate) const fn server_name(self) -> &'static str {
        match self {
            Self::Master => "master.quiltwork",
            Self::Admin => "admin.quiltwork",
            Self::Client => "client.quiltwork",
            Self::Worker => "worker.quiltwork",
            Self::Viewer => "viewer.quiltwork",
        }
    }

    /// The one role this certificate gives; none if it gives none or several.
    pub(crate) fn of_certificate(certificate: &CertificateDer<'_>) -> Option<Self> {
        let parsed = ParsedCertificate::try_from(certificate).ok()?;
        let mut held = Self::ALL.into_iter().filter(|role| {
            let name = ServerName::try_from(role.server_name()).expect("a valid DNS name");
            verify_server_name(&parsed, &name).is_ok()
        });
        held.next().filter(|_| held.next().is_none())
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Master => "master",
            Self::Admin => "admin",
            Self::Client => "client",
            Self::Worker => "worker",
            Self::Viewer => "viewer",
        })
    }
}

/// The root of one cluster's trust. It lives in memory; whoever holds it can make any role.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    /// Makes a new authority with a new key.
    ///
    /// # Errors
    /// If the system gives no randomness.
    pub fn new() -> Result<Self, IdentityError> {
        let mut params = named("quiltwork authority", Vec::new())?;
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        Ok(Self { issuer: CertifiedIssuer::self_signed(params, KeyPair::generate()?)? })
    }

    /// Makes an identity of this role with a key of its own.
    ///
    /// # Errors
    /// If the system gives no randomness.
    pub fn issue(&self, role: Role) -> Result<Identity, IdentityError> {
        let mut params = named(&format!("quiltwork {role}"), vec![role.server_name().to_owned()])?;
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth, ExtendedKeyUsagePurpose::ServerAuth];
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?;
        Ok(Identity {
            role,
            certificate: certificate.der().to_vec(),
            key: key.serialize_der(),
            authority: self.issuer.der().to_vec(),
        })
    }
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authority").finish_non_exhaustive()
    }
}

fn named(name: &str, roles: Vec<String>) -> Result<CertificateParams, IdentityError> {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let now = date_time_ymd(1970, 1, 1) + since_1970;
    let mut params = CertificateParams::new(roles)?;
    params.distinguished_name.remove(DnType::CommonName);
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = now - BACKDATED;
    params.not_after = now + VALIDITY;
    params.use_authority_key_identifier_extension = true;
    Ok(params)
}

/// What a process proves its role with: a certificate, its key, and the authority it trusts. Whoever has a copy can
/// act as its owner; it goes to other processes only through private channels.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    role: Role,
    certificate: Vec<u8>,
    key: Vec<u8>,
    authority: Vec<u8>,
}

impl Identity {
    /// What the owner is.
    #[must_use]
    pub const fn role(&self) -> Role {
        self.role
    }

    pub(crate) fn certificate(&self) -> CertificateDer<'static> {
        self.certificate.clone().into()
    }

    pub(crate) fn key(&self) -> PrivatePkcs8KeyDer<'static> {
        self.key.clone().into()
    }

    pub(crate) fn authority(&self) -> CertificateDer<'static> {
        self.authority.clone().into()
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").field("role", &self.role).finish_non_exhaustive()
    }
}
