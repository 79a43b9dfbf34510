//! When a connection must have been heard of: idle timeout and automatic pings, as values. The clock is an argument,
//! in whole seconds of the I/O thread's own count.

/// What is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Due {
    /// Nothing before this second.
    At(u32),
    /// A ping, now; ask again afterwards.
    Ping,
    /// The connection has been silent for too long.
    Expired,
}

/// The rules of one server.
#[derive(Clone, Copy, Debug)]
pub struct Keepalive {
    /// Seconds of silence after which a connection ends; 0 for never.
    pub idle_timeout: u32,
    /// Whether a ping is sent before that.
    pub send_pings: bool,
}

impl Keepalive {
    /// What is due for a connection last heard of (or sent to) in second `active`, pinged since or not.
    ///
    /// Something that happened in second `active` may have happened at its end, so every deadline lies one grid step
    /// later: never earlier than asked.
    pub fn due(self, active: u32, pinged: bool, now: u32) -> Due {
        if self.idle_timeout == 0 {
            return Due::At(u32::MAX);
        }
        let expires = active.saturating_add(self.idle_timeout).saturating_add(1);
        if now >= expires {
            return Due::Expired;
        }
        if !self.send_pings || pinged {
            return Due::At(expires);
        }
        let ping = expires - self.ping_margin();
        if now >= ping {
            Due::Ping
        } else {
            Due::At(ping)
        }
    }

    /// Seconds between the ping and the end: time enough for an answer, and more of it where there is more to give.
    fn ping_margin(self) -> u32 {
        match self.idle_timeout {
            0..4 => self.idle_timeout,
            4..16 => 4,
            16..32 => 8,
            _ => 16,
        }
    }
}

/// Seconds that a request's head may take, whatever the idle timeout is.
const HEAD_TIMEOUT: u32 = 60;

/// What is due for an HTTP connection last heard of in second `active`; `head_since` is the second in which the head
/// that is arriving began, or 0 for none.
///
/// The pieces of a head are no signs of life: the idle timeout holds for a slow head too. Where there is none, or a long
/// one, a head has a limit of its own.
pub fn due_for_http(idle_timeout: u32, active: u32, head_since: u32, now: u32) -> Due {
    let silence = |idle_timeout: u32, since: u32| {
        let rules = Keepalive {
            idle_timeout,
            send_pings: false,
        };
        rules.due(since, false, now)
    };
    let idle = silence(idle_timeout, active);
    if head_since == 0 {
        return idle;
    }
    match (idle, silence(HEAD_TIMEOUT, head_since)) {
        (Due::At(idle), Due::At(head)) => Due::At(idle.min(head)),
        (Due::Expired | Due::Ping, _) | (_, Due::Expired | Due::Ping) => Due::Expired,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn rules(idle_timeout: u32, send_pings: bool) -> Keepalive {
        Keepalive {
            idle_timeout,
            send_pings,
        }
    }

    #[test]
    fn zero_means_never() {
        assert_eq!(rules(0, true).due(5, false, 1_000_000), Due::At(u32::MAX));
    }

    #[test]
    fn pings_come_before_the_end_by_the_margin() {
        for (timeout, ping) in [(8, 4), (12, 8), (24, 16), (32, 16), (120, 104)] {
            let rules = rules(timeout, true);
            assert_eq!(rules.due(100, false, 100), Due::At(101 + ping));
            assert_eq!(rules.due(100, false, 101 + ping), Due::Ping);
            assert_eq!(rules.due(100, true, 101 + ping), Due::At(100 + timeout + 1));
        }
    }

    #[test]
    fn silence_ends_the_connection_never_early() {
        let rules = rules(8, false);
        assert_eq!(rules.due(100, false, 108), Due::At(109));
        assert_eq!(rules.due(100, false, 109), Due::Expired);
    }

    #[test]
    fn a_head_is_complete_within_the_idle_timeout() {
        for idle in [1, 10, 59] {
            assert_eq!(due_for_http(idle, 100, 100, 100), Due::At(101 + idle));
            assert_eq!(
                due_for_http(idle, 100, 100, 100 + idle),
                Due::At(101 + idle)
            );
            assert_eq!(due_for_http(idle, 100, 100, 101 + idle), Due::Expired);
            // It began at the end of a silence.
            assert_eq!(
                due_for_http(idle, 100, 100 + idle, 101 + idle),
                Due::Expired
            );
        }
    }

    #[test]
    fn a_head_is_complete_within_a_minute_where_the_idle_timeout_is_longer_or_none() {
        for idle in [0, 61, 255, u32::MAX] {
            assert_eq!(due_for_http(idle, 100, 100, 100), Due::At(161), "{idle}");
            assert_eq!(due_for_http(idle, 100, 100, 160), Due::At(161), "{idle}");
            assert_eq!(due_for_http(idle, 100, 100, 161), Due::Expired, "{idle}");
        }
        // The minute begins with the head, not with the silence before it.
        assert_eq!(due_for_http(255, 100, 200, 200), Due::At(261));
        assert_eq!(due_for_http(255, 100, 350, 355), Due::At(356));
        assert_eq!(due_for_http(255, 100, 350, 356), Due::Expired);
    }

    #[test]
    fn the_minute_is_for_heads_only() {
        assert_eq!(due_for_http(0, 100, 0, 100_000), Due::At(u32::MAX));
        assert_eq!(due_for_http(255, 100, 0, 300), Due::At(356));
        assert_eq!(due_for_http(255, 100, 0, 356), Due::Expired);
    }
}
