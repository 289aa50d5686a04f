//! A master and its supervised workers, started together and ended together; it knows no client.
use super::builder::Plan;
use super::kit::StartKit;
use super::master::SharedMaster;
use super::process::Recipe;
use super::roster::Roster;
use super::shared_memory::SharedMemory;
use super::supervisor::Supervisor;
use crate::client::Ticket;
use crate::error::{Error, Problem, Result};
use quiltwork_master::{Doorway, MasterConfig};
use quiltwork_transport::{Authority, Identity, Role};
use quiltwork_types::WorkerInfo;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How much of a worker's memory its values may fill: the rest is for its tasks.
const STORE_PERCENT: u64 = 60;
/// How long the asked number of workers may take to join. A start takes tens of milliseconds; a machine that is
/// swapping takes seconds.
const JOIN_LIMIT: Duration = Duration::from_secs(30);
/// How often the master is asked who has joined.
const JOIN_POLL: Duration = Duration::from_millis(1);
/// How long workers may take to leave after they were told to.
const LEAVE_LIMIT: Duration = Duration::from_secs(2);
/// How long killed processes may take to be gone: only one that waits for a broken disk takes longer.
const KILL_LIMIT: Duration = Duration::from_secs(5);

/// The processes and threads of a local cluster. Dropping it ends them all.
pub(super) struct Crew {
    master: Arc<SharedMaster>,
    roster: Arc<Roster>,
    supervisors: Vec<JoinHandle<()>>,
    ticket: Ticket,
    /// Removed when nobody uses it any more.
    _memory: SharedMemory,
}

impl Crew {
    /// Starts everything and waits until all workers have joined.
    pub(super) fn launch(plan: &Plan) -> Result<Self> {
        let authority = Authority::new().map_err(cannot_start)?;
        let master = start_master(&authority, plan)?;
        let memory = SharedMemory::found(&plan.store, plan.nodes).map_err(cannot_start)?;
        let ticket = Ticket {
            master: master.address(),
            identity: authority.issue(Role::Client).map_err(cannot_start)?,
            area: Some(memory.area_of(0).folder().to_owned()),
        };
        let recipes = recipes(&authority, plan, &memory, &ticket)?;
        let roster = Arc::new(Roster::new(plan.companies.iter().map(|company| company.workers).collect()));
        let supervisors: Vec<Supervisor> = (1..=plan.workers)
            .zip(recipes)
            .map(|(number, (company, recipe))| Supervisor {
                number,
                company,
                recipe,
                roster: Arc::clone(&roster),
                master: Arc::clone(&master),
                restart: plan.restart,
            })
            .collect();
        let supervised = Vec::with_capacity(plan.workers);
        let mut crew = Self { master, roster, supervisors: supervised, ticket, _memory: memory };
        for supervisor in supervisors {
            crew.supervisors.push(supervisor.spawn().map_err(cannot_start)?);
        }
        crew.wait_until_joined(plan.workers)?;
        Ok(crew)
    }

    fn wait_until_joined(&self, wanted: usize) -> Result<()> {
        let deadline = Instant::now() + JOIN_LIMIT;
        loop {
            if let Some(refusal) = self.roster.refusal() {
                return Err(Error::Local(refusal));
            }
            let joined = self.master.workers().len();
            if joined >= wanted {
                return Ok(());
            }
            if Instant::now() >= deadline {
                let seconds = JOIN_LIMIT.as_secs();
                let message = format!("only {joined} of {wanted} workers joined within {seconds} s");
                let hint = "call `quiltwork::init()` before anything slow in `main`, or ask for fewer workers";
                return Err(Error::Local(Problem::new(message).with_hint(hint)));
            }
            self.roster.wait_for_change(JOIN_POLL);
        }
    }

    /// With what a client joins.
    pub(super) fn ticket(&self) -> &Ticket {
        &self.ticket
    }

    /// The way to the master within this process.
    pub(super) fn doorway(&self) -> Doorway {
        self.master.doorway().clone()
    }

    /// The workers as the master sees them.
    pub(super) fn workers(&self) -> Vec<WorkerInfo> {
        self.master.workers()
    }

    /// The worker processes.
    pub(super) fn roster(&self) -> &Roster {
        &self.roster
    }
}

impl Drop for Crew {
    /// First nothing is started any more, then the master tells the workers to leave, then those that do not are killed.
    fn drop(&mut self) {
        self.roster.stop();
        self.master.stop();
        self.roster.wait_until_empty(LEAVE_LIMIT);
        self.roster.kill_all();
        if !self.roster.wait_until_unsupervised(KILL_LIMIT) {
            tracing::error!(pids = ?self.roster.pids(), "killed worker processes do not end");
            return;
        }
        for supervisor in self.supervisors.drain(..) {
            let _ = supervisor.join();
        }
    }
}

/// The company of each worker and how it is started: company by company, dealt out to the nodes in turn.
fn recipes(
    authority: &Authority,
    plan: &Plan,
    memory: &SharedMemory,
    ticket: &Ticket,
) -> Result<Vec<(usize, Arc<Recipe>)>> {
    let identity = authority.issue(Role::Worker).map_err(cannot_start)?;
    let kits = (0..plan.nodes).map(|node| kit_of_node(&identity, plan, memory, node, ticket));
    let kits = kits.collect::<Result<Vec<_>>>()?;
    let mut recipes = Vec::with_capacity(plan.workers);
    for (number, company) in plan.companies.iter().enumerate() {
        let recipe = |kit: &Vec<u8>| Arc::new(Recipe::new(company.command.clone(), kit.clone(), plan.log.clone()));
        let by_node: Vec<_> = kits.iter().map(recipe).collect();
        for _ in 0..company.workers {
            recipes.push((number, Arc::clone(&by_node[recipes.len() % plan.nodes])));
        }
    }
    Ok(recipes)
}

/// What every worker of a node is given.
fn kit_of_node(
    identity: &Identity,
    plan: &Plan,
    memory: &SharedMemory,
    node: usize,
    ticket: &Ticket,
) -> Result<Vec<u8>> {
    let share = memory.share(plan.workers);
    let area = memory.area_of(node).folder().to_owned();
    let ticket = Ticket { area: Some(area.clone()), ..ticket.clone() };
    let kit = StartKit {
        master: ticket.master,
        identity: identity.clone(),
        client_ticket: ticket.to_string(),
        slots: plan.slots,
        memory: plan.memory,
        named: plan.named.clone(),
        area,
        area_share: share.memory.min(plan.memory / 100 * STORE_PERCENT),
        spill_share: share.disk,
    };
    kit.to_frame().map_err(cannot_start)
}

fn start_master(authority: &Authority, plan: &Plan) -> Result<Arc<SharedMaster>> {
    let mut config = MasterConfig::default();
    // A worker that was started again may knock before the loss of its predecessor is known.
    config.max_workers = config.max_workers.max(2 * plan.workers);
    config.mixed = plan.mixed;
    config.value_limit = plan.value_limit.unwrap_or(config.value_limit);
    config.scheduler.max_deaths = plan.max_worker_deaths.unwrap_or(config.scheduler.max_deaths);
    let identity = authority.issue(Role::Master).map_err(cannot_start)?;
    Ok(Arc::new(SharedMaster::start(config, &identity).map_err(cannot_start)?))
}

fn cannot_start(error: impl std::error::Error) -> Error {
    Error::Local(Problem::new(format!("cannot start the local cluster: {error}")))
}
