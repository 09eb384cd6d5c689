//! What is kept from the builder, and what from the reader of a log.

use crate::support::{BASE, Sandbox};

/// A Dockerfile whose tests lie beside the results, as in the default layout.
fn dockerfile() -> String {
    format!("FROM {BASE}\nONTEST COPY tests /tests\nONTEST CMD [\"sh\", \"/tests/run.sh\"]\n")
}

#[test]
fn results_of_earlier_runs_do_not_make_the_test_image_another_one() {
    let sandbox = Sandbox::new();
    sandbox.write("tests/run.sh", "date > /var/tests/results/when\nls -A /tests\n");
    let image = sandbox.build("shop", &dockerfile());
    for reused in [false, true, true] {
        let ran = sandbox.expect(0, &["--format", "json", &image]);
        let events = ran.events();
        let built = events.iter().find(|event| event["event"] == "built").unwrap();
        assert_eq!(built["reused"], reused, "{built}");
        let seen: String = events.iter().filter_map(|event| event["text"].as_str()).collect();
        assert!(seen.contains("run.sh") && !seen.contains("results"), "the image holds {seen}");
    }
    sandbox.write("tests/more.sh", "");
    let ran = sandbox.expect(0, &["--format", "json", &image]);
    let built = ran.events().into_iter().find(|event| event["event"] == "built").unwrap();
    assert_eq!(built["reused"], false);
}

#[test]
fn a_secret_build_argument_is_hidden_in_what_the_builder_prints() {
    let sandbox = Sandbox::new();
    let secret = "correct-horse-battery";
    sandbox.write(
        "Dockerfile",
        &format!(
            "FROM {BASE}\nARG API_TOKEN\nRUN echo \"image $API_TOKEN\"\n\
             ONTEST ARG API_TOKEN\nONTEST RUN echo \"recipe $API_TOKEN\"\nONTEST CMD [\"true\"]\n"
        ),
    );
    let image = sandbox.image("secret");
    let argument = format!("API_TOKEN={secret}");
    let built = sandbox.expect(0, &["build", "--no-cache", "-t", &image, "--build-arg", &argument, "."]);
    built.assert_stderr("image ***");
    let ran = sandbox.expect(0, &["--no-cache", "--format", "json", "--build-arg", &argument, &image]);
    ran.assert_stdout("recipe ***");
    for said in [built.stdout, built.stderr, ran.stdout, ran.stderr] {
        assert!(!said.contains(secret), "{said}");
    }
}

#[test]
fn the_content_of_a_secret_file_is_hidden_in_what_the_builder_prints() {
    let sandbox = Sandbox::new();
    sandbox.write("key", "-----BEGIN-----\ncorrect-horse\nbattery-staple\n");
    sandbox.write(
        "Dockerfile",
        &format!(
            "FROM {BASE}\nRUN --mount=type=secret,id=key cat /run/secrets/key; echo image done\n\
             ONTEST RUN --mount=type=secret,id=key tail -n 1 /run/secrets/key; echo recipe done; exit 1\n\
             ONTEST CMD [\"true\"]\n"
        ),
    );
    let image = sandbox.image("secret");
    let built = sandbox.expect(0, &["build", "--no-cache", "-t", &image, "--secret", "id=key,src=key", "."]);
    built.assert_stderr("image done");
    let ran = sandbox.expect(125, &["--secret", "id=key,src=key", &image]);
    ran.assert_stderr("recipe done");
    for said in [built.stdout, built.stderr, ran.stdout, ran.stderr] {
        assert!(!said.contains("correct") && !said.contains("staple"), "{said}");
    }
}
