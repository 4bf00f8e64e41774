//! A small product to upgrade: notes in SQLite and a folder of uploads, behind HTTP. The demo and the end-to-end tests
//! are its operators; nothing of `upgraded` is known here.

pub mod checksum;
pub mod client;
pub mod data;
pub mod front;
pub mod migrate;
pub mod release;
pub mod repository;
pub mod serve;
pub mod service;
pub mod settings;
pub mod smoke;
