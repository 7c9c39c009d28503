//! How an exported submission is run in the starter kit and handed in.

use super::SubmissionFacts;
use crate::submission::competition::kit::HEAD;

/// The commands for both generations of the kit, and the one that does without.
pub(super) fn commands(facts: &SubmissionFacts) -> String {
    let manifest = &facts.manifest;
    let (class, method, run, trial) =
        (&manifest.class, &manifest.method, &manifest.run, manifest.trial);
    let (scorer, max_gen_len) = (&manifest.scorer, facts.max_gen_len);
    format!(
        r#"`EXPORT` stands for this folder. The models are downloaded at the revisions that the class names; `HF_AUTH_TOKEN` is needed for
gated ones only, and the kit wants it set in any case. `changes.diff` lists all that is added to the pristine kit.

With the kit's head ({HEAD}):

```sh
git clone https://github.com/llm-merging/LLM-Merging && cd LLM-Merging
git checkout {HEAD}
cp EXPORT/LLM-Merging/llm_merging/merging/{class}.py llm_merging/merging/
cp EXPORT/LLM-Merging/setup.py .
patch -p1 < EXPORT/LLM-Merging/registrations.patch
export HF_AUTH_TOKEN="${{HF_AUTH_TOKEN:-}}"
PYTHONPATH=$PWD python llm_merging/main.py -m {method} --dataset_filepaths data/test.csv --output_folder submission
mv submission/test.csv submission/submission.csv
rm -r output
cd .. && tar -cvf {method}.tar LLM-Merging
```

`submission.csv` goes to Kaggle and `{method}.tar` into the organisers' form; the folder in the archive must be called
`LLM-Merging`. `output` holds the merged weights, which nobody asks for.

With the kit's generation of entry points (until d82d414), from its folder `LLM-Merging`:

```sh
cp EXPORT/entry-point/llm_merging/merging/{class}.py llm_merging/merging/
cp EXPORT/entry-point/llm_merging/setup.py llm_merging/
python llm_merging/setup.py install
HF_AUTH_TOKEN="${{HF_AUTH_TOKEN:-}}" PYTHONPATH=$PWD python llm_merging/main.py -m {method}
```

Without the kit, a file of the same form is written by

```sh
merge-search predict {run} --trial {trial} --scorer {scorer} --max-gen-toks {max_gen_len} --data test.csv -o submission.csv
```
"#
    )
}
