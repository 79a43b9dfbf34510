//! A server: where it listens, the limits it sets, and how many connections still hold it open.

use crate::hub::env::EnvPort;
use crate::hub::routes::{Content, Routes, StaticRoute};
use crate::session::{ServerConfig, TlsConfig};
use dashmap::DashMap;
use socket2::{Domain, Protocol, Socket, Type};
use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};

/// Connections the kernel completes before they are accepted, unless the program says otherwise.
pub const DEFAULT_BACKLOG: i32 = 1024;

/// One `serve()`.
#[derive(Debug)]
pub struct Server {
    /// Process-wide number.
    pub id: u32,
    /// The JavaScript thread it serves.
    pub port: Arc<EnvPort>,
    /// Its limits.
    pub config: Arc<ServerConfig>,
    routes: Mutex<Option<Arc<Routes>>>,
    /// Static routes whose content is not known yet, by their numbers.
    unknown: Mutex<HashMap<u32, Arc<StaticRoute>>>,
    /// HTTP connections without a pending request.
    pub idle: AtomicUsize,
    /// Set when it accepts no more.
    pub stopping: AtomicBool,
    /// What keeps it from being gone: the listener, and each connection.
    holds: AtomicUsize,
    /// What new connections begin with; `None` for a server without TLS.
    tls: Option<RwLock<TlsConfig>>,
}

impl Server {
    /// A server with the default limits, held by its listener; known by its number until [`Server::forget`].
    #[must_use]
    pub fn new(port: Arc<EnvPort>) -> Arc<Self> {
        Self::with_tls(port, None)
    }

    /// The same with TLS on every connection.
    #[must_use]
    pub fn with_tls(port: Arc<EnvPort>, tls: Option<TlsConfig>) -> Arc<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let server = Arc::new(Self {
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            port,
            config: Arc::default(),
            routes: Mutex::default(),
            unknown: Mutex::default(),
            idle: AtomicUsize::new(0),
            stopping: AtomicBool::new(false),
            holds: AtomicUsize::new(1),
            tls: tls.map(RwLock::new),
        });
        registry().insert(server.id, Arc::clone(&server));
        server
    }

    /// The server with this number.
    #[must_use]
    pub fn find(id: u32) -> Option<Arc<Self>> {
        registry().get(&id).map(|entry| Arc::clone(&entry))
    }

    /// Drops it from the register: its number finds nothing any more.
    pub fn forget(id: u32) {
        registry().remove(&id);
    }

    /// The same for all servers of an env that has ended.
    pub(crate) fn forget_all(port: &Arc<EnvPort>) {
        registry().retain(|_, server| !Arc::ptr_eq(&server.port, port));
    }

    /// The routes in force, if one of them is static.
    #[must_use]
    pub fn routes(&self) -> Option<Arc<Routes>> {
        self.routes
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Replaces the routes; requests that have been matched already keep theirs. `unknown`: those whose content is still
    /// to come.
    pub fn set_routes(
        &self,
        routes: Routes,
        unknown: impl IntoIterator<Item = (u32, Arc<StaticRoute>)>,
    ) {
        let mut waiting = self.unknown.lock().unwrap_or_else(PoisonError::into_inner);
        let mut current = self.routes.lock().unwrap_or_else(PoisonError::into_inner);
        let before = waiting.len();
        waiting.extend(unknown);
        // Without a static route there is nothing to find.
        *current = (waiting.len() > before).then(|| Arc::new(routes));
    }

    /// What a static route answers. Requests that wait for it are to be told.
    pub fn set_content(&self, route: u32, content: Content) {
        let mut waiting = self.unknown.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(route) = waiting.remove(&route) {
            route.set(content);
        }
    }

    /// What a connection's TLS begins with.
    pub(crate) fn tls(&self) -> Option<TlsConfig> {
        let tls = self.tls.as_ref()?;
        Some(tls.read().unwrap_or_else(PoisonError::into_inner).clone())
    }

    /// Replaces that for the handshakes to come. False for a server without TLS.
    #[must_use]
    pub fn set_tls(&self, config: TlsConfig) -> bool {
        let Some(tls) = &self.tls else { return false };
        *tls.write().unwrap_or_else(PoisonError::into_inner) = config;
        true
    }

    /// One more connection.
    pub fn hold(&self) {
        self.holds.fetch_add(1, Ordering::Relaxed);
    }

    /// One less, or the listener; true for the last.
    #[must_use]
    pub fn let_go(&self) -> bool {
        self.holds.fetch_sub(1, Ordering::AcqRel) == 1
    }
}

/// Every server of the process.
fn registry() -> &'static DashMap<u32, Arc<Server>> {
    static SERVERS: OnceLock<DashMap<u32, Arc<Server>>> = OnceLock::new();
    SERVERS.get_or_init(|| DashMap::with_shard_amount(4))
}

/// Where to listen.
#[derive(Clone, Debug)]
pub enum Bind {
    /// A TCP port.
    Tcp {
        /// A name or address; `None` for every interface, IPv6 and IPv4.
        hostname: Option<String>,
        /// The port; 0 lets the system choose.
        port: u16,
        /// Whether other sockets may listen on the same port.
        reuse_port: bool,
        /// Whether `::` leaves IPv4 alone.
        ipv6_only: bool,
        /// Connections that may wait to be accepted.
        backlog: i32,
    },
    /// A unix socket; a name that begins with NUL is an abstract one (Linux).
    #[cfg(unix)]
    Unix {
        /// The path.
        path: String,
        /// Connections that may wait to be accepted.
        backlog: i32,
    },
}

/// A listening socket.
#[derive(Debug)]
pub enum Listening {
    /// TCP.
    Tcp(std::net::TcpListener),
    /// A unix socket.
    #[cfg(unix)]
    Unix(std::os::unix::net::UnixListener),
}

/// What a bind gave.
#[derive(Debug)]
pub struct Bound {
    /// The socket.
    pub listening: Listening,
    /// Its address; `None` for a unix socket.
    pub address: Option<SocketAddr>,
}

/// A listener on its way to an I/O thread.
#[derive(Debug)]
pub struct ListenerStart {
    /// Whose it is.
    pub server: Arc<Server>,
    /// The socket.
    pub listening: Listening,
}

/// Why a bind failed.
#[derive(Debug)]
#[non_exhaustive]
pub enum BindError {
    /// The name has no address.
    NotFound,
    /// The system refused.
    Os(io::Error),
}

impl From<io::Error> for BindError {
    fn from(error: io::Error) -> Self {
        Self::Os(error)
    }
}

impl Bind {
    /// Binds and listens, on the calling thread: the port is taken, or refused, when this returns.
    ///
    /// # Errors
    /// [`BindError`].
    pub fn listen(&self) -> Result<Bound, BindError> {
        match self {
            Self::Tcp {
                hostname,
                port,
                reuse_port,
                ipv6_only,
                backlog,
            } => {
                let address = match hostname.as_deref() {
                    None | Some("") => {
                        let every = SocketAddr::from((Ipv6Addr::UNSPECIFIED, *port));
                        return match listen_tcp(every, *reuse_port, *ipv6_only, *backlog) {
                            // A system without IPv6.
                            Err(error) if is_family_unsupported(&error) => {
                                let every = SocketAddr::from((Ipv4Addr::UNSPECIFIED, *port));
                                Ok(listen_tcp(every, *reuse_port, false, *backlog)?)
                            }
                            other => Ok(other?),
                        };
                    }
                    Some(name) => resolve(name, *port)?,
                };
                Ok(listen_tcp(address, *reuse_port, *ipv6_only, *backlog)?)
            }
            #[cfg(unix)]
            Self::Unix { path, backlog } => Ok(listen_unix(path, *backlog)?),
        }
    }
}

fn resolve(name: &str, port: u16) -> Result<SocketAddr, BindError> {
    let bare = name
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(name);
    if let Ok(address) = bare.parse::<IpAddr>() {
        return Ok((address, port).into());
    }
    let addresses: Vec<_> = (bare, port)
        .to_socket_addrs()
        .map_err(|_| BindError::NotFound)?
        .collect();
    addresses
        .iter()
        .find(|a| a.is_ipv4())
        .or(addresses.first())
        .copied()
        .ok_or(BindError::NotFound)
}

fn is_family_unsupported(error: &io::Error) -> bool {
    // EAFNOSUPPORT and EADDRNOTAVAIL by their kinds differ between systems; both mean that `::` cannot be had.
    matches!(
        error.kind(),
        io::ErrorKind::Unsupported | io::ErrorKind::AddrNotAvailable
    ) || matches!(error.raw_os_error(), Some(97 | 47 | 10047))
}

fn listen_tcp(
    address: SocketAddr,
    reuse_port: bool,
    ipv6_only: bool,
    backlog: i32,
) -> io::Result<Bound> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    // A port in TIME_WAIT is free. On Windows the option means something else.
    #[cfg(unix)]
    socket.set_reuse_address(true)?;
    #[cfg(all(unix, not(any(target_os = "solaris", target_os = "illumos"))))]
    if reuse_port {
        socket.set_reuse_port(true)?;
    }
    #[cfg(not(unix))]
    let _ = reuse_port;
    if address.is_ipv6() {
        socket.set_only_v6(ipv6_only)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(backlog)?;
    let listener: std::net::TcpListener = socket.into();
    let address = listener.local_addr()?;
    Ok(Bound {
        listening: Listening::Tcp(listener),
        address: Some(address),
    })
}

#[cfg(unix)]
fn listen_unix(path: &str, backlog: i32) -> io::Result<Bound> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    // socket2 takes a name that begins with NUL as an abstract one.
    socket.bind(&socket2::SockAddr::unix(path)?)?;
    socket.listen(backlog)?;
    Ok(Bound {
        listening: Listening::Unix(socket.into()),
        address: None,
    })
}
