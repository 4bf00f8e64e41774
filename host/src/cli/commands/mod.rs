//! One file for each command: its arguments with their help, and what it does.

pub mod approve;
pub mod cancel;
pub mod check;
pub mod completions;
pub mod decide;
pub mod guard;
pub mod history;
pub mod init;
pub mod logs;
pub mod man;
pub mod plan;
pub mod rehearse;
pub mod releases;
pub mod retry;
pub mod rollback;
pub mod set;
pub mod show;
pub mod status;
pub mod watch;
