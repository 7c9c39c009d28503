"""exact_match, quasi_exact_match, f1, filters and regular expressions, by lm-eval, nltk and Python.

    python -m pip install -r requirements.txt
    python text_metrics.py > text_metrics.json      (Python 3.11)

exact_match is lm-eval's function (a copy of the one in the package evaluate), the filters are lm-eval's own classes, `findall` and `removed` are Python's `re`. quasi_exact_match and f1 follow HELM's definition: lower
case, no ASCII punctuation, no articles, single blanks; equality (never of an empty prediction), and nltk's f_measure of the
sets of words (0 where it is None).
"""

import importlib.metadata
import itertools
import json
import os
import random
import re
import string
import sys

os.environ.update(HF_HUB_OFFLINE="1", HF_DATASETS_OFFLINE="1")

from lm_eval.api.instance import Instance
from lm_eval.api.metrics import exact_match_hf_evaluate
from lm_eval.filters import build_filter_ensemble
from nltk.metrics.scores import f_measure

# lm-eval's own options: of BBH, GSM8K and others
OPTIONS = [
    {},
    {"ignore_case": True},
    {"ignore_punctuation": True},
    {"ignore_numbers": True},
    {"ignore_case": True, "ignore_punctuation": True, "ignore_numbers": True},
    {"ignore_case": True, "ignore_punctuation": False, "regexes_to_ignore": [",", "\\$", "(?s).*#### ", "\\.$"]},
    {"regexes_to_ignore": ["\\b(?:The |the |An |A |The |a |an )"]},
    {"regexes_to_ignore": ["^\\s+", "\\s+$"], "ignore_case": True},
    {"regexes_to_ignore": ["[aeiou]", "T"], "ignore_case": True},
    {"regexes_to_ignore": [" "], "ignore_punctuation": True},
]
ANSWERS = [
    "", " ", "a", "A", "a.", "the cat", "The Cat", "A cat", "an apple.", "Apple", "$1,234.", "1234", "We sell 3. #### 1,234",
    "#### 1234\n", "x\n", " x", "x", "X-ray", "xray", "don't", "dont", "42", "42.0", "route 66", "route", "route ", "naïve É", "NAÏVE é",
    "ΑΣ", "ας", "straße", "STRASSE", "١٢٣", "«x»", "x.\n", "x..", "the the", "there", "A, b; c!", "a b c", "\x1cx\x1f", "(B)", "B",
    "the—a", "—", "The U.S.A.", "usa", "red fox ran", "the red red fox", "fox red", "東京 the 大阪", "大阪 東京", "a b", "b\ta\u3000c",
    "hat theatre", "cat—the—dog", "cat— —dog", "cat——dog", "under_score", "underscore", "an", "Ⅻ a", "²a", "a² b",
]

PATTERNS = [
    # of lm-eval's task files
    r"#### (\-?[0-9\.\,]+)", r"(-?[$0-9.,]{2,})|(-?[0-9]+)", r"(-?[0-9]+([ .,][0-9.,]+)?)",
    r"((?<=The answer is )(.*)(?=.)|(?<=the answer is )(.*)(?=.)|(?<=The answer: )(.*)(?=.)|(?<=The final answer: )(.*)(?=.))",
    r"(?<= )([\" \[\(<{}>\)\]]+)|([\" \[\(<{}>\)\]]+)", r"(?=(female|woman|man|male))", r"(?s).*#### ", r"(\b[ABCD]\b)",
    r"Erantzuna [$%]? ?(-?[0-9]+([ .,][0-9.,]+)?) ?[$%]? da", r"The answer is (\-?[0-9\.\,]*[0-9]+)", r"(\([A-Z]\))",
    r"\b(?:The |the |An |A |The |a |an )", r"\b(Yes|No|yes|no)\b", r"\s+$", r"^\s*([A-D])", r"^\s+", r"\.$", r"คำตอบคือ (\-?[0-9\.\,]+)",
    r"答案是 (\-?[0-9\.\,]+)。", r"Ответ — (\-?[0-9\.\,]+)",
    # where engines differ
    r"$", r"(?m)$", r"(?m)^.*$", r"^", r"x$", r"x\Z", r"\Ax", r"a*", r"a*?", r"|a", r"a|", r"(a)|b", r"(a)?b", r"()", r"\b", r"\B",
    r"\b\w", r"\w+", r"\W+", r"\s", r"\S+", r"\d+", r"\D", r"[\w]+", r"[^\w\s]", r"[\s\S]", r"[\W\d]", r"[^\S\n]+", r"[[a]", r"[]a]+",
    r"[^]a]+", r"[a&&b]+", r"[a-]+", r"[-a]", r"[a~~b]", r"[\]\[]", r"[\b]", r"[.$^*+?{}()|]", r"a{2}", r"a{,2}", r"a{1,}b",
    r"a{", r"a{b}", r"{}", r"a{1,2", r"\{(.*?)\}", r"\\boxed{(.*)}", r"\boxed", r"\<x\>", r"\-\ \#\'\"\/\@", r"\x41\u0042\U00000043", r"\101\060",
    r"(a)(b)?\1", r"(?P<q>['\"]).*?(?P=q)", r"(?i)answer", r"(?i:an)SWER", r"(?s:.)", r"(?s).+", r".+", r"(?x) a  b # no\n c", r"(?m)^(?-m:.$)",
    r"(?m:$)x?|$", r"(?#note)a", r"(?>a+)b", r"a++b", r"a(?!b)", r"(?<!a)b", r"(?:(a)|(b)|(c))", r"(a)(b)|(c)(d)", r"(?=(a))", r"(x?)(y?)",
    r"(<)?x(?(1)>)", r"[à-ü]+", r"é", r"(?i)É", r"[\u4e00-\u9fff]+", r"\.", r"\n\n", r"[\n\r]", r"\t", r"(?u)\w", r"(?ms)^a.b$", r"a#b", r"~&-",
    r"\0", r"[\0-\x1f]", r"(.)(.)(.)(.)(.)(.)(.)(.)(.)(.)\10", r"<[^>]+>", r"(?i)k", r"[A-Fa-f0-9]{2}", r"(a|b)*", r"(a|b)+?c", r"-?\d+(?:\.\d+)?$",
]
REFUSED = [r"[a--]", r"\p{L}", r"\h", r"\K", r"\z", r"\G", r"\R", r"[\B]", r"[\A]", r"(?<n>a)", r"a(?i)", r"(", r")", r"[", r"[^]", r"*", r"(?P<n", r"[b-a]",
           r"[\d-z]", "a\\", r"\x4", r"\u12", r"\1", r"\400", r"(?Z)a", r"(?i-)a", r"(?P>n)", r"(?#", r"[\8]", r"\e", r"\N", r"\Q", r"(?&n)", r"(?R)"]
TEXTS = [
    "", "a", "aab", "baab", "x", "x\n", "x\n\n", "a\nb", "a\nb\n", "abcabc", "The answer is 42.", "the answer is $1,234.50, I think.",
    "So 3+4=7.\n#### 7", "#### -1,000\n#### 12", "(A) or (B)? I say (B).", "A man and a woman", "Yes, no, maybe. No!", "  A. first\n B. second \n",
    "\x1ca\x1db\x1f \u3000c\u00a0", "naïve café É é", "ไทยคำตอบคือ 12 ครับ", "हिन्दी में ३ उत्तर", "答案是 42。對", "Ответ — 7", "e\u0301a\u0308", "a{b} {} a{1,2",
    "\\boxed{42} and {x}", "[a] ] - ~ & a&&b a~~b", "\"it's\" 'quoted \"x\" here'", "<x> x> <x", "ab\bcd\x00\x07", "ANSWER: aNsWeR answer", "KkK",
    "a_b-c d.e", "²½Ⅻ①", "ABC 101 0", "aaaaab", "Erantzuna $ 3.5 % da", "a # no", "abc", "x\r\ny\r\n", "~&- a#b", "- #'\"/@", "a" * 40,
    "\u2028a\u2028", "abcdefghijj", "-1.5\n", "cd ab",
]
FILTERS = [
    [{"function": "regex"}, {"function": "take_first"}],
    [{"function": "regex", "regex_pattern": r"(-?[$0-9.,]{2,})|(-?[0-9]+)", "group_select": -1}, {"function": "take_first"}],
    [{"function": "regex", "regex_pattern": r"#### (\-?[0-9\.\,]+)", "fallback": "none"}, {"function": "take_first"}],
    [{"function": "regex", "regex_pattern": r"(a)?(\s)?b?", "group_select": 0, "fallback": " no "}, {"function": "take_first_k", "k": 1}],
    [{"function": "regex", "regex_pattern": r"(\([A-Z]\))"}, {"function": "majority_vote"}, {"function": "take_first"}],
    [{"function": "remove_whitespace"}, {"function": "take_first"}],
    [{"function": "lowercase"}, {"function": "regex", "regex_pattern": "answer is (.*)"}, {"function": "take_first"}],
    [{"function": "uppercase"}, {"function": "remove_whitespace"}, {"function": "take_first"}],
    [{"function": "regex", "regex_pattern": r"\b([AB])\b"}, {"function": "map", "mapping_dict": {"A": 0, "B": "one"}, "default_value": -1},
     {"function": "take_first"}],
    [{"function": "take_first"}],
]


def exact_match(options, prediction, reference):
    return float(exact_match_hf_evaluate([prediction], [reference], **options)["exact_match"])


def normal(text):
    text = "".join(mark for mark in text.lower() if mark not in string.punctuation)
    return " ".join(re.sub(r"\b(?:the|an|a)\b", " ", text).split())


def short_answer(prediction, reference):
    f1 = f_measure(set(normal(reference).split()), set(normal(prediction).split()))
    same = bool(prediction) and normal(prediction) == normal(reference)
    return {"prediction": prediction, "reference": reference, "quasi_exact_match": float(same), "f1": float(f1 or 0.0)}


def filtered(functions, text):
    components = [[step["function"], {key: step[key] for key in step if key != "function"}] for step in functions]
    instance = Instance(request_type="generate_until", doc={}, arguments=("", {}), idx=0)
    instance.resps = [text]
    build_filter_ensemble("x", components).apply([instance])
    result = instance.filtered_resps["x"]
    return str(result[0] if isinstance(result, list) else result)


def regex(pattern, text):
    found = [list(groups) if isinstance(groups, tuple) else [groups] for groups in re.findall(pattern, text)]
    return {"pattern": pattern, "text": text, "findall": found, "removed": re.sub(pattern, "", text)}


def is_refused(pattern):
    try:
        re.compile(pattern)
    except re.error:
        return True
    return False


def main():
    assert sys.version_info[:2] == (3, 11)
    for line in open(os.path.join(os.path.dirname(__file__), "requirements.txt"), encoding="utf-8"):
        name, version = line.strip().split("==")
        assert importlib.metadata.version(name) == version, line
    draw = random.Random(7)
    pairs = draw.sample(list(itertools.product(ANSWERS, ANSWERS)), 200) + [(answer, answer) for answer in ANSWERS]
    pairs += list(itertools.product(ANSWERS[:14], ANSWERS[:14]))
    pairs += list(itertools.product(*[[answer for answer in ANSWERS if "—" in answer]] * 2))
    assert all(map(is_refused, REFUSED)), [pattern for pattern in REFUSED if not is_refused(pattern)]
    sections = {
        "exact_match": [{"options": options, "prediction": a, "reference": b, "score": exact_match(options, a, b)}
                        for options in OPTIONS for a, b in draw.sample(pairs, 60)],
        "short_answers": [short_answer(a, b) for a, b in pairs],
        "filters": [{"filter": functions, "text": text, "result": filtered(functions, text)} for functions in FILTERS for text in TEXTS],
        "regex": [regex(pattern, text) for pattern in PATTERNS for text in draw.sample(TEXTS, 9)],
        "refused": REFUSED,
    }
    body = ",\n".join(f"{json.dumps(name)}: [\n" + ",\n".join(json.dumps(case, ensure_ascii=False) for case in cases) + "\n]"
                      for name, cases in sections.items())
    sys.stdout.write("{\n" + body + "\n}\n")


if __name__ == "__main__":
    main()
