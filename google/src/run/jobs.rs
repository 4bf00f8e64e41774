//! Jobs: run once, to the end. An execution is found again by a variable that it was started with.

use super::environment::refuse_bound;
use super::{CloudRun, Variables, look};
use crate::pause::Pauses;
use crate::{Error, Heard, Result};
use google_cloud_run_v2::model::run_job_request::Overrides;
use google_cloud_run_v2::model::run_job_request::overrides::ContainerOverride;
use google_cloud_run_v2::model::{EnvVar, Execution, Job, condition, env_var};

/// Says whose execution it is.
const MARK: &str = "UPGRADED_STEP";
const TRIES: u32 = 20;

impl CloudRun {
    /// Gives the job this image, runs it with these variables and arguments where it has not been run with the mark yet, and
    /// waits for its end. No arguments: the job's own. An execution with the mark that is there already is this one, however
    /// it was started and however it ended.
    pub async fn run_job(
        &self, job: &str, image: Option<&str>, variables: &Variables, args: &[String], mark: &str, heard: Heard<'_>,
    ) -> Result<()> {
        let mut pauses = Pauses::new(heard);
        let mut begun = self.marked(job, mark).await?;
        for _ in 0..TRIES {
            if begun.is_some() {
                break;
            }
            let current = self.job_with(job, image, &mut pauses).await?;
            let tasks = current.template.iter().filter_map(|template| template.template.as_ref());
            for task in tasks {
                refuse_bound(&task.containers, variables)?;
            }
            let all = variables.iter().map(|(name, value)| (name.as_str(), value.as_str())).chain([(MARK, mark)]);
            let all = all.map(|(name, value)| EnvVar::new().set_name(name).set_value(value));
            let mut container = ContainerOverride::new().set_env(all);
            container.args = args.to_vec();
            let overrides = Overrides::new().set_container_overrides([container]);
            let request = self.clients().await?.jobs.run_job().set_name(&current.name).set_etag(&current.etag);
            let refused =
                request.set_overrides(overrides).send().await.err().map(|error| Error::of(&about(job), &error));
            match refused {
                None => {}
                Some(error @ (Error::Unavailable(_) | Error::Conflict(_))) => pauses.pause(&error.to_string()).await,
                Some(error) => return Err(error),
            }
            begun = self.marked(job, mark).await?;
        }
        let Some(mut execution) = begun else {
            return Err(Error::Unavailable(format!("{} could not be run", about(job))));
        };
        loop {
            let done = execution.conditions.iter().find(|condition| condition.r#type == "Completed");
            match done.map(|condition| (&condition.state, condition.message.clone())) {
                Some((condition::State::ConditionSucceeded, _)) => return Ok(()),
                Some((condition::State::ConditionFailed, why)) => {
                    return Err(Error::Failed(format!("{} failed: {why}", about(job))));
                }
                _ => pauses.pause(&format!("`{job}` runs, {} tasks", execution.running_count)).await,
            }
            let get = self.clients().await?.executions.get_execution().set_name(&execution.name);
            match get.send().await.map_err(|error| Error::of(&about(job), &error)) {
                Ok(now) => execution = now,
                Err(Error::Unavailable(why)) => pauses.pause(&why).await,
                Err(error) => return Err(error),
            }
        }
    }

    async fn marked(&self, job: &str, mark: &str) -> Result<Option<Execution>> {
        let parent = format!("{}/jobs/{job}", self.place.parent());
        let list = self.clients().await?.executions.list_executions().set_parent(parent);
        let all = list.send().await.map_err(|error| Error::of(&about(job), &error))?;
        let is_ours = |execution: &Execution| {
            let containers = execution.template.iter().flat_map(|template| &template.containers);
            let value = Some(&env_var::Values::Value(mark.to_owned()));
            containers.flat_map(|container| &container.env).any(|env| env.name == MARK && env.values.as_ref() == value)
        };
        Ok(all.executions.into_iter().find(is_ours))
    }

    async fn job_with(&self, job: &str, image: Option<&str>, pauses: &mut Pauses<'_>) -> Result<Job> {
        let name = format!("{}/jobs/{job}", self.place.parent());
        for _ in 0..TRIES {
            let current = self.clients().await?.jobs.get_job().set_name(&name).send().await;
            let current = match current.map_err(|error| Error::of(&about(job), &error)) {
                Ok(current) => current,
                Err(Error::Unavailable(why)) => {
                    pauses.pause(&why).await;
                    continue;
                }
                Err(error) => return Err(error),
            };
            if current.reconciling || current.observed_generation != current.generation {
                pauses.pause(&format!("`{job}` is changing")).await;
                continue;
            }
            let Some(image) = image else { return Ok(current) };
            let mut template = current.template.clone().unwrap_or_default();
            let mut tasks = template.template.clone().unwrap_or_default();
            let Some(container) = tasks.containers.first_mut() else {
                return Err(Error::Invalid(format!("{} has no container", about(job))));
            };
            if container.image == image {
                return Ok(current);
            }
            container.image = image.into();
            template.template = Some(tasks);
            // There is no mask: all that may be set is sent as it was.
            let mut wanted = Job::new().set_name(&name).set_template(template).set_etag(&current.etag);
            wanted.labels.clone_from(&current.labels);
            wanted.annotations.clone_from(&current.annotations);
            wanted.client.clone_from(&current.client);
            wanted.client_version.clone_from(&current.client_version);
            wanted.launch_stage.clone_from(&current.launch_stage);
            wanted.binary_authorization.clone_from(&current.binary_authorization);
            let update = self.clients().await?.jobs.update_job().set_job(wanted);
            match update.send().await.map_err(|error| Error::of(&about(job), &error)) {
                Ok(_) => {}
                Err(error @ (Error::Unavailable(_) | Error::Conflict(_))) => pauses.pause(&error.to_string()).await,
                Err(error) => return Err(error),
            }
        }
        Err(Error::Unavailable(format!("{} does not become what was asked for", about(job))))
    }
}

fn about(job: &str) -> String {
    format!("the job `{}`", look::short(job))
}
