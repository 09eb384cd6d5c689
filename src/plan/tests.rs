use std::collections::BTreeMap;

use super::container::{ContainerSpec, MountSpec};
use super::*;
use crate::error::Diagnose;
use crate::image::sources::SourceFile;
use crate::metadata::dockerfile::parse;
use crate::metadata::labels::ours;

/// A request and its facts, to be changed by each test.
struct Case {
    request: Request,
    target: Image,
    test_image: Option<Image>,
    directory: DirectorySources,
    capabilities: Capabilities,
}

impl Case {
    fn new() -> Self {
        Self {
            request: Request {
                reference: "shop:1.4".into(),
                test_image: "shop:1.4-test".into(),
                ..Request::default()
            },
            target: Image { id: "sha256:target".into(), tags: vec!["shop:1.4".into()], ..Image::default() },
            test_image: None,
            directory: DirectorySources { directory: "/project".into(), ..DirectorySources::default() },
            capabilities: Capabilities::unknown(),
        }
    }

    fn label(mut self, name: &str, value: &str) -> Self {
        self.target.labels.insert(name.into(), value.into());
        self
    }

    fn ontest(self, triggers: &[&str]) -> Self {
        self.label("test.ontest", &serde_json::to_string(triggers).unwrap())
    }

    fn onbuild(mut self, triggers: &[&str]) -> Self {
        self.target.onbuild = triggers.iter().map(|trigger| (*trigger).to_owned()).collect();
        self
    }

    fn recipe(mut self, text: &str) -> Self {
        self.directory.recipe = Some(file("Dockerfile.test", text));
        self
    }

    fn dockerfile(mut self, text: &str) -> Self {
        self.directory.dockerfile = Some(file("Dockerfile", text));
        self
    }

    fn command(mut self, words: &[&str]) -> Self {
        self.request.command = Some(words.iter().map(|word| (*word).to_owned()).collect());
        self
    }

    fn pulled(mut self) -> Self {
        self.target.digests = vec!["registry/shop@sha256:d".into()];
        self
    }

    fn container(mut self, change: impl FnOnce(&mut ContainerSpec)) -> Self {
        change(&mut self.request.container);
        self
    }

    fn plan(&self) -> Result<TestPlan, PlanError> {
        resolve(
            &self.request,
            &Facts {
                target: &self.target,
                test_image: self.test_image.as_ref(),
                directory: &self.directory,
                capabilities: &self.capabilities,
                files_at_hand: true,
            },
        )
    }

    #[track_caller]
    fn ok(&self) -> TestPlan {
        self.plan().unwrap()
    }

    #[track_caller]
    fn err(&self) -> PlanError {
        self.plan().unwrap_err()
    }
}

fn file(name: &str, text: &str) -> SourceFile {
    SourceFile { path: format!("/project/{name}").into(), bytes: text.as_bytes().to_vec() }
}

#[expect(clippy::unnecessary_wraps, reason = "every field that it is compared with is optional")]
fn words(words: &[&str]) -> Option<Vec<String>> {
    Some(words.iter().map(|word| (*word).to_owned()).collect())
}

const RECIPE: &str = "ARG TEST_IMAGE\nFROM ${TEST_IMAGE}\nCMD [\"/r\"]\n";
const DOCKERFILE: &str = "FROM base\nONTEST CMD [\"/d\"]\n";

#[test]
fn the_first_source_that_applies_wins() {
    let all = || {
        Case::new()
            .ontest(&["CMD [\"/l\"]"])
            .onbuild(&["CMD [\"/o\"]"])
            .recipe(RECIPE)
            .dockerfile(DOCKERFILE)
            .command(&["/c"])
    };
    let mut case = all();
    assert_eq!(case.ok().source, Source::Label);
    case.target.labels.clear();
    assert_eq!(case.ok().source, Source::Onbuild);
    case.target.onbuild.clear();
    assert_eq!(case.ok().source, Source::Recipe);
    case.directory.recipe = None;
    assert_eq!(case.ok().source, Source::Dockerfile);
    case.directory.dockerfile = None;
    assert_eq!(case.ok().source, Source::Command);
    case.request.command = None;
    assert!(matches!(case.err(), PlanError::NoRecipe { .. }));
    assert_eq!(case.label("test.cmd", "[\"/t\"]").ok().source, Source::Command);
}

#[test]
fn a_file_that_the_user_names_wins_over_every_other_source() {
    let mut case = Case::new().ontest(&["CMD [\"/l\"]"]);
    case.directory.chosen = Some(file("other", RECIPE));
    assert_eq!(case.ok().source, Source::Recipe);
    case.directory.chosen = Some(file("other", DOCKERFILE));
    assert_eq!(case.ok().source, Source::Dockerfile);
    case.directory.chosen = Some(file("other", "FROM base\nRUN true\n"));
    assert!(matches!(case.err(), PlanError::NotATestRecipe { .. }));
}

#[test]
fn where_nothing_applies_the_hint_names_the_ways() {
    let hint = Case::new().err().hint().unwrap();
    for way in ["ONTEST", "ONBUILD", "Dockerfile.test", "test.cmd", "-- /test.sh"] {
        assert!(hint.contains(way), "{way}: {hint}");
    }
}

#[test]
fn a_recipe_with_cmd_alone_resets_the_entrypoint_and_repeats_the_cmd_behind_it() {
    let plan = Case::new().ontest(&["CMD [\"/test.sh\", \"a\"]"]).ok();
    assert_eq!((plan.runs.entrypoint, plan.runs.command), (Some(vec![]), words(&["/test.sh", "a"])));
    assert!(plan.dockerfile.ends_with("ENTRYPOINT []\nCMD [\"/test.sh\", \"a\"]\n"), "{}", plan.dockerfile);
}

#[test]
fn a_recipe_with_an_entrypoint_of_its_own_keeps_it_and_a_command_is_its_arguments() {
    let plan = Case::new().ontest(&["ENTRYPOINT [\"/e\"]", "CMD [\"x\"]"]).command(&["y"]).ok();
    assert!(!plan.dockerfile.contains("ENTRYPOINT []"), "{}", plan.dockerfile);
    assert_eq!(plan.container.entrypoint, None);
    assert_eq!((plan.runs.entrypoint, plan.runs.command), (words(&["/e"]), words(&["y"])));
}

#[test]
fn a_command_after_the_dashes_is_never_handed_to_the_images_entrypoint() {
    let plan = Case::new().command(&["/test.sh"]).ok();
    assert_eq!(plan.container.entrypoint, Some(vec![]));
    let asked = Case::new().command(&["/test.sh"]).container(|spec| spec.entrypoint = words(&["/sh"])).ok();
    assert_eq!(asked.container.entrypoint, words(&["/sh"]));
}

#[test]
fn an_entrypoint_that_is_given_takes_the_recipes_cmd_away_as_docker_does() {
    let case = || Case::new().ontest(&["CMD [\"/test.sh\", \"a\"]"]);
    let plan = case().container(|spec| spec.entrypoint = words(&["/bin/echo"])).ok();
    assert_eq!((&plan.runs.entrypoint, &plan.runs.command), (&words(&["/bin/echo"]), &None));
    assert_eq!(plan.runs.to_string(), "/bin/echo");
    assert!(plan.warnings.iter().any(|warning| warning.starts_with("--entrypoint")), "{:?}", plan.warnings);
    let plan = case().command(&["b"]).container(|spec| spec.entrypoint = words(&["/bin/echo"])).ok();
    assert_eq!((plan.runs.to_string().as_str(), plan.warnings.len()), ("/bin/echo b", 0));
    let plan = case().container(|spec| spec.entrypoint = Some(Vec::new())).ok();
    assert!(plan.runs.to_string().starts_with("nothing"), "{}", plan.runs);
}

#[test]
fn a_shell_line_in_test_cmd_runs_in_a_shell() {
    let plan = Case::new().label("test.cmd", "run-tests --all").ok();
    assert_eq!(plan.container.command, words(&["/bin/sh", "-c", "run-tests --all"]));
}

#[test]
fn a_recipe_that_runs_nothing_is_said_to_run_the_images_own_command() {
    let plan = Case::new().ontest(&["RUN true"]).ok();
    assert!(plan.warnings.iter().any(|warning| warning.contains("no CMD")), "{:?}", plan.warnings);
}

#[test]
fn the_recipe_of_a_pulled_image_reads_no_files_unless_a_path_is_granted() {
    let mut case = Case::new().ontest(&["COPY secret /s", "CMD [\"/x\"]"]).pulled();
    let error = case.err();
    assert!(matches!(error, PlanError::FilesNotGranted { .. }), "{error}");
    assert!(error.hint().unwrap().contains("--path"));
    case.directory.explicit = true;
    assert_eq!(case.ok().context.directory, Some("/project".into()));
    let without_files = Case::new().ontest(&["RUN true", "CMD [\"/x\"]"]).pulled().ok();
    assert_eq!(without_files.context.directory, None);
}

#[test]
fn a_recipe_that_stands_in_the_users_own_dockerfile_reads_the_users_files_wherever_the_image_has_been() {
    let recipe = ["COPY secret /s", "CMD [\"/x\"]"];
    let own = "FROM base\nONTEST COPY  secret /s\nONTEST CMD [\"/x\"]\n";
    let case = Case::new().ontest(&recipe).pulled().dockerfile(own);
    assert_eq!(case.ok().context.directory, Some("/project".into()));
    for other in ["FROM base\nONTEST COPY secret /s\n", "FROM base\nONTEST COPY . /s\nONTEST CMD [\"/x\"]\n"]
    {
        let case = Case::new().ontest(&recipe).pulled().dockerfile(other);
        assert!(matches!(case.err(), PlanError::FilesNotGranted { .. }), "{other}");
    }
    let triggers = "FROM old\nONBUILD COPY x /x\nFROM base\nONBUILD COPY . /src\n";
    let case = Case::new().onbuild(&["COPY . /src"]).pulled().dockerfile(triggers);
    assert_eq!(case.ok().context.directory, Some("/project".into()));
    let case = Case::new().onbuild(&["COPY x /x", "COPY . /src"]).pulled().dockerfile(triggers);
    assert!(matches!(case.err(), PlanError::FilesNotGranted { .. }));
}

#[test]
fn where_every_image_has_a_digest_the_error_does_not_claim_that_the_image_was_pulled() {
    let mut case = Case::new().ontest(&["COPY secret /s"]).pulled();
    assert!(case.err().to_string().contains("came from a registry"));
    case.capabilities.records_origin = false;
    assert!(case.err().to_string().contains("does not tell"));
}

#[test]
fn triggers_of_a_pulled_image_that_from_runs_read_no_files_either() {
    let case = Case::new().onbuild(&["COPY . /src"]).pulled();
    assert!(matches!(case.err(), PlanError::FilesNotGranted { .. }));
}

#[test]
fn an_existing_image_of_somebody_else_is_not_overwritten_and_our_own_is_not_tested() {
    let mut case = Case::new().command(&["/c"]);
    case.test_image = Some(Image::default());
    assert!(matches!(case.err(), PlanError::NameTaken { .. }));
    let ours = Case::new().label(ours::ROLE, ours::Role::TestImage.as_str()).command(&["/c"]);
    assert!(matches!(ours.err(), PlanError::IsTestImage { .. }));
}

#[test]
fn a_hostile_label_adds_no_instruction() {
    for trigger in [
        "RUN true\nCOPY / /stolen",
        "RUN true \\",
        "# escape=`\nRUN true",
        "FROM other",
        "ONBUILD RUN true",
        "ONTEST RUN true",
        "RUN a\u{0}b",
        "",
    ] {
        let error = Case::new().ontest(&[trigger, "CMD [\"/x\"]"]).err();
        assert!(matches!(error, PlanError::Trigger { number: 1, .. }), "{trigger:?}: {error}");
    }
}

#[test]
fn every_recipe_that_is_rendered_reads_back_as_the_planned_instructions() {
    let triggers = ["RUN a \\\n  b", "COPY [\"x y\", \"/z\"]", "CMD [\"/t\"]"];
    let plan = Case::new().ontest(&triggers).ok();
    let keywords: Vec<String> =
        parse(plan.dockerfile.as_bytes()).unwrap().instructions.into_iter().map(|i| i.keyword).collect();
    assert_eq!(keywords, ["FROM", "RUN", "COPY", "CMD", "COPY", "VOLUME", "ENTRYPOINT", "CMD"]);
}

#[test]
fn what_the_builder_lacks_is_refused_by_name() {
    let mut case = Case::new().ontest(&["RUN <<EOF\ntrue\nEOF", "CMD [\"/x\"]"]);
    case.capabilities.features.remove(&Feature::Heredoc);
    let error = case.err().to_string();
    assert!(error.contains("heredoc"), "{error}");
}

#[test]
fn what_the_builder_lacks_is_refused_with_its_place() {
    let refused = |case: Case| {
        let mut case = case;
        case.capabilities.features.clear();
        case.err().to_string()
    };
    let author = format!("{RECIPE}COPY --link a /a\nRUN <<EOF\ntrue\nEOF\n");
    let error = refused(Case::new().recipe(&author));
    assert!(error.starts_with("/project/Dockerfile.test:4: "), "{error}");
    assert!(error.ends_with("heredoc (<<NAME), COPY --link"), "{error}");
    let error = refused(Case::new().dockerfile("FROM x\nONTEST RUN true\nONTEST COPY --link a /a\n"));
    assert!(error.starts_with("/project/Dockerfile:3: "), "{error}");
    let error = refused(Case::new().ontest(&["COPY --link a /a"]));
    assert!(error.starts_with("test.ontest: "), "{error}");
}

#[test]
fn a_frontend_that_the_author_names_may_have_what_the_builder_s_own_lacks() {
    let mut case =
        Case::new().recipe(&format!("# syntax=docker/dockerfile:1\n{RECIPE}RUN <<EOF\ntrue\nEOF\n"));
    case.capabilities.features.clear();
    assert_eq!(case.ok().features, [Feature::Heredoc]);
    // To other builders the line is a comment.
    case.capabilities.loads_frontends = false;
    assert!(matches!(case.err(), PlanError::Unsupported { .. }));
}

#[test]
fn a_recipe_stands_on_the_image_under_test_and_on_nothing_that_is_called_alike() {
    let from =
        |base: &str| Case::new().recipe(&format!("ARG TEST_IMAGE\nFROM {base} AS test\nCMD [\"/r\"]\n"));
    let on_it = [
        "$TEST_IMAGE",
        "${TEST_IMAGE}",
        "${TEST_IMAGE:-shop:1}",
        "${TEST_IMAGE-shop}",
        "${TEST_IMAGE:?unset}",
        "\"${TEST_IMAGE}\"",
        "--platform=linux/amd64 $TEST_IMAGE",
    ];
    for base in on_it {
        assert_eq!(from(base).ok().source, Source::Recipe, "{base}");
    }
    let elsewhere = [
        "TEST_IMAGE",
        "$TEST_IMAGES",
        "${TEST_IMAGE_BASE}",
        "$MY_TEST_IMAGE",
        "${TEST_IMAGE:+other}",
        "${TEST_IMAGE}-slim",
        "registry/TEST_IMAGE:1",
    ];
    for base in elsewhere {
        assert!(matches!(from(base).err(), PlanError::NotATestRecipe { .. }), "{base}");
    }
}

#[test]
fn a_tmpfs_over_the_results_is_refused_and_a_mount_of_the_user_replaces_our_volume() {
    let base = || Case::new().command(&["/c"]);
    let tmpfs = base().container(|spec| drop(spec.tmpfs.insert("/var/tests/results/".into(), String::new())));
    assert!(matches!(tmpfs.err(), PlanError::ResultsOnTmpfs { .. }));
    let at = |path: &str| base().container(|spec| drop(spec.tmpfs.insert(path.into(), String::new())));
    for path in ["/var/tests/results/sub", "/var/tests/results/a/b/", "/var//tests/./results/sub"] {
        assert!(matches!(at(path).err(), PlanError::ResultsOnTmpfs { .. }), "{path}");
    }
    for path in ["/var/tests", "/var/tests/results2", "/tmp"] {
        assert!(at(path).ok().results_volume, "{path}");
    }
    let mount_at = |kind: &str, target: &str| MountSpec {
        kind: kind.into(),
        target: target.into(),
        ..MountSpec::default()
    };
    let mount = |kind: &str| mount_at(kind, "/var/tests/results");
    let below = base().container(|spec| spec.mounts.push(mount_at("tmpfs", "/var/tests/results/sub")));
    assert!(matches!(below.err(), PlanError::ResultsOnTmpfs { .. }));
    assert!(matches!(
        base().container(|spec| spec.mounts.push(mount("tmpfs"))).err(),
        PlanError::ResultsOnTmpfs { .. }
    ));
    assert!(!base().container(|spec| spec.mounts.push(mount("bind"))).ok().results_volume);
    assert!(!base().container(|spec| spec.binds.push("/h:/var/tests/results:ro".into())).ok().results_volume);
    assert!(base().ok().results_volume);
}

#[test]
fn the_flag_wins_over_the_label_and_the_label_over_the_default() {
    let timeout = |case: &Case| case.ok().limits.timeout.as_secs();
    let mut case = Case::new().command(&["/c"]);
    assert_eq!(timeout(&case), DEFAULT_TIMEOUT.as_secs());
    case = case.label("test.timeout", "90s");
    assert_eq!(timeout(&case), 90);
    case.request.timeout = Some(Duration::from_secs(5));
    assert_eq!(timeout(&case), 5);
}

#[test]
fn inherited_triggers_come_first_and_own_ones_know_their_lines() {
    use crate::metadata::dockerfile::Trigger;
    use crate::metadata::labels::{ORIGIN, Origin, TestLabels};
    let base = TestLabels::read(&BTreeMap::from([("test.ontest".into(), "[\"RUN base\"]".into())])).unwrap();
    let own = Trigger { instruction: "CMD".into(), text: "CMD own".into(), line: 7, end_line: 7 };
    let mut case = Case::new().ontest(&["CMD own"]);
    let recorded = case.target.labels["test.ontest"].clone();
    let origin = Origin::new(&recorded, &[own], Some(&base)).encode().unwrap();
    case = case.label(ORIGIN, &origin);
    let mut seen = Vec::new();
    for inherit in [Inherit::Own, Inherit::Inherited, Inherit::All] {
        case.request.inherit = inherit;
        let plan = case.ok();
        seen.push(plan.triggers.iter().map(|t| (t.text.clone(), t.line)).collect::<Vec<_>>());
    }
    let (base, own) = (("RUN base".to_owned(), None), ("CMD own".to_owned(), Some(7)));
    assert_eq!(seen, [vec![own.clone()], vec![base.clone()], vec![base, own]]);
}

#[test]
fn a_stage_is_chosen_here_and_not_by_the_builder_where_the_file_is_generated() {
    let mut case = Case::new()
        .dockerfile("FROM a AS one\nONTEST CMD [\"/one\"]\nFROM b AS two\nONTEST CMD [\"/two\"]\n");
    case.request.build.target = Some("one".into());
    let plan = case.ok();
    assert_eq!(plan.runs.command, words(&["/one"]));
    assert_eq!(plan.build.target, None);
    case.request.build.target = Some("three".into());
    assert!(matches!(case.err(), PlanError::Target { .. }));
}

#[test]
fn a_plan_shows_names_of_variables_and_never_their_values() {
    let mut case = Case::new().command(&["/c"]).container(|spec| {
        spec.env.push(("API_TOKEN".into(), "hunter2hunter".into()));
    });
    case.request.build.build_args.insert("PASSWORD".into(), "hunter2hunter".into());
    let plan = case.ok();
    let shown = format!("{}{plan:?}{:?}", serde_json::to_string(&plan).unwrap(), case.request);
    assert!(shown.contains("API_TOKEN") && !shown.contains("hunter2"), "{shown}");
}

#[test]
fn triggers_of_a_pulled_image_are_judged_whatever_recipe_stands_on_it() {
    let mut case = Case::new().onbuild(&["COPY . /src"]).pulled();
    case.directory.chosen = Some(file("other", RECIPE));
    assert!(matches!(case.err(), PlanError::FilesNotGranted { .. }));
    case.directory.explicit = true;
    assert_eq!(case.ok().source, Source::Recipe);
    let harmless = Case::new().onbuild(&["RUN true"]).pulled().recipe(RECIPE);
    assert!(harmless.plan().is_ok());
}

#[test]
fn a_test_image_of_a_command_given_once_is_no_recipe() {
    let mut case = Case::new();
    let mut labels = BTreeMap::from([
        (ours::ROLE.to_owned(), ours::Role::TestImage.as_str().to_owned()),
        (ours::TARGET.to_owned(), case.target.id.clone()),
        (ours::SOURCE.to_owned(), "label".to_owned()),
    ]);
    case.test_image = Some(Image { labels: labels.clone(), ..Image::default() });
    assert_eq!(case.ok().source, Source::TestImage);
    labels.insert(ours::SOURCE.to_owned(), "command".to_owned());
    case.test_image = Some(Image { labels, ..Image::default() });
    assert!(matches!(case.err(), PlanError::NoRecipe { .. }));
}

#[test]
fn whatever_limit_the_image_sets_the_deadline_lies_behind_it() {
    let hours = |limits: &Limits| limits.of_attempt().as_secs() / 3600;
    let limits = Limits { timeout: std::time::Duration::from_hours(100), ..Limits::default() };
    assert!(hours(&limits) >= 100);
    // A build or a pull without a limit does not make the container's deadline later: both are over by then.
    assert!(hours(&limits) < 100 + 2 * 24);
    assert!(limits.of_run() >= limits.of_attempt() + Limits::UNLIMITED * 2);
    let limited = Limits { build: Some(limits.grace), pull: Some(limits.grace), ..limits.clone() };
    assert_eq!(limited.of_run(), limits.of_attempt() + limits.grace * 2);
    let forever = Limits { timeout: std::time::Duration::MAX, ..Limits::default() };
    assert_eq!(forever.of_run(), std::time::Duration::MAX);
}
