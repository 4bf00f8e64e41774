//! Which database servers a path replaces by another image, and whether their data can be carried.

use super::host::Host;
use super::looks::{Ready, failure};
use crate::activity::Activity;
use crate::config::{Deployment, ServerConfig};
use crate::driver::version;
use crate::model::{Failure, Finding, Hop, Role, whole};
use crate::plan::Plan;
use std::collections::BTreeMap;

/// The images of the servers that run in containers or pods, hop by hop.
#[derive(Debug, Default)]
pub struct Servers {
    /// By datastore, as the files have it so far.
    images: BTreeMap<String, String>,
    replaced: Vec<Replaced>,
    /// The datastore, and the hop whose release has no such workload any more.
    gone: Vec<(String, Hop)>,
}

#[derive(Debug)]
struct Replaced {
    datastore: String,
    hop: Hop,
    /// Images.
    from: String,
    to: String,
}

impl Replaced {
    /// As far as the images' tags promise something: whether it is another major version.
    fn promised(&self) -> Option<bool> {
        Some(version::promised(&self.from)? != version::promised(&self.to)?)
    }
}

impl Servers {
    pub async fn look(&mut self, ready: &Ready, activity: &Activity) -> Result<(), Failure> {
        self.images = images(ready, None, activity).await?.0;
        Ok(())
    }

    /// With the edits of one more hop laid over the files.
    pub async fn look_again(&mut self, ready: &Ready, hop: &Hop, activity: &Activity) -> Result<(), Failure> {
        if self.images.is_empty() {
            return Ok(());
        }
        let (now, gone) = images(ready, Some(hop), activity).await?;
        self.gone
            .extend(gone.into_iter().filter(|datastore| self.images.contains_key(datastore)).map(|d| (d, hop.clone())));
        for (datastore, to) in &now {
            let Some(from) = self.images.get(datastore).filter(|from| *from != to) else { continue };
            let (datastore, hop) = (datastore.clone(), hop.clone());
            self.replaced.push(Replaced { datastore, hop, from: from.clone(), to: to.clone() });
        }
        self.images = now;
        Ok(())
    }

    /// Another that is replaced, and that can't be started alone.
    fn in_the_same_pod(&self, deployment: &Deployment, datastore: &str) -> Option<&str> {
        let own = server(deployment, datastore)?;
        let others = self.replaced.iter().map(|other| other.datastore.as_str());
        others
            .filter(|other| *other != datastore)
            .find(|other| server(deployment, other).is_some_and(|other| share_a_pod(deployment, own, other)))
    }

    /// By the first hop: the others' data is not that of the quiesce any more.
    pub fn carried(&self, plan: &Plan) -> Vec<String> {
        let by_the_first = self.replaced.iter().filter(|replaced| plan.begins_with(&replaced.hop));
        by_the_first.map(|replaced| replaced.datastore.clone()).collect()
    }
}

/// Two servers; of a release a workload is one service, and else a pod is several.
fn share_a_pod(deployment: &Deployment, own: &ServerConfig, other: &ServerConfig) -> bool {
    let (Some(at), Some(beside)) = (&own.service, &other.service) else { return false };
    let mut platforms = deployment.platforms.iter().filter(|platform| platform.binding.name == at.platform);
    match platforms.any(|platform| platform.grants.kubernetes.is_some()) {
        true => at == beside && own.port != other.port,
        false => at != beside && whole(at) == whole(beside),
    }
}

/// `hop`: with its edits, and what else comes with it. And the datastores for whose server a release has no workload.
async fn images(
    ready: &Ready, hop: Option<&Hop>, activity: &Activity,
) -> Result<(BTreeMap<String, String>, Vec<String>), Failure> {
    let (mut images, mut gone) = (BTreeMap::new(), Vec::new());
    for (binding, _) in &ready.bound.platforms {
        let on_it = ready.deployment.datastores.iter().filter_map(|datastore| {
            let server = datastore.grants.server.as_ref()?;
            let service = server.service.as_ref().filter(|service| service.platform == binding.name)?;
            Some((&datastore.binding.name, service.name.as_str(), server.port))
        });
        let on_it: Vec<_> = on_it.collect();
        let drivers = ready.drivers.get(&(Role::Platform, binding.name.clone()));
        let Some(drivers) = drivers.filter(|_| !on_it.is_empty()) else { continue };
        let cx = ready.context(binding, activity);
        let named = match (drivers.around(), &drivers.kubernetes) {
            (Some(around), _) => around.images(&cx, true).await?,
            (None, Some(release)) => {
                let servers: Vec<_> = on_it.iter().map(|(_, service, port)| (*service, *port)).collect();
                let named = release.server_images(&cx, &servers, hop.map(|hop| hop.target.as_str())).await?;
                let Some(named) = named else { continue };
                let missing = on_it.iter().filter(|(_, service, _)| !named.contains_key(*service));
                gone.extend(missing.map(|(datastore, ..)| (*datastore).clone()));
                named
            }
            (None, None) => continue,
        };
        let image =
            |(datastore, service, _): (&String, &str, u16)| Some((datastore.clone(), named.get(service)?.clone()));
        images.extend(on_it.into_iter().filter_map(image));
    }
    Ok((images, gone))
}

impl Host {
    /// What stands against carrying, or may.
    pub async fn carried(&self, ready: &Ready, plan: &Plan, servers: &Servers, activity: &Activity) -> Vec<Finding> {
        let mut findings = Vec::new();
        for (datastore, hop) in &servers.gone {
            let message =
                format!("the release has no workload for the server of `{datastore}` any more at {}", hop.target);
            let hint = "its data would stay behind: `service` names a workload that both versions have";
            findings.push(Finding::blocker("host", &format!("server-{datastore}"), message).hint(hint));
        }
        for replaced in &servers.replaced {
            let Replaced { datastore, hop, to: image, .. } = replaced;
            let (id, promised) = (format!("server-{datastore}"), replaced.promised());
            if plan.rolls() {
                let message = format!("the server of `{datastore}` becomes `{image}` while users write to it");
                findings.push(Finding::blocker("host", &id, message));
                continue;
            }
            if promised == Some(false) {
                continue;
            }
            if !plan.begins_with(hop) {
                let message = format!("the hop to {} makes the server of `{datastore}` `{image}`", hop.target);
                let hint = format!("only a path's first hop can: `version = \"{}\"` goes there first", hop.source);
                findings.push(Finding::blocker("host", &id, message).hint(hint));
                continue;
            }
            if let Some(other) = servers.in_the_same_pod(&ready.deployment, datastore) {
                let message =
                    format!("the servers of `{datastore}` and `{other}` change with the same hop, in one pod");
                let hint = "each has to be set aside before it starts: a pod for each would be right";
                findings.push(Finding::blocker("host", &id, message).hint(hint));
                continue;
            }
            let Some((binding, _)) = ready.bound.datastore(datastore) else { continue };
            let Some(drivers) = ready.drivers.get(&(binding.role, binding.name.clone())) else { continue };
            let known = known_databases(&ready.deployment, datastore);
            if let Err(error) = drivers.renewable(&ready.context(binding, activity), &known).await {
                let (when, finding): (_, fn(&str, &str, String) -> Finding) = match promised {
                    Some(_) => ("another major version, and its data", Finding::blocker),
                    None => ("if that is another major version, its data", Finding::warning),
                };
                let message =
                    format!("the server of `{datastore}` becomes `{image}`; {when} could not be carried over: {error}");
                findings.push(finding("host", &id, message));
            }
            let major = version::promised(image).and_then(|version| version.parse().ok());
            if let Some(Err(error)) = drivers.tools_for(major).await {
                let message = format!("after it no backup of `{datastore}` could be made any more: {error}");
                findings.push(Finding::warning("host", &format!("tools-{datastore}"), message));
            }
        }
        findings
    }
}

/// Of the datastore's server: those that belong to a datastore, and those that may be lost.
pub fn known_databases(deployment: &Deployment, datastore: &str) -> Vec<String> {
    let own = server(deployment, datastore);
    let servers = deployment.datastores.iter().filter_map(|config| config.grants.server.as_ref());
    let same = servers.filter(|other| own.is_some_and(|own| own.service == other.service && own.port == other.port));
    let bound = same.map(|server| server.database.clone());
    let disposable = deployment.policy.disposable.iter().filter_map(|entry| entry.strip_prefix("database:"));
    bound.chain(disposable.map(str::to_owned)).collect()
}

fn server<'d>(deployment: &'d Deployment, datastore: &str) -> Option<&'d ServerConfig> {
    let config = deployment.datastores.iter().find(|config| config.binding.name == datastore)?;
    config.grants.server.as_ref()
}

/// Whether the servers that a run replaced can take their places again.
pub async fn can_go_back(ready: &Ready, of: &Plan, run: u64) -> Result<(), Failure> {
    by_an_older_server(&ready.deployment, of)?;
    for datastore in &of.carries {
        if let Some(drivers) = ready.drivers.get(&(Role::Datastore, datastore.clone())) {
            drivers.has_stood_before(run).await?;
        }
    }
    Ok(())
}

/// A server of MySQL or MariaDB starts from its data, which an older one does not read.
fn by_an_older_server(deployment: &Deployment, of: &Plan) -> Result<(), Failure> {
    let is_mysql = |datastore: &&String| {
        let mut stores = deployment.datastores.iter();
        stores.any(|config| config.binding.name == **datastore && config.grants.mysql)
    };
    match of.carries.iter().find(is_mysql) {
        None => Ok(()),
        Some(datastore) => Err(failure(
            "server",
            &format!(
                "the run replaced the server of `{datastore}`, and the old one does not read the new one's data: start a \
                 fresh one of the old image by hand, and restore the run's backup into it"
            ),
        )),
    }
}
