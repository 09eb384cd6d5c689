//! `--device` and `--gpus`.
//!
//! Owns their syntax. A device named through a CDI file is refused: the plan has no place for it.

use std::collections::BTreeSet;

use super::csv;
use super::error::{FlagError, Invalid};
use super::keyvalue;
use crate::plan::container::{DeviceSpec, GpuSpec};

/// Reads every `--device HOST[:CONTAINER][:rwm]`.
pub fn devices(texts: &[String]) -> Result<Vec<DeviceSpec>, FlagError> {
    texts.iter().map(|text| device(text).map_err(|error| error.of("--device", text))).collect()
}

fn device(text: &str) -> Result<DeviceSpec, Invalid> {
    let form = || Invalid::new("expected HOST[:CONTAINER[:PERMISSIONS]], such as /dev/fuse:/dev/fuse:rwm");
    let parts: Vec<&str> = text.split(':').collect();
    let (host, container, permissions) = match *parts.as_slice() {
        [host] => (host, host, "rwm"),
        [host, second] if is_permissions(second) => (host, host, second),
        [host, container] => (host, container, "rwm"),
        [host, container, permissions] if is_permissions(permissions) => (host, container, permissions),
        [_, _, permissions] => {
            return Err(Invalid::new(format!("`{permissions}` is not a set of r, w and m, each once")));
        }
        _ => return Err(form()),
    };
    if !host.starts_with('/') && host.contains('/') && host.contains('=') {
        return Err(
            Invalid::new("devices from a CDI file are not supported").hint("name a path such as /dev/fuse")
        );
    }
    if !host.starts_with('/') || !container.starts_with('/') {
        return Err(form());
    }
    Ok(DeviceSpec {
        host: host.to_owned(),
        container: container.to_owned(),
        permissions: permissions.to_owned(),
    })
}

fn is_permissions(text: &str) -> bool {
    let distinct: BTreeSet<char> = text.chars().collect();
    !text.is_empty()
        && distinct.len() == text.chars().count()
        && text.chars().all(|c| matches!(c, 'r' | 'w' | 'm'))
}

/// Reads `--gpus`: `all`, a number, or `key=value` fields with `count`, `device`, `driver`, `capabilities`, `options`.
pub fn gpus(text: &str) -> Result<GpuSpec, Invalid> {
    let mut request = GpuSpec::default();
    let mut seen = BTreeSet::new();
    for field in csv::fields(text)? {
        let (key, value) = field.split_once('=').unwrap_or(("count", &field));
        if !seen.insert(key.to_owned()) {
            return Err(Invalid::new(format!("`{key}` is given more than once"))
                .hint("put several ids in one quoted field: --gpus '\"device=0,1\"'"));
        }
        let list = || value.split(',').map(str::to_owned).collect();
        match key {
            "count" => request.count = Some(gpu_count(value)?),
            "device" => request.device_ids = list(),
            "driver" => request.driver = Some(value.to_owned()),
            "capabilities" => request.capabilities = list(),
            "options" => request.options = keyvalue::options(&csv::fields(value)?),
            _ => {
                let hint = "known keys: count, device, driver, capabilities, options";
                return Err(Invalid::new(format!("unknown key `{key}`")).hint(hint));
            }
        }
    }
    if request.count.is_some() && !request.device_ids.is_empty() {
        return Err(Invalid::new("`count` and `device` exclude each other"));
    }
    if request.count.is_none() && request.device_ids.is_empty() {
        request.count = Some(1);
    }
    if !request.capabilities.iter().any(|capability| capability == "gpu") {
        request.capabilities.push("gpu".to_owned());
    }
    Ok(request)
}

fn gpu_count(text: &str) -> Result<i64, Invalid> {
    if text == "all" {
        return Ok(-1);
    }
    text.parse::<i64>().ok().filter(|count| *count >= -1).ok_or_else(|| {
        Invalid::new(format!("`{text}` is not a number of GPUs: expected `all` or a whole number"))
            .hint("name single GPUs as --gpus device=ID")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(host: &str, container: &str, permissions: &str) -> DeviceSpec {
        DeviceSpec { host: host.into(), container: container.into(), permissions: permissions.into() }
    }

    #[test]
    fn devices_are_read_as_docker_reads_them() {
        let table = [
            ("/dev/fuse", spec("/dev/fuse", "/dev/fuse", "rwm")),
            ("/dev/fuse:r", spec("/dev/fuse", "/dev/fuse", "r")),
            ("/dev/a:/dev/b", spec("/dev/a", "/dev/b", "rwm")),
            ("/dev/a:/dev/b:mr", spec("/dev/a", "/dev/b", "mr")),
        ];
        for (text, expected) in table {
            assert_eq!(device(text).unwrap(), expected, "{text}");
        }
        for text in
            ["", "fuse", "/dev/a:b", "/dev/a:/dev/b:rr", "/dev/a:/dev/b:x", "/a:/b:r:w", ":/dev/b", "/dev/a:"]
        {
            assert!(device(text).is_err(), "{text}");
        }
        assert!(device("vendor.com/class=gpu0").unwrap_err().to_string().contains("CDI"));
    }

    #[test]
    fn gpu_requests_are_read_as_docker_reads_them() {
        let gpu = || vec!["gpu".to_owned()];
        let all = GpuSpec { count: Some(-1), capabilities: gpu(), ..GpuSpec::default() };
        assert_eq!(gpus("all").unwrap(), all);
        assert_eq!(gpus("count=all").unwrap(), all);
        assert_eq!(gpus("2").unwrap().count, Some(2));
        assert_eq!(gpus("driver=nvidia").unwrap().count, Some(1));
        let ids = gpus("\"device=0,1\"").unwrap();
        assert_eq!((ids.count, ids.device_ids), (None, vec!["0".to_owned(), "1".to_owned()]));
        let full = gpus("driver=nvidia,\"capabilities=compute,utility\",\"options=a=b,c\",count=3").unwrap();
        assert_eq!(full.driver.as_deref(), Some("nvidia"));
        assert_eq!(full.capabilities, ["compute", "utility", "gpu"]);
        assert_eq!(
            full.options.into_iter().collect::<Vec<_>>(),
            [("a".to_owned(), "b".to_owned()), ("c".to_owned(), String::new())]
        );
        for text in
            ["", "some", "-2", "device=0,1", "count=1,count=2", "all,2", "colour=red", "count=1,device=0"]
        {
            assert!(gpus(text).is_err(), "{text} gave {:?}", gpus(text));
        }
    }
}
