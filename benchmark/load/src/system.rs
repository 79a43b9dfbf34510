//! The few calls that the standard library has no word for.

/// Lets this process open as many sockets as the system allows it.
pub fn raise_open_file_limit() {
    #[cfg(unix)]
    {
        let mut limit = libc::rlimit {
            rlim_cur: 0,
            rlim_max: 0,
        };
        // SAFETY: both calls get a pointer to a live, initialised rlimit.
        unsafe {
            if libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) == 0 {
                limit.rlim_cur = limit.rlim_max;
                libc::setrlimit(libc::RLIMIT_NOFILE, &limit);
            }
        }
    }
}

/// Makes the end of this connection a reset, which leaves nothing behind in the kernel, once the socket is closed.
#[cfg(unix)]
pub fn reset_when_closed(socket: &impl std::os::fd::AsRawFd) -> std::io::Result<()> {
    let linger = libc::linger {
        l_onoff: 1,
        l_linger: 0,
    };
    // SAFETY: the descriptor is open, and the pointer and size describe a live linger.
    let outcome = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_LINGER,
            (&raw const linger).cast(),
            size_of::<libc::linger>() as libc::socklen_t,
        )
    };
    if outcome == 0 {
        Ok(())
    } else {
        Err(std::io::Error::last_os_error())
    }
}

/// An ordinary end, on systems without the call.
#[cfg(not(unix))]
pub fn reset_when_closed<S>(_socket: &S) -> std::io::Result<()> {
    Ok(())
}

/// Binds the calling thread to one core; false where that is not possible.
#[cfg(target_os = "linux")]
pub fn bind_to_cpu(cpu: usize) -> bool {
    if cpu >= libc::CPU_SETSIZE as usize {
        return false;
    }
    // SAFETY: an all-zero cpu_set_t is an empty set, cpu lies within it, and the pointer and size describe it.
    unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        libc::CPU_SET(cpu, &mut set);
        libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &set) == 0
    }
}

#[cfg(not(target_os = "linux"))]
pub fn bind_to_cpu(_cpu: usize) -> bool {
    false
}
