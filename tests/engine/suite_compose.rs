//! Suites and images with the services of compose files, and the test that a compose file has in itself.

use crate::suite_system::System;
use crate::support::docker;

const WEB: &str = r#"
version: "2.4"
services:
  web:
    image: IMAGE
    command: sh -c "mkdir /www; echo hello > /www/index.html; echo serving; exec httpd -f -p 8080 -h /www"
    healthcheck: { test: "wget -qO- http://127.0.0.1:8080/", interval: 1s }
    environment: { API_TOKEN: hunter22-secret }
"#;

fn system(sut: &str) -> System {
    let system = System::new();
    let text = format!("{WEB}{sut}").replace("IMAGE", &system.image);
    system.sandbox.write("docker-compose.test.yml", &text);
    system
}

/// What a project of a run has left on the engine.
fn left() -> String {
    docker(&["ps", "-a", "--filter", "label=com.docker.compose.service=web", "--format", "{{.Names}}"])
}

#[test]
fn the_service_sut_is_the_test_and_its_exit_code_the_verdict() {
    let sut = |code| {
        format!(
            "  sut:\n    image: IMAGE\n    depends_on: {{ web: {{ condition: service_healthy }} }}\n    command: sh -c \"wget -qO- http://web:8080/; echo x > /var/tests/results/file; exit {code}\"\n"
        )
    };
    let system = system(&sut(0));
    let told = system.run(0, &["--compose", "docker-compose.test.yml"]);
    told.assert_outcomes(&[("sut", "passed")]);
    assert!(told.output("sut").contains("hello"), "{}", told.output("sut"));
    assert_eq!(system.sandbox.result("sut/attempt-1/file"), "x\n");
    assert!(system.sandbox.result("services/web.log").contains("serving"));
    assert_eq!(told.report["services"][0]["name"], "web");
    let text = format!("{WEB}{}", sut(3)).replace("IMAGE", &system.image);
    system.sandbox.write("docker-compose.test.yml", &text);
    let told = system.run(1, &["--compose", "docker-compose.test.yml"]);
    told.assert_outcomes(&[("sut", "failed")]);
    assert!(!left().contains("docker-test-"), "{}", left());
}

#[test]
fn tests_of_a_suite_reach_the_services_of_a_compose_file_and_a_misspelt_one_is_named() {
    let system = system("");
    let smoke =
        "tests: { smoke: { image: IMAGE, needs: [web], command: [wget, -qO-, 'http://web:8080/'] } }\n";
    system.suite(&format!("services: ./docker-compose.test.yml\n{smoke}"));
    let told = system.run(0, &[]);
    told.assert_outcomes(&[("smoke", "passed")]);
    system.suite(&format!("services: ./docker-compose.test.yml\n{}", smoke.replace("[web]", "[wbe]")));
    let told = system.run(125, &[]);
    told.ran.assert_stderr("wbe");
    told.ran.assert_stderr("did you mean `web`");
}

#[test]
fn images_get_all_services_of_a_compose_file_and_a_suite_those_of_the_command_line() {
    let system = system("");
    let image = system.sandbox.docker_build(
        "labelled",
        &format!("FROM {}\nLABEL test.cmd='[\"wget\",\"-qO-\",\"http://web:8080/\"]'\n", system.image),
    );
    let told = system.run(0, &["--compose", "docker-compose.test.yml", &image]);
    assert_eq!(told.outcome(&image), "passed", "{}", told.ran.stderr);
    system.suite(
        "tests: { smoke: { image: IMAGE, needs: [web], command: [wget, -qO-, 'http://web:8080/'] } }\n",
    );
    let told = system.run(0, &["--compose", "docker-compose.test.yml", "--suite", "docker-test.yaml"]);
    told.assert_outcomes(&[("smoke", "passed")]);
}

#[test]
fn secrets_of_compose_services_are_hidden_and_a_file_without_a_test_is_no_test() {
    let sut = "  sut:\n    image: IMAGE\n    environment: { DB_PASSWORD: hunter22-other }\n    command: sh -c \"echo $$DB_PASSWORD hunter22-secret\"\n";
    let system = system(sut);
    let told = system.run(0, &["--compose", "docker-compose.test.yml"]);
    assert!(told.output("sut").contains("*** ***"), "{}", told.output("sut"));
    let all = format!("{}{}{}", told.ran.stdout, told.ran.stderr, told.report);
    assert!(!all.contains("hunter22"), "{all}");
    system.sandbox.write("docker-compose.test.yml", &WEB.replace("IMAGE", &system.image));
    let told = system.run(125, &["--compose", "docker-compose.test.yml"]);
    told.ran.assert_stderr("no service `sut`");
}
