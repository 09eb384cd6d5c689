//! What one part of a suite says about another: names, references, cycles, and what excludes each other.

use std::collections::BTreeMap;

use crate::engine::reference::Reference;
use crate::error::nearest;
use crate::notify::configured;
use crate::suite::document::{Build, Document, Named, Names, Options, Services};
use crate::suite::needs;
use crate::suite::policy;
use crate::suite::yaml::{Content, Fault, Node, unspoken};

use super::Known;

/// The most needs of all tests together, every combination of a matrix counted.
const MOST_NEEDS: usize = 100_000;

struct Checks<'a> {
    document: &'a Document,
    root: &'a Node,
    known: Known<'a>,
}

pub(super) fn check(document: &Document, root: &Node, known: Known<'_>) -> Result<(), Fault> {
    let checks = Checks { document, root, known };
    checks.options(&["defaults"], &document.defaults)?;
    checks.networks()?;
    checks.services()?;
    checks.tests()?;
    checks.cycles()?;
    checks.reports()?;
    checks.types()?;
    checks.probes()?;
    checks.sinks()
}

/// The name of a test: a line that a report, a file name and a matrix can take.
pub(super) fn test_name(name: &str) -> Result<(), String> {
    if name.trim() != name || name.is_empty() || name.len() > 200 {
        return Err("expected a name of 1 to 200 bytes, without white space around it".to_owned());
    }
    if name.contains(|c: char| c.is_control() || matches!(c, '[' | ']' | '*' | '?' | ',' | '=')) {
        return Err("expected a name without [ ] * ? , = and control characters".to_owned());
    }
    if matches!(name, "." | "..") {
        return Err(
            "expected a name other than `.` and `..`, which are no names in addresses and paths".to_owned()
        );
    }
    if name.starts_with('!') || name.starts_with('/') {
        return Err("expected a name that does not begin with ! or /".to_owned());
    }
    Ok(())
}

/// The name of a service or network: other containers know it by that name.
fn host_name(name: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    name.len() <= 63 && name.starts_with(|c: char| c.is_ascii_alphanumeric()) && name.chars().all(allowed)
}

/// That there is no such thing, with the nearest that there is.
fn unknown<'n>(kind: &str, name: &str, there: impl Iterator<Item = &'n str>) -> (String, Option<String>) {
    let there: Vec<&str> = there.collect();
    let hint = match nearest(name, there.iter().copied()) {
        Some(near) => Some(format!("did you mean `{near}`?")),
        None if there.is_empty() => None,
        None => Some(format!("there are: {}", there.iter().take(10).copied().collect::<Vec<_>>().join(", "))),
    };
    (format!("there is no {kind} `{name}`"), hint)
}

impl Checks<'_> {
    fn fault(&self, path: &[&str], problem: impl Into<String>) -> Fault {
        let place = self.root.locate(path);
        match self.root.find(path).and_then(Node::secret) {
            Some(variable) => Fault::new(place, unspoken(variable)),
            None => Fault::new(place, problem),
        }
    }

    fn options(&self, path: &[&str], options: &Options) -> Result<(), Fault> {
        if self.known.flags.is_empty() {
            return Ok(());
        }
        for (key, _) in &options.0 {
            if !self.known.flags.contains(key) {
                let near = nearest(key, self.known.flags.iter().map(String::as_str));
                let hint = match near {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => "the keys are the long names of docker-test's flags".to_owned(),
                };
                let path: Vec<&str> = path.iter().copied().chain([key.as_str()]).collect();
                let within = path.get(..path.len() - 1).unwrap_or_default().join(".");
                return Err(self.fault(&path, format!("unknown key `{key}` in `{within}`")).hint(hint));
            }
        }
        Ok(())
    }

    fn networks(&self) -> Result<(), Fault> {
        for name in self.document.networks.names() {
            let path = ["networks", name];
            if ["default", "none", "host", "bridge"].contains(&name) {
                return Err(
                    self.fault(&path, format!("`{name}` has a meaning of its own: expected another name"))
                );
            }
            if !host_name(name) {
                return Err(self.fault(&path, "expected a name of letters, digits, _, - and ."));
            }
        }
        Ok(())
    }

    fn joins(&self, path: &[&str], network: Option<&Names>) -> Result<(), Fault> {
        let Some(names) = network else { return Ok(()) };
        let path: Vec<&str> = path.iter().copied().chain(["network"]).collect();
        for name in &names.0 {
            let is_special = ["default", "none"].contains(&name.as_str());
            if name == "none" && names.0.len() > 1 {
                return Err(self.fault(&path, "`none` stands alone: expected no other network beside it"));
            }
            if !is_special && self.document.networks.get(name).is_none() {
                let there = self.document.networks.names().chain(["default", "none"]);
                let (problem, hint) = unknown("network", name, there);
                return Err(self.fault(&path, problem).maybe(hint));
            }
        }
        Ok(())
    }

    /// Exactly one of image and build, and a name that can be one of an image.
    fn image(&self, path: &[&str], image: Option<&String>, build: Option<&Build>) -> Result<(), Fault> {
        let at = |key: &'static str| path.iter().copied().chain([key]).collect::<Vec<&str>>();
        match (image, build) {
            (Some(_), Some(_)) => {
                Err(self.fault(&at("build"), "`image` and `build` exclude each other: expected one of them"))
            }
            (None, None) => Err(self.fault(path, "expected `image` or `build`, found neither")),
            (Some(image), None) => Reference::parse(image).map(|_| ()).map_err(|error| {
                let (key, named) = (at("image"), path.join("."));
                self.fault(&key, format!("{named}.image: {error}"))
            }),
            (None, Some(build)) if build.context.trim().is_empty() => {
                Err(self.fault(&at("build"), "expected a directory to build"))
            }
            (None, Some(_)) => Ok(()),
        }
    }

    fn services(&self) -> Result<(), Fault> {
        let Services::Here(services) = &self.document.services else { return Ok(()) };
        for (name, service) in services.iter() {
            let path = ["services", name];
            if !host_name(name) {
                let problem =
                    "expected a name of letters, digits, _, - and .: other containers know it by that name";
                return Err(self.fault(&path, problem));
            }
            self.image(&path, service.image.as_ref(), service.build.as_ref())?;
            self.joins(&path, service.network.as_ref())?;
            for (index, need) in service.needs.iter().enumerate() {
                if services.get(need).is_none() {
                    let (problem, hint) = unknown("service", need, services.names());
                    return Err(self
                        .fault(&["services", name, "needs", &index.to_string()], problem)
                        .maybe(hint));
                }
            }
        }
        Ok(())
    }

    fn tests(&self) -> Result<(), Fault> {
        let services = self.document.services.here();
        for (name, test) in self.document.tests.iter() {
            let path = ["tests", name];
            if services.is_some_and(|services| services.get(&test.base).is_some()) {
                let problem = format!("`{}` is a service already: expected a name of its own", test.base);
                return Err(self.fault(&path, problem).hint("`needs` has to tell them apart"));
            }
            self.image(&path, test.image.as_ref(), test.build.as_ref())?;
            self.joins(&path, test.network.as_ref())?;
            self.options(&["tests", name, "options"], &test.options)?;
            if let Some(label) = test.labels.0.keys().find(|label| label.starts_with("docker-test.")) {
                let problem = format!("the label `{label}` is docker-test's own");
                return Err(self.fault(&["tests", name, "labels", label], problem));
            }
            for (index, need) in test.needs.iter().enumerate() {
                // The services of a compose file are known when it is read.
                let is_there =
                    self.known.compose || services.is_none_or(|services| services.get(need).is_some());
                if !is_there && needs::tests(self.document, need).next().is_none() {
                    let all = services.into_iter().flat_map(Named::names);
                    let bases = self.document.tests.iter().map(|(_, test)| test.base.as_str());
                    let mut there: Vec<&str> = all.chain(bases).filter(|there| *there != test.base).collect();
                    there.dedup();
                    let (problem, hint) = unknown("service or test", need, there.into_iter());
                    return Err(self
                        .fault(&["tests", name, "needs", &index.to_string()], problem)
                        .maybe(hint));
                }
            }
        }
        Ok(())
    }

    fn cycles(&self) -> Result<(), Fault> {
        if let Some(services) = self.document.services.here() {
            let edges = services
                .iter()
                .map(|(name, service)| (name, service.needs.iter().map(String::as_str).collect::<Vec<_>>()));
            self.cycle("services", &edges.collect::<Vec<_>>())?;
        }
        self.few_needs()?;
        let edges = self.document.tests.iter().map(|(name, test)| {
            let needed = test.needs.iter().flat_map(|need| needs::tests(self.document, need));
            (name, needed.collect::<Vec<_>>())
        });
        self.cycle("tests", &edges.collect::<Vec<_>>())
    }

    /// Two large matrices of which one needs the other are more than memory should be spent on.
    fn few_needs(&self) -> Result<(), Fault> {
        let mut cases: BTreeMap<&str, usize> = BTreeMap::new();
        for (_, test) in self.document.tests.iter() {
            *cases.entry(test.base.as_str()).or_default() += 1;
        }
        let mut total = 0;
        for (name, test) in self.document.tests.iter() {
            total +=
                test.needs.iter().map(|need| cases.get(need.as_str()).copied().unwrap_or(1)).sum::<usize>();
            if total > MOST_NEEDS {
                let problem = format!("the tests need more than {MOST_NEEDS} others in all");
                let hint = "name one combination, as in `checkout[db=16]`, instead of all";
                return Err(self.fault(&["tests", name, "needs"], problem).hint(hint));
            }
        }
        Ok(())
    }

    fn cycle(&self, section: &str, edges: &[(&str, Vec<&str>)]) -> Result<(), Fault> {
        let Some(cycle) = needs::cycle(edges) else { return Ok(()) };
        let first = cycle.first().copied().unwrap_or_default();
        let path = [section, first, "needs"];
        let round = cycle.iter().chain(cycle.first()).copied().collect::<Vec<_>>().join(" → ");
        Err(self.fault(&path, format!("needs go round in a circle: {round}")))
    }

    fn reports(&self) -> Result<(), Fault> {
        for (format, paths) in self.document.reports.iter() {
            let path = ["reports", format];
            if !self.known.formats.is_empty() && !self.known.formats.contains(&format) {
                let (problem, hint) = unknown("report format", format, self.known.formats.iter().copied());
                return Err(self.fault(&path, problem).maybe(hint));
            }
            if paths.0.is_empty() {
                return Err(self.fault(&path, "expected the path of the report"));
            }
        }
        Ok(())
    }

    /// A type is any text, but one that is nearly a known one is a slip.
    fn types(&self) -> Result<(), Fault> {
        let types: Vec<&str> =
            self.document.tests.iter().filter_map(|(_, test)| test.test_type.as_deref()).collect();
        for name in self.document.policy.names() {
            let near = nearest(name, policy::TYPES).filter(|near| *near != name && !types.contains(&name));
            if let Some(near) = near {
                return Err(self
                    .fault(&["policy", name], format!("no test has the type `{name}`"))
                    .hint(format!("did you mean `{near}`?")));
            }
        }
        Ok(())
    }

    /// What a probe says in full is read where it is watched.
    fn probes(&self) -> Result<(), Fault> {
        let Some(probes) = self.root.get("probes").filter(|probes| !probes.is_null()) else { return Ok(()) };
        if !matches!(probes.content, Content::Map(_)) {
            return Err(Fault::new(probes.place, "probes: expected a mapping of names to probes"));
        }
        for (key, _) in probes.entries() {
            test_name(&key.text).map_err(|problem| {
                let fault = Fault::new(key.place, format!("probes: {problem}"));
                fault.hint("write a name of letters, digits, `.`, `_` and `-`, such as shop.api")
            })?;
        }
        Ok(())
    }

    /// Their keys are read where something is sent.
    fn sinks(&self) -> Result<(), Fault> {
        let Some(sinks) = self.root.get("notify").filter(|sinks| !sinks.is_null()) else { return Ok(()) };
        if !matches!(sinks.content, Content::Map(_)) {
            return Err(Fault::new(sinks.place, "notify: expected a mapping of sinks to what they need"));
        }
        for (key, _) in sinks.entries() {
            let (kind, own) =
                key.text.split_once('.').map_or((key.text.as_str(), None), |(k, o)| (k, Some(o)));
            if !configured::names().any(|known| known == kind) {
                let hint = match nearest(kind, configured::names()) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("sinks: {}", configured::names().collect::<Vec<_>>().join(", ")),
                };
                return Err(Fault::new(key.place, format!("unknown sink `{}`", key.text)).hint(hint));
            }
            let is_word = |own: &str| {
                !own.is_empty() && own.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'))
            };
            if !own.is_none_or(is_word) {
                return Err(Fault::new(key.place, format!("`{}` is no name of a sink", key.text)).hint(
                    format!("write {kind}.operations: a word of letters, digits, _ and - after the dot"),
                ));
            }
        }
        Ok(())
    }
}
