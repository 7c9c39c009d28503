//! Unified diffs, applied as strictly as can be: at the lines that they name, by equal context.

use std::collections::BTreeMap;

/// Applies a diff to files by their paths; new files are added. Lines between diffs are passed over.
pub(super) fn apply(diff: &str, files: &mut BTreeMap<String, String>) {
    let mut lines = diff.lines().peekable();
    while let Some(line) = lines.next() {
        let Some(old) = line.strip_prefix("--- ") else { continue };
        let new = lines.next().unwrap().strip_prefix("+++ b/").expect("a path in the kit");
        let before = match old {
            "/dev/null" => String::new(),
            _ => files[old.strip_prefix("a/").unwrap()].clone(),
        };
        let before: Vec<&str> = before.lines().collect();
        let (mut after, mut place): (Vec<&str>, usize) = (Vec::new(), 0);
        while let Some(header) = lines.next_if(|line| line.starts_with("@@ ")) {
            let ranges: Vec<usize> = header
                .split(|c: char| !c.is_ascii_digit())
                .filter(|word| !word.is_empty())
                .map(|word| word.parse().unwrap())
                .collect();
            let [first, old_lines, _, new_lines] = ranges[..] else { panic!("{header}") };
            let first = first.saturating_sub(1);
            after.extend(&before[place..first]);
            (place, _) = (first, header);
            let (mut old_left, mut new_left) = (old_lines, new_lines);
            while old_left + new_left > 0 {
                let line = lines.next().unwrap();
                let (mark, line) = line.split_at(1);
                if mark == " " {
                    assert_eq!(before[place], line);
                }
                if mark != "+" {
                    place += 1;
                    old_left -= 1;
                }
                if mark != "-" {
                    after.push(line);
                    new_left -= 1;
                }
            }
        }
        after.extend(&before[place..]);
        files.insert(new.to_owned(), after.join("\n") + "\n");
    }
}
