//! The commands that make the submission again.

use super::SubmissionFacts;
use super::markdown::block;

/// From the search to the submission, and what it has to be equal to.
pub(super) fn again(facts: &SubmissionFacts) -> String {
    let (run, manifest) = (&facts.run, &facts.manifest);
    let commands = format!(
        "{}   # the search: the command as typed, folders of paths left out\n{}\n",
        command(&run.manifest.command_line),
        export(facts)
    );
    format!(
        "merge-search {} began the run `{}` and version {} exported it.\n\n{}\n\
         The search space has the SHA-256 `{}`, the run's `manifest.json` `{}`; weights and documents have those in the tables. \
         With the same seed, space, files and number of candidates the search asks for the same candidates; a budget in time ends where the machine gets to. \
         The export is a function of the run: `submission.json` has the digest of each of its files.\n",
        run.manifest.written_by,
        manifest.run,
        manifest.written_by,
        block("sh", &commands),
        run.manifest.space.sha256,
        manifest.run_sha256,
    )
}

fn export(facts: &SubmissionFacts) -> String {
    let manifest = &facts.manifest;
    let mut words: Vec<String> =
        ["merge-search", "export", &manifest.run, "--trial"].map(str::to_owned).into();
    words.push(manifest.trial.to_string());
    words.extend(["--format", "competition"].map(str::to_owned));
    words.extend(facts.options.iter().map(|option| without_folders(option)));
    words.extend(["-o", "submission"].map(str::to_owned));
    words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ")
}

/// A command as typed, the program by its name and paths by their last part.
fn command(words: &[String]) -> String {
    let words = words.iter().skip(1).map(|word| quoted(&without_folders(word)));
    ["merge-search".to_owned()].into_iter().chain(words).collect::<Vec<_>>().join(" ")
}

/// `--results=/home/me/results` says nothing to others but `--results=results`.
fn without_folders(word: &str) -> String {
    let (option, value) = match word.split_once('=') {
        Some((option, value)) if option.starts_with('-') || is_local(value) => {
            (format!("{option}="), value)
        }
        _ => (String::new(), word),
    };
    if is_local(value) { option + last_part(value) } else { option + value }
}

fn is_local(word: &str) -> bool {
    word.starts_with(['/', '~', '\\'])
        || word.starts_with("./")
        || word.starts_with("../")
        || word.get(1..3).is_some_and(|drive| drive == ":\\" || drive == ":/")
}

/// What follows the last separator.
pub(super) fn last_part(path: &str) -> &str {
    let path = path.trim_end_matches(['/', '\\']);
    path.rsplit(['/', '\\']).next().unwrap_or(path)
}

/// As a shell takes it for one word.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_=./@+:,%".contains(c);
    match !word.is_empty() && word.chars().all(plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', "'\\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &[&str]) -> Vec<String> {
        words.iter().map(|&word| word.to_owned()).collect()
    }

    #[test]
    fn a_command_has_no_folder_of_this_machine() {
        for (typed, shown) in [
            (
                &["/opt/bin/ms", "/home/me/my space.toml", "--budget", "2h"][..],
                "merge-search 'my space.toml' --budget 2h",
            ),
            (
                &["ms", "--results=/home/me/r/", "--resume", "../r/x"],
                "merge-search --results=r --resume x",
            ),
            (
                &["ms", "spaces/a.toml", "--name", "it's"],
                "merge-search spaces/a.toml --name 'it'\\''s'",
            ),
            (&["ms", "base=/a/b@c"], "merge-search base=b@c"),
            (&["ms", "C:\\me\\a.toml", ""], "merge-search a.toml ''"),
        ] {
            assert_eq!(command(&words(typed)), shown);
        }
    }
}
