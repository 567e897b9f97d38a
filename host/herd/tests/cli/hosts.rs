//! A herd on several hosts, as somebody sets it up: example, files that are carried, and what the doctor says.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;

use super::{Run, herd};

/// A host: home and current directory of its user in one.
pub(super) struct Machine(PathBuf);

impl Machine {
    pub(super) fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("herd-machine-{}-{name}", std::process::id()));
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    pub(super) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = herd();
        for variable in ["XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_RUNTIME_DIR", "STATE_DIRECTORY", "RUNTIME_DIRECTORY"]
        {
            command.env_remove(variable);
        }
        command.current_dir(&self.0).args(arguments).env("HOME", &self.0).env("COLUMNS", "400");
        command
    }

    pub(super) fn run(&self, arguments: &[&str]) -> Run {
        Run::new(&mut self.command(arguments))
    }

    pub(super) fn does(&self, arguments: &[&str]) -> String {
        let run = self.run(arguments);
        assert_eq!((run.code, &*run.stderr), (0, ""), "{arguments:?}: {}", run.stdout);
        run.stdout
    }

    pub(super) fn fails(&self, arguments: &[&str]) -> String {
        let run = self.run(arguments);
        assert_eq!((run.code, &*run.stdout), (1, ""), "{arguments:?}");
        run.stderr
    }

    pub(super) fn write(&self, name: &str, text: &str) {
        fs::write(self.0.join(name), text).unwrap();
    }

    pub(super) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.0.join(name)).unwrap()
    }

    /// Returns the line of the doctor's findings that begins so, and the one below it if that says what to type.
    fn finding(&self, run: &Run, begins: &[&str]) -> String {
        let mut lines = run.stdout.lines().skip_while(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            !words.starts_with(begins)
        });
        let finding = lines.next().unwrap_or_else(|| panic!("{begins:?}: {}{}", run.stdout, run.stderr));
        let fix = lines.next().filter(|line| line.trim_start().starts_with("-> ")).unwrap_or_default();
        format!("{}\n{}", finding.trim_end(), fix.trim_start())
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Goal: one file is all that a host needs. Method: the documented commands up to `run`, on two machines that share nothing but that file.
#[test]
fn config_example_and_certs_set_up_a_host_with_one_file() {
    let (first, second) = (Machine::new("first"), Machine::new("second"));
    let example =
        first.does(&["config", "example", "--hosts", "edge-1.example.net,edge-2.example.net,edge-3.example.net"]);
    first.write("herd.toml", &example);
    let with = ["--config", "herd.toml"];
    let checked = first.does(&[&["config", "check"][..], &with].concat());
    assert_eq!(checked, "herd.toml is good: herd herd, 3 nodes (edge-1, edge-2, edge-3), 3 links\n");
    let made = first.does(&[&["certs", "init"][..], &with].concat());
    // What it says to type next is typed as it is.
    let next = made.lines().last().unwrap().trim();
    assert_eq!(next, "herd certs issue edge-1 edge-2 edge-3 --config herd.toml");
    let issued = first.does(&next.split(' ').skip(1).collect::<Vec<_>>());
    assert!(issued.contains("    herd certs install edge-2.pem\n"), "{issued}");
    fs::copy(first.0.join("edge-2.pem"), second.0.join("edge-2.pem")).unwrap();
    let installed = second.does(&["certs", "install", "edge-2.pem"]);
    assert!(
        installed.starts_with("configuration of the herd\n  in herd.toml\nnode edge-2 of herd herd: "),
        "{installed}"
    );
    assert!(installed.ends_with("    herd run edge-2 --config herd.toml\n"), "{installed}");
    assert_eq!(second.read("herd.toml"), example);
    assert_eq!(fs::metadata(second.0.join("herd.toml")).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(second.0.join(".local/state/herd/herd/nodes/edge-2.pem").exists());
    assert!(
        !second.read(".local/state/herd/herd/nodes/edge-2.pem").contains("HERD CONFIGURATION"),
        "it would grow old there"
    );
    second.does(&["certs", "install", "edge-2.pem"]);

    second.write("herd.toml", &example.replace("15415", "15500"));
    let refused = second.fails(&["certs", "install", "edge-2.pem"]);
    assert_eq!(
        refused,
        "herd: herd.toml is not the configuration in edge-2.pem; to keep it: herd certs install edge-2.pem --config herd.toml; to take that \
         one, remove herd.toml first\n"
    );
    let kept = second.does(&[&["certs", "install", "edge-2.pem"][..], &with].concat());
    assert!(kept.starts_with("herd.toml stays as it is; edge-2.pem has another configuration\n"), "{kept}");
}

#[test]
fn certs_install_leaves_no_configuration_that_it_cannot_use() {
    let (first, second) = (Machine::new("damaged-first"), Machine::new("damaged"));
    first.write("herd.toml", &first.does(&["config", "example", "--hosts", "a.example.net,b.example.net"]));
    let with = ["--config", "herd.toml"];
    first.does(&[&["certs", "init"][..], &with].concat());
    first.does(&[&["certs", "issue", "a"][..], &with].concat());
    let file = first.read("a.pem");
    second.write("a.pem", &file[..file.len() - 60]);
    let refused = second.fails(&["certs", "install", "a.pem"]);
    assert!(refused.starts_with("herd: a.pem: damaged: "), "{refused}");
    // A variable of this host contradicts it.
    second.write("a.pem", &file);
    fs::set_permissions(second.0.join("a.pem"), fs::Permissions::from_mode(0o600)).unwrap();
    let mut command = second.command(&["certs", "install", "a.pem"]);
    let refused = Run::new(command.env("HERD__SESSIONS__IDLE_S", "0"));
    assert!(refused.stderr.contains("`sessions.idle_s` is 0"), "{}", refused.stderr);
    assert!(!second.0.join("herd.toml").exists());
}

#[test]
fn config_example_says_what_is_no_host() {
    let machine = Machine::new("no-host");
    let refused = machine.fails(&["config", "example", "--hosts", "edge 1,edge-2"]);
    assert_eq!(
        refused,
        "herd: \"edge 1\" is no host; write its name or IP address, such as \"edge-1.example.net\" or \"192.0.2.1\"\n"
    );
    assert_eq!(machine.run(&["config", "example"]).code, 2);
}

/// Goal: the doctor names each fault of a node that does not run, and what to type. Method: one fault after the other, on ports that the test
/// holds or frees.
#[test]
fn doctor_says_what_keeps_a_node_from_starting_and_what_to_type() {
    let machine = Machine::new("doctor");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let config = |client: u16| {
        format!(
            "[nodes.Riley]\nclient = \"127.0.0.1:{client}\"\nlink = \"127.0.0.1:0\"\nadmin = \"127.0.0.1:0\"\nlinks = [\"Jaquez\"]\n\
             [nodes.Jaquez]\nhost = \"herd.invalid\"\nclient = \"[::]:1\"\n"
        )
    };
    machine.write("herd.toml", &config(port));
    let doctor = ["doctor", "Riley", "--config", "herd.toml"];
    let run = machine.run(&doctor);
    assert_eq!((run.code, &*run.stderr), (1, ""), "{}", run.stdout);
    assert!(run.stdout.starts_with("Riley of herd herd: not running\n"), "{}", run.stdout);
    let finding = machine.finding(&run, &["fault", "clients"]);
    assert!(
        finding.contains(&format!("cannot listen on 127.0.0.1:{port} for clients; another program has that port")),
        "{finding}"
    );
    assert!(finding.ends_with(&format!("-> which program has the port: ss -ltnp 'sport = :{port}'")), "{finding}");
    let finding = machine.finding(&run, &["fault", "certificate"]);
    assert!(finding.contains("/nodes/Riley.pem does not exist"), "{finding}");
    assert!(finding.ends_with(
        "herd certs issue Riley; then carry the file here: herd certs install Riley.pem --config herd.toml"
    ));
    machine.finding(&run, &["warn", "links", "Jaquez", "are", "not", "asked,"]);

    drop(taken);
    machine.does(&["certs", "init", "--config", "herd.toml"]);
    machine.does(&["certs", "issue", "Riley", "--config", "herd.toml"]);
    machine.does(&["certs", "install", "Riley.pem", "--config", "herd.toml"]);
    let key = machine.0.join(".local/state/herd/herd/nodes/Riley.pem");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o640)).unwrap();
    let run = machine.run(&doctor);
    machine.finding(&run, &["ok", "clients", &format!("127.0.0.1:{port}"), "is", "free"]);
    let finding = machine.finding(&run, &["fault", "keys", "other", "users", "may", "read"]);
    assert!(finding.ends_with(&format!("-> chmod 600 {}", key.display())), "{finding}");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();

    let run = machine.run(&doctor);
    machine.finding(&run, &["ok", "certificate"]);
    let finding = machine.finding(&run, &["fault", "link", "to", "Jaquez"]);
    assert!(
        finding.contains("the name herd.invalid ") && finding.contains("-> correct `nodes.Jaquez.host`"),
        "{finding}"
    );
    let before = fs::read_dir(machine.0.join(".local/state/herd/herd")).unwrap().count();
    let json = machine.run(&[&doctor[..], &["--json"]].concat());
    let json: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    let levels = json["findings"].as_array().unwrap().iter().map(|finding| finding["level"].as_str().unwrap());
    assert_eq!((levels.filter(|level| *level == "fault").count(), json["worst"].as_str()), (1, Some("fault")));
    assert_eq!(fs::read_dir(machine.0.join(".local/state/herd/herd")).unwrap().count(), before, "it changes nothing");

    let unknown = machine.fails(&["doctor", "Rilley", "--config", "herd.toml"]);
    assert_eq!(unknown, "herd: unknown node `Rilley`; did you mean `Riley`?\n");
}

#[test]
fn doctor_of_a_herd_on_one_host_finds_no_fault_before_its_first_start() {
    let machine = Machine::new("one-host");
    let ports = ["client", "link", "admin", "metrics"].map(|key| format!("nodes.Riley.{key}=127.0.0.1:0"));
    machine.write("herd.toml", "[nodes.Riley]\nclient = \"127.0.0.1:0\"\n");
    let set: Vec<&str> = ports.iter().flat_map(|setting| ["--set", setting.as_str()]).collect();
    let found = machine.does(&[&["doctor", "--config", "herd.toml"][..], &set].concat());
    assert!(found.contains("none yet; the first start makes it"), "{found}");
    assert!(!machine.0.join(".local").exists(), "it changes nothing");
}
