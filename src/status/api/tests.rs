use std::path::Path;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::super::tests::{Scene, TOKEN};
use super::*;

const HERE: &str = "127.0.0.1:0";

#[test]
fn the_document_in_docs_is_the_one_that_is_served() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/status.openapi.json");
    let made = format!("{}\n", serde_json::to_string_pretty(&openapi()).unwrap());
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, &made).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(written == made, "{} is old: UPDATE_DOCS=1 cargo test --lib status::", path.display());
}

#[test]
fn every_reference_in_the_document_leads_somewhere() {
    let document = openapi();
    let text = document.to_string();
    let references: Vec<&str> =
        text.split("\"$ref\":\"#").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    assert!(!references.is_empty());
    for reference in references {
        assert!(document.pointer(reference).is_some(), "{reference}");
    }
    let operations = operations(&mut generator());
    let mut ids: Vec<&str> = operations.iter().map(|operation| operation.id).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), operations.len());
}

#[tokio::test]
async fn every_operation_is_served_and_asks_for_the_token_where_the_document_says_so() {
    let scene = Scene::new(HERE, Some(TOKEN)).await;
    for operation in operations(&mut generator()) {
        let path = operation.path.replace("{name}", "shop.up").replace("{id}", "s1");
        let body = operation.takes.is_some().then(|| json!({ "probes": "shop.*", "for": "1h" }).to_string());
        let ask = |request: reqwest::RequestBuilder| match &body {
            Some(body) => request.body(body.clone()),
            None => request,
        };
        let without = ask(scene.request(operation.method.clone(), &path)).send().await.unwrap().status();
        let with = ask(scene.with_token(operation.method.clone(), &path)).send().await.unwrap();
        let expected = operation.gives.0;
        assert_eq!(with.status(), expected, "{}", operation.id);
        let of_anybody = if operation.needs_token { StatusCode::UNAUTHORIZED } else { expected };
        assert_eq!(without, of_anybody, "{}", operation.id);
        let text = with.text().await.unwrap();
        assert_eq!(operation.gives.2.is_some(), !text.is_empty(), "{}: {text}", operation.id);
    }
}

#[tokio::test]
async fn nobody_acts_where_there_is_no_token() {
    let scene = Scene::new(HERE, None).await;
    let answer = scene.request(Method::POST, "/api/v1/probes/shop.up/run").send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::FORBIDDEN);
    assert!(answer.text().await.unwrap().contains("--token-file"));
}

#[tokio::test]
async fn probes_are_found_by_text_and_condition_and_come_in_parts() {
    let scene = Scene::new(HERE, None).await;
    let get = async |path: &str| serde_json::from_str::<Value>(&scene.get(path).await.1).unwrap();
    let names = |list: &Value| -> Vec<String> {
        list["probes"]
            .as_array()
            .unwrap()
            .iter()
            .map(|probe| probe["name"].as_str().unwrap().to_owned())
            .collect()
    };
    let all = get("/api/v1/probes").await;
    assert_eq!(names(&all), ["shop/down", "shop.retry", "mail new", "shop.up"]);
    assert_eq!((&all["total"], &all["probes"][0]["condition"]), (&json!(4), &json!("down")));
    assert_eq!(names(&get("/api/v1/probes?offset=1&limit=2").await), ["shop.retry", "mail new"]);
    assert_eq!(names(&get("/api/v1/probes?condition=pending").await), ["mail new"]);
    assert_eq!(names(&get("/api/v1/probes?q=shop.").await), ["shop.retry", "shop.up"]);
    let one = get("/api/v1/probes/shop%2Fdown").await;
    assert_eq!((&one["name"], &one["last"]["verdict"]), (&json!("shop/down"), &json!("failed")));
    assert_eq!(get("/api/v1/probes/shop.up/runs").await, json!({ "runs": [] }));
    for (path, expected) in [
        ("/api/v1/probes?limit=0", "limit: expected 1 to 1000, got 0"),
        ("/api/v1/probes?limit=many", "limit"),
        ("/api/v1/probes?condition=sideways", "unknown variant `sideways`"),
        ("/api/v1/probes?colour=red", "unknown field `colour`"),
        ("/api/v1/probes/shop.up/runs?limit=1000", "limit: expected 1 to 200"),
        ("/api/v1/probes/none", "there is no probe none"),
    ] {
        let detail = get(path).await["detail"].to_string();
        assert!(detail.contains(expected), "{path}: {detail}");
    }
}

#[tokio::test]
async fn the_summary_counts_probes_incidents_and_silences() {
    let scene = Scene::new(HERE, None).await;
    let summary: Value = serde_json::from_str(&scene.get("/api/v1/status").await.1).unwrap();
    let probes = json!({ "down": 1, "pending": 1, "unknown": 0, "up": 1, "warning": 1 });
    assert_eq!(
        (&summary["probes"], &summary["incidents"], &summary["silences"]),
        (&probes, &json!(1), &json!(2))
    );
}
