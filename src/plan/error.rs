//! What makes a plan impossible, said before anything is created.

use std::path::PathBuf;

use crate::error::{Category, Diagnose};

/// A plan that cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// No source applies.
    #[error("{image} does not say how it is tested")]
    NoRecipe {
        /// The image under test.
        image: String,
        /// Where was looked.
        directory: PathBuf,
    },
    /// A label of the image is malformed.
    #[error("image {image}: {source}")]
    Label {
        /// The image under test.
        image: String,
        /// What is wrong.
        source: crate::metadata::labels::LabelError,
    },
    /// A trigger is not exactly one instruction.
    #[error("{origin}, instruction {number}: {source}")]
    Trigger {
        /// Where the trigger was found.
        origin: String,
        /// Counted from 1.
        number: usize,
        /// What is wrong.
        source: crate::metadata::recipe::TriggerError,
    },
    /// A Dockerfile cannot be read.
    #[error("{}:{}: {source}", path.display(), source.line())]
    Dockerfile {
        /// The file.
        path: PathBuf,
        /// What is wrong, and on which line.
        source: crate::metadata::dockerfile::ParseError,
    },
    /// `--target` names no stage.
    #[error("{}: {source}", path.display())]
    Target {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: crate::metadata::dockerfile::TargetError,
    },
    /// A Dockerfile.test that does not stand on the image under test.
    #[error("{} has no ONTEST lines and no stage that begins with FROM ${{TEST_IMAGE}}", path.display())]
    NotATestRecipe {
        /// The file.
        path: PathBuf,
    },
    /// A source file is not UTF-8.
    #[error("{} is not UTF-8 text", path.display())]
    NotText {
        /// The file.
        path: PathBuf,
    },
    /// The builder lacks something that the recipe needs.
    #[error("{place}: the {builder} of {product} cannot build this recipe: it lacks {}", features.join(", "))]
    Unsupported {
        /// The file or label, and the line of the first instruction that needs such a thing where it is known.
        place: String,
        /// The builder.
        builder: String,
        /// The engine.
        product: String,
        /// What is missing, by name.
        features: Vec<String>,
    },
    /// The recipe of a pulled image reads files.
    #[error("the recipe of {image} copies {what}, and {}", origin(*.origin_is_recorded))]
    FilesNotGranted {
        /// The engine tells images that came from a registry from those that did not.
        origin_is_recorded: bool,
        /// The image under test.
        image: String,
        /// What its COPY names.
        what: String,
        /// The test image that would do instead.
        test_image: String,
    },
    /// The user mounts a tmpfs where the results are, or below.
    #[error("a tmpfs is mounted at {at}, but results at {results} on a tmpfs are lost when the test ends")]
    ResultsOnTmpfs {
        /// Where.
        at: String,
        /// The results path.
        results: String,
    },
    /// The image under test is a test image already.
    #[error("{image} is a test image that docker-test made from {target}")]
    IsTestImage {
        /// The image.
        image: String,
        /// What it was made from.
        target: String,
    },
    /// The name of the test image is taken.
    #[error("{test_image} exists and was not made by docker-test, so it is not overwritten")]
    NameTaken {
        /// The name.
        test_image: String,
    },
    /// `--inherit inherited` asks for triggers that the image does not have.
    #[error("--inherit inherited: {image} has no triggers of its base images")]
    NothingInherited {
        /// The image.
        image: String,
    },
}

const fn origin(recorded: bool) -> &'static str {
    if recorded {
        "that image came from a registry"
    } else {
        "this engine does not tell whether that image was pulled"
    }
}

impl PlanError {
    /// True where a test image that was built elsewhere would do.
    #[must_use]
    pub const fn asks_for_the_test_image(&self) -> bool {
        matches!(self, Self::FilesNotGranted { .. })
    }
}

impl Diagnose for PlanError {
    fn category(&self) -> Category {
        match self {
            Self::Unsupported { .. } => Category::Environment,
            _ => Category::User,
        }
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::NoRecipe { image, directory } => format!(
                "one of these is needed: ONTEST lines in the Dockerfile, built in with `docker-test build -t {image} .`; \
                 ONBUILD triggers; a Dockerfile.test or a Dockerfile with ONTEST lines in {}; a label test.cmd; \
                 or a command: `docker-test {image} -- /test.sh`",
                directory.display()
            ),
            Self::Label { .. } => {
                "rebuild the image with `docker-test build`, which writes this label".to_owned()
            }
            Self::Trigger { .. } => {
                "one string of test.ontest is one build instruction, as written after the word ONTEST"
                    .to_owned()
            }
            Self::Dockerfile { source, .. } => return source.hint(),
            Self::Target { source, .. } => return source.hint(),
            Self::NotATestRecipe { .. } => {
                "begin it with `ARG TEST_IMAGE` and `FROM ${TEST_IMAGE}`; docker-test sets the argument"
                    .to_owned()
            }
            Self::NotText { .. } => "save it as UTF-8".to_owned(),
            Self::Unsupported { builder, .. } if builder == "BuildKit" => {
                "a newer engine has a newer BuildKit; `docker-test doctor` shows what this one can do"
                    .to_owned()
            }
            Self::Unsupported { .. } => {
                "an engine with BuildKit builds it; `docker-test doctor` shows what this one can do"
                    .to_owned()
            }
            Self::FilesNotGranted { test_image, .. } => format!(
                "--path DIR lets it read DIR (so does a Dockerfile here with the same ONTEST lines); or push {test_image} beside the image (`docker-test build --with-tests`)"
            ),
            Self::ResultsOnTmpfs { .. } => {
                "mount it elsewhere, or set another path with the label test.results".to_owned()
            }
            Self::IsTestImage { target, .. } => format!("test the image itself: docker-test {target}"),
            Self::NameTaken { test_image } => {
                format!("choose another name with --test-image, or remove it: docker rmi {test_image}")
            }
            Self::NothingInherited { .. } => "leave --inherit out: `own` is the default".to_owned(),
        })
    }
}
