//! Behind `sqlite`: databases saved through SQLite itself.

use crate::context::StepContext;
use crate::model::*;
use crate::plan::event::{Effect, Verdict};

pub struct Sqlite {}

#[allow(unused_variables, reason = "signatures first")]
impl Sqlite {
    pub async fn list(&self, cx: &StepContext) -> Result<Vec<String>, VerbError> {
        todo!()
    }
    pub async fn manifest(&self, cx: &StepContext, path: &str, step: Option<&str>) -> Result<String, VerbError> {
        todo!()
    }
    pub async fn mark(&self, cx: &StepContext, path: &str) -> Result<String, VerbError> {
        todo!()
    }
    pub async fn put_back(&self, cx: &StepContext, path: &str, artifact: &str) -> Result<(), VerbError> {
        todo!()
    }
    pub async fn freeze(&self, cx: &StepContext, path: &str) -> Result<(), VerbError> {
        todo!()
    }
    pub async fn swap(&self, cx: &StepContext, path: &str, step: &str) -> Result<(), VerbError> {
        todo!()
    }
    pub async fn discard(&self, cx: &StepContext, path: &str, step: &str) -> Result<(), VerbError> {
        todo!()
    }
    pub async fn save(&self, cx: &StepContext, path: &str, step: Option<&str>) -> Result<(String, String), VerbError> {
        todo!()
    }
    pub async fn check(&self, cx: &StepContext, path: &str, step: Option<&str>) -> Result<Vec<String>, VerbError> {
        todo!()
    }
    pub async fn fence(&self, cx: &StepContext, path: &str) -> Result<String, VerbError> {
        todo!()
    }
    pub async fn unfence(&self, cx: &StepContext, path: &str) -> Result<(), VerbError> {
        todo!()
    }
    pub async fn fence_and_probe(&self, effect: &Effect) -> Verdict {
        todo!()
    }
}
