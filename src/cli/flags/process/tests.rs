use crate::cli::flags::tests::{container, container_in, refuses};
use crate::environment::Environment;

#[test]
fn process_flags_are_resolved() {
    let flags = [
        "-e",
        "A=1",
        "--env",
        "B=",
        "-u",
        "1000:1000",
        "-w",
        "/app",
        "--entrypoint",
        "/run.sh",
        "--name",
        "shop-test",
        "--hostname",
        "shop",
        "-i",
        "-t",
        "--init",
        "--stop-signal",
        "SIGINT",
        "-l",
        "team=shop",
        "--label",
        "ci",
        "--log-driver",
        "json-file",
        "--log-opt",
        "max-size=1m",
    ];
    let spec = container(&flags).unwrap();
    assert_eq!(spec.env, [("A".into(), "1".into()), ("B".into(), String::new())]);
    assert_eq!(spec.user.as_deref(), Some("1000:1000"));
    assert_eq!(spec.workdir.as_deref(), Some("/app"));
    assert_eq!(spec.entrypoint, Some(vec!["/run.sh".to_owned()]));
    assert_eq!(spec.name.as_deref(), Some("shop-test"));
    assert_eq!(spec.hostname.as_deref(), Some("shop"));
    assert!(spec.interactive && spec.tty);
    assert_eq!(spec.init, Some(true));
    assert_eq!(spec.stop_signal.as_deref(), Some("SIGINT"));
    assert_eq!(
        spec.labels.into_iter().collect::<Vec<_>>(),
        [("ci".to_owned(), String::new()), ("team".to_owned(), "shop".to_owned())]
    );
    assert_eq!(spec.log_options.get("max-size").map(String::as_str), Some("1m"));
}

#[test]
fn nothing_given_is_the_default_container() {
    assert_eq!(container(&[]).unwrap(), crate::plan::container::ContainerSpec::default());
}

#[test]
fn an_empty_text_is_not_given() {
    let flags =
        ["-u", "", "-w=", "--name=", "--hostname", "", "--stop-signal=", "--runtime=", "--log-driver="];
    assert_eq!(container(&flags).unwrap(), container(&[]).unwrap());
}

#[test]
fn an_empty_entrypoint_resets_it() {
    assert_eq!(container(&["--entrypoint", ""]).unwrap().entrypoint, Some(Vec::new()));
    assert_eq!(container(&["--entrypoint="]).unwrap().entrypoint, Some(Vec::new()));
}

#[test]
fn init_can_be_refused_explicitly() {
    assert_eq!(container(&["--init=false"]).unwrap().init, Some(false));
    assert_eq!(container(&[]).unwrap().init, None);
}

#[test]
fn a_variable_without_a_value_comes_from_the_environment() {
    let environment = Environment::from_pairs([("SET", "here"), ("EMPTY", "")]);
    let spec = container_in(&["-e", "SET", "-e", "EMPTY", "-e", "UNSET"], &environment).unwrap();
    assert_eq!(spec.env, [("SET".into(), "here".into()), ("EMPTY".into(), String::new())]);
}

#[test]
fn a_later_variable_wins_and_an_unset_one_takes_it_away() {
    let spec = container(&["-e", "A=1", "-e", "B=2", "-e", "A=3", "-e", "B"]).unwrap();
    assert_eq!(spec.env, [("A".into(), "3".into())]);
}

#[test]
fn signals_are_those_the_engine_knows() {
    for signal in ["TERM", "SIGTERM", "sigusr1", "9", "64", "RTMIN", "SIGRTMIN+3", "RTMAX-15", "XFSZ"] {
        assert!(container(&["--stop-signal", signal]).is_ok(), "{signal}");
    }
    for signal in ["0", "65", "SIG", "STOPP", "RTMIN-3", "RTMIN+16", "RTMIN+"] {
        assert!(container(&["--stop-signal", signal]).is_err(), "{signal}");
    }
}

#[test]
fn wrong_process_flags_say_what_is_expected() {
    refuses(&[
        (&["-e", "=x"], "expected NAME or NAME=value"),
        (&["-e", ""], "expected NAME or NAME=value"),
        (&["-w", "app"], "`app`: expected an absolute path"),
        (&["--name", "x"], "two or more"),
        (&["--name=-x y"], "[a-zA-Z0-9_.-]"),
        (&["-l", "=x"], "expected KEY"),
        (&["-l", "a b=x"], "white space"),
        (&["--stop-signal", "NONE"], "SIGINT"),
        (&["--log-driver", "none", "--log-opt", "a=b"], "takes no options"),
    ]);
}
