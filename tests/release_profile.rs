//! What the release build must keep: supervision needs panics that unwind.

use std::{fs, panic};

#[test]
fn a_panic_in_a_release_build_unwinds_to_its_supervisor() {
    let manifest = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")).unwrap();
    let release = manifest.split("[profile.release]").nth(1).unwrap();
    let release = release.split("\n[").next().unwrap();
    assert!(release.lines().any(|line| line.trim() == r#"panic = "unwind""#), "{release}");
    // In whatever profile this test is built, which `make test-release` makes the release one.
    assert!(panic::catch_unwind(|| panic!("on purpose")).is_err());
}
