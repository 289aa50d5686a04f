//! The engine's strategies as Python names them; what they do, and which settings make sense, the engine knows.
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use quiltwork::train::{
    self, CoordinateMedian, FedProx, Krum, Scaffold, ServerOptimizer, TrimmedMean, WeightedAverage,
};

/// How the updates of a round become new parameters; made once for many trainings.
#[pyclass(frozen, module = "quiltwork._native")]
pub(crate) struct Strategy(Kind);

enum Kind {
    WeightedAverage,
    ServerOptimizer(ServerOptimizer),
    FedProx(FedProx),
    Scaffold(Scaffold),
    CoordinateMedian,
    TrimmedMean(TrimmedMean),
    Krum(Krum),
}

#[pymethods]
impl Strategy {
    #[staticmethod]
    fn weighted_average() -> Self {
        Self(Kind::WeightedAverage)
    }

    /// One of the optimisers `avg_m`, `adam`, `yogi` and `adagrad`.
    #[staticmethod]
    fn server_optimizer(rule: &str, rate: f64, momentum: f64, decay: f64, adaptivity: f64) -> PyResult<Self> {
        let optimizer = match rule {
            "avg_m" => ServerOptimizer::fed_avg_m(rate, momentum),
            "adam" => ServerOptimizer::fed_adam(rate),
            "yogi" => ServerOptimizer::fed_yogi(rate),
            "adagrad" => ServerOptimizer::fed_adagrad(rate),
            _ => return Err(PyValueError::new_err(format!("there is no server optimizer `{rule}`"))),
        };
        Ok(Self(Kind::ServerOptimizer(optimizer.momentum(momentum).decay(decay).adaptivity(adaptivity))))
    }

    #[staticmethod]
    fn fed_prox(mu: f64) -> Self {
        Self(Kind::FedProx(FedProx::new(mu)))
    }

    #[staticmethod]
    fn scaffold(rate: f64) -> Self {
        Self(Kind::Scaffold(Scaffold::new().server_rate(rate)))
    }

    #[staticmethod]
    fn coordinate_median() -> Self {
        Self(Kind::CoordinateMedian)
    }

    #[staticmethod]
    fn trimmed_mean(beta: f64) -> Self {
        Self(Kind::TrimmedMean(TrimmedMean::new(beta)))
    }

    #[staticmethod]
    fn krum(hostile: usize, chosen: usize) -> Self {
        Self(Kind::Krum(Krum::multi(hostile, chosen)))
    }
}

impl Strategy {
    /// The strategy for one training.
    pub(crate) fn begun(&self) -> Box<dyn train::Strategy> {
        match &self.0 {
            Kind::WeightedAverage => Box::new(WeightedAverage),
            Kind::ServerOptimizer(optimizer) => Box::new(optimizer.clone()),
            Kind::FedProx(fed_prox) => Box::new(fed_prox.clone()),
            Kind::Scaffold(scaffold) => Box::new(scaffold.clone()),
            Kind::CoordinateMedian => Box::new(CoordinateMedian),
            Kind::TrimmedMean(trimmed_mean) => Box::new(trimmed_mean.clone()),
            Kind::Krum(krum) => Box::new(krum.clone()),
        }
    }
}
