//! The pipelines this program was built with, looked up by name, and how one is described anew in any process.
use super::error::DataError;
use super::parameter::{Blueprint, Givens};
use super::plan::Plan;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::sync::OnceLock;

/// A function that describes a pipeline, under the name by which other processes find it.
#[doc(hidden)]
#[derive(Debug)]
pub struct PipelineEntry {
    /// Module path and function.
    pub name: &'static str,
    /// Takes its parameters and describes its steps.
    pub describe: fn(Givens) -> Result<Blueprint, DataError>,
}

inventory::collect!(PipelineEntry);

/// All that another process needs to describe the same pipeline.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Recipe {
    pub(super) pipeline: String,
    pub(super) literals: Vec<Bytes>,
    /// The plan's, so that a function that describes something else there is noticed.
    pub(super) fingerprint: u64,
}

impl Recipe {
    /// The recipe of a pipeline, and its plan.
    pub(super) fn new(pipeline: &str, literals: Vec<Bytes>) -> Result<(Self, Plan), DataError> {
        let mut recipe = Self { pipeline: pipeline.to_owned(), literals, fingerprint: 0 };
        let plan = recipe.describe()?;
        recipe.fingerprint = plan.fingerprint();
        Ok((recipe, plan))
    }

    /// The plan, which must be the one the recipe was made of.
    pub(super) fn plan(&self) -> Result<Plan, DataError> {
        let plan = self.describe()?;
        if plan.fingerprint() != self.fingerprint {
            return Err(self.refuse(
                "describes other steps here than where it was started\n  \
                 hint: what it describes may depend on nothing but its parameters",
            ));
        }
        Ok(plan)
    }

    fn describe(&self) -> Result<Plan, DataError> {
        let Some(entry) = pipelines().get(&*self.pipeline) else {
            return Err(self.refuse("is not known here\n  hint: client and workers must be the same program"));
        };
        let Blueprint(plan) = (entry.describe)(Givens::new(self.literals.clone()))?;
        Ok(plan)
    }

    fn refuse(&self, problem: &'static str) -> DataError {
        DataError::Pipeline { pipeline: self.pipeline.clone(), problem }
    }
}

/// # Panics
/// If two pipelines have the same name.
fn pipelines() -> &'static HashMap<&'static str, &'static PipelineEntry> {
    static PIPELINES: OnceLock<HashMap<&'static str, &'static PipelineEntry>> = OnceLock::new();
    PIPELINES.get_or_init(|| {
        let mut pipelines = HashMap::new();
        for entry in inventory::iter::<PipelineEntry> {
            let other = pipelines.insert(entry.name, entry);
            assert!(other.is_none(), "two pipelines are called `{}`\n\nhint: rename one of them", entry.name);
        }
        pipelines
    })
}
