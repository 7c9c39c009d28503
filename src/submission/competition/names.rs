//! What a submission is called: a class in Python, a method on the kit's command line.

/// Classes that the kit has.
const TAKEN: [&str; 5] = ["Merges", "LlamaAvg", "TinyLlamaAvg", "FlanT5Avg", "MistralAvg"];

/// Methods that it has.
const TAKEN_METHODS: [&str; 4] = ["llama_avg", "tiny_llama_avg", "flant5_avg", "flan_t5_avg"];

/// Ends the class's name.
const SUFFIX: &str = "Merge";

/// The class of a search space: `quick-start` gives `QuickStartMerge`.
pub fn class_name(space: &str) -> String {
    let words = space.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let name: String = words.map(capitalised).collect();
    let letters = name.trim_start_matches(|c: char| c.is_ascii_digit());
    match letters {
        "" => format!("Searched{SUFFIX}"),
        letters if letters.ends_with(SUFFIX) => capitalised(letters),
        letters => capitalised(letters) + SUFFIX,
    }
}

fn capitalised(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(letters).collect()
}

/// What is wrong with the name of a class, if anything is.
pub fn fault_of_class_name(name: &str) -> Option<&'static str> {
    let camel = name.starts_with(|c: char| c.is_ascii_uppercase())
        && name.chars().all(|c| c.is_ascii_alphanumeric());
    let keyword = ["None", "True", "False"].contains(&name);
    let taken = TAKEN.contains(&name) || TAKEN_METHODS.contains(&method_name(name).as_str());
    match (camel && !keyword, taken) {
        (false, _) => Some("expected letters and digits, the first a capital, as in MyMerge"),
        (true, true) => Some("the kit has a class or a method of that name"),
        (true, false) => None,
    }
}

/// The method of a class: `QuickStartMerge` gives `quick_start_merge`.
pub fn method_name(class: &str) -> String {
    let mut method = String::new();
    let mut after_small = false;
    for letter in class.chars() {
        if letter.is_ascii_uppercase() && after_small {
            method.push('_');
        }
        after_small = !letter.is_ascii_uppercase();
        method.push(letter.to_ascii_lowercase());
    }
    method
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spaces_give_classes_and_methods() {
        for (space, class, method) in [
            ("quickstart", "QuickstartMerge", "quickstart_merge"),
            ("quick-start_2", "QuickStart2Merge", "quick_start2_merge"),
            ("my merge", "MyMerge", "my_merge"),
            ("7b llama", "BLlamaMerge", "bllama_merge"),
            ("42", "SearchedMerge", "searched_merge"),
            ("größe", "GrEMerge", "gr_emerge"),
            ("", "SearchedMerge", "searched_merge"),
        ] {
            assert_eq!(class_name(space), class);
            assert_eq!(method_name(class), method);
            assert_eq!(fault_of_class_name(class), None);
        }
    }

    #[test]
    fn what_python_or_the_kit_would_not_take_is_refused() {
        for name in ["", "merge", "My-Merge", "My Merge", "2Merge", "None", "Größe", "A.B"] {
            assert!(fault_of_class_name(name).is_some(), "{name}");
        }
        assert!(fault_of_class_name("LlamaAvg").is_some_and(|fault| fault.contains("kit")));
        // No class of the kit's, but its method would be.
        assert!(fault_of_class_name("Flant5Avg").is_some_and(|fault| fault.contains("kit")));
        assert_eq!(fault_of_class_name("Flant5avgs"), None);
    }
}
