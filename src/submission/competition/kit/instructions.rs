//! How an exported submission is run and handed in.

use super::HEAD;

/// A section of Markdown with the commands for both generations of the kit.
pub fn instructions(class: &str, method: &str) -> String {
    format!(
        r#"## How to hand it in

`EXPORT` stands for this folder. The models are downloaded at the revisions that the class names; `HF_AUTH_TOKEN` is needed for
gated ones only, and the kit wants it set in any case. `changes.diff` lists all that is added to the pristine kit.

With the kit's head ({HEAD}):

```sh
git clone https://github.com/llm-merging/LLM-Merging && cd LLM-Merging
git checkout {HEAD}
cp EXPORT/LLM-Merging/llm_merging/merging/{class}.py llm_merging/merging/
cp EXPORT/LLM-Merging/setup.py .
patch -p1 < EXPORT/LLM-Merging/registrations.patch
export HF_AUTH_TOKEN=""
PYTHONPATH=$PWD python llm_merging/main.py -m {method} --dataset_filepaths data/test.csv --output_folder submission
mv submission/test.csv submission/submission.csv
rm -r output
cd .. && tar -cvf {method}.tar LLM-Merging
```

`submission.csv` goes to Kaggle and `{method}.tar` into the organisers' form; the folder in the archive must be called
`LLM-Merging`. `output` holds the merged weights, which nobody asks for.

With the kit's generation of entry points (until d82d414), from the folder `LLM-Merging`:

```sh
cp EXPORT/entry-point/llm_merging/merging/{class}.py llm_merging/merging/
cp EXPORT/entry-point/llm_merging/setup.py llm_merging/
python llm_merging/setup.py install
HF_AUTH_TOKEN="" PYTHONPATH=$PWD python llm_merging/main.py -m {method}
```
"#
    )
}
