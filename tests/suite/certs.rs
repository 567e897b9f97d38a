//! Certificates at the command line: a herd on three hosts, from nothing to a new authority.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use herd_tests::{Herd, Host};
use serde_json::Value;

/// The commands that an output says to type next.
fn next(output: &str) -> Vec<&str> {
    // A host of these tests adds the configuration itself.
    let commands = output.lines().filter_map(|line| line.strip_prefix("    herd "));
    commands.filter_map(|command| command.split(" --config ").next()).collect()
}

/// Goal: the documented session, and its next commands as printed, bring a herd to three hosts and through a revocation and a roll-over
/// of its authority. Method: four directories stand for a host that keeps the authority and three with a node; files are carried by
/// moving them.
#[test]
fn certs_take_a_herd_to_three_hosts_and_to_a_new_authority() {
    let herd = Herd::of(&[("Riley", &["Jaquez", "Juzang"]), ("Jaquez", &["Juzang"]), ("Juzang", &[])]).named("five");
    let keeper = Host::new(&herd, "keeper");
    let hosts = ["Riley", "Jaquez", "Juzang"].map(|node| (node, Host::new(&herd, node)));
    let [(_, riley), (_, jaquez), (_, juzang)] = &hosts;

    let made = keeper.types("certs init");
    assert!(made.starts_with("the authority of herd five: expires in 3650 days, valid until "), "{made}");
    let [issue] = *next(&made) else { panic!("{made}") };
    let issued = keeper.types(issue);
    let installs = next(&issued);
    assert_eq!(installs.len(), 3, "{issued}");
    for (node, host) in &hosts {
        let file = format!("{node}.pem");
        let install = format!("certs install {file}");
        assert!(installs.contains(&&*install), "{issued}");
        let mode = fs::metadata(keeper.directory().join(&file)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        keeper.carry(&file, host);
        let installed = host.types(&install);
        assert_eq!(next(&installed), [format!("run {node}")]);
        let path = host.directory().join(format!("five/nodes/{file}"));
        assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);
        let shown = host.json("certs show --json");
        assert_eq!(shown["nodes"][0]["certificate"]["subject"], format!("herd://five/node/{node}"));
        assert_eq!((&shown["authority"], &shown["warnings"]), (&Value::Null, &serde_json::json!([])));
    }

    let revoked = keeper.types("certs revoke Juzang");
    assert!(revoked.starts_with("node Juzang is revoked: 1 certificate\n  revocation list 2 of "), "{revoked}");
    assert_eq!(next(&revoked), ["certs install five-trust.pem", "certs issue Juzang"]);
    let shown = keeper.types("certs show");
    let row = |node: &str| shown.lines().find(|line| line.starts_with(&format!("node {node} "))).unwrap();
    assert!(row("Riley").contains("  expires in ") && row("Juzang").contains("  revoked  "), "{shown}");
    keeper.carry("five-trust.pem", riley);
    let taken = riley.types("certs install five-trust.pem");
    assert!(taken.starts_with("revocation list 2 with 1 certificate\n  in the files of Riley\n"), "{taken}");
    assert_eq!(riley.json("certs show --json")["nodes"][0]["lists"][0]["number"], 2);
    keeper.types("certs issue Juzang");
    keeper.carry("Juzang.pem", juzang);
    let back = juzang.types("certs install Juzang.pem");
    assert!(back.starts_with("node Juzang of herd five: expires in "), "{back}");

    let rolled = keeper.types("certs roll");
    let [renew, "certs retire"] = *next(&rolled) else { panic!("{rolled}") };
    let renewed = |authorities: usize| {
        keeper.types(renew);
        for (node, host) in &hosts {
            keeper.carry(&format!("{node}.pem"), host);
            host.types(&format!("certs install {node}.pem"));
            let shown = host.json("certs show --json");
            assert_eq!(shown["nodes"][0]["authorities"].as_array().unwrap().len(), authorities, "{node}");
        }
    };
    renewed(2);
    let retired = keeper.types("certs retire");
    assert!(retired.starts_with("1 authority is retired; "), "{retired}");
    assert_eq!(next(&retired), [renew]);
    renewed(1);
    let shown = keeper.json("certs show --json");
    assert_eq!(shown["authority"]["authorities"].as_array().unwrap().len(), 1);
    let newest = &shown["authority"]["authorities"][0]["serial"];
    assert_eq!(&jaquez.json("certs show --json")["nodes"][0]["authorities"][0]["serial"], newest);
}
