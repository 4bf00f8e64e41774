//! Memory that was needed for a while goes back to the system: an allocator keeps what is freed, and a daemon at rest is
//! held against what it rests with.

/// Blocks of threads come from so many heaps at most; each keeps what its busiest moment took.
#[cfg(target_env = "gnu")]
const HEAPS: libc::c_int = 2;

/// Called once, before there is a second thread.
pub fn prepare() {
    // SAFETY: `mallopt` is given a parameter and a value that it knows; nothing else runs yet.
    #[cfg(target_env = "gnu")]
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, HEAPS)
    };
}

/// Called when something large was dropped and nobody waits.
pub fn give_back() {
    // SAFETY: `malloc_trim` may be called at any time from any thread.
    #[cfg(target_env = "gnu")]
    unsafe {
        libc::malloc_trim(0)
    };
}
