//! Behind `checkout`: releases from a git repository, each in a folder of its own, a link naming the active one.

use crate::context::StepContext;
use crate::model::*;
use crate::plan::event::{Effect, Verdict};

pub struct Checkout {}

#[allow(unused_variables, reason = "signatures first")]
impl Checkout {
    pub async fn releases(&self, cx: &StepContext) -> Result<Vec<(String, String)>, VerbError> {
        todo!()
    }
    pub async fn fetch(&self, cx: &StepContext, revision: &str) -> Result<String, VerbError> {
        todo!()
    }
    pub async fn prepare(&self, cx: &StepContext, commit: &str, build: Option<&str>) -> Result<(), VerbError> {
        todo!()
    }
    pub async fn activate(&self, cx: &StepContext, commit: &str) -> Result<(), VerbError> {
        todo!()
    }
    pub async fn active(&self, cx: &StepContext) -> Result<Option<(String, Option<String>)>, VerbError> {
        todo!()
    }
    pub async fn fence_and_probe(&self, effect: &Effect) -> Verdict {
        todo!()
    }
}
