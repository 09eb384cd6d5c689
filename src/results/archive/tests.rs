use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::time::{Duration, SystemTime};

use proptest::prelude::*;
use tar::Header;

use super::*;

/// A tar stream, written field by field: an honest library refuses most of what is needed here.
#[derive(Default, Clone)]
struct Tar(Vec<u8>);

impl Tar {
    fn entry(mut self, kind: u8, path: &[u8], link: &[u8], mode: u32, content: &[u8]) -> Self {
        if path.len() > 100 {
            self = self.entry(b'L', b"././@LongLink", b"", 0, path);
        }
        if link.len() > 100 {
            self = self.entry(b'K', b"././@LongLink", b"", 0, link);
        }
        self.header(kind, path, link, mode, content.len() as u64).raw(content)
    }

    fn header(self, kind: u8, path: &[u8], link: &[u8], mode: u32, size: u64) -> Self {
        let mut header = Header::new_ustar();
        let old = header.as_old_mut();
        old.name[..path.len().min(100)].copy_from_slice(&path[..path.len().min(100)]);
        old.linkname[..link.len().min(100)].copy_from_slice(&link[..link.len().min(100)]);
        old.linkflag = [kind];
        header.set_mode(mode);
        header.set_size(size);
        header.set_mtime(1_000_000_000);
        header.set_cksum();
        self.raw(header.as_bytes())
    }

    fn raw(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self.0.resize(self.0.len().next_multiple_of(512), 0);
        self
    }

    fn file(self, path: &str, content: &[u8]) -> Self {
        self.entry(b'0', path.as_bytes(), b"", 0o644, content)
    }

    fn directory(self, path: &str) -> Self {
        self.entry(b'5', path.as_bytes(), b"", 0o755, b"")
    }

    fn link(self, kind: u8, path: &str, target: &str) -> Self {
        self.entry(kind, path.as_bytes(), target.as_bytes(), 0o777, b"")
    }

    fn pax(self, records: &[(&str, &str)]) -> Self {
        let mut content = String::new();
        for (key, value) in records {
            let body = format!(" {key}={value}\n");
            let digits = (1..9).find(|digits| (body.len() + digits).to_string().len() == *digits).unwrap();
            content += &(body.len() + digits).to_string();
            content += &body;
        }
        self.entry(b'x', b"PaxHeaders/x", b"", 0o644, content.as_bytes())
    }

    fn end(mut self) -> Vec<u8> {
        self.0.extend_from_slice(&[0; 1024]);
        self.0
    }
}

fn results() -> Tar {
    Tar::default().directory("results/")
}

/// The outcome, and the whole of what is on disk below the destination.
struct Unpacked {
    outcome: Result<Extracted, ArchiveError>,
    outer: tempfile::TempDir,
}

impl Unpacked {
    fn new(tar: &[u8], limits: &Limits) -> Self {
        let outer = tempfile::tempdir().unwrap();
        fs::write(outer.path().join("secret"), "untouched").unwrap();
        fs::create_dir(outer.path().join("in")).unwrap();
        let outcome = extract(tar, "results", &outer.path().join("in"), limits);
        Self { outcome, outer }
    }

    fn path(&self, relative: &str) -> PathBuf {
        self.outer.path().join("in").join(relative)
    }

    fn ok(&self) -> &Extracted {
        self.outcome.as_ref().unwrap_or_else(|error| panic!("{error}: {}", error.problem))
    }

    fn problem(&self) -> (&Extracted, &ArchiveProblem) {
        let error = self.outcome.as_ref().expect_err("an error");
        (&error.extracted, &error.problem)
    }

    fn files(&self) -> Vec<&str> {
        self.ok().files.iter().map(|file| file.path.as_str()).collect()
    }

    fn skipped(&self) -> Vec<(&str, &str)> {
        self.ok().skipped.iter().map(|skipped| (skipped.path.as_str(), skipped.reason.as_str())).collect()
    }

    fn read(&self, relative: &str) -> String {
        fs::read_to_string(self.path(relative)).unwrap()
    }
}

fn unpack(tar: Tar) -> Unpacked {
    Unpacked::new(&tar.end(), &Limits::default())
}

#[test]
fn files_come_out_with_content_mode_and_time() {
    let unpacked = unpack(results().file("results/a.xml", b"one").directory("results/sub").entry(
        b'0',
        b"results/sub/run",
        b"",
        0o4000,
        b"two",
    ));
    assert_eq!(unpacked.files(), ["a.xml", "sub/run"]);
    assert_eq!((unpacked.read("a.xml").as_str(), unpacked.read("sub/run").as_str()), ("one", "two"));
    assert_eq!((unpacked.ok().bytes, unpacked.ok().truncated, unpacked.ok().skipped_count), (6, None, 0));
    let metadata = fs::metadata(unpacked.path("sub/run")).unwrap();
    assert_eq!(metadata.permissions().mode() & 0o7777, 0o600, "no setuid, and the owner may read and write");
    assert_eq!(metadata.modified().unwrap(), SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000));
    assert_eq!(fs::metadata(unpacked.path("sub")).unwrap().mtime(), 1_000_000_000);
}

#[test]
fn a_directory_of_mode_0_can_be_read_and_removed() {
    let unpacked = unpack(results().entry(b'5', b"results/d/", b"", 0, b"").file("results/d/a", b"x"));
    assert_eq!(fs::metadata(unpacked.path("d")).unwrap().permissions().mode() & 0o7777, 0o700);
}

#[test]
fn both_engines_ways_to_name_the_root_are_understood() {
    for root in ["/", "./"] {
        let unpacked = unpack(Tar::default().directory(root).file(&format!("{root}a/b"), b"x"));
        assert_eq!(unpacked.files(), ["a/b"], "{root}");
    }
    let file = unpack(Tar::default().file("results", b"one file"));
    assert_eq!(file.files(), ["results"]);
}

#[test]
fn nothing_is_written_outside() {
    let unpacked = unpack(
        results()
            .file("results/../secret", b"gone")
            .file("../secret", b"gone")
            .file("/etc/evil", b"x")
            .file("elsewhere/x", b"x")
            .file("results/ok", b"x"),
    );
    assert_eq!(unpacked.files(), ["ok"]);
    assert_eq!(unpacked.ok().skipped_count, 4);
    assert_eq!(fs::read_to_string(unpacked.outer.path().join("secret")).unwrap(), "untouched");
}

#[test]
fn nothing_is_written_through_a_link() {
    let unpacked = unpack(
        results()
            .directory("results/real")
            .link(b'2', "results/up", "..")
            .file("results/up/secret", b"gone")
            .link(b'2', "results/inner", "real")
            .file("results/inner/x", b"x")
            .link(b'2', "results/file", "real/target")
            .file("results/file", b"a file after all"),
    );
    assert_eq!(unpacked.files(), ["file", "up/secret"]);
    assert!(fs::symlink_metadata(unpacked.path("up")).unwrap().is_dir());
    assert!(!unpacked.path("real/x").exists() && !unpacked.path("real/target").exists());
    assert_eq!(unpacked.skipped()[1], ("results/inner/x", "its directory is a symbolic link"));
}

#[test]
fn links_that_stay_inside_are_kept() {
    let unpacked = unpack(
        results()
            .link(b'2', "results/latest", "run 1/log")
            .link(b'2', "results/run 1/up", "../run 1")
            .link(b'2', "results/broken", "nowhere")
            .link(b'2', "results/abs", "/etc/passwd")
            .link(b'2', "results/run 1/out", "../../x")
            .file("results/run 1/log", b"x"),
    );
    assert_eq!(unpacked.files(), ["run 1/log"]);
    assert_eq!(fs::read_link(unpacked.path("latest")).unwrap(), Path::new("run 1/log"));
    assert_eq!(unpacked.read("run 1/up/log"), "x");
    assert_eq!(unpacked.ok().links, [("latest".to_owned(), "run 1/log".to_owned())]);
    let skipped: Vec<_> = unpacked.skipped().into_iter().map(|(path, _)| path).collect();
    assert_eq!(skipped, ["results/abs", "results/run 1/out", "broken"]);
}

#[test]
fn a_chain_of_links_leads_nowhere_outside() {
    let unpacked = unpack(
        results()
            .directory("results/p/q")
            .link(b'2', "results/p/q/d", "../..")
            .link(b'2', "results/l", "p/q/d/../secret")
            .link(b'2', "results/m", "p/q/d"),
    );
    assert!(fs::symlink_metadata(unpacked.path("l")).is_err());
    let inside = fs::canonicalize(unpacked.path("")).unwrap();
    assert!(fs::canonicalize(unpacked.path("m")).unwrap().starts_with(inside));
}

#[test]
fn a_hard_link_to_a_result_is_one_and_to_anything_else_is_none() {
    let unpacked = unpack(
        results()
            .file("results/a", b"abc")
            .link(b'1', "results/b", "results/a")
            .link(b'1', "results/c", "../secret")
            .link(b'1', "results/d", "/etc/passwd")
            .link(b'1', "results/e", "results/later")
            .file("results/later", b"x"),
    );
    assert_eq!(unpacked.files(), ["a", "b", "later"]);
    assert_eq!((unpacked.read("b").as_str(), unpacked.ok().bytes), ("abc", 7));
    assert_eq!(unpacked.ok().skipped_count, 3);
}

#[test]
fn a_file_that_replaces_a_hard_link_leaves_the_other_name_alone() {
    let unpacked = unpack(
        results().file("results/a", b"abc").link(b'1', "results/b", "results/a").file("results/b", b"new"),
    );
    assert_eq!((unpacked.read("a").as_str(), unpacked.read("b").as_str()), ("abc", "new"));
}

#[test]
fn devices_fifos_and_unknown_kinds_are_left_out() {
    let mut tar = results();
    for kind in *b"346SVZ" {
        tar = tar.entry(kind, format!("results/{}", kind as char).as_bytes(), b"", 0o644, b"");
    }
    let unpacked = unpack(tar.file("results/x", b"x"));
    assert_eq!(unpacked.files(), ["x"]);
    assert_eq!(unpacked.ok().skipped_count, 6);
    assert_eq!(unpacked.skipped()[0], ("results/3", "it is a device"));
}

#[test]
fn the_last_of_several_entries_of_one_name_wins() {
    let unpacked = unpack(
        results()
            .file("results/a", b"first")
            .file("results/a", b"2nd")
            .directory("results/a")
            .file("results/a/b", b"x")
            .file("results/a", b"the directory has content")
            .file("results/c", b"x")
            .file("results/c/d", b"its directory is a file"),
    );
    assert_eq!(unpacked.files(), ["a/b", "c"]);
    assert_eq!(unpacked.ok().skipped_count, 2);
}

#[test]
fn a_directory_that_holds_a_link_alone_is_not_replaced() {
    let unpacked =
        unpack(results().link(b'2', "results/d/l", "../a").file("results/d", b"x").file("results/a", b"y"));
    assert_eq!(unpacked.files(), ["a"]);
    assert_eq!(unpacked.read("d/l"), "y");
}

#[test]
fn odd_names_are_kept_under_safe_ones() {
    let tar = results()
        .entry(b'0', b"results/a\nb", b"", 0o644, b"1")
        .entry(b'0', b"results/a%0Ab", b"", 0o644, b"2")
        .entry(b'0', b"results/\xff\xfe", b"", 0o644, b"3")
        .entry(b'0', b"results/\x1b[31m/x", b"", 0o644, b"4")
        .entry(b'0', &[b"results/".as_slice(), &[b'n'; 300]].concat(), b"", 0o644, b"5")
        .entry(b'0', &[b"results/".as_slice(), &[b'n'; 301]].concat(), b"", 0o644, b"6");
    let unpacked = unpack(tar);
    let files = unpacked.files();
    assert_eq!(files[..4], ["%1B[31m/x", "%FF%FE", "a%0Ab", "a%250Ab"]);
    assert_eq!((unpacked.read("a%0Ab").as_str(), unpacked.read("a%250Ab").as_str()), ("1", "2"));
    assert_eq!(files.len(), 6);
    assert!(files.iter().all(|name| name.len() <= 255));
}

#[test]
fn names_that_differ_in_case_are_two_files_here() {
    let unpacked = unpack(results().file("results/A", b"1").file("results/a", b"2"));
    assert_eq!((unpacked.read("A").as_str(), unpacked.read("a").as_str()), ("1", "2"));
}

#[test]
fn what_was_not_made_here_is_not_overwritten() {
    let outer = tempfile::tempdir().unwrap();
    fs::write(outer.path().join("target"), "untouched").unwrap();
    let destination = outer.path().join("in");
    fs::create_dir(&destination).unwrap();
    symlink("../target", destination.join("a")).unwrap();
    let tar = results().file("results/a", b"gone").end();
    let extracted = extract(&tar[..], "results", &destination, &Limits::default()).unwrap();
    assert_eq!((extracted.files.len(), extracted.skipped_count), (0, 1));
    assert_eq!(fs::read_to_string(outer.path().join("target")).unwrap(), "untouched");
}

#[test]
fn our_own_names_cannot_be_forged() {
    let unpacked = unpack(
        results().file("results/.docker-test-results", b"{}").file("results/a/.docker-test-results", b"x"),
    );
    assert_eq!(unpacked.files(), ["a/.docker-test-results"]);
}

#[test]
fn pax_records_name_files_and_their_time() {
    let long = format!("results/{}/ä.xml", "d".repeat(120));
    let unpacked = unpack(
        results()
            .pax(&[("path", &long), ("mtime", "1234567890.5"), ("SCHILY.xattr.user.x", "y=z\n")])
            .file("results/short", b"abc")
            .pax(&[("linkpath", "short2"), ("mtime", "-1")])
            .link(b'2', "results/l", "x")
            .file("results/short2", b"x"),
    );
    assert_eq!(unpacked.files(), [long.strip_prefix("results/").unwrap(), "short2"]);
    let modified = fs::metadata(unpacked.path(unpacked.files()[0])).unwrap().modified().unwrap();
    assert_eq!(modified, SystemTime::UNIX_EPOCH + Duration::from_millis(1_234_567_890_500));
    assert_eq!(fs::read_link(unpacked.path("l")).unwrap(), Path::new("short2"));
}

#[test]
fn a_line_end_in_a_pax_record_is_part_of_its_value() {
    let tar = results().pax(&[("path", "results/n\nl é"), ("comment", "a\n12 path=results/forged")]);
    assert_eq!(unpack(tar.file("results/x", b"x")).files(), ["n%0Al é"]);
}

#[test]
fn a_broken_pax_record_is_refused() {
    for records in
        [&b"99 path=x\n"[..], b"8 path=x", b"path=x\n", b"0 a=b\n", b"5 ab\n", b"18446744073709551615 a=b\n"]
    {
        let tar = results().entry(b'x', b"x", b"", 0, records).file("results/a", b"x").end();
        let unpacked = Unpacked::new(&tar, &Limits::default());
        assert!(matches!(unpacked.problem().1, ArchiveProblem::Corrupt { offset: 512, .. }));
    }
}

#[test]
fn a_pax_size_wins_over_the_header() {
    let tar = results().pax(&[("size", "5")]).header(b'0', b"results/a", b"", 0o644, 0).raw(b"12345");
    let unpacked = unpack(tar.file("results/b", b"x"));
    assert_eq!((unpacked.files(), unpacked.read("a").as_str()), (vec!["a", "b"], "12345"));
}

#[test]
fn a_header_of_gigabytes_is_refused_before_it_is_read() {
    for kind in *b"LKxg" {
        let tar = results().file("results/a", b"x").header(kind, b"bomb", b"", 0, 8 << 30).0;
        let endless = tar.as_slice().chain(io::repeat(b'a'));
        let outer = tempfile::tempdir().unwrap();
        let error = extract(endless, "results", outer.path(), &Limits::default()).unwrap_err();
        assert!(
            matches!(error.problem, ArchiveProblem::HeaderTooLarge { limit: 1_048_576, .. }),
            "{error:?}"
        );
        assert_eq!(error.extracted.files.len(), 1);
    }
}

#[test]
fn the_byte_limit_cuts_the_file_that_reaches_it_and_stops() {
    let limits = Limits { max_bytes: 10, ..Limits::default() };
    let tar =
        results().file("results/a", &[b'a'; 6]).file("results/b", &[b'b'; 600]).file("results/c", b"c").end();
    let unpacked = Unpacked::new(&tar, &limits);
    assert_eq!(unpacked.files(), ["a", "b"]);
    assert_eq!((unpacked.read("b").as_str(), unpacked.ok().bytes), ("bbbb", 10));
    assert_eq!(unpacked.ok().truncated, Some(10));
    let exact = Unpacked::new(&results().file("results/a", &[b'a'; 10]).end(), &limits);
    assert_eq!((exact.ok().truncated, exact.ok().bytes), (None, 10));
}

#[test]
fn replacing_a_file_again_and_again_does_not_get_around_the_limit() {
    let limits = Limits { max_bytes: 100, ..Limits::default() };
    let mut tar = results();
    for _ in 0..20 {
        tar = tar.file("results/a", &[b'a'; 30]);
    }
    let unpacked = Unpacked::new(&tar.end(), &limits);
    assert_eq!((unpacked.ok().truncated, unpacked.ok().bytes), (Some(100), 10));
    let outside = Tar::default().directory("results/").file("outside", &[b'a'; 300]).end();
    assert_eq!(Unpacked::new(&outside, &limits).ok().truncated, Some(100));
    let links = results().file("results/a", &[b'a'; 60]).link(b'1', "results/b", "results/a").end();
    assert_eq!(Unpacked::new(&links, &limits).ok().truncated, Some(100));
}

#[test]
fn a_file_of_a_terabyte_is_cut_without_waiting_for_its_end() {
    let tar = results().pax(&[("size", "1099511627776")]).header(b'0', b"results/a", b"", 0o644, 0).0;
    let outer = tempfile::tempdir().unwrap();
    let limits = Limits { max_bytes: 1 << 20, ..Limits::default() };
    let extracted = extract(tar.as_slice().chain(io::repeat(0)), "results", outer.path(), &limits).unwrap();
    assert_eq!((extracted.bytes, extracted.truncated), (1 << 20, Some(1 << 20)));
}

#[test]
fn too_many_entries_end_the_reading_and_what_came_stays() {
    let limits = Limits { max_entries: 5, ..Limits::default() };
    let mut tar = results();
    for number in 0..10 {
        tar = tar.file(&format!("results/{number}"), b"x");
    }
    let unpacked = Unpacked::new(&tar.end(), &limits);
    let (extracted, problem) = unpacked.problem();
    assert!(matches!(problem, ArchiveProblem::TooManyEntries { limit: 5 }));
    assert_eq!(extracted.files.len(), 4);
    let mut comments = results();
    for _ in 0..10 {
        comments = comments.pax(&[("comment", "x")]);
    }
    let unpacked = Unpacked::new(&comments.end(), &limits);
    assert!(matches!(unpacked.problem().1, ArchiveProblem::TooManyEntries { .. }));
}

#[test]
fn a_name_that_is_shortened_keeps_the_extension_that_makes_it_a_report() {
    let long = "\u{1}".repeat(120);
    let unpacked = unpack(
        results().file(&format!("results/{long}.xml"), b"x").file(&format!("results/{long}.a b"), b"x"),
    );
    let files = unpacked.files();
    assert_eq!(files.len(), 2);
    assert!(files.iter().all(|file| file.len() <= 255 && file.contains('~')), "{files:?}");
    assert_eq!(
        files.iter().filter(|file| file.rsplit_once('.').is_some_and(|(_, end)| end == "xml")).count(),
        1,
        "{files:?}"
    );
}

#[test]
fn names_are_limited_in_depth_and_in_all() {
    let limits = Limits { max_depth: 3, max_name_bytes: 100, ..Limits::default() };
    let tar = results().file("results/a/b/c/d", b"x").file("results/a/b/c", b"x").end();
    let unpacked = Unpacked::new(&tar, &limits);
    assert_eq!(unpacked.files(), ["a/b/c"]);
    assert_eq!(unpacked.ok().too_deep, 1);
    let mut tar = results();
    for number in 0..10 {
        tar = tar.file(&format!("results/{number:030}"), b"x");
    }
    let unpacked = Unpacked::new(&tar.end(), &limits);
    assert!(matches!(unpacked.problem().1, ArchiveProblem::NamesTooLarge { limit: 100 }));
}

#[test]
fn skipped_entries_are_named_up_to_a_hundred_and_counted_beyond() {
    let mut tar = results();
    for number in 0..150 {
        tar = tar.file(&format!("beside/{number}"), b"");
    }
    let unpacked = unpack(tar);
    assert_eq!((unpacked.ok().skipped.len(), unpacked.ok().skipped_count), (100, 150));
}

#[test]
fn a_stream_that_ends_early_is_an_error_and_what_came_stays() {
    let whole = results().file("results/a", b"abc").file("results/b", &[b'b'; 1000]).0;
    for (length, files) in [(0, 0), (100, 0), (1024, 1), (1030, 1), (1536, 1), (2100, 2), (whole.len(), 2)] {
        let unpacked = Unpacked::new(&whole[..length], &Limits::default());
        let (extracted, problem) = unpacked.problem();
        assert!(matches!(problem, ArchiveProblem::CutShort { .. }), "{length}: {problem:?}");
        assert_eq!(extracted.files.len(), files, "{length}");
    }
    let unpacked = Unpacked::new(&whole[..2100], &Limits::default());
    assert_eq!(unpacked.problem().0.files[1].size, 2100 - 2048);
    assert_eq!(unpacked.read("b").len(), 2100 - 2048);
}

#[test]
fn links_are_made_also_when_the_stream_ends_early() {
    let tar = results().link(b'2', "results/l", "a").file("results/a", b"x").0;
    let unpacked = Unpacked::new(&tar, &Limits::default());
    assert!(unpacked.outcome.is_err());
    assert_eq!(unpacked.read("l"), "x");
}

#[test]
fn damage_is_told_from_an_end() {
    let mut tar = results().file("results/a", b"x").file("results/b", b"y").end();
    tar[1536] ^= 0xff;
    let unpacked = Unpacked::new(&tar, &Limits::default());
    assert!(matches!(unpacked.problem().1, ArchiveProblem::Corrupt { offset: 1536, .. }));
    assert_eq!(unpacked.problem().0.files.len(), 1);
}

#[test]
fn sparse_maps_do_not_shift_what_follows() {
    let mut header = Header::new_gnu();
    header.as_old_mut().name[..9].copy_from_slice(b"results/s");
    header.as_old_mut().linkflag = *b"S";
    header.set_size(3);
    header.set_mode(0o644);
    header.as_gnu_mut().unwrap().isextended = [1];
    header.set_cksum();
    let (mut more, last) = ([0; 512], [0; 512]);
    more[504] = 1;
    let tar = results().raw(header.as_bytes()).raw(&more).raw(&last).raw(b"abc").file("results/b", b"x");
    assert_eq!(unpack(tar).files(), ["b"]);
    let pax = results().pax(&[("GNU.sparse.major", "1")]).file("results/s", b"map").file("results/b", b"x");
    assert_eq!(unpack(pax).files(), ["b"]);
}

#[test]
fn a_full_disk_is_named() {
    let full = ArchiveError {
        extracted: Box::default(),
        problem: ArchiveProblem::DiskFull {
            path: "r/a.xml".into(),
            source: io::Error::from(io::ErrorKind::StorageFull),
        },
    };
    assert_eq!(full.category(), Category::Environment);
    assert!(full.hint().is_some_and(|hint| hint.contains("--results-dir")));
    let message = crate::error::Failure::from(full).to_string();
    assert!(message.contains("no space left on the disk for r/a.xml"), "{message}");
}

#[test]
fn a_broken_connection_is_passed_on() {
    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::from(io::ErrorKind::ConnectionReset))
        }
    }
    let tar = results().file("results/a", b"x").0;
    let outer = tempfile::tempdir().unwrap();
    let error =
        extract(tar.as_slice().chain(Broken), "results", outer.path(), &Limits::default()).unwrap_err();
    assert!(matches!(error.problem, ArchiveProblem::Read(_)));
    assert_eq!(error.extracted.files.len(), 1);
}

fn name() -> impl Strategy<Value = Vec<u8>> {
    let part = prop::sample::select(vec![
        &b".."[..],
        b".",
        b"",
        b"a",
        b"b",
        b"results",
        b"A",
        b"\n",
        b"\xff",
        b"secret",
        b"%0A",
        b".docker-test-results",
    ]);
    prop::collection::vec(part, 0..5).prop_map(|parts| parts.join(&b'/'))
}

fn tree_of(directory: &Path) -> BTreeMap<PathBuf, String> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(directory).unwrap() {
        let entry = entry.unwrap();
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            found.extend(tree_of(&entry.path()));
        }
        found.insert(entry.path(), format!("{kind:?}"));
    }
    found
}

proptest! {
    #[test]
    fn no_set_of_entries_writes_outside(
        entries in prop::collection::vec(
            (prop::sample::select(&b"00000555222211"[..]), any::<bool>(), name(), name(), 0_u32..0o10000, 0_usize..40),
            0..25,
        ),
        max_bytes in 0_u64..300,
    ) {
        let mut tar = Tar::default().directory("results/");
        for (kind, rooted, path, link, mode, size) in entries {
            let path = if rooted { [b"results/".as_slice(), &path].concat() } else { path };
            let content = vec![b'x'; if kind == b'0' { size } else { 0 }];
            tar = tar.entry(kind, &path, &link, mode, &content);
        }
        let limits = Limits { max_bytes, ..Limits::default() };
        let unpacked = Unpacked::new(&tar.end(), &limits);
        let extracted = unpacked.ok();

        let outside: Vec<_> = fs::read_dir(unpacked.outer.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        prop_assert_eq!(outside.len(), 2, "{:?}", outside);
        prop_assert_eq!(fs::read_to_string(unpacked.outer.path().join("secret")).unwrap(), "untouched");
        prop_assert!(extracted.bytes <= max_bytes);

        let inside = fs::canonicalize(unpacked.path("")).unwrap();
        let on_disk = tree_of(&inside);
        for path in on_disk.keys().filter(|path| path.is_symlink()) {
            if let Ok(target) = fs::canonicalize(path) {
                prop_assert!(target.starts_with(&inside), "{:?} leads to {:?}", path, target);
            }
        }
        let regular = on_disk.keys().filter(|path| path.symlink_metadata().is_ok_and(|metadata| metadata.is_file()));
        let mut listed: Vec<_> = extracted.files.iter().map(|file| inside.join(&file.path)).collect();
        listed.sort();
        prop_assert_eq!(regular.cloned().collect::<Vec<_>>(), listed);
        for file in &extracted.files {
            prop_assert_eq!(fs::metadata(inside.join(&file.path)).unwrap().len(), file.size);
        }
    }

    #[test]
    fn no_bytes_make_the_extraction_panic(
        bytes in prop::collection::vec(any::<u8>(), 0..2000),
        position in 0_usize..1536,
        value in any::<u8>(),
    ) {
        drop(Unpacked::new(&bytes, &Limits::default()));
        let mut tar = results().pax(&[("path", "results/p"), ("size", "3")]).file("results/a", b"abc").end();
        tar[position] = value;
        // Past the checksum, so that the damage reaches the fields.
        for block in tar.chunks_exact_mut(512).filter(|block| block.iter().any(|byte| *byte != 0)) {
            if &block[257..262] == b"ustar" {
                let sum: u32 = block.iter().enumerate().map(|(index, byte)| if (148..156).contains(&index) { 32 } else { u32::from(*byte) }).sum();
                block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
            }
        }
        let unpacked = Unpacked::new(&tar, &Limits { max_bytes: 10_000, ..Limits::default() });
        prop_assert_eq!(fs::read_dir(unpacked.outer.path()).unwrap().count(), 2);
    }
}
