//! The main job in its plainest form.

use crate::support::{BASE, Sandbox};

#[test]
fn an_image_with_ontest_lines_is_built_run_and_judged() {
    let sandbox = Sandbox::new();
    sandbox.write(
        "test.sh",
        "#!/bin/sh\necho \"out $*\"\necho err >&2\necho data > /var/tests/results/file.txt\n",
    );
    let image = sandbox.build(
        "shop",
        &format!("FROM {BASE}\nENTRYPOINT [\"/bin/false\"]\nONTEST COPY test.sh /test.sh\nONTEST CMD [\"/test.sh\", \"a b\"]\n"),
    );
    let ran = sandbox.expect(0, &[&image]);
    assert_eq!(ran.stdout, "out a b\n");
    ran.assert_stderr("err\n");
    assert_eq!(sandbox.result("file.txt"), "data\n");
    assert_eq!(sandbox.leftovers(), Vec::<String>::new());
}

#[test]
fn a_failing_test_exits_with_1_and_its_files_come_out_all_the_same() {
    let sandbox = Sandbox::new();
    let image = sandbox.docker_build("bad", &format!("FROM {BASE}\n"));
    sandbox.expect(1, &[&image, "--", "sh", "-c", "echo why > /var/tests/results/why.txt; exit 3"]);
    assert_eq!(sandbox.result("why.txt"), "why\n");
    assert_eq!(sandbox.leftovers(), Vec::<String>::new());
}

#[test]
fn a_file_that_changed_but_kept_its_size_and_time_is_sent_again() {
    let sandbox = Sandbox::new();
    let file = sandbox.write("data", "one");
    let time = std::fs::metadata(&file).unwrap().modified().unwrap();
    let image =
        sandbox.build("same", &format!("FROM {BASE}\nONTEST COPY data /data\nONTEST CMD cat /data\n"));
    assert_eq!(sandbox.expect(0, &[&image]).stdout, "one");
    std::fs::write(&file, "two").unwrap();
    std::fs::File::options().write(true).open(&file).unwrap().set_modified(time).unwrap();
    assert_eq!(sandbox.expect(0, &[&image]).stdout, "two");
    // The generated Dockerfile differs by the private tag alone, in as many bytes.
    assert_eq!(sandbox.expect(0, &["--no-cache", &image]).stdout, "two");
}
