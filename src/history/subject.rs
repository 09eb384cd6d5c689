//! What runs are about: durations and reruns belong to a suite, or to a list of images.

use std::path::Path;

use crate::plan::syntax::absolute;

/// The subject of runs of the suite at `path`, an absolute path: the file that it leads to, where there is one.
#[must_use]
pub fn of_suite(path: &Path) -> String {
    let path = path.canonicalize().unwrap_or_else(|_| absolute(Path::new("/"), path));
    path.to_string_lossy().into_owned()
}

/// The subject of runs of images, as the user wrote them.
#[must_use]
pub fn of_images<S: AsRef<str>>(images: &[S]) -> String {
    let images: Vec<&str> = images.iter().map(AsRef::as_ref).collect();
    images.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_suite_is_one_subject_whatever_way_leads_to_it() {
        let directory = tempfile::tempdir().unwrap();
        let real = directory.path().join("docker-test.yaml");
        std::fs::write(&real, "").unwrap();
        let link = directory.path().join("link.yaml");
        std::os::unix::fs::symlink(&real, &link).unwrap();
        let around = directory.path().join("./docker-test.yaml");
        assert_eq!(of_suite(&link), of_suite(&real));
        assert_eq!(of_suite(&around), of_suite(&real));
        assert_eq!(of_suite(Path::new("/nonexistent/a/../suite.yaml")), "/nonexistent/suite.yaml");
    }

    #[test]
    fn images_are_a_subject_in_the_order_in_which_they_were_written() {
        assert_eq!(of_images(&["shop:1", "cart:1"]), "shop:1 cart:1");
    }
}
