//! Questions to cargo about this workspace.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The directory of the workspace.
pub fn root() -> PathBuf {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.parent().expect("this crate stands in a directory of the workspace").to_path_buf()
}

/// The cargo that runs this test.
pub fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root());
    // What cargo tells a test of its own crate. Where the script that builds a crate looks at it, as ring's does, it would
    // be built anew.
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
            command.env_remove(&name);
        }
    }
    command
}

/// What `cargo tree` prints, one line a dependency, without the paths of this checkout.
pub fn tree(arguments: &[&str]) -> String {
    let output = cargo()
        .args(["tree", "--locked", "--color", "never", "--no-dedupe"])
        .args(arguments)
        .output()
        .expect("cargo starts");
    assert!(
        output.status.success(),
        "cargo tree failed:\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let text = String::from_utf8(output.stdout).expect("cargo prints text");
    text.replace(&format!("{}/", root().display()), "")
}
