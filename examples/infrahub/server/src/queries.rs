//! What GraphQL is asked for, and where it comes from.

use crate::client::Client;
use crate::graph::{Edge, Node};
use crate::graphql::{Field, parse};
use anyhow::{Context, Result, bail};
use serde_json::{Map, Value, json};

pub const TAG: &str = "BuiltinTag";
const BRANCH: &str = "CoreBranch";

/// `{"data": …}` or `{"errors": […]}`.
pub async fn answer(client: &Client, version: &str, query: &str) -> Value {
    match run(client, version, query).await {
        Ok(data) => json!({ "data": data }),
        Err(error) => json!({ "errors": [{ "message": format!("{error:#}") }] }),
    }
}

async fn run(client: &Client, version: &str, query: &str) -> Result<Value> {
    let operation = parse(query)?;
    let mut data = Map::new();
    for field in &operation.fields {
        let whole = match (operation.mutation, field.name.as_str()) {
            (false, "InfrahubInfo") => json!({ "version": version }),
            (false, TAG) => tags(client).await?,
            (true, "BuiltinTagCreate") => create_tag(client, field).await?,
            (false, name) => bail!("there is no query `{name}`"),
            (true, name) => bail!("there is no mutation `{name}`"),
        };
        data.insert(field.name.clone(), selected(&whole, field)?);
    }
    Ok(Value::Object(data))
}

async fn tags(client: &Client) -> Result<Value> {
    let node = |found: &crate::client::Found| json!({ "node": { "id": found.id, "name": found.text("name") } });
    let edges: Vec<Value> = client.nodes(TAG, &[]).await?.iter().map(node).collect();
    Ok(json!({ "count": edges.len(), "edges": edges }))
}

async fn create_tag(client: &Client, field: &Field) -> Result<Value> {
    let name = field.arguments.get("data").and_then(|data| data["name"].as_str());
    let name = name.filter(|name| !name.is_empty()).context("`data: {name: \"…\"}` is missing")?;
    let main = client.nodes(BRANCH, &[("name", "main")]).await?;
    let main = main.first().context("the graph has no branch `main`")?;
    let properties = Map::from_iter([("name".to_owned(), json!(name))]);
    let edges = vec![Edge { name: "branch".into(), to: main.id }];
    let id = client.create(&Node { kind: TAG.into(), properties, edges }, true).await?;
    Ok(json!({ "ok": true, "object": { "id": id, "name": name } }))
}

/// What of `whole` the selection asks for.
fn selected(whole: &Value, field: &Field) -> Result<Value> {
    match whole {
        Value::Array(list) => list.iter().map(|one| selected(one, field)).collect(),
        Value::Object(all) if field.fields.is_empty() => {
            bail!("`{}` needs a selection of {}", field.name, all.keys().cloned().collect::<Vec<_>>().join(", "))
        }
        Value::Object(all) => {
            let one = |wanted: &Field| {
                let value = all.get(&wanted.name);
                let value = value.with_context(|| format!("`{}` has no field `{}`", field.name, wanted.name))?;
                Ok((wanted.name.clone(), selected(value, wanted)?))
            };
            field.fields.iter().map(one).collect::<Result<Map<_, _>>>().map(Value::Object)
        }
        value if field.fields.is_empty() => Ok(value.clone()),
        _ => bail!("`{}` is a value and has no fields", field.name),
    }
}
