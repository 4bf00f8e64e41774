//! PostgreSQL's image, whose tag stands in the pod's file.

use upgraded_sdk::Change;
use upgraded_sdk::prelude::*;

const FILE: &str = "pod-database.yaml";
const CONTAINER: &str = "postgres";

/// The tag becomes this major version's; where the image comes from, and which variant it is, stays the operator's.
pub fn edit(host: &ProductHost, major: &str) -> Result<Edit> {
    let text = host.files().read_text(FILE)?;
    let place = pod_files::image(FILE, &text, CONTAINER).map_err(|mistake| Error::invalid(mistake.to_string()))?;
    let tagged = place.reference.rsplit_once(':').filter(|(name, tag)| !name.contains('@') && !tag.contains('/'));
    let Some((name, tag)) = tagged else {
        return Err(Error::invalid(format!(
            "`{FILE}`, line {}: the image `{}` has no tag of its own, which becomes `{major}`: `docker.io/postgres:15` \
             would be right",
            place.line, place.reference
        )));
    };
    let variant = tag.find('-').map_or("", |at| &tag[at..]);
    let content = pod_files::set_image(&text, &place, &format!("{name}:{major}{variant}"));
    let why = format!("PostgreSQL {major}, which the release comes with");
    Ok(Edit { path: FILE.into(), change: Change::Content(content.into_bytes()), why })
}
