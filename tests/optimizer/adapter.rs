//! The optimizers under argmin's executor.

use std::cell::Cell;
use std::sync::{Arc, Mutex};

use argmin::core::observers::{Observe, ObserverMode};
use argmin::core::{CostFunction, Error, Executor, KV, PopulationState, State, TerminationReason};
use merge_search::genome::Genotype;
use merge_search::optimizer::{ArgminSolver, Costs, Optimizer, OptimizerKind, Settings, build};
use merge_search::units::Seed;

use super::{KINDS, categories, category, integer, integers, real, reals};

fn optimizer(kind: OptimizerKind) -> Box<dyn Optimizer + Send> {
    let space = [real("x", -1.0, 1.0), integer("z", 0, 9), category("c", 3)];
    build(kind, &space, Seed(5), &Settings::default()).unwrap()
}

fn cost(genotype: &Genotype) -> f64 {
    let [x, z, c] =
        [reals(genotype)[0], integers(genotype)[0] as f64, categories(genotype)[0] as f64];
    (x - 0.3).powi(2) + (z - 2.0).powi(2) + (c - 1.0).abs()
}

/// Evaluates the first `budget` candidates, a whole generation per call, and none after.
struct Budgeted {
    left: Cell<usize>,
}

impl CostFunction for Budgeted {
    type Param = Genotype;
    type Output = Option<Costs>;

    fn cost(&self, genotype: &Genotype) -> Result<Option<Costs>, Error> {
        let left = self.left.get();
        self.left.set(left.saturating_sub(1));
        Ok((left > 0).then(|| cost(genotype).into()))
    }
}

fn run(
    kind: OptimizerKind,
    budget: usize,
    max_iters: u64,
) -> (PopulationState<Genotype, f64>, ArgminSolver) {
    let result = Executor::new(Budgeted { left: Cell::new(budget) }, ArgminSolver(optimizer(kind)))
        .configure(|state| state.max_iters(max_iters).counting(true))
        .run()
        .unwrap();
    (result.state, result.solver)
}

#[test]
fn the_executor_does_what_ask_and_tell_by_hand_do() {
    for kind in KINDS {
        let (state, ArgminSolver(driven)) = run(kind, usize::MAX, 20);
        let mut by_hand = optimizer(kind);
        let (mut best, mut evaluated) = (f64::INFINITY, 0);
        for _ in 0..20 {
            let told: Vec<(Genotype, Costs)> =
                by_hand.ask().into_iter().map(|x| (x.clone(), cost(&x).into())).collect();
            best = told.iter().fold(best, |best, (_, costs)| best.min(costs.first()));
            evaluated += told.len();
            by_hand.tell(&told);
        }
        assert_eq!(driven.generation(), 20);
        assert_eq!(driven.ask(), by_hand.ask());
        assert_eq!(driven.recommend(), by_hand.recommend());
        assert_eq!(state.get_best_cost(), best);
        assert_eq!(state.counts["cost_count"], evaluated as u64);
        assert_eq!(state.get_termination_reason(), Some(&TerminationReason::MaxItersReached));
    }
}

#[test]
fn a_generation_cut_by_the_budget_is_not_told() {
    let population = optimizer(OptimizerKind::CatCma).population_size();
    let (state, ArgminSolver(cut)) = run(OptimizerKind::CatCma, 3 * population + 1, u64::MAX);
    assert!(matches!(state.get_termination_reason(), Some(TerminationReason::SolverExit(_))));
    assert_eq!(cut.generation(), 3);
    let (_, ArgminSolver(whole)) = run(OptimizerKind::CatCma, usize::MAX, 3);
    assert_eq!(cut.ask(), whole.ask());
}

#[test]
fn no_budget_at_all_ends_at_once() {
    let (state, ArgminSolver(solver)) = run(OptimizerKind::CatCma, 0, u64::MAX);
    assert!(matches!(state.get_termination_reason(), Some(TerminationReason::SolverExit(_))));
    assert_eq!(solver.generation(), 0);
    assert_eq!(state.get_best_param(), None);
}

#[derive(Default)]
struct Seen {
    solver: String,
    best_costs: Vec<f64>,
    generations: Vec<u64>,
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Seen>>);

impl Observe<PopulationState<Genotype, f64>> for Log {
    fn observe_init(
        &mut self,
        name: &str,
        _: &PopulationState<Genotype, f64>,
        _: &KV,
    ) -> Result<(), Error> {
        self.0.lock().unwrap().solver = name.to_owned();
        Ok(())
    }

    fn observe_iter(
        &mut self,
        state: &PopulationState<Genotype, f64>,
        kv: &KV,
    ) -> Result<(), Error> {
        let mut seen = self.0.lock().unwrap();
        seen.best_costs.push(state.get_best_cost());
        seen.generations.extend(kv.get("generation").and_then(|value| value.get_uint()));
        Ok(())
    }
}

#[test]
fn observers_see_every_generation() {
    let log = Log::default();
    let problem = Budgeted { left: Cell::new(usize::MAX) };
    Executor::new(problem, ArgminSolver(optimizer(OptimizerKind::CatCma)))
        .configure(|state| state.max_iters(15))
        .add_observer(log.clone(), ObserverMode::Always)
        .run()
        .unwrap();
    let seen = log.0.lock().unwrap();
    assert_eq!(seen.solver, "cat-cma");
    assert_eq!(seen.generations, (1..=15).collect::<Vec<_>>());
    assert!(seen.best_costs.is_sorted_by(|a, b| a >= b));
}
