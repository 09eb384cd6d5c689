//! Services as the page shows them, with the tests that went without them.

use serde::Serialize;

use super::budget::{Budget, end, line};
use super::page::{Fact, Verdict, run_fact};
use crate::report::dependents::{self, Lost};
use crate::report::totals::names;
use crate::report::wording::{count, describe_service_cause, duration, is_bad};
use crate::results::{RunResults, ServiceResult};

#[derive(Debug, Serialize)]
pub(super) struct Service {
    outcome: Verdict,
    bad: bool,
    name: String,
    image: String,
    duration: String,
    cause: Option<String>,
    without: Option<String>,
    log: Option<String>,
    facts: Vec<Fact>,
}

/// All services of the run.
pub(super) fn of(results: &RunResults, budget: &Budget) -> Vec<Service> {
    let lost = dependents::of(results);
    results.services.iter().map(|service| service_of(service, &lost, results, budget)).collect()
}

fn service_of(
    service: &ServiceResult,
    lost: &[Lost<'_>],
    results: &RunResults,
    budget: &Budget,
) -> Service {
    let bad = is_bad(service.outcome);
    Service {
        outcome: Verdict::of(service.outcome),
        bad,
        name: line(&service.name),
        image: line(&service.image),
        duration: duration(service.seconds),
        cause: service.cause.as_ref().map(describe_service_cause),
        without: lost.iter().find(|lost| lost.name == service.name).map(|lost| {
            let tests = lost.not_run.len() + lost.cut_short.len();
            let named = lost.not_run.iter().chain(&lost.cut_short).copied().collect::<Vec<_>>();
            format!("{} went without it: {}", count(tests as u64, "test"), names(named.into_iter()))
        }),
        log: end(&service.log_tail, budget.log(bad)),
        facts: run_fact(service.run_id.as_ref(), results).into_iter().collect(),
    }
}
