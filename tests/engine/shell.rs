//! `--shell` as a person has it: on a terminal.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::sync::{Arc, Mutex};

use nix::pty::openpty;

use crate::live::{Live, eventually, plain};
use crate::support::Sandbox;

/// The far end of a terminal: types, and sees what is shown.
struct Person {
    keyboard: File,
    screen: Arc<Mutex<Vec<u8>>>,
}

impl Person {
    /// Starts docker-test with all three streams on a new terminal.
    fn start(sandbox: &Sandbox, arguments: &[&str]) -> (Self, Live) {
        let terminal = openpty(None, None).unwrap();
        let mut command = sandbox.command(arguments);
        command
            .env("TERM", "xterm")
            .stdin(terminal.slave.try_clone().unwrap())
            .stdout(terminal.slave.try_clone().unwrap())
            .stderr(terminal.slave);
        let live = Live::start(command);
        let keyboard = File::from(terminal.master);
        let (mut source, screen) = (keyboard.try_clone().unwrap(), Arc::new(Mutex::new(Vec::new())));
        let seen = Arc::clone(&screen);
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            // Its end is an error once nobody has the other side.
            while let Ok(size @ 1..) = source.read(&mut buffer) {
                seen.lock().unwrap().extend_from_slice(&buffer[..size]);
            }
        });
        (Self { keyboard, screen }, live)
    }

    fn seen(&self) -> String {
        String::from_utf8_lossy(&self.screen.lock().unwrap()).into_owned()
    }

    #[track_caller]
    fn sees(&self, part: &str) {
        eventually(part, || self.seen().contains(part).then_some(()));
    }

    fn types(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).unwrap();
    }
}

#[test]
fn a_shell_on_a_terminal_prompts_obeys_and_hands_its_exit_code_on() {
    let sandbox = Sandbox::new();
    let image = plain(&sandbox);
    let (mut person, live) = Person::start(&sandbox, &["--shell", &image]);
    person.sees("/ # ");
    // What is typed is shown as well: only the shell can do the sum.
    person.types("test -t 0 && test -t 1 && echo sum-$((40 + 2))\n");
    person.sees("sum-42");
    // Ctrl-C is the shell's: it ends what runs there, and not the shell.
    person.types("sleep 300\n");
    person.sees("sleep 300");
    std::thread::sleep(std::time::Duration::from_millis(500));
    person.types("\u{3}");
    person.types("echo still-$((40 + 3))\n");
    person.sees("still-43");
    person.types("exit 7\n");
    live.finish().assert_code(7);
    let seen = person.seen();
    assert!(!seen.contains("PASSED") && !seen.contains("FAILED"), "{seen}");
    assert_eq!(sandbox.leftovers(), Vec::<String>::new());
}
