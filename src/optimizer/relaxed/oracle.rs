//! Asked and told, a solver goes where it goes when argmin's executor runs it in one go, bit for bit.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use argmin::core::{CostFunction, Error, Executor, Solver};
use argmin::solver::simulatedannealing::Anneal;

use super::{Annealing, Beginning, Method, Points, Purpose, Relaxed, Simplex, Swarm, annealing};
use crate::genome::{Dimension, Domain, Gene, Genotype};
use crate::optimizer::{Costs, Optimizer, Settings, stream};
use crate::units::Seed;

type Log = Vec<(Vec<f64>, f64)>;
type Function = fn(&Genotype) -> f64;

const SEED: Seed = Seed(11);

fn space() -> Vec<Dimension> {
    let domains = [
        Domain::Continuous { low: -1.0, high: 1.0 },
        Domain::Continuous { low: 0.0, high: 3.0 },
        Domain::Continuous { low: 0.0, high: 1.0 },
        Domain::Integer { low: 0, high: 40 },
        Domain::Categorical { choices: vec![String::new(); 3] },
    ];
    domains.map(|domain| Dimension { name: String::new(), domain, initial: None }).to_vec()
}

fn quadratic(genotype: &Genotype) -> f64 {
    let square = |gene: &Gene| match *gene {
        Gene::Real(x) => (x - 0.3).powi(2),
        Gene::Integer(z) => ((z - 9) as f64 / 40.0).powi(2),
        Gene::Category(k) => [0.1, 0.0, 0.3][k],
    };
    genotype.0.iter().map(square).sum()
}

/// A quadratic on which a simplex often has to shrink.
fn rugged(genotype: &Genotype) -> f64 {
    let ripple = |gene: &Gene| if let Gene::Real(x) = gene { (90.0 * x).sin() } else { 0.0 };
    quadratic(genotype) + genotype.0.iter().map(ripple).sum::<f64>()
}

/// A quadratic a part of which cannot be evaluated.
fn walled(genotype: &Genotype) -> f64 {
    if matches!(genotype.0[0], Gene::Real(x) if x > 0.35) { f64::NAN } else { quadratic(genotype) }
}

/// The problem as argmin expects it, for as many evaluations as are left.
struct Direct<'a, M: Method> {
    relaxed: &'a Relaxed<M>,
    function: Function,
    step: f64,
    moves: Cell<u64>,
    left: Cell<usize>,
    log: Rc<RefCell<Log>>,
}

impl<M: Method> CostFunction for Direct<'_, M> {
    type Param = Vec<f64>;
    type Output = f64;

    fn cost(&self, point: &Vec<f64>) -> Result<f64, Error> {
        let left = self.left.get().checked_sub(1).ok_or_else(|| Error::msg("enough"))?;
        self.left.set(left);
        let cost = Costs::from((self.function)(&self.relaxed.cube.decode(point))).first();
        let cost = cost.min(super::INFEASIBLE);
        self.log.borrow_mut().push((point.clone(), cost));
        Ok(cost)
    }
}

impl<M: Method> Anneal for Direct<'_, M> {
    type Param = Vec<f64>;
    type Output = Vec<f64>;
    type Float = f64;

    fn anneal(&self, point: &Vec<f64>, temperature: f64) -> Result<Vec<f64>, Error> {
        let iteration = self.moves.replace(self.moves.get() + 1);
        let rng = &mut stream::candidate_rng(M::NAME, SEED, iteration, Purpose::Move as usize);
        Ok(annealing::moved(point, self.step * temperature.sqrt(), rng))
    }
}

/// What was evaluated, in order, and the sizes of the generations.
fn asked_and_told<M: Method>(
    relaxed: &mut Relaxed<M>,
    function: Function,
    count: usize,
) -> (Log, Vec<usize>) {
    let (mut log, mut sizes) = (Log::new(), Vec::new());
    while log.len() < count {
        let points: Points = relaxed.wanted.clone();
        sizes.push(points.len());
        let told: Vec<(Genotype, Costs)> =
            relaxed.ask().into_iter().map(|x| (x.clone(), function(&x).into())).collect();
        let costs = told.iter().map(|(_, costs)| costs.first().min(super::INFEASIBLE));
        log.extend(points.into_iter().zip(costs));
        relaxed.tell(&told);
    }
    assert_eq!(relaxed.runs, 0, "the oracle knows no restarts");
    log.truncate(count);
    (log, sizes)
}

/// What argmin's executor evaluates after the same first points.
fn in_one_go<M: Method>(relaxed: &Relaxed<M>, function: Function, count: usize) -> Log
where
    for<'a> M::Solver: Solver<Direct<'a, M>, M::State>,
{
    let points = relaxed.wanted.clone();
    let cost = |x: &Vec<f64>| Costs::from(function(&relaxed.cube.decode(x))).first();
    let costs = points.iter().map(|x| cost(x).min(super::INFEASIBLE)).collect();
    let Beginning { solver, state, step, .. } =
        relaxed.method.begin(points, costs, &mut relaxed.rng(Purpose::Solver)).unwrap();
    let log = Rc::new(RefCell::new(Log::new()));
    let left = Cell::new(count);
    let moves = Cell::new(0);
    let problem = Direct { relaxed, function, step, moves, left, log: log.clone() };
    assert!(Executor::new(problem, solver).configure(|_| state).run().is_err());
    log.take()
}

const EVALUATIONS: usize = 150;

/// `known`: evaluations of ours before argmin's first; `repeated`: argmin's first that we had done before.
fn same<M: Method>(function: Function, known: usize, repeated: usize) -> Vec<usize>
where
    for<'a> M::Solver: Solver<Direct<'a, M>, M::State>,
{
    let settings = Settings { population: Some(10), ..Settings::default() };
    let mut relaxed = Relaxed::<M>::new(&space(), SEED, &settings).unwrap();
    let direct = in_one_go(&relaxed, function, EVALUATIONS);
    let (told, sizes) = asked_and_told(&mut relaxed, function, EVALUATIONS + known - repeated);
    assert_eq!(direct.len(), EVALUATIONS);
    assert_eq!(told[known..], direct[repeated..]);
    sizes
}

#[test]
fn nelder_mead_is_argmins() {
    for function in [quadratic, rugged, walled] {
        same::<Simplex>(function, 0, 0);
    }
    let sizes = same::<Simplex>(rugged, 0, 0);
    assert_eq!(sizes[0], 6);
    assert!(sizes[1..].contains(&5), "no shrinking was tested: {sizes:?}");
}

#[test]
fn particle_swarm_is_argmins() {
    for function in [quadratic, rugged, walled] {
        let sizes = same::<Swarm>(function, 10, 0);
        assert!(sizes.iter().all(|size| *size == 10));
    }
}

#[test]
fn simulated_annealing_is_argmins() {
    for function in [quadratic, rugged, walled] {
        let sizes = same::<Annealing>(function, 10, 1);
        assert!(sizes[1..].iter().all(|size| *size == 1));
    }
}
