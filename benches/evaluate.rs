//! Scoring against the machine and against lm-eval: `cargo bench --bench evaluate -- --json`.
//!
//! ```text
//! --model DIR --task DIR   (repeatable pairs; default: the quickstart's base model on its first task)
//! --rounds N               (default 5)   --docs N (first N documents)
//! --peer                   also lm-eval, by tests/reference/lm_eval/speed.py with the Python in MERGE_SEARCH_PYTHON
//! ```
//!
//! `rates`: GFLOP/s of a 512³ product on one thread: ours in both precisions, the gemm crate's, and torch's where there is one.
//! `scoring`: one thread, documents already tokenized. `flops` are those of the matrices for the real tokens; `share` is
//! their rate divided by the best rate of that precision; `matrix` is the time of the same products alone divided by the
//! time of scoring, so that 1 - `matrix` is everything else: attention, norms, softmax, memory.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use candle_core::{DType, Device, Tensor};
use merge_search::checkpoint::Checkpoint;
use merge_search::evaluate::{Documents, Pool, Room, ScoringSet, TaskTokenizer, load_network};
use merge_search::model::spec::{HeadSpec, LinearSpec, MlpSpec};
use merge_search::model::{Matrix, Network, NetworkSpec, Precision, product};
use merge_search::task::Task;
use merge_search::units::{Bytes, Split};
use serde_json::{Value, json};

const PRECISIONS: [(&str, Precision); 2] = [("f32", Precision::F32), ("bf16", Precision::Bf16)];
/// Rows of one product, about those of a pack.
const ROWS: usize = 512;

struct Options {
    json: bool,
    rounds: usize,
    docs: Option<usize>,
    peer: bool,
    pairs: Vec<(PathBuf, PathBuf)>,
}

fn main() {
    let options = options();
    let rates = rates(options.rounds);
    let mut scoring = Vec::new();
    for (model, task) in &options.pairs {
        for (name, precision) in PRECISIONS {
            scoring.push(score(model, task, (name, precision), &rates, &options));
        }
    }
    let peers = if options.peer {
        options.pairs.iter().map(|p| peer(p, &options)).collect()
    } else {
        vec![]
    };
    let report = json!({ "machine": machine(), "rates": rates, "scoring": scoring, "peer": peers });
    match options.json {
        true => println!("{report:#}"),
        false => show(&report),
    }
}

fn options() -> Options {
    let words: Vec<String> = std::env::args().collect();
    let all = |key: &str| -> Vec<&String> {
        let at = words.iter().enumerate().filter(|(_, word)| *word == key);
        at.filter_map(|(i, _)| words.get(i + 1)).collect()
    };
    let number = |key: &str| all(key).first().map(|value| value.parse().expect("a number"));
    let (models, tasks) = (all("--model"), all("--task"));
    assert_eq!(models.len(), tasks.len(), "as many --model as --task");
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut pairs: Vec<(PathBuf, PathBuf)> =
        models.iter().zip(&tasks).map(|(m, t)| (PathBuf::from(m), PathBuf::from(t))).collect();
    if pairs.is_empty() {
        pairs.push((root.join("search-spaces/quickstart/base"), root.join("datasets/arithmetic")));
    }
    Options {
        json: words.iter().any(|word| word == "--json"),
        rounds: number("--rounds").unwrap_or(5),
        docs: number("--docs"),
        peer: words.iter().any(|word| word == "--peer"),
        pairs,
    }
}

fn machine() -> Value {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = info.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or_default();
    let flags: Vec<&str> = ["avx512f", "avx512_bf16", "amx_bf16"]
        .into_iter()
        .filter(|flag| info.contains(flag))
        .collect();
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    json!({
        "cpu": name.trim_start_matches([' ', '\t', ':']),
        "threads": std::thread::available_parallelism().map_or(1, usize::from),
        "flags": flags,
        "load_before": load.split(' ').next(),
    })
}

/// The least of several times, in seconds.
fn best(rounds: usize, mut run: impl FnMut()) -> f64 {
    run();
    let time = |_| {
        let start = Instant::now();
        run();
        start.elapsed().as_secs_f64()
    };
    (0..rounds).map(time).fold(f64::INFINITY, f64::min)
}

fn random(rows: usize, columns: usize) -> Tensor {
    Tensor::rand(-1f32, 1f32, (rows, columns), &Device::Cpu).unwrap()
}

fn packed(outputs: usize, inputs: usize, precision: Precision) -> Matrix {
    let matrix = Matrix::zeros(outputs, inputs, precision).unwrap();
    let values = random(outputs, inputs).flatten_all().unwrap().to_vec1::<f32>().unwrap();
    matrix.write_from(&values, |output| output * inputs, 1).unwrap();
    matrix
}

fn rates(rounds: usize) -> Value {
    const N: usize = 512;
    const TIMES: usize = 8;
    let flops = (2 * N * N * N * TIMES) as f64;
    let x = random(N, N);
    let out = Tensor::zeros((N, N), DType::F32, &Device::Cpu).unwrap();
    let mut rates = serde_json::Map::new();
    for (name, precision) in PRECISIONS {
        let matrix = [packed(N, N, precision)];
        let run = || (0..TIMES).for_each(|_| product(&out, &x, &matrix, None, false).unwrap());
        rates.insert(format!("ours_{name}"), json!(flops / best(rounds, run) / 1e9));
    }
    let (a, b, mut c) = (vec![0.5f32; N * N], vec![0.25f32; N * N], vec![0f32; N * N]);
    let run = || (0..TIMES).for_each(|_| gemm_product(N, &a, &b, &mut c));
    rates.insert("gemm_f32".into(), json!(flops / best(rounds, run) / 1e9));
    match torch_rates() {
        Some(Value::Object(torch)) => rates.extend(torch),
        _ => {
            eprintln!("skipped: torch's rates (set MERGE_SEARCH_PYTHON to a Python that has torch)")
        }
    }
    Value::Object(rates)
}

fn gemm_product(n: usize, a: &[f32], b: &[f32], c: &mut [f32]) {
    let (rows, one) = (n as isize, 1);
    // SAFETY: all three are n by n.
    unsafe {
        gemm::gemm(
            n,
            n,
            n,
            c.as_mut_ptr(),
            one,
            rows,
            false,
            a.as_ptr(),
            one,
            rows,
            b.as_ptr(),
            rows,
            one,
            0.0,
            1.0,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}

fn python() -> Option<String> {
    std::env::var("MERGE_SEARCH_PYTHON").ok()
}

fn torch_rates() -> Option<Value> {
    const SCRIPT: &str = "
import json, time, torch
torch.set_num_threads(1)
def rate(dtype, n=512, times=8):
    a, b = torch.rand(n, n).to(dtype), torch.rand(n, n).to(dtype)
    best = 1e9
    for _ in range(8):
        start = time.perf_counter()
        for _ in range(times): a @ b
        best = min(best, time.perf_counter() - start)
    return 2 * n ** 3 * times / best / 1e9
print(json.dumps({'torch_f32': rate(torch.float32), 'torch_bf16': rate(torch.bfloat16)}))
";
    let output = Command::new(python()?).args(["-c", SCRIPT]).output().ok()?;
    serde_json::from_slice(&output.stdout).ok()
}

/// The greatest rate of a precision, whoever reached it.
fn best_rate(rates: &Value, precision: &str) -> f64 {
    let of = |(name, rate): (&String, &Value)| {
        name.ends_with(precision).then(|| rate.as_f64()).flatten()
    };
    rates.as_object().into_iter().flatten().filter_map(of).fold(0.0, f64::max)
}

fn score(
    model: &Path,
    task: &Path,
    (name, precision): (&str, Precision),
    rates: &Value,
    options: &Options,
) -> Value {
    let checkpoint = Checkpoint::open(model).unwrap();
    let network = load_network(&checkpoint, precision).unwrap();
    let tokenizer = TaskTokenizer::open(model).unwrap();
    let tasks = [Task::load(task).unwrap()];
    let room = Room { memory: Bytes(4 << 30), threads: 1 };
    let documents =
        Documents { tasks: &tasks, split: Some(Split::Search), limit: options.docs, docs: None };
    let set = ScoringSet::new(&documents, &tokenizer, &network, room).unwrap();
    let pool = Pool::new(1).unwrap();
    let products = Products::new(&network, &set, precision);
    // In turns, so that a machine that gets busier slows both.
    let (mut whole, mut alone) = (f64::INFINITY, f64::INFINITY);
    for _ in 0..options.rounds {
        whole = whole.min(best(1, || drop(set.log_likelihoods(&network, &pool).unwrap())));
        alone = alone.min(best(1, || products.run()));
    }
    json!({
        "model": model.file_name().map(|name| name.to_string_lossy()),
        "task": tasks[0].name,
        "precision": name,
        "docs": set.docs(),
        "tokens": set.tokens(),
        "docs_per_second": set.docs() as f64 / whole,
        "gflops": products.flops() / whole / 1e9,
        "share": products.flops() / whole / 1e9 / best_rate(rates, name),
        "matrix": alone / whole,
    })
}

/// The products of one pass over a set: matrices side by side, and the rows that go through them.
struct Products(Vec<(Vec<Matrix>, usize)>);

impl Products {
    fn new(network: &Network, set: &ScoringSet, precision: Precision) -> Self {
        let spec: &NetworkSpec = network.spec();
        let (tokens, rows) = (set.tokens(), set.predicted_rows());
        let decoder = spec.decoder.as_ref().expect("a decoder");
        let mut products = Vec::new();
        let mut add = |linears: &[&LinearSpec], rows: usize| {
            let matrix = |linear: &&LinearSpec| {
                packed(linear.weight.outputs, linear.weight.inputs, precision)
            };
            products.push((linears.iter().map(matrix).collect(), rows));
        };
        for (number, layer) in decoder.layers.iter().enumerate() {
            // The last layer computes queries and MLP only where something is predicted.
            let own = if number + 1 == decoder.layers.len() { rows } else { tokens };
            let attention = &layer.attention;
            add(&[&attention.key, &attention.value], tokens);
            add(&[&attention.query], own);
            add(&[&attention.output], own);
            match &layer.mlp {
                MlpSpec::Gated(gated) => {
                    add(&[&gated.gate, &gated.up], own);
                    add(&[&gated.down], own);
                }
                MlpSpec::Plain { up, down, .. } => {
                    add(&[up], own);
                    add(&[down], own);
                }
                MlpSpec::Experts { .. } => panic!("mixtures of experts are not counted"),
            }
        }
        if let HeadSpec::LanguageModel { output, .. } = &spec.head {
            add(&[output], rows);
        }
        Products(products)
    }

    fn flops(&self) -> f64 {
        let of = |(parts, rows): &(Vec<Matrix>, usize)| {
            let weights: usize = parts.iter().map(|part| part.outputs() * part.inputs()).sum();
            2.0 * weights as f64 * *rows as f64
        };
        self.0.iter().map(of).sum()
    }

    /// All of them, [`ROWS`] rows at a time.
    fn run(&self) {
        let widest = |width: fn(&Matrix) -> usize| {
            self.0
                .iter()
                .map(|(parts, _)| parts.iter().map(width).sum::<usize>())
                .max()
                .unwrap_or(0)
        };
        let x = random(ROWS, widest(Matrix::inputs));
        let out = Tensor::zeros(ROWS * widest(Matrix::outputs), DType::F32, &Device::Cpu).unwrap();
        let most = self.0.iter().map(|(_, rows)| *rows).max().unwrap_or(0);
        for first in (0..most).step_by(ROWS) {
            for (parts, rows) in self.0.iter().filter(|(_, rows)| *rows > first) {
                let count = ROWS.min(rows - first);
                let width = parts.iter().map(Matrix::outputs).sum::<usize>();
                let x = x.narrow(0, 0, count).unwrap().narrow(1, 0, parts[0].inputs()).unwrap();
                let out = out.narrow(0, 0, count * width).unwrap().reshape((count, width)).unwrap();
                product(&out, &x, parts, None, false).unwrap();
            }
        }
    }
}

/// lm-eval on the same documents; its script says what is compared.
fn peer((model, task): &(PathBuf, PathBuf), options: &Options) -> Value {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let script = root.join("tests/reference/lm_eval/speed.py");
    let Some(python) = python() else {
        eprintln!("skipped: lm-eval (set MERGE_SEARCH_PYTHON to a Python that has it)");
        return json!({ "skipped": "MERGE_SEARCH_PYTHON is not set" });
    };
    let mut command = Command::new(python);
    command.arg(script).arg(env!("CARGO_BIN_EXE_merge-search")).arg(model).arg(task).arg("--json");
    command.args(["--repeats", &options.rounds.to_string()]);
    if let Some(docs) = options.docs {
        command.args(["--docs", &docs.to_string()]);
    }
    let output = command.output().expect("python");
    let text = String::from_utf8_lossy(&output.stdout);
    serde_json::from_str(&text).unwrap_or_else(|_| json!({ "skipped": text.trim() }))
}

fn show(report: &Value) {
    println!("{}", report["machine"]);
    for (name, rate) in report["rates"].as_object().into_iter().flatten() {
        println!("{name:>12}  {:7.1} GFLOP/s", rate.as_f64().unwrap_or_default());
    }
    for row in report["scoring"].as_array().into_iter().flatten() {
        println!(
            "{} {} {}: {:.1} docs/s, {:.1} GFLOP/s, {:.0} % of the best rate, {:.0} % of the time in matrices",
            row["model"],
            row["task"],
            row["precision"],
            row["docs_per_second"].as_f64().unwrap_or_default(),
            row["gflops"].as_f64().unwrap_or_default(),
            row["share"].as_f64().unwrap_or_default() * 100.0,
            row["matrix"].as_f64().unwrap_or_default() * 100.0,
        );
    }
    for row in report["peer"].as_array().into_iter().flatten() {
        println!("{row}");
    }
}
