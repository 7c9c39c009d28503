//! What a submission adds to the pristine kit, as text that `patch -p1` applies.

use super::{HEAD, IMPORTS, MAIN, SetupPlace, class_path, registrations};

/// The list of changes in both generations, and behind it the diff of the head but for `setup.py`, which is replaced.
pub fn changes(class: &str, method: &str, text: &str, setup: &str) -> String {
    let (path, lines) = (class_path(class), text.lines().count());
    let replaced = setup.lines().count();
    let (root, package) = (SetupPlace::Root.path(), SetupPlace::Package.path());
    let width = path.len().max(IMPORTS.len());
    let line =
        |what: &str, path: &str, size: &str| format!("  {what:<8}  {path:<width$}  {size}\n");
    let mut list = format!("What is added to the pristine starter kit at its head ({HEAD}):\n\n");
    list += &line("new", &path, &format!("{lines} lines"));
    list += &line("changed", MAIN, "+1 line");
    list += &line("changed", IMPORTS, "+1 line");
    list += &line("replaced", root, &format!("{replaced} lines"));
    list += "\nand to its generation of entry points (until d82d414):\n\n";
    list += &line("new", &path, &format!("{lines} lines"));
    list += &line("replaced", package, &format!("{replaced} lines"));
    format!("{list}\n{}{}", added(&path, text), registrations(class, method))
}

/// A new file.
fn added(path: &str, text: &str) -> String {
    let count = text.lines().count();
    let lines: String = text.lines().map(|line| format!("+{line}\n")).collect();
    format!("--- /dev/null\n+++ b/{path}\n@@ -0,0 +1,{count} @@\n{lines}")
}
