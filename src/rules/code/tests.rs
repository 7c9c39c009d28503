use super::*;

fn rules() -> CodeRules {
    CodeRules { source: "x".into(), imports: vec!["torch".into(), "transformers".into()] }
}

fn findings(text: &str, requirements: &str) -> [Finding; 3] {
    check(&rules(), "C.py", text, requirements).try_into().unwrap()
}

const CLEAN: &str = r#"
"""A class; see https://example.org/requests and cuda:7, which is prose."""  # cuda:1
import json, os.path as path
import torch
from transformers import AutoConfig
from . import merges

PATTERN = "[a-z]+/\d"
TEMPLATE = '{{ "a/b" }}'


class C:
    def merge(self, model):
        model.to(self.device).eval()
        return re.compile("x"), torch.no_grad(), snapshot_download("owner/name", revision="ab")
"#;

#[test]
fn clean_code_passes_all_but_what_prose_says() {
    let text = CLEAN.replace(" and cuda:7", "");
    let [code, imports, reproducible] = findings(&text, "");
    assert_eq!(code.verdict, Verdict::Pass, "{code:?}");
    assert_eq!(imports.verdict, Verdict::Pass, "{imports:?}");
    assert_eq!(imports.evidence, "json, os, torch, transformers");
    assert_eq!(reproducible.verdict, Verdict::Pass, "{reproducible:?}");
}

/// Each of these lines breaks a rule of the kit's README, or runs what nobody has read.
#[test]
fn each_fault_is_found_with_its_line() {
    for (line, word) in [
        (r#"x = model.to("cuda:1")"#, "device id (cuda:1)"),
        ("model.cuda(0)", "device id"),
        ("load(x, device=1)", "device id"),
        (r#"torch.device("cuda", 0)"#, "device id"),
        ("model.to(0)", "device id"),
        (r#"load(x, device_map={"": 0})"#, "device id"),
        (r#"os.environ["CUDA_VISIBLE_DEVICES"] = "0""#, "device id"),
        (r#"open("/home/me/weights.pt")"#, "absolute path (/home/me/weights.pt)"),
        (r#"open("/data/x")"#, "absolute path"),
        (r#"open("C:\\models")"#, "absolute path"),
        (r#"RECIPE = """{"folder": "/workspace/run"}""""#, "absolute path"),
        ("eval(text)", "runs text as code"),
        ("x = __import__(name)", "runs text as code"),
        ("import subprocess", "another process"),
        ("os.system(command)", "another process"),
        ("import requests", "network"),
        ("urllib.request.urlopen(url)", "network"),
        ("from http import client", "network"),
        ("model.push_to_hub(name)", "network"),
        ("load(x, trust_remote_code=True)", "repository's code"),
        ("torch.load(file)", "pickle"),
    ] {
        let [code, ..] = findings(&format!("import torch\n\n{line}\n"), "");
        assert_eq!(code.verdict, Verdict::Fail, "{line}");
        assert!(
            code.evidence.contains("line 3") && code.evidence.contains(word),
            "{line}: {code:?}"
        );
    }
}

#[test]
fn comments_do_not_count_and_texts_over_lines_keep_their_place() {
    let text = "# cuda:0 eval(x)\nx = '''a\nb''' # '\nmodel.to('cuda:0')\n";
    let [code, ..] = findings(text, "");
    assert_eq!(code.evidence, "line 4: device id (cuda:0)");
}

#[test]
fn other_packages_have_to_be_in_setup_py() {
    let text = "import torch\nimport flash_attn\n";
    let [_, imports, _] = findings(text, "install_requires=[\"torch\"]");
    assert_eq!(imports.verdict, Verdict::Fail);
    assert!(imports.evidence.contains("flash_attn"), "{}", imports.evidence);
    let [_, imports, _] = findings(text, "install_requires=[\"torch\", \"flash-attn==2.5\"]");
    assert_eq!(imports.verdict, Verdict::Warn);
}

#[test]
fn random_numbers_are_a_warning() {
    for line in ["torch.randn(3)", "random.random()", "np.random.seed(0)", "g(do_sample=True)"] {
        let [.., reproducible] = findings(line, "");
        assert_eq!(reproducible.verdict, Verdict::Warn, "{line}");
        assert!(reproducible.evidence.contains("line 1"), "{reproducible:?}");
    }
}
