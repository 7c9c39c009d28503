//! Lets `argmin::core::Executor` drive any [`Optimizer`], so that argmin's observers, limits and
//! timers apply.

use argmin::core::{
    CostFunction, Error, KV, PopulationState, Problem, Solver, State, TerminationReason,
};

use super::{Costs, Optimizer};
use crate::genome::Genotype;

/// An [`Optimizer`] as an argmin solver; one `next_iter` is one generation, evaluated by one
/// `bulk_cost`.
///
/// The problem returns `None` for a candidate it did not evaluate because the budget ended. Such a
/// generation is not told and the run stops with [`TerminationReason::SolverExit`]: part of a
/// generation would rank the others last unseen.
///
/// The state is a [`PopulationState`], the only one of argmin's that holds a whole population and
/// asks nothing of the parameter but `Clone`. Its `individual` and `cost` are the best of the
/// current generation, its `best_individual` and `best_cost` the best ever observed; under noise
/// that is a lucky draw, so report [`Optimizer::recommend`] or measure again instead. Infeasible is
/// infinite there, never NaN.
///
/// ```
/// use argmin::core::{CostFunction, Error, Executor, State};
/// use merge_search::genome::{Dimension, Domain, Gene, Genotype};
/// use merge_search::optimizer::{ArgminSolver, Costs, OptimizerKind, Settings, build};
/// use merge_search::units::Seed;
///
/// struct Distance;
/// impl CostFunction for Distance {
///     type Param = Genotype;
///     type Output = Option<Costs>;
///     fn cost(&self, genotype: &Genotype) -> Result<Option<Costs>, Error> {
///         let [Gene::Real(x)] = genotype.0[..] else { return Ok(Some(f64::INFINITY.into())) };
///         Ok(Some((x - 0.7).abs().into()))
///     }
/// }
///
/// let weight = Dimension {
///     name: "weight".into(),
///     domain: Domain::Continuous { low: 0.0, high: 1.0 },
///     initial: None,
/// };
/// let optimizer = build(OptimizerKind::CatCma, &[weight], Seed(1), &Settings::default())?;
/// let result = Executor::new(Distance, ArgminSolver(optimizer))
///     .configure(|state| state.max_iters(50))
///     .run()?;
/// assert!(result.state().get_best_cost() < 1e-6);
/// let optimizer = result.solver.0;
/// assert_eq!(optimizer.generation(), 50);
/// # Ok::<(), Error>(())
/// ```
///
/// An observer sees every generation, whichever the optimizer:
///
/// ```
/// use std::sync::Arc;
/// use std::sync::atomic::{AtomicU64, Ordering};
///
/// use argmin::core::observers::{Observe, ObserverMode};
/// use argmin::core::{CostFunction, Error, Executor, KV, PopulationState, State};
/// use merge_search::genome::{Dimension, Domain, Gene, Genotype};
/// use merge_search::optimizer::{ArgminSolver, Costs, OptimizerKind, Settings, build};
/// use merge_search::units::Seed;
///
/// struct Bowl;
/// impl CostFunction for Bowl {
///     type Param = Genotype;
///     type Output = Option<Costs>;
///     fn cost(&self, genotype: &Genotype) -> Result<Option<Costs>, Error> {
///         let [Gene::Real(x), Gene::Integer(z), Gene::Category(c)] = genotype.0[..] else {
///             return Ok(Some(f64::INFINITY.into()));
///         };
///         Ok(Some(((x - 0.7).powi(2) + (z - 3).abs() as f64 + c as f64).into()))
///     }
/// }
///
/// #[derive(Clone, Default)]
/// struct Generations(Arc<AtomicU64>);
/// impl Observe<PopulationState<Genotype, f64>> for Generations {
///     fn observe_iter(
///         &mut self,
///         state: &PopulationState<Genotype, f64>,
///         _: &KV,
///     ) -> Result<(), Error> {
///         assert!(state.get_population().is_some());
///         self.0.fetch_add(1, Ordering::Relaxed);
///         Ok(())
///     }
/// }
///
/// let gene = |name: &str, domain| Dimension { name: name.into(), domain, initial: None };
/// let space = [
///     gene("weight", Domain::Continuous { low: 0.0, high: 1.0 }),
///     gene("layers", Domain::Integer { low: 1, high: 8 }),
///     gene("method", Domain::Categorical { choices: vec!["slerp".into(), "ties".into()] }),
/// ];
/// for kind in OptimizerKind::ALL {
///     let observer = Generations::default();
///     let solver = ArgminSolver(build(kind, &space, Seed(1), &Settings::default())?);
///     let result = Executor::new(Bowl, solver)
///         .configure(|state| state.max_iters(25))
///         .add_observer(observer.clone(), ObserverMode::Always)
///         .run()?;
///     assert_eq!(observer.0.load(Ordering::Relaxed), 25, "{kind}");
///     assert!(result.state().get_best_cost() < 1.5, "{kind}");
/// }
/// # Ok::<(), Error>(())
/// ```
pub struct ArgminSolver(pub Box<dyn Optimizer + Send>);

type Generation = PopulationState<Genotype, f64>;

impl<P> Solver<P, Generation> for ArgminSolver
where
    P: CostFunction<Param = Genotype, Output = Option<Costs>>,
{
    fn name(&self) -> &str {
        self.0.name()
    }

    fn next_iter(
        &mut self,
        problem: &mut Problem<P>,
        state: Generation,
    ) -> Result<(Generation, Option<KV>), Error> {
        let population = self.0.ask();
        let costs = problem.bulk_cost(&population)?;
        let told: Vec<(Genotype, Costs)> = population
            .iter()
            .zip(costs)
            .filter_map(|(x, costs)| Some((x.clone(), costs?)))
            .collect();
        let state = with_best(state, &told);
        let state = if told.len() == population.len() {
            self.0.tell(&told);
            state
        } else {
            state
                .terminate_with(TerminationReason::SolverExit("evaluation budget spent".to_owned()))
        };
        let kv =
            argmin::kv!("generation" => self.0.generation(); "evaluated" => told.len() as u64;);
        Ok((state.population(population), Some(kv)))
    }
}

/// The state with the best of what was evaluated in this generation, if anything was.
fn with_best(state: Generation, told: &[(Genotype, Costs)]) -> Generation {
    match told.iter().min_by(|a, b| a.1.first().total_cmp(&b.1.first())) {
        Some(best) => state.individual(best.0.clone()).cost(best.1.first()),
        None => state,
    }
}
