//! Jobs: run once, to the end. An execution is found again by a variable that it was started with.

use super::environment::refuse_bound;
use super::{CloudRun, Variables, look};
use crate::pause::Pauses;
use crate::{Error, Heard, Result};
use google_cloud_run_v2::model::run_job_request::Overrides;
use google_cloud_run_v2::model::run_job_request::overrides::ContainerOverride;
use google_cloud_run_v2::model::{Condition, EnvVar, Execution, Job, condition, env_var};
use std::collections::BTreeSet;

/// Says whose execution it is.
const MARK: &str = "UPGRADED_STEP";
const TRIES: u32 = 20;

impl CloudRun {
    /// Gives the job this image, runs it with these variables and arguments where it has not been run with the mark yet, and
    /// waits for its end. No arguments: the job's own. An execution with the mark that is there already is this one, however
    /// it was started and however it ended, unless it was cancelled.
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
            let state = format!("`{job}` runs, {} tasks", execution.running_count);
            match completed(&execution) {
                Some(Condition { state: condition::State::ConditionSucceeded, .. }) => return Ok(()),
                Some(Condition { message, .. }) => {
                    return Err(Error::Failed(format!("{} failed: {message}", about(job))));
                }
                None if execution.running_count > 0 => pauses.alive(&state).await,
                None => pauses.pause(&state).await,
            }
            let get = self.clients().await?.executions.get_execution().set_name(&execution.name);
            match get.send().await.map_err(|error| Error::of(&about(job), &error)) {
                Ok(now) => execution = now,
                Err(Error::Unavailable(why)) => pauses.pause(&why).await,
                Err(error) => return Err(error),
            }
        }
    }

    /// Ends what goes on of the job with one of these marks, and returns once nothing does.
    pub async fn end_job(&self, job: &str, marks: &[String], heard: Heard<'_>) -> Result<()> {
        let mut pauses = Pauses::new(heard);
        let mut asked = BTreeSet::new();
        loop {
            let all = match self.executions(job).await {
                Ok(all) => all,
                Err(Error::NotFound(_)) => return Ok(()),
                Err(Error::Unavailable(why)) => {
                    pauses.pause(&why).await;
                    continue;
                }
                Err(error) => return Err(error),
            };
            let Some(execution) = all.into_iter().find(|execution| is_open(execution, marks)) else { return Ok(()) };
            let mut state = format!("`{}` is being ended", look::short(&execution.name));
            if !asked.contains(&execution.name) {
                let cancel = self.clients().await?.executions.cancel_execution().set_name(&execution.name);
                match cancel.send().await.map_err(|error| Error::of(&about(job), &error)) {
                    Ok(_) => {
                        asked.insert(execution.name);
                    }
                    Err(error @ Error::Denied(_)) => return Err(error),
                    // It may be over by itself.
                    Err(error) => state = error.to_string(),
                }
            }
            pauses.pause(&state).await;
        }
    }

    async fn marked(&self, job: &str, mark: &str) -> Result<Option<Execution>> {
        let is_ours = |execution: &Execution| mark_of(execution) == Some(mark) && execution.cancelled_count == 0;
        Ok(self.executions(job).await?.into_iter().find(is_ours))
    }

    /// The newest.
    async fn executions(&self, job: &str) -> Result<Vec<Execution>> {
        let parent = format!("{}/jobs/{job}", self.place.parent());
        let list = self.clients().await?.executions.list_executions().set_parent(parent);
        Ok(list.send().await.map_err(|error| Error::of(&about(job), &error))?.executions)
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

/// Whose it is, where it is one of ours.
fn mark_of(execution: &Execution) -> Option<&str> {
    let containers = execution.template.iter().flat_map(|template| &template.containers);
    let mark = containers.flat_map(|container| &container.env).find(|variable| variable.name == MARK)?;
    match &mark.values {
        Some(env_var::Values::Value(mark)) => Some(mark),
        _ => None,
    }
}

fn is_open(execution: &Execution, marks: &[String]) -> bool {
    completed(execution).is_none() && mark_of(execution).is_some_and(|mark| marks.iter().any(|ours| ours == mark))
}

/// None: it is to begin, or goes on.
fn completed(execution: &Execution) -> Option<&Condition> {
    let over = |condition: &&Condition| {
        condition.r#type == "Completed"
            && matches!(condition.state, condition::State::ConditionSucceeded | condition::State::ConditionFailed)
    };
    execution.conditions.iter().find(over)
}

fn about(job: &str) -> String {
    format!("the job `{}`", look::short(job))
}

#[cfg(test)]
mod tests {
    use super::*;
    use google_cloud_run_v2::model::{Container, TaskTemplate};

    fn execution(mark: &str, state: condition::State) -> Execution {
        let variables = [EnvVar::new().set_name("TARGET").set_value("1"), EnvVar::new().set_name(MARK).set_value(mark)];
        let template = TaskTemplate::new().set_containers([Container::new().set_env(variables)]);
        let all = [Condition::new().set_type("Started"), Condition::new().set_type("Completed").set_state(state)];
        Execution::new().set_template(template).set_conditions(all)
    }

    #[test]
    fn what_goes_on_is_known_by_its_mark() {
        let marks = ["r1-h0-a".to_owned(), "r2-h0-b".to_owned()];
        let goes_on = execution("r2-h0-b", condition::State::ConditionReconciling);
        assert_eq!((mark_of(&goes_on), is_open(&goes_on, &marks)), (Some("r2-h0-b"), true));
        assert!(!is_open(&execution("others", condition::State::ConditionReconciling), &marks));
        for over in [condition::State::ConditionSucceeded, condition::State::ConditionFailed] {
            assert!(!is_open(&execution("r1-h0-a", over), &marks));
        }
        assert!(mark_of(&Execution::new()).is_none());
    }
}
