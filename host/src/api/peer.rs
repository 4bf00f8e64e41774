//! Who stands at the other end of a Unix socket, as the kernel says, and whether they may come in.

use super::facade::Caller;
use super::types::{ApiError, ErrorCode};
use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// More groups than this are not read: the kernel's own limit is 65536.
const MAX_GROUPS: usize = 65536;
/// For one entry of the account database.
const MAX_ENTRY_BYTES: usize = 1 << 20;

/// The account that connected, with all its groups at that moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    pub uid: u32,
    pub gid: u32,
    pub groups: Vec<u32>,
}

impl Peer {
    pub fn of(socket: BorrowedFd<'_>) -> io::Result<Self> {
        let credentials = rustix::net::sockopt::socket_peercred(socket)?;
        Ok(Self { uid: credentials.uid.as_raw(), gid: credentials.gid.as_raw(), groups: groups_of(socket)? })
    }

    pub fn caller(&self) -> Caller {
        Caller { uid: self.uid, user: user_name(self.uid) }
    }
}

/// Root, the daemon's own account, and the members of one group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Door {
    pub daemon_uid: u32,
    pub group: Option<Group>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    pub name: String,
    pub gid: u32,
}

impl Door {
    pub fn admits(&self, peer: &Peer) -> Result<(), ApiError> {
        let member = |group: &Group| peer.gid == group.gid || peer.groups.contains(&group.gid);
        if peer.uid == 0 || peer.uid == self.daemon_uid || self.group.as_ref().is_some_and(member) {
            return Ok(());
        }
        let who = peer.caller();
        let (who_may, hint) = match &self.group {
            Some(group) => (
                format!("root, the daemon's account and members of the group `{}`", group.name),
                format!("`usermod -aG {} {who}`, then log in again", group.name),
            ),
            None => (
                "root and the daemon's account".into(),
                "name a group under `socket-group` in the daemon's settings, or use `sudo`".into(),
            ),
        };
        Err(ApiError::new(ErrorCode::NotAllowed, format!("`{who}` may not use this socket: {who_may} may")).hint(hint))
    }
}

/// The supplementary groups that the peer had when it connected.
fn groups_of(socket: BorrowedFd<'_>) -> io::Result<Vec<u32>> {
    let mut groups = vec![0u32; 64];
    loop {
        let mut length = libc::socklen_t::try_from(size_of_val(groups.as_slice())).map_err(io::Error::other)?;
        // SAFETY: the descriptor is open while it is borrowed, and the buffer is as long as `length` says.
        let result = unsafe {
            libc::getsockopt(
                socket.as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_PEERGROUPS,
                groups.as_mut_ptr().cast(),
                &raw mut length,
            )
        };
        let count = length as usize / size_of::<u32>();
        if result == 0 {
            groups.truncate(count);
            return Ok(groups);
        }
        let error = io::Error::last_os_error();
        if error.raw_os_error() != Some(libc::ERANGE) || count <= groups.len() || count > MAX_GROUPS {
            return Err(error);
        }
        groups.resize(count, 0);
    }
}

/// The number of a group, asked of the machine's account database.
pub fn group_id(name: &str) -> io::Result<Option<u32>> {
    let Ok(name) = CString::new(name) else { return Ok(None) };
    let mut buffer = vec![0; 1024];
    loop {
        // SAFETY: an all-zero `group` is a valid value of that C structure, overwritten by the call.
        let mut entry: libc::group = unsafe { std::mem::zeroed() };
        let mut found = std::ptr::null_mut();
        // SAFETY: all pointers are to live values, and the buffer's length is its own.
        let code = unsafe {
            libc::getgrnam_r(name.as_ptr(), &raw mut entry, buffer.as_mut_ptr(), buffer.len(), &raw mut found)
        };
        match code {
            0 if found.is_null() => return Ok(None),
            0 => return Ok(Some(entry.gr_gid)),
            libc::ERANGE if buffer.len() < MAX_ENTRY_BYTES => buffer.resize(buffer.len() * 2, 0),
            // What some name services answer for "no such entry".
            libc::ENOENT | libc::ESRCH => return Ok(None),
            code => return Err(io::Error::from_raw_os_error(code)),
        }
    }
}

/// The name of an account; none where there is none, or the account database does not answer.
pub fn user_name(uid: u32) -> Option<String> {
    let mut buffer = vec![0; 1024];
    loop {
        // SAFETY: an all-zero `passwd` is a valid value of that C structure, overwritten by the call.
        let mut entry: libc::passwd = unsafe { std::mem::zeroed() };
        let mut found = std::ptr::null_mut();
        // SAFETY: all pointers are to live values, and the buffer's length is its own.
        let code = unsafe { libc::getpwuid_r(uid, &raw mut entry, buffer.as_mut_ptr(), buffer.len(), &raw mut found) };
        match code {
            0 if !found.is_null() => {
                // SAFETY: after success `pw_name` points to a C string inside `buffer`, which lives on.
                let name = unsafe { CStr::from_ptr(entry.pw_name) };
                return name.to_str().ok().map(Into::into);
            }
            libc::ERANGE if buffer.len() < MAX_ENTRY_BYTES => buffer.resize(buffer.len() * 2, 0),
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;

    fn peer(uid: u32, gid: u32, groups: &[u32]) -> Peer {
        Peer { uid, gid, groups: groups.to_vec() }
    }

    #[test]
    fn who_may_come_in() {
        let door = Door { daemon_uid: 500, group: Some(Group { name: "operators".into(), gid: 70 }) };
        assert!(door.admits(&peer(0, 0, &[])).is_ok());
        assert!(door.admits(&peer(500, 500, &[])).is_ok());
        assert!(door.admits(&peer(1000, 70, &[])).is_ok());
        assert!(door.admits(&peer(1000, 1000, &[4, 70])).is_ok());
        let refused = door.admits(&peer(4_000_000, 1000, &[4])).expect_err("a stranger");
        assert_eq!(refused.code, ErrorCode::NotAllowed);
        assert!(refused.message.contains("`uid 4000000` may not"), "{}", refused.message);
        assert!(refused.message.contains("`operators`"), "{}", refused.message);
    }

    #[test]
    fn without_a_group_only_root_and_the_daemon() {
        let door = Door { daemon_uid: 500, group: None };
        assert!(door.admits(&peer(1000, 0, &[0])).is_err());
    }

    #[test]
    fn the_kernel_tells_our_own_account() {
        let (here, _there) = std::os::unix::net::UnixStream::pair().expect("a pair of sockets");
        let peer = Peer::of(here.as_fd()).expect("credentials");
        assert_eq!(peer.uid, rustix::process::geteuid().as_raw());
    }

    #[test]
    fn names_of_accounts() {
        assert_eq!(user_name(0).as_deref(), Some("root"));
        assert_eq!(group_id("root").expect("the account database"), Some(0));
        assert_eq!(group_id("no-such-group-here").expect("the account database"), None);
    }
}
