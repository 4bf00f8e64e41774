//! `cargo xtask bench compose`: what the daemon does with containers, against what people do with `docker compose` and
//! the servers' own tools, on a real engine.

mod client;
mod downtime;
mod figures;
mod major;
mod rest;
mod rolling;
mod servers;
mod stack;

pub use figures::{GROUPS, of as figures};

use super::{Bench, SMALL_MEGABYTES};
use crate::engine::Lease;
use anyhow::Result;
use rolling::Replicas;
use scratch_docker::Engine;
use servers::{DATABASE, KINDS, Server};
use stack::Stack;
use std::ffi::OsStr;

impl Bench<'_> {
    /// The versions of what it was measured with.
    pub fn compose(&mut self) -> Result<String> {
        let lease = Lease::keeping_images();
        let measured = lease.begin().and_then(|engine| self.with_engine(&engine));
        let ended = lease.end();
        measured.and_then(|versions| ended.map(|()| versions))
    }

    fn with_engine(&mut self, engine: &Engine) -> Result<String> {
        let said = |arguments: &[&str]| engine.try_to(arguments).unwrap_or_else(|why| why);
        let mut versions = vec![
            format!("Docker {}", said(&["version", "--format", "{{.Server.Version}}"])),
            format!("Compose {}", said(&["compose", "version", "--short"])),
        ];
        if self.wants("compose/rest") {
            eprintln!("at rest");
            rest::weigh(&self.programs, engine, &self.interrupt, &mut self.samples)?;
        }
        if self.wants("compose/mysql") {
            for kind in KINDS {
                versions.push(self.server(engine, kind)?);
            }
        }
        if self.wants("compose/major") {
            versions.extend(major::MAJORS.map(|(_, image)| image.to_owned()));
            self.major(engine)?;
        }
        if self.wants("compose/rolling") {
            self.rolling(engine)?;
        }
        if self.wants("compose/downtime") {
            self.downtime(engine)?;
        }
        Ok(versions.join(", "))
    }

    fn downtime(&mut self, engine: &Engine) -> Result<()> {
        eprintln!("filling");
        let make = |megabytes| {
            let stack = Stack::make(&self.programs, engine, None)?;
            stack.fill(megabytes)?;
            anyhow::Ok(stack)
        };
        let (large, small) = (make(self.options.megabytes)?, make(SMALL_MEGABYTES)?);
        // Compiles the plugins.
        for stack in [&large, &small] {
            stack.set_back()?;
            let (mut daemon, socket) = stack.daemon(&self.interrupt)?;
            let path = "/v1/deployments/tessallite";
            super::wait::until(&mut daemon, &socket, &self.interrupt, path, super::wait::is_settled)?;
            daemon.stop()?;
        }
        for _ in 0..self.options.rounds {
            eprintln!("downtime");
            let samples = &mut self.samples;
            // Health checks are work, and whoever is not measured does none.
            small.stop_all()?;
            downtime::by_daemon(&large, "compose-large", &self.interrupt, samples)?;
            downtime::by_hand(&large, include_str!("by-hand.sh"), "script", samples)?;
            downtime::by_hand(&large, include_str!("by-hand-in-place.sh"), "script-in-place", samples)?;
            large.check_seldom(true)?;
            downtime::by_daemon(&large, "compose-seldom", &self.interrupt, samples)?;
            downtime::by_hand(&large, include_str!("by-hand.sh"), "script-seldom", samples)?;
            large.check_seldom(false)?;
            large.stop_all()?;
            downtime::by_daemon(&small, "compose-small", &self.interrupt, samples)?;
        }
        Ok(())
    }

    fn major(&mut self, engine: &Engine) -> Result<()> {
        for _ in 0..self.options.rounds {
            eprintln!("another major version: filling");
            let product = major::Product::make(&self.programs, engine, self.options.megabytes)?;
            product.by_hand(&mut self.samples)?;
            product.by_daemon(&self.interrupt, &mut self.samples)?;
        }
        Ok(())
    }

    fn rolling(&mut self, engine: &Engine) -> Result<()> {
        for _ in 0..self.options.rounds {
            eprintln!("rolling");
            Replicas::make(&self.programs, engine)?.by_daemon(&self.interrupt, &mut self.samples)?;
            Replicas::make(&self.programs, engine)?.by_hand(&mut self.samples)?;
        }
        Ok(())
    }

    /// Its version.
    fn server(&mut self, engine: &Engine, kind: (&'static str, &'static str)) -> Result<String> {
        eprintln!("{}: filling", kind.0);
        let server = Server::start(engine, kind, self.folder)?;
        server.fill(self.options.megabytes)?;
        let (rounds, password) = (self.options.rounds.to_string(), server.password_file());
        let arguments: [&OsStr; 15] = [
            "mysql".as_ref(),
            "--kind".as_ref(),
            kind.0.as_ref(),
            "--engine".as_ref(),
            engine.socket().as_ref(),
            "--directory".as_ref(),
            server.folder.as_ref(),
            "--folder".as_ref(),
            self.folder.as_ref(),
            "--password-file".as_ref(),
            password.as_ref(),
            "--database".as_ref(),
            DATABASE.as_ref(),
            "--rounds".as_ref(),
            rounds.as_ref(),
        ];
        self.parts(&arguments, &engine.environment())?;
        server.version()
    }
}
