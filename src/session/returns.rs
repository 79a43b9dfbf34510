//! The processor's stack of return addresses, put in order after a system call.
//!
//! On AMD's processors up to Zen 4 Linux guards against SRSO ("Safe RET"): each return inside the kernel leaves an entry
//! of the kernel's on the stack from which the processor predicts where a return will lead. The program's first returns
//! after a system call are then predicted from those, and from there on the next system call runs mispredicted as well:
//! one `send` to a socket costs some 3.9 us instead of 3.3. Entries of the program's own on top of them prevent that.
//! Four are enough in a function that returns once; more cost nothing that can be measured.

#[cfg(target_arch = "x86_64")]
use std::sync::LazyLock;

/// Where Linux says how it guards against SRSO.
#[cfg(target_arch = "x86_64")]
const REPORT: &str = "/sys/devices/system/cpu/vulnerabilities/spec_rstack_overflow";

/// Whether the kernel of this machine is guarded in that way: on all others the stack is as the program left it, and
/// better left alone.
#[cfg(target_arch = "x86_64")]
static SAFE_RET: LazyLock<bool> =
    LazyLock::new(|| std::fs::read_to_string(REPORT).is_ok_and(|report| is_safe_ret(&report)));

#[cfg(target_arch = "x86_64")]
fn is_safe_ret(report: &str) -> bool {
    report.contains("Safe RET")
}

/// To be called after a system call, before anything returns to a caller: so it is always inlined, as the call is to be.
#[inline(always)]
#[expect(
    clippy::inline_always,
    reason = "a call and a return of its own would undo it"
)]
pub(super) fn refill() {
    #[cfg(target_arch = "x86_64")]
    if *SAFE_RET {
        // SAFETY: sixteen calls, each to the instruction behind the trap that follows it, push sixteen return addresses
        // below the stack pointer, which the last line moves back; without `nostack` the compiler keeps nothing there.
        // Nothing else is written. No shadow stack is left behind, because a process that loads code without the mark
        // for it, as Rust's is, has none.
        unsafe {
            std::arch::asm!(
                ".rept 16",
                "call 2f",
                "int3",
                "2:",
                ".endr",
                "add rsp, 128",
                options(nomem)
            );
        }
    }
}

#[cfg(all(test, target_arch = "x86_64"))]
mod tests {
    use super::{is_safe_ret, refill};

    #[test]
    fn linux_says_so_in_these_words() {
        for report in ["Mitigation: Safe RET", "Vulnerable: Safe RET, no microcode"] {
            assert!(is_safe_ret(report));
        }
        for report in [
            "Not affected",
            "Vulnerable",
            "Mitigation: SMT disabled",
            "Mitigation: IBPB",
        ] {
            assert!(!is_safe_ret(report));
        }
    }

    #[test]
    fn what_lies_on_the_stack_stays() {
        fn nested(depth: u64) -> u64 {
            let local = std::hint::black_box([depth; 40]);
            refill();
            let below = if depth == 0 { 0 } else { nested(depth - 1) };
            refill();
            local.iter().sum::<u64>() / 40 + below
        }
        assert_eq!(nested(100), 5050);
    }
}
