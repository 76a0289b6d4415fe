//! The dependency arrows of ARCHITECTURE.md, checked.

use std::process::Command;

/// Each crate, and what it must never pull in, however indirectly.
const FORBIDDEN: &[(&str, &[&str])] = &[
    ("offhook-core", &["tokio", "ractor", "axum", "sled", "rand", "jiff", "offhook-media"]),
    ("offhook-media", &["tokio", "ractor", "jiff", "offhook-core"]),
    ("offhook-api", &["tokio", "ractor", "axum", "sled", "offhook-config", "offhook-store"]),
    ("offhook-config", &["tokio", "ractor", "axum", "sled"]),
    ("offhook-store", &["ractor", "axum", "offhook-config"]),
    ("offhook-providers", &["ractor", "offhook-config", "offhook-store", "sled", "axum"]),
    ("offhook-transports", &["ractor", "offhook-config", "offhook-store", "sled", "axum"]),
    ("offhook-actors", &["axum", "offhook-supervisors"]),
    ("offhook-supervisors", &["axum"]),
];

#[test]
fn arrows_point_one_way() {
    for (krate, forbidden) in FORBIDDEN {
        let tree = Command::new(env!("CARGO"))
            .args([
                "tree", "--edges", "normal", "--prefix", "none", "--format", "{lib}", "-p", krate,
            ])
            .output()
            .unwrap();
        assert!(tree.status.success(), "{}", String::from_utf8_lossy(&tree.stderr));
        let tree = String::from_utf8(tree.stdout).unwrap();
        for name in *forbidden {
            let lib = name.replace('-', "_");
            assert!(!tree.lines().any(|line| line == lib), "{krate} must not depend on {name}");
        }
    }
}

/// The names of libraries that only one crate may know.
#[test]
fn sled_is_named_in_the_store_alone() {
    for (name, only) in [("sled", "store"), ("backoff", "actors"), ("liquid-core", "api")] {
        let root = env!("CARGO_MANIFEST_DIR");
        let naming: Vec<String> = std::fs::read_dir(root)
            .unwrap()
            .filter_map(|entry| {
                let entry = entry.unwrap();
                let manifest = std::fs::read_to_string(entry.path().join("Cargo.toml")).ok()?;
                let named = manifest.lines().any(|line| line.starts_with(&format!("{name}.")));
                named.then(|| entry.file_name().to_string_lossy().into_owned())
            })
            .collect();
        assert_eq!(naming, [only], "{name}");
    }
}
