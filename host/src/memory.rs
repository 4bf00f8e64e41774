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

/// Called when something large was dropped and nobody waits. The program's own pages go too: what runs again comes back
/// from the file, which the system has in its cache.
pub fn give_back() {
    #[cfg(target_env = "gnu")]
    // SAFETY: `malloc_trim` may be called at any time from any thread; the loader calls `let_go` with an object that
    // stays for as long as it is looked at.
    unsafe {
        libc::malloc_trim(0);
        libc::dl_iterate_phdr(Some(let_go), std::ptr::null_mut());
    };
}

/// Of the loader's first object, the program itself, what can't be written to.
#[cfg(target_env = "gnu")]
unsafe extern "C" fn let_go(program: *mut libc::dl_phdr_info, _size: usize, _data: *mut libc::c_void) -> libc::c_int {
    // SAFETY: the loader hands over a valid object with so many headers; the size of a page is always known.
    let (base, segments, page) = unsafe {
        let program = &*program;
        let segments = std::slice::from_raw_parts(program.dlpi_phdr, program.dlpi_phnum.into());
        (program.dlpi_addr, segments, libc::sysconf(libc::_SC_PAGESIZE) as u64)
    };
    for segment in
        segments.iter().filter(|segment| segment.p_type == libc::PT_LOAD && segment.p_flags & libc::PF_W == 0)
    {
        let begin = (base + segment.p_vaddr) / page * page;
        let end = (base + segment.p_vaddr + segment.p_memsz).next_multiple_of(page);
        // SAFETY: nothing was ever written to these pages, which are the file's own: they read the same when they are
        // mapped again.
        unsafe { libc::madvise(begin as *mut libc::c_void, (end - begin) as usize, libc::MADV_DONTNEED) };
    }
    1
}

#[cfg(all(test, target_env = "gnu"))]
mod tests {
    /// Pages of files that are mapped and in memory, in KiB.
    fn mapped_kib() -> u64 {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("RssFile:")).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }

    /// In a process of its own, since other tests run the program meanwhile.
    #[test]
    fn a_program_at_rest_lets_go_of_its_own_pages() {
        const CHILD: &str = "UPGRADED_TEST_MEMORY";
        if std::env::var_os(CHILD).is_none() {
            let name = "memory::tests::a_program_at_rest_lets_go_of_its_own_pages";
            let mut child = std::process::Command::new(std::env::current_exe().unwrap());
            assert!(child.args([name, "--exact"]).env(CHILD, "1").status().unwrap().success());
            return;
        }
        let used: u64 = std::fs::read_to_string("/proc/self/maps")
            .unwrap()
            .lines()
            .filter(|line| line.contains(" r-xp ") && line.contains(std::env::current_exe().unwrap().to_str().unwrap()))
            .map(|line| {
                let (begin, end) = line.split_once(' ').unwrap().0.split_once('-').unwrap();
                let [begin, end] = [begin, end].map(|address| u64::from_str_radix(address, 16).unwrap());
                // SAFETY: the mapping is the program's own and readable.
                (begin..end).step_by(4096).map(|at| u64::from(unsafe { *(at as *const u8) })).sum::<u64>()
            })
            .sum();
        assert_ne!(used, 0);
        let before = mapped_kib();
        super::give_back();
        let after = mapped_kib();
        assert!(after < before / 2, "{before} KiB before, {after} KiB after");
    }
}
