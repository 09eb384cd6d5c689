//! What is known of a test before it runs: the result that whatever becomes of it is put into.
//!
//! Owns these two beginnings, of one test and of many alike. What is put in afterwards is [`super::single`]'s and
//! [`super::suite`]'s.

use crate::metadata::labels::DEFAULT_TYPE;
use crate::plan::TestPlan;
use crate::results::{Outcome, TestResult};

/// Before there is a plan no more is known than what the user asked for.
#[must_use]
pub fn unplanned(name: &str, image: &str) -> TestResult {
    TestResult {
        name: name.to_owned(),
        image: image.to_owned(),
        image_id: String::new(),
        test_image: String::new(),
        test_type: DEFAULT_TYPE.to_owned(),
        source: "none".to_owned(),
        outcome: Outcome::NotStarted,
        cause: None,
        flaky_fails: false,
        attempts: Vec::new(),
        results_dir: None,
        warnings: Vec::new(),
        run_id: None,
    }
}

/// With a plan it is known what would run. The plan's warnings are the caller's to add.
#[must_use]
pub fn planned(plan: &TestPlan) -> TestResult {
    TestResult {
        image_id: plan.image_id.clone(),
        test_image: plan.test_image.clone(),
        test_type: plan.test_type.clone(),
        source: plan.source.name().to_owned(),
        ..unplanned(&plan.name, &plan.image)
    }
}
