//! The way of a verb out of the store: an instance owns everything that it holds, while a step's context is borrowed, so
//! the guest posts a job and whoever drives the call does it beside the guest.

use crate::context::StepContext;
use crate::driver::Drivers;
use crate::model::VerbError;
use futures::future::BoxFuture;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// A verb on its way to a driver.
pub trait Work<T>:
    for<'a> FnOnce(&'a StepContext, &'a Drivers) -> BoxFuture<'a, Result<T, VerbError>> + Send + 'static
{
}

impl<T, W> Work<T> for W where
    W: for<'a> FnOnce(&'a StepContext, &'a Drivers) -> BoxFuture<'a, Result<T, VerbError>> + Send + 'static
{
}

type Job = Box<dyn for<'a> FnOnce(&'a StepContext, &'a Drivers) -> BoxFuture<'a, ()> + Send>;

/// The guest's end. It waits for every answer, so one place is enough.
#[derive(Clone)]
pub struct Post(mpsc::Sender<Job>);

/// The driving end.
pub struct Jobs(mpsc::Receiver<Job>);

pub fn post() -> (Post, Jobs) {
    let (sender, receiver) = mpsc::channel(1);
    (Post(sender), Jobs(receiver))
}

impl Post {
    /// Has the work done and waits for its answer. After a cancellation the driver has `grace` to end by itself; then
    /// its work is dropped, and what it started ends with it.
    pub async fn send<T: Send + 'static>(&self, work: impl Work<T>, grace: Duration) -> Result<T, VerbError> {
        let (reply, answer) = oneshot::channel();
        let job: Job = Box::new(move |cx, drivers| {
            Box::pin(async move {
                let overdue = async {
                    cx.activity.cancellation().cancelled().await;
                    tokio::time::sleep(grace).await;
                };
                let outcome = tokio::select! {
                    biased;
                    outcome = work(cx, drivers) => outcome,
                    () = overdue => Err(VerbError::Cancelled),
                };
                // A guest that is gone needs no answer.
                let _ = reply.send(outcome);
            })
        });
        if self.0.send(job).await.is_err() {
            return Err(nobody());
        }
        answer.await.unwrap_or_else(|_| Err(nobody()))
    }
}

/// While a component describes itself.
fn nobody() -> VerbError {
    VerbError::Unavailable("no verb is served now".into())
}

impl Jobs {
    /// Does what the guest asks for, one verb after the other, until the guest is gone.
    pub async fn serve(&mut self, cx: &StepContext, drivers: &Drivers) {
        while let Some(job) = self.0.recv().await {
            job(cx, drivers).await;
        }
    }
}
