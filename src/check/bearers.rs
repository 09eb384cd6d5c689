//! Processes that bear a mark, as `/proc` shows them, and signals to them.
//!
//! Owns that a signal reaches whom it was meant for: a number that another process has got meanwhile is passed by, and so
//! are the first process, this one, and all whose environment may not be read. Where there is no `/proc` of this
//! namespace, nobody bears a mark.

use std::fs::{self, File};
use std::io;
use std::ops::RangeInclusive;
use std::os::unix::fs::FileExt as _;
use std::sync::OnceLock;
use std::thread;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::{Pid, geteuid};

use super::mark::{self, Mark, Owner};

/// As much of an environment as is read, in bytes: nearly all are no larger.
const ENVIRONMENT: usize = 32 * 1024;
/// And at most: more than the kernel lets a program be given as a rule.
const LARGEST_ENVIRONMENT: usize = 4 * 1024 * 1024;
/// So many numbers are asked for one by one; more are looked for among all processes.
const FEW: i32 = 128;
/// The first process of a namespace.
const FIRST: i32 = 1;
/// On a machine where processes are started without end, somebody has to stop looking.
const MOST_LOOKS: usize = 8;
/// How often an environment that is not shown yet is asked for, and how long after one another. On a busy machine a
/// program waits for its turn also while it takes the place of another.
const READS: usize = 2000;
const EXEC: Duration = Duration::from_micros(500);
/// Flags of a process, as `include/linux/sched.h` of the kernel has them: it is on its way out, or one of the kernel's
/// own threads.
const EXITING: u32 = 0x4;
const KERNEL_THREAD: u32 = 0x20_0000;

/// A process that bears marks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Bearer {
    id: i32,
    started: u64,
    /// Its process group.
    pub(super) group: i32,
    pub(super) marks: Vec<Mark>,
}

impl Owner {
    /// This process; nothing where `/proc` does not show it.
    pub(super) fn this() -> Option<Self> {
        static THIS: OnceLock<Option<Owner>> = OnceLock::new();
        *THIS.get_or_init(|| {
            let process = this()?;
            // A `/proc` of another namespace has other numbers.
            let shown = fs::read_link("/proc/self").ok()?;
            (shown.to_str() == Some(&process.to_string())).then_some(())?;
            let namespace = fs::read_link("/proc/self/ns/pid").ok()?;
            let namespace = namespace.to_str()?.strip_prefix("pid:[")?.strip_suffix(']')?.parse().ok()?;
            Some(Self { namespace, user: geteuid().as_raw(), process, started: Stat::of(process)?.started })
        })
    }

    /// Whether it is still there. In doubt it is. To be asked of owners of this namespace alone.
    pub(super) fn lives(&self) -> bool {
        if kill(Pid::from_raw(self.process), None) == Err(Errno::ESRCH) {
            return false;
        }
        Stat::of(self.process).is_none_or(|stat| stat.started == self.started && !stat.is_dead)
    }
}

impl Bearer {
    /// Whether it is the same process still, and no zombie. One that has become ours, because its parent is gone, is
    /// reaped.
    pub(super) fn is_there(&self) -> bool {
        match Stat::of(self.id) {
            Some(stat) if stat.started == self.started && stat.is_dead => {
                let _not_ours = waitpid(Pid::from_raw(self.id), Some(WaitPidFlag::WNOHANG));
                false
            }
            // By another of that number nothing is to be known: somebody may wait for it.
            stat => stat.is_some_and(|stat| stat.started == self.started),
        }
    }

    /// Whether a harness within, which is not `outer`, lives and ends it in order. A second request to end is to many an
    /// order to drop everything.
    pub(super) fn has_keeper(&self, outer: Owner) -> bool {
        let keeper = self.marks.last().map(|mark| mark.owner).filter(|owner| *owner != outer);
        keeper.is_some_and(|owner| owner.namespace == outer.namespace && owner.lives())
    }

    pub(super) fn signal(&self, signal: Signal) {
        if self.is_there() {
            let _already_gone = kill(Pid::from_raw(self.id), signal);
        }
    }

    /// What tells it apart from every other process of this machine.
    pub(super) const fn identity(&self) -> (i32, u64) {
        (self.id, self.started)
    }

    fn with(id: i32, is_meant: &impl Fn(&Mark) -> bool) -> Option<Self> {
        if id <= FIRST || Some(id) == this() {
            return None;
        }
        environment(id).iter().any(is_meant).then_some(())?;
        let Stat { started, group, is_dead, .. } = Stat::of(id)?;
        // Once more: it is of the process that was started then, or the number is another's by now.
        let marks = environment(id);
        (!is_dead && marks.iter().any(is_meant)).then_some(Self { id, started, group, marks })
    }
}

/// All that bear a mark that is meant. Takes milliseconds, or longer where a process hangs in the kernel: not to be done
/// where others wait.
pub(super) fn all(is_meant: impl Fn(&Mark) -> bool) -> Vec<Bearer> {
    let last = last_number();
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let ids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let found = ids.filter_map(|id| Bearer::with(id, &is_meant)).collect();
    match last {
        Some(last) => with_those_since(found, last, is_meant),
        None => found,
    }
}

/// The same among these numbers, and those that are given meanwhile.
pub(super) fn among(ids: RangeInclusive<i32>, is_meant: impl Fn(&Mark) -> bool) -> Vec<Bearer> {
    let last = *ids.end();
    with_those_since(ids.filter_map(|id| Bearer::with(id, &is_meant)).collect(), last, is_meant)
}

/// One that was looked for may have started another and be gone before it was seen: what was started during a look is
/// looked at as well.
fn with_those_since(mut found: Vec<Bearer>, mut last: i32, is_meant: impl Fn(&Mark) -> bool) -> Vec<Bearer> {
    for _ in 0..MOST_LOOKS {
        let Some(ids) = numbers_after(last).filter(|ids| !ids.is_empty()) else { break };
        last = *ids.end();
        for bearer in ids.filter_map(|id| Bearer::with(id, &is_meant)) {
            if !found.contains(&bearer) {
                found.push(bearer);
            }
        }
    }
    found
}

/// Numbers that were given since `id` was, where they are few and have not begun again meanwhile.
pub(super) fn numbers_after(id: i32) -> Option<RangeInclusive<i32>> {
    let last = last_number()?;
    (last >= id && last - id <= FEW).then(|| id + 1..=last)
}

/// The number that was given last.
fn last_number() -> Option<i32> {
    fs::read_to_string("/proc/loadavg").ok()?.split_ascii_whitespace().last()?.parse().ok()
}

/// Marks that this process bears itself.
pub(super) fn own_marks() -> Vec<Mark> {
    this().map(environment).unwrap_or_default()
}

fn this() -> Option<i32> {
    i32::try_from(std::process::id()).ok()
}

/// While another program takes the place of one, nothing is shown, and nothing is what the earlier one shows that was asked
/// just before. An environment is empty only if the program that shows so is the same whole one before and after.
fn environment(id: i32) -> Vec<Mark> {
    let mut before = None;
    for _ in 0..READS {
        match read_environment(id) {
            Ok(read) if !read.is_empty() => return mark::borne(&read),
            Ok(_) => {}
            Err(_) => break,
        }
        let Some(program) = Stat::of(id).and_then(|stat| stat.program) else { break };
        if !program.is_whole() {
            thread::sleep(EXEC);
        } else if before == Some(program) {
            break;
        }
        before = Some(program);
    }
    Vec::new()
}

/// In one read: a program that takes the place of another between two cuts it off.
fn read_environment(id: i32) -> io::Result<Vec<u8>> {
    let file = File::open(format!("/proc/{id}/environ"))?;
    let mut read = vec![0; ENVIRONMENT];
    loop {
        let length = match file.read_at(&mut read, 0) {
            Ok(length) => length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        if length < read.len() || read.len() >= LARGEST_ENVIRONMENT {
            read.truncate(length);
            return Ok(read);
        }
        read.resize(LARGEST_ENVIRONMENT, 0);
    }
}

/// What is needed of a line of `/proc/ID/stat`.
struct Stat {
    is_dead: bool,
    group: i32,
    started: u64,
    /// None of the kernel's own threads, nor of what is on its way out.
    program: Option<Program>,
}

/// Where a program lies in its memory: nowhere until all of it is there, its environment included, and each time
/// elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Program {
    code: u64,
    stack: u64,
}

impl Program {
    const fn is_whole(self) -> bool {
        self.code != 0
    }
}

impl Stat {
    fn of(id: i32) -> Option<Self> {
        Self::read(&String::from_utf8_lossy(&fs::read(format!("/proc/{id}/stat")).ok()?))
    }

    fn read(line: &str) -> Option<Self> {
        // The name of the program comes before it, in brackets, and may have brackets of its own.
        let fields: Vec<&str> = line.rsplit_once(')')?.1.split_ascii_whitespace().collect();
        let is_dead = matches!(*fields.first()?, "Z" | "X" | "x");
        let flags: u32 = fields.get(6)?.parse().ok()?;
        let program = Program { code: fields.get(23)?.parse().ok()?, stack: fields.get(25)?.parse().ok()? };
        Some(Self {
            is_dead,
            group: fields.get(2)?.parse().ok()?,
            started: fields.get(19)?.parse().ok()?,
            program: (!is_dead && flags & (EXITING | KERNEL_THREAD) == 0).then_some(program),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Child, Command};

    use super::*;

    fn of_another(number: u64) -> Mark {
        let owner = Owner { namespace: 1, user: 0, process: 2, started: 3 };
        Mark { owner, number }
    }

    fn sleeper(marks: &[Mark]) -> Child {
        let held = marks.iter().fold(String::new(), |held, mark| mark.after(Some(&held)));
        Command::new("sleep").arg("60").env(mark::VARIABLE, held).spawn().unwrap()
    }

    fn id(child: &Child) -> i32 {
        i32::try_from(child.id()).unwrap()
    }

    #[test]
    fn a_line_is_read_whatever_the_program_is_called() {
        let line = "7 (a) b) c) S 1 5 5 0 -1 4194560 9 0 0 0 1 2 0 0 20 0 1 0 98765 1 2 3 4096 5000 70000 0";
        let Stat { is_dead, group, started, program } = Stat::read(line).unwrap();
        assert_eq!((is_dead, group, started), (false, 5, 98_765));
        assert_eq!(program, Some(Program { code: 4096, stack: 70_000 }));
        assert!(program.unwrap().is_whole());
        let zombie = Stat::read(&line.replace(" S ", " Z ")).unwrap();
        assert!(zombie.is_dead && zombie.program.is_none());
        for flags in [4_194_564, 2_129_984] {
            let line = line.replace("4194560", &i32::to_string(&flags));
            assert!(Stat::read(&line).unwrap().program.is_none(), "{flags}");
        }
        let becoming = Stat::read(&line.replace(" 4096 5000 70000 ", " 0 0 0 ")).unwrap();
        assert!(!becoming.program.unwrap().is_whole());
        assert!(Stat::read("7 (a").is_none() && Stat::read("7 (a) S 1").is_none());
    }

    #[test]
    fn who_bears_a_mark_is_found_and_nobody_else() {
        let (first, second) = (of_another(51), of_another(52));
        let mut both = sleeper(&[first, second]);
        let mut other = sleeper(&[second]);
        let found = all(|mark| *mark == first);
        let ids: Vec<i32> = found.iter().map(|bearer| bearer.id).collect();
        assert_eq!((ids, &found[0].marks[..]), (vec![id(&both)], &[first, second][..]));
        assert_eq!(all(|mark| *mark == second).len(), 2);
        assert_eq!(among(id(&both)..=id(&both), |mark| *mark == first), found);
        found[0].signal(Signal::SIGKILL);
        // Whichever of the two has waited for it: it is gone.
        let _reaped = both.wait();
        assert!(!found[0].is_there() && all(|mark| *mark == first).is_empty());
        assert!(other.try_wait().unwrap().is_none(), "it was not meant");
        other.kill().unwrap();
        other.wait().unwrap();
    }

    #[test]
    fn one_that_a_living_harness_within_has_started_is_left_to_it() {
        let this = Owner::this().unwrap();
        let within = |marks: &[Mark], outer| {
            Bearer { id: 2, started: 3, group: 2, marks: marks.to_vec() }.has_keeper(outer)
        };
        let ours = Mark { owner: this, number: 0 };
        let dead = Owner { started: this.started + 1, ..this };
        let of_dead = Mark { owner: dead, number: 0 };
        assert!(within(&[of_dead, ours], dead));
        assert!(!within(&[ours, of_dead], this), "it is dead");
        assert!(!within(&[of_dead, ours], this), "we are it");
        assert!(!within(&[of_dead], dead) && !within(&[], dead));
        let elsewhere = Owner { namespace: 1, ..dead };
        assert!(!within(&[of_dead, ours], elsewhere), "of another namespace nobody knows");
    }

    #[test]
    fn a_number_that_another_process_has_got_is_passed_by() {
        let mark = of_another(53);
        let mut child = sleeper(&[mark]);
        let mut stale = all(|it| *it == mark).remove(0);
        stale.started -= 1;
        stale.signal(Signal::SIGKILL);
        assert!(child.try_wait().unwrap().is_none() && !stale.is_there());
        child.kill().unwrap();
        child.wait().unwrap();
    }

    #[test]
    fn an_owner_lives_until_it_is_a_zombie_and_its_number_alone_is_nobody() {
        let this = Owner::this().unwrap();
        assert!(this.lives());
        assert!(!Owner { started: this.started + 1, ..this }.lives());
        let mut child = Command::new("true").spawn().unwrap();
        let process = id(&child);
        let started = Stat::of(process).unwrap().started;
        while !Stat::of(process).unwrap().is_dead {
            std::thread::yield_now();
        }
        assert!(!Owner { process, started, ..this }.lives(), "a zombie");
        child.wait().unwrap();
        assert!(!Owner { process, started, ..this }.lives());
    }

    #[test]
    fn what_was_started_later_has_a_later_number() {
        // Numbers begin again at some time, once in thousands.
        let found = (0..3).any(|_| {
            let mut first = Command::new("true").spawn().unwrap();
            let mut second = Command::new("true").spawn().unwrap();
            let after = numbers_after(id(&first));
            first.wait().unwrap();
            second.wait().unwrap();
            after.is_some_and(|numbers| numbers.contains(&id(&second)) && !numbers.contains(&id(&first)))
        });
        assert!(found);
    }
}
