//! What a server's TLS is made of: certificates and keys by name, and what it asks of its clients.

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, aws_lc_rs};
use rustls::pki_types::{
    CertificateDer, PrivateKeyDer, PrivatePkcs1KeyDer, PrivatePkcs8KeyDer, PrivateSec1KeyDer,
    UnixTime,
};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{
    ClientHello, NoServerSessionStorage, ResolvesServerCert, ServerConfig, WebPkiClientVerifier,
};
use rustls::sign::CertifiedKey;
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, RootCertStore,
    SignatureScheme, SupportedProtocolVersion, version,
};
use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

/// A checked configuration; handshakes that have begun keep theirs.
#[derive(Clone, Debug)]
pub struct TlsConfig {
    /// One for each of the material's `clients`.
    configs: Arc<[Arc<ServerConfig>]>,
    resolver: Arc<Resolver>,
}

/// What a configuration is made of. Certificates are DER.
#[derive(Debug, Default)]
pub struct TlsMaterial {
    /// At least one; the first is for clients that name no server, or none of these.
    pub identities: Vec<Identity>,
    /// What clients have to show; nothing, if there is none.
    pub clients: Vec<Clients>,
    /// Whether TLS 1.2 is refused.
    pub only_tls13: bool,
    /// Whether TLS 1.3 is refused.
    pub only_tls12: bool,
}

/// A certificate with its key.
#[derive(Debug)]
pub struct Identity {
    /// The host name it is for, or `*.` and a domain; `None` for the fallback.
    pub name: Option<String>,
    /// The certificate, and those between it and a root.
    pub chain: Vec<Vec<u8>>,
    /// The key, in DER.
    pub key: Vec<u8>,
    /// Its form.
    pub form: KeyForm,
    /// Which of the material's `clients` holds for its name.
    pub clients: usize,
}

/// The forms of a private key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyForm {
    /// `PRIVATE KEY`
    Pkcs8,
    /// `RSA PRIVATE KEY`
    Pkcs1,
    /// `EC PRIVATE KEY`
    Sec1,
}

/// What clients have to show.
#[derive(Debug, Default)]
pub enum Clients {
    /// They are not asked for a certificate.
    #[default]
    Anybody,
    /// They are asked, and whatever they answer is good.
    Asked,
    /// A certificate that one of these vouches for, or is.
    Verified {
        /// DER.
        authorities: Vec<Vec<u8>>,
        /// Whether clients are told which authorities there are.
        told: bool,
    },
}

/// Why there is no configuration. Numbers are indices of identities or authorities.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TlsError {
    /// A key that cannot be read, or of a kind that is not offered.
    Key(usize),
    /// The certificate is not the key's.
    Mismatch(usize),
    /// An authority that cannot be read.
    Authority(usize),
    /// There is no identity, or no version is left.
    Nothing,
}

impl TlsConfig {
    /// Checks the material.
    ///
    /// # Errors
    /// [`TlsError`].
    pub fn new(material: TlsMaterial) -> Result<Self, TlsError> {
        let versions = versions(&material)?;
        let resolver = Arc::new(Resolver::new(material.identities)?);
        let mut clients = material.clients;
        if clients.is_empty() {
            clients.push(Clients::Anybody);
        }
        let configs = clients
            .into_iter()
            .map(|clients| server_config(versions, clients, &resolver))
            .collect::<Result<_, _>>()?;
        Ok(Self { configs, resolver })
    }

    /// For clients that name no server, and for all where the name makes no difference.
    pub(super) fn common(&self) -> Arc<ServerConfig> {
        self.of(&self.resolver.fallback)
    }

    /// For clients that name this one.
    pub(super) fn named(&self, name: &str) -> Arc<ServerConfig> {
        self.of(self.resolver.named(name).unwrap_or(&self.resolver.fallback))
    }

    /// Whether it depends on the name what clients have to show.
    pub(super) fn asks_by_name(&self) -> bool {
        self.configs.len() > 1
    }

    fn of(&self, identities: &[usize]) -> Arc<ServerConfig> {
        // They have the same name, for which there is one rule.
        let clients = identities
            .first()
            .map_or(0, |index| self.resolver.clients[*index]);
        Arc::clone(self.configs.get(clients).unwrap_or(&self.configs[0]))
    }
}

fn server_config(
    versions: &[&'static SupportedProtocolVersion],
    clients: Clients,
    resolver: &Arc<Resolver>,
) -> Result<Arc<ServerConfig>, TlsError> {
    let builder = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(versions)
        .map_err(|_| TlsError::Nothing)?;
    let builder = match Verifier::new(clients)? {
        Some(verifier) => builder.with_client_cert_verifier(Arc::new(verifier)),
        None => builder.with_no_client_auth(),
    };
    let mut config =
        builder.with_cert_resolver(Arc::clone(resolver) as Arc<dyn ResolvesServerCert>);
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    // Sessions are resumed by tickets, which the client keeps; nothing is kept here. The key is the configuration's own:
    // who has shown nothing to one name has no ticket for another.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    if let Ok(ticketer) = aws_lc_rs::Ticketer::new() {
        config.ticketer = ticketer;
    }
    Ok(Arc::new(config))
}

fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: OnceLock<Arc<CryptoProvider>> = OnceLock::new();
    Arc::clone(PROVIDER.get_or_init(|| Arc::new(aws_lc_rs::default_provider())))
}

fn versions(
    material: &TlsMaterial,
) -> Result<&'static [&'static SupportedProtocolVersion], TlsError> {
    static BOTH: [&SupportedProtocolVersion; 2] = [&version::TLS13, &version::TLS12];
    match (material.only_tls12, material.only_tls13) {
        (false, false) => Ok(&BOTH),
        (false, true) => Ok(&BOTH[..1]),
        (true, false) => Ok(&BOTH[1..]),
        (true, true) => Err(TlsError::Nothing),
    }
}

/// Finds the certificate for a handshake.
#[derive(Debug)]
struct Resolver {
    keys: Vec<Arc<CertifiedKey>>,
    /// By identity, as `keys`.
    clients: Vec<usize>,
    /// Lower-case names, each with the certificates given for it: the last that suits the client is used.
    names: HashMap<Box<str>, Vec<usize>>,
    /// For clients that name none of them.
    fallback: Vec<usize>,
}

impl Resolver {
    fn new(identities: Vec<Identity>) -> Result<Self, TlsError> {
        let mut resolver = Self {
            keys: Vec::with_capacity(identities.len()),
            clients: identities.iter().map(|identity| identity.clients).collect(),
            names: HashMap::new(),
            fallback: Vec::new(),
        };
        let first = identities.first().ok_or(TlsError::Nothing)?.name.clone();
        for (index, identity) in identities.into_iter().enumerate() {
            if identity.name == first {
                resolver.fallback.push(index);
            }
            if let Some(name) = &identity.name {
                let name = name.to_ascii_lowercase().into_boxed_str();
                resolver.names.entry(name).or_default().push(index);
            }
            resolver.keys.push(Arc::new(certified(index, identity)?));
        }
        Ok(resolver)
    }

    fn named(&self, name: &str) -> Option<&Vec<usize>> {
        let name = name.to_ascii_lowercase();
        self.names.get(name.as_str()).or_else(|| {
            let (_, domain) = name.split_once('.')?;
            self.names.get(format!("*.{domain}").as_str())
        })
    }
}

impl ResolvesServerCert for Resolver {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let named = hello.server_name().and_then(|name| self.named(name));
        let indices = named.unwrap_or(&self.fallback);
        let suits = |index: &&usize| {
            let schemes = hello.signature_schemes();
            self.keys[**index].key.choose_scheme(schemes).is_some()
        };
        let index = indices.iter().rev().find(suits)?;
        Some(Arc::clone(&self.keys[*index]))
    }
}

fn certified(index: usize, identity: Identity) -> Result<CertifiedKey, TlsError> {
    let key = match identity.form {
        KeyForm::Pkcs8 => PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(identity.key)),
        KeyForm::Pkcs1 => PrivateKeyDer::Pkcs1(PrivatePkcs1KeyDer::from(identity.key)),
        KeyForm::Sec1 => PrivateKeyDer::Sec1(PrivateSec1KeyDer::from(identity.key)),
    };
    let key = provider()
        .key_provider
        .load_private_key(key)
        .map_err(|_| TlsError::Key(index))?;
    let leaf = identity.chain.first().ok_or(TlsError::Mismatch(index))?;
    // A certificate holds its public key as it is. rustls' own check refuses certificates of version 1, which may be
    // served like others.
    if let Some(public) = key.public_key()
        && memchr::memmem::find(leaf, &public).is_none()
    {
        return Err(TlsError::Mismatch(index));
    }
    let chain = identity.chain.into_iter().map(CertificateDer::from);
    Ok(CertifiedKey::new(chain.collect(), key))
}

/// Judges certificates of clients.
#[derive(Debug)]
struct Verifier {
    /// `None` lets everybody in.
    roots: Option<Arc<dyn ClientCertVerifier>>,
    /// A client may show one of these itself, as OpenSSL has it.
    exact: Vec<CertificateDer<'static>>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl Verifier {
    fn new(clients: Clients) -> Result<Option<Self>, TlsError> {
        let algorithms = provider().signature_verification_algorithms;
        let (authorities, told) = match clients {
            Clients::Anybody => return Ok(None),
            Clients::Asked => {
                return Ok(Some(Self {
                    roots: None,
                    exact: Vec::new(),
                    algorithms,
                }));
            }
            Clients::Verified { authorities, told } => (authorities, told),
        };
        let exact: Vec<_> = authorities.into_iter().map(CertificateDer::from).collect();
        let mut store = RootCertStore::empty();
        for (index, authority) in exact.iter().enumerate() {
            store
                .add(authority.clone())
                .map_err(|_| TlsError::Authority(index))?;
        }
        let mut builder = WebPkiClientVerifier::builder_with_provider(store.into(), provider());
        if !told {
            builder = builder.clear_root_hint_subjects();
        }
        Ok(Some(Self {
            roots: Some(builder.build().map_err(|_| TlsError::Authority(0))?),
            exact: if told { exact } else { Vec::new() },
            algorithms,
        }))
    }
}

impl ClientCertVerifier for Verifier {
    fn client_auth_mandatory(&self) -> bool {
        self.roots.is_some()
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.roots
            .as_ref()
            .map_or(&[], |roots| roots.root_hint_subjects())
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let Some(roots) = &self.roots else {
            return Ok(ClientCertVerified::assertion());
        };
        match roots.verify_client_cert(end_entity, intermediates, now) {
            // The validity has been checked before this error, which says that an authority stands for itself.
            Err(Error::InvalidCertificate(CertificateError::Other(_)))
                if self.exact.contains(end_entity) =>
            {
                Ok(ClientCertVerified::assertion())
            }
            other => other,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls12_signature(message, cert, dss, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls13_signature(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
