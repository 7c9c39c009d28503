//! One import and one entry of a dictionary: how the kit's head comes to know a class.

use super::{IMPORTS, MAIN};

/// The function that gives the dictionary.
const FUNCTION: &str = "def all_merge_handlers";

/// Where entries of the dictionary begin at the kit's head.
const DICTIONARY: &str = "loaded_merges = {";

/// Why a class cannot be entered into a kit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RegistrationError {
    /// The program has no such function, or no dictionary in it.
    #[error("{MAIN} has no dictionary in all_merge_handlers(), where `{entry}` would belong")]
    NoDictionary {
        /// The line to enter.
        entry: String,
    },
}

/// A unified diff for `patch -p1` that enters the class into the pristine head of the kit: the fewest lines around the new
/// ones that tell their place.
pub fn registrations(class: &str, method: &str) -> String {
    let (import, entry) = (import(class), entry(class, method));
    format!(
        "--- a/{MAIN}\n+++ b/{MAIN}\n@@ -12,2 +12,3 @@\n     {DICTIONARY}\n+        {entry}\n         \"llama_avg\": LlamaAvg,\n\
         --- a/{IMPORTS}\n+++ b/{IMPORTS}\n@@ -1,1 +1,2 @@\n+{import}\n from llm_merging.merging.LlamaAvg import LlamaAvg\n"
    )
}

/// The text of the file of imports with the class's; unchanged where it is there.
pub fn register_import(imports: &str, class: &str) -> String {
    let import = import(class);
    match imports.lines().any(|line| line.trim() == import) {
        true => imports.to_owned(),
        false => format!("{import}\n{imports}"),
    }
}

/// The text of the program with the class's entry; unchanged where it is there.
///
/// # Errors
/// There is no dictionary.
pub fn register_class(main: &str, class: &str, method: &str) -> Result<String, RegistrationError> {
    let entry = entry(class, method);
    if main.lines().any(|line| line.trim() == entry) {
        return Ok(main.to_owned());
    }
    match main.split_at_checked(opening(main).unwrap_or(usize::MAX)) {
        None => Err(RegistrationError::NoDictionary { entry }),
        Some((head, tail)) => Ok(format!("{head}\n        {entry}{tail}")),
    }
}

/// Behind the first line of the function that ends with a brace.
fn opening(main: &str) -> Option<usize> {
    let function = main.find(FUNCTION)?;
    let brace = main.get(function..)?.find("{\n")?;
    Some(function + brace + 1)
}

fn import(class: &str) -> String {
    format!("from llm_merging.merging.{class} import {class}")
}

fn entry(class: &str, method: &str) -> String {
    format!("\"{method}\": {class},")
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: &str =
        "def all_merge_handlers():\n    loaded_merges = {\n        \"a\": A,\n    }\n";

    #[test]
    fn a_class_is_entered_once() {
        let once = register_class(OWN, "MyMerge", "my_merge").unwrap();
        let expected = "def all_merge_handlers():\n    loaded_merges = {\n        \"my_merge\": MyMerge,\n        \"a\": A,\n    }\n";
        assert_eq!(once, expected);
        assert_eq!(register_class(&once, "MyMerge", "my_merge").unwrap(), once);
        let imports = register_import("from a import A\n", "MyMerge");
        assert_eq!(imports, "from llm_merging.merging.MyMerge import MyMerge\nfrom a import A\n");
        assert_eq!(register_import(&imports, "MyMerge"), imports);
    }

    #[test]
    fn a_program_without_the_dictionary_is_named() {
        let error = register_class("def main(): pass\n", "MyMerge", "my_merge").unwrap_err();
        assert!(error.to_string().contains("\"my_merge\": MyMerge,"), "{error}");
    }
}
