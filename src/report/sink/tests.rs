use std::os::unix::fs::{PermissionsExt as _, symlink};

use super::*;
use crate::error::{Category, Diagnose as _};
use crate::report::fixtures::{failing, passing};

fn no_stdout() -> io::Sink {
    io::sink()
}

fn names(directory: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn a_request_is_a_format_and_a_path() {
    let request: ReportRequest = "junit=a=b.xml".parse().unwrap();
    assert_eq!(request.exporter().name(), "junit");
    assert_eq!(*request.destination(), Destination::File("a=b.xml".into()));
    let request: ReportRequest = "json=-".parse().unwrap();
    assert_eq!(*request.destination(), Destination::Stdout);
}

#[test]
fn a_request_without_format_or_path_is_refused() {
    for text in ["junit", "=x", "junit=", ""] {
        let error = text.parse::<ReportRequest>().unwrap_err();
        assert!(matches!(error, ReportError::Malformed { .. }), "{text}");
        assert!(error.hint().unwrap().contains("--report junit="));
    }
    assert!(matches!("xml=a".parse::<ReportRequest>(), Err(ReportError::UnknownFormat(_))));
}

#[test]
fn a_report_appears_whole_at_the_end_and_leaves_nothing_beside_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a/b/report.json");
    let sink = ReportSink::open("json", &path).unwrap();
    assert_eq!(names(dir.path()), Vec::<String>::new());
    sink.write(&passing(), &mut no_stdout()).unwrap();
    assert_eq!(names(path.parent().unwrap()), ["report.json"]);
    assert!(fs::read_to_string(&path).unwrap().contains("\"run_id\": \"r-42\""));
}

#[test]
fn parents_are_made_again_where_results_took_their_place() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir_all(dir.path().join("results/sub")).unwrap();
    let path = dir.path().join("results/sub/report.json");
    fs::write(&path, "previous").unwrap();
    let sink = ReportSink::open("json", &path).unwrap();
    fs::remove_dir_all(dir.path().join("results")).unwrap();
    sink.write(&passing(), &mut no_stdout()).unwrap();
    assert!(fs::read_to_string(&path).unwrap().starts_with('{'));
}

#[test]
fn parents_that_cannot_be_made_fail_before_the_run() {
    let dir = tempfile::tempdir().unwrap();
    symlink("nowhere", dir.path().join("dangling")).unwrap();
    let long = "x".repeat(300);
    for path in ["dangling/report", "dangling/a/report", &format!("a/{long}/report"), &format!("a/{long}")] {
        let error = ReportSink::open("json", &dir.path().join(path)).unwrap_err();
        assert!(matches!(error, ReportError::Unwritable { .. }), "{path}: {error:?}");
    }
    assert!(ReportSink::open("json", Path::new("/proc/none/report")).is_err());
    assert_eq!(names(dir.path()), ["dangling"]);
}

#[test]
fn a_way_back_over_a_directory_that_is_missing_is_gone() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("there"), "previous").unwrap();
    let at =
        |path: &str| ReportSink::open("json", &dir.path().join(path)).unwrap().path().unwrap().to_owned();
    let root = dir.path().canonicalize().unwrap();
    assert_eq!(at("missing/../there"), root.join("there"));
    assert_eq!(at("missing/../new"), root.join("new"));
    assert_eq!(at("missing/../other/new"), root.join("other/new"));
    assert_eq!(names(dir.path()), ["there"]);
}

#[test]
fn the_previous_report_stays_until_the_new_one_is_there() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("report.json");
    fs::write(&path, "previous").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    let sink = ReportSink::open("json", &path).unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "previous");
    sink.write(&passing(), &mut no_stdout()).unwrap();
    assert!(fs::read_to_string(&path).unwrap().starts_with('{'));
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
}

#[test]
fn a_failed_export_leaves_the_previous_report_alone() {
    struct Broken;
    impl Exporter for Broken {
        fn name(&self) -> &'static str {
            "broken"
        }
        fn describe(&self) -> &'static str {
            "fails half-way"
        }
        fn export(&self, _: &RunResults, out: &mut dyn Write) -> Result<(), ExportError> {
            out.write_all(b"half").unwrap();
            Err(ExportError::Encode { format: "broken", message: "no".to_owned() })
        }
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("report");
    fs::write(&path, "previous").unwrap();
    let sink = ReportSink { format: Format(&Broken), way: prepare(&path).unwrap() };
    assert!(sink.write(&passing(), &mut no_stdout()).is_err());
    assert_eq!(fs::read_to_string(&path).unwrap(), "previous");
    assert_eq!(names(dir.path()), ["report"]);
}

#[test]
fn a_symbolic_link_is_followed_and_stays() {
    let dir = tempfile::tempdir().unwrap();
    let (real, link, dangling) =
        (dir.path().join("real"), dir.path().join("link"), dir.path().join("dangling"));
    fs::write(&real, "previous").unwrap();
    symlink(&real, &link).unwrap();
    symlink(dir.path().join("later"), &dangling).unwrap();
    for (path, target) in [(&link, "real"), (&dangling, "later")] {
        ReportSink::open("json", path).unwrap().write(&passing(), &mut no_stdout()).unwrap();
        assert!(path.symlink_metadata().unwrap().is_symlink());
        assert!(fs::read_to_string(dir.path().join(target)).unwrap().starts_with('{'));
    }
}

#[test]
fn a_directory_is_refused_and_named() {
    let dir = tempfile::tempdir().unwrap();
    let with_slash = dir.path().join("new/");
    for path in [dir.path(), with_slash.as_path()] {
        let error = ReportSink::open("json", path).unwrap_err();
        assert!(matches!(error, ReportError::IsDirectory { .. }), "{error}");
        assert!(error.to_string().contains(dir.path().to_str().unwrap()));
        assert_eq!(error.category(), Category::User);
    }
}

#[test]
fn a_path_that_cannot_exist_fails_before_the_run() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("file"), "").unwrap();
    let error = ReportSink::open("json", &dir.path().join("file/report.json")).unwrap_err();
    assert!(matches!(error, ReportError::Unwritable { .. }), "{error:?}");
    assert!(error.to_string().contains("file/report.json"));
}

#[test]
fn a_device_is_written_to_and_never_replaced() {
    let device = Path::new("/dev/null");
    ReportSink::open("json", device).unwrap().write(&passing(), &mut no_stdout()).unwrap();
    assert!(!fs::metadata(device).unwrap().is_file());
}

#[test]
fn stdout_takes_one_report_and_a_file_takes_one_report() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("r");
    let requests =
        |texts: &[String]| -> Vec<ReportRequest> { texts.iter().map(|text| text.parse().unwrap()).collect() };
    let twice = requests(&["junit=-".to_owned(), "json=-".to_owned()]);
    assert!(matches!(ReportSink::open_all(&twice), Err(ReportError::SharedDestination { .. })));
    let same = requests(&[format!("junit={}", file.display()), format!("json={}/./r", dir.path().display())]);
    assert!(matches!(ReportSink::open_all(&same), Err(ReportError::SharedDestination { .. })));
    let apart = requests(&[
        "junit=-".to_owned(),
        format!("json={}", file.display()),
        "json=/dev/null".to_owned(),
        "junit=/dev/null".to_owned(),
    ]);
    let sinks = ReportSink::open_all(&apart).unwrap();
    assert_eq!(sinks.iter().filter(|sink| sink.uses_stdout()).count(), 1);
}

#[test]
fn stdout_gets_the_bytes_of_the_exporter() {
    let mut out = Vec::new();
    ReportSink::open("junit", Path::new("-")).unwrap().write(&failing(), &mut out).unwrap();
    assert!(out.starts_with(b"<?xml"));
}

#[test]
fn a_reader_that_left_is_told_from_other_errors() {
    struct Gone;
    impl Write for Gone {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    for format in ["json", "junit", "markdown"] {
        let sink = ReportSink::open(format, Path::new("-")).unwrap();
        assert!(sink.write(&failing(), &mut Gone).unwrap_err().is_broken_pipe(), "{format}");
    }
}

#[test]
fn the_job_summary_is_appended_to_and_kept_under_its_limit() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("summary.md");
    fs::write(&path, "from an earlier command").unwrap();
    append_job_summary(&path, &failing()).unwrap();
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.starts_with("from an earlier command\n## ❌"), "{text}");

    fs::write(&path, "x".repeat(markdown::SUMMARY_LIMIT - 10)).unwrap();
    append_job_summary(&path, &failing()).unwrap();
    assert!(fs::metadata(&path).unwrap().len() <= markdown::SUMMARY_LIMIT as u64);
}

#[test]
fn a_pipe_with_a_name_is_refused_and_not_waited_for() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("pipe");
    nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let error = crate::error::Failure::from(ReportSink::open("json", &path).unwrap_err()).to_string();
    assert!(error.ends_with("pipe: it is a named pipe, and no regular file"), "{error}");
    // One that takes its place later is not waited for either.
    let way = Way::Overwrite(path.clone());
    let sink = ReportSink { format: Format(find("json").unwrap()), way };
    assert!(sink.write(&passing(), &mut no_stdout()).is_err());
    assert!(append_job_summary(&path, &passing()).is_err());
}

#[test]
fn a_pipe_of_the_shell_gets_the_report() {
    use std::io::Read as _;
    use std::os::fd::AsRawFd as _;

    let (mut reader, writer) = io::pipe().unwrap();
    let path = PathBuf::from(format!("/dev/fd/{}", writer.as_raw_fd()));
    ReportSink::open("json", &path).unwrap().write(&passing(), &mut no_stdout()).unwrap();
    drop(writer);
    let mut text = String::new();
    reader.read_to_string(&mut text).unwrap();
    assert!(text.contains("\"run_id\": \"r-42\""), "{text}");
}

#[test]
fn every_name_of_stdout_is_stdout() {
    for path in ["-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"] {
        let request: ReportRequest = format!("json={path}").parse().unwrap();
        assert_eq!(*request.destination(), Destination::Stdout, "{path}");
        assert!(ReportSink::open("json", Path::new(path)).unwrap().uses_stdout(), "{path}");
    }
}
