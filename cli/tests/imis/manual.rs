//! Help, completions, manual: there for every command.

use crate::harness::Desk;

const COMMANDS: &[&str] = &[
    "doctor",
    "introspect",
    "diff",
    "identify",
    "snapshot",
    "mapping check",
    "plan",
    "prepare",
    "migrate",
    "verify",
    "runs",
    "rejects show",
    "generate",
    "demo",
];

#[test]
fn every_command_helps() {
    let desk = Desk::new();
    let all = desk.imis(&["--help"]).done();
    for command in COMMANDS {
        let first = command.split(' ').next().unwrap();
        assert!(all.stdout.contains(first), "{first}");
        let mut arguments: Vec<&str> = command.split(' ').collect();
        arguments.push("--help");
        assert!(desk.imis(&arguments).done().stdout.contains("Usage: imis"), "{command}");
    }
    assert!(desk.imis(&["man"]).done().stdout.contains(".TH imis"));
    for shell in ["bash", "zsh", "fish", "powershell"] {
        assert!(desk.imis(&["completions", shell]).done().stdout.contains("introspect"), "{shell}");
    }
}

#[test]
fn wrong_usage_has_a_code_of_its_own() {
    let desk = Desk::new();
    desk.imis(&["introspekt"]).failed(2, "introspect", &[]);
    desk.imis(&["introspect", "no-such-place"]).failed(2, "no file or folder", &[]);
    desk.imis(&["introspect", "release:legacy/24.4"]).failed(2, "legacy/24.04", &[]);
    desk.imis(&["mapping", "check", "openimis/legacy-to-moduler"]).failed(4, "no pack called", &[]);
}

#[test]
fn a_mapping_is_refused_with_its_lines() {
    let desk = Desk::new();
    let path = desk.write(
        "one.yaml",
        "mapping: country/one\nfrom: legacy\nto: modular\nrules:\n  genders:\n    from: tblGender\n    to: tblGender\n    columns:\n      Gendre: Gender\n",
    );
    let said = desk.imis(&["mapping", "check", path.to_str().unwrap(), "--color", "never"]).failed(4, "Gendre", &[]);
    assert!(said.stderr.contains("Did you mean `Gender`?"), "{}", said.stderr);
    assert!(said.stderr.contains("tblInsuree goes nowhere"), "{}", said.stderr);
    let said = desk.imis(&["mapping", "check"]).done();
    assert!(said.stderr.contains("fits"), "{}", said.stderr);
}

#[test]
fn a_named_database_of_the_configuration_is_a_location() {
    let desk = Desk::new().with("WHERE", "release:legacy/24.04");
    desk.write("imis.yaml", "databases:\n  old: \"${WHERE}\"\n");
    assert!(desk.imis(&["introspect", "old"]).done().stdout.contains("tblClaim"));
    desk.write("imis.yaml", "databases:\n  old: { location: x, pasword: hunter2 }\n");
    desk.imis(&["introspect", "old"]).failed(2, "imis.yaml", &["hunter2"]);
}
