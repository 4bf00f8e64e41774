//! The socket and the command line, on a real Unix socket, against a daemon that is only memory.

mod curl;
mod docs;
mod exits;
mod follow;
mod harness;
mod memory;
mod output;
mod samples;
