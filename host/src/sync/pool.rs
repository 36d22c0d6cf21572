//! Who is next: each tenant's deliveries in their order, one at a time, and all tenants beside each other.
//!
//! As many work at once as there are cores. Whoever has had a turn goes to the end of the line, and whoever failed in
//! an earlier run comes after those who did not. A tenant that has stopped moving (its component is stuck in a call,
//! its disk does not answer) or that has had its slice of time no longer counts as working, so somebody else begins in
//! its place. One that does not come back in its time is given up: its thread is left to itself, and nobody waits.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::Stop;

/// A delivery that a tenant is to get.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Work {
    /// Its row in the ledger.
    pub(super) delivery: i64,
    /// Its agreement. What comes after a delivery that failed waits with it, as far as it is of the same agreement.
    pub(super) agreement: String,
}

/// What a thread does for a tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Job {
    /// It makes the tenant ready, before anything else.
    Prepare,
    /// It hands a delivery to it.
    Publish(Work),
}

/// How a job ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    /// It is done; the next of that tenant may come.
    Done,
    /// It is not, and what follows it must not come before it.
    Failed,
    /// Nothing more of that tenant can be done in this run.
    Hopeless,
    /// Nothing more is to be begun, of anybody.
    Stop,
}

/// Why nothing comes of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Loss {
    /// It has not come back in its time.
    Late,
    /// The machine has no room for another thread.
    NoThread,
}

/// How long a tenant's jobs may take before they are given up.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    pub(super) prepare: Duration,
    pub(super) publish: Duration,
}

/// The lines of work, one for each tenant.
pub(super) struct Pool {
    state: Mutex<Lines>,
    changed: Condvar,
    cores: usize,
    slice: Duration,
}

#[derive(Default)]
struct Lines {
    lines: Vec<Line>,
    /// How many tenants have not got a delivery yet and may still do so in this run.
    open: BTreeMap<i64, usize>,
    turns: u64,
    is_closed: bool,
    is_stopped: bool,
}

struct Line {
    stage: Stage,
    patience: Patience,
    waiting: VecDeque<Work>,
    running: Option<(Job, Pulse)>,
    /// Agreements of which a delivery failed in this run.
    failed: BTreeSet<String>,
    /// Whether it failed in an earlier run.
    is_troubled: bool,
    /// When it had its last turn.
    served: u64,
}

/// How far a tenant is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// It is to be made ready.
    New,
    /// It can get deliveries.
    Ready,
    /// It gets nothing in this run.
    Shut,
}

/// Shows that somebody is still moving, and says whether anybody still waits for it.
#[derive(Debug, Clone)]
pub(super) struct Pulse {
    begun: Instant,
    last: Arc<AtomicU64>,
    fate: Arc<AtomicU8>,
}

const RUNNING: u8 = 0;
const FINISHED: u8 = 1;
const ABANDONED: u8 = 2;

/// Whoever has not moved for so long is stuck.
const STUCK: Duration = Duration::from_millis(500);

/// How long somebody may keep others waiting at a time.
const SLICE: Duration = Duration::from_secs(10);

/// How many who do not count as working may have somebody else working in their place.
const MOST_BESIDE: usize = 16;

/// How often it is looked who is stuck.
const GLANCE: Duration = Duration::from_millis(100);

/// How long whoever is asked to stop may take for it.
const TO_STOP: Duration = Duration::from_secs(30);

impl Pulse {
    pub(super) fn new() -> Self {
        Self {
            begun: Instant::now(),
            last: Arc::default(),
            fate: Arc::default(),
        }
    }

    /// It moves.
    pub(super) fn beat(&self) {
        let now = self.begun.elapsed().as_millis() as u64;
        self.last.store(now, Ordering::Relaxed);
    }

    /// How long it has been at work.
    pub(super) fn elapsed(&self) -> Duration {
        self.begun.elapsed()
    }

    /// It has come to its end, and tells what came of it; false if nobody listens any more.
    pub(super) fn finish(&self) -> bool {
        self.settle(FINISHED)
    }

    /// Nobody waits for it any more; false if it has come to its end.
    pub(super) fn abandon(&self) -> bool {
        self.settle(ABANDONED)
    }

    /// Whether nobody waits for it any more. What it changes then is no longer its own.
    pub(super) fn is_abandoned(&self) -> bool {
        self.fate.load(Ordering::SeqCst) == ABANDONED
    }

    fn settle(&self, fate: u8) -> bool {
        let settled = self
            .fate
            .compare_exchange(RUNNING, fate, Ordering::SeqCst, Ordering::SeqCst);
        settled.is_ok() || settled == Err(fate)
    }

    fn is_working(&self, slice: Duration) -> bool {
        let last = Duration::from_millis(self.last.load(Ordering::Relaxed));
        let elapsed = self.begun.elapsed();
        elapsed.saturating_sub(last) <= STUCK && elapsed <= slice
    }

    fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.fate, &other.fate)
    }
}

impl Pool {
    /// Lines for tenants of such patience; `troubled` are those who failed in an earlier run.
    pub(super) fn new(tenants: &[Patience], troubled: &BTreeSet<usize>) -> Self {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        Self::with_cores(tenants, troubled, cores, SLICE)
    }

    fn with_cores(
        tenants: &[Patience],
        troubled: &BTreeSet<usize>,
        cores: usize,
        slice: Duration,
    ) -> Self {
        let line = |(number, patience): (usize, &Patience)| Line {
            stage: Stage::New,
            patience: *patience,
            waiting: VecDeque::new(),
            running: None,
            failed: BTreeSet::new(),
            is_troubled: troubled.contains(&number),
            served: 0,
        };
        Self {
            state: Mutex::new(Lines {
                lines: tenants.iter().enumerate().map(line).collect(),
                ..Lines::default()
            }),
            changed: Condvar::new(),
            cores,
            slice,
        }
    }

    /// Puts work at the end of a tenant's line. Behind one of its agreement that failed it is left for another run.
    /// False if the tenant gets nothing in this run.
    pub(super) fn add(&self, tenant: usize, work: Work) -> bool {
        let mut state = self.lock();
        let is_stopped = state.is_stopped;
        let Some(line) = state.lines.get_mut(tenant) else {
            return false;
        };
        if line.stage == Stage::Shut {
            return false;
        }
        if is_stopped || line.failed.contains(&work.agreement) || line.waiting.contains(&work) {
            return true;
        }
        let delivery = work.delivery;
        line.waiting.push_back(work);
        *state.open.entry(delivery).or_default() += 1;
        self.changed.notify_all();
        true
    }

    /// Nothing more is put into a tenant's line; gives what waits in it.
    pub(super) fn shut(&self, tenant: usize) -> Vec<Work> {
        let mut state = self.lock();
        let Some(line) = state.lines.get_mut(tenant) else {
            return Vec::new();
        };
        line.stage = Stage::Shut;
        line.waiting.iter().cloned().collect()
    }

    /// Whether nobody may still get a delivery in this run.
    pub(super) fn is_settled(&self, delivery: i64) -> bool {
        !self.lock().open.contains_key(&delivery)
    }

    /// No more work comes.
    pub(super) fn close(&self) {
        self.lock().is_closed = true;
        self.changed.notify_all();
    }

    /// Whether nothing more is begun.
    pub(super) fn is_stopped(&self) -> bool {
        self.lock().is_stopped
    }

    /// Nothing more is begun.
    pub(super) fn stop(&self) {
        let mut state = self.lock();
        state.is_stopped = true;
        state.give_up(|_, _| true);
        self.changed.notify_all();
    }

    /// Waits until all work is done or given up.
    pub(super) fn wait(&self) {
        let state = self.lock();
        drop(
            self.changed
                .wait_while(state, |state| state.is_busy())
                .unwrap_or_else(PoisonError::into_inner),
        );
    }

    /// Has all work done that comes until [`close`](Self::close), each job in a thread of its own. `lost` is to give up
    /// a job that nothing can come of any more, and to [`end`](Self::end) it.
    pub(super) fn run(
        self: &Arc<Self>,
        stop: &Stop,
        act: impl Fn(usize, &Job, &Pulse) -> Ended + Clone + Send + 'static,
        lost: impl Fn(usize, &Job, &Pulse, Loss),
    ) {
        let mut stopped = None;
        loop {
            if stop.is_set() {
                stopped.get_or_insert_with(Instant::now);
                self.stop();
            }
            let is_late = |patience: Duration, pulse: &Pulse| {
                let is_told = stopped.is_some_and(|since: Instant| since.elapsed() > TO_STOP);
                is_told || pulse.elapsed() > patience
            };
            let late = self.lock().late(is_late);
            for (tenant, job, pulse) in late {
                lost(tenant, &job, &pulse, Loss::Late);
            }
            let mut state = self.lock();
            while let Some((tenant, job, pulse)) = state.next(self.cores, self.slice) {
                drop(state);
                if self
                    .begin(tenant, job.clone(), pulse.clone(), act.clone())
                    .is_err()
                {
                    lost(tenant, &job, &pulse, Loss::NoThread);
                }
                state = self.lock();
            }
            if state.is_closed && !state.is_busy() {
                return;
            }
            drop(
                self.changed
                    .wait_timeout(state, GLANCE)
                    .unwrap_or_else(PoisonError::into_inner),
            );
        }
    }

    fn begin(
        self: &Arc<Self>,
        tenant: usize,
        job: Job,
        pulse: Pulse,
        act: impl Fn(usize, &Job, &Pulse) -> Ended + Send + 'static,
    ) -> io::Result<()> {
        let pool = Arc::clone(self);
        let thread = thread::Builder::new().spawn(move || {
            // A bug in one tenant's work is not to end that of the others.
            let ended = catch_unwind(AssertUnwindSafe(|| act(tenant, &job, &pulse)));
            pool.end(tenant, &pulse, ended.unwrap_or(Ended::Failed));
        });
        thread.map(drop)
    }

    /// A job has ended, or was given up. What was given up before stays so.
    pub(super) fn end(&self, tenant: usize, pulse: &Pulse, ended: Ended) {
        self.lock().end(tenant, pulse, ended);
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, Lines> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lines {
    /// Who is next, if there is room for anybody.
    fn next(&mut self, cores: usize, slice: Duration) -> Option<(usize, Job, Pulse)> {
        if self.is_stopped {
            return None;
        }
        let running = self.lines.iter().filter_map(|line| line.running.as_ref());
        let (working, beside): (Vec<_>, Vec<_>) =
            running.partition(|(_, pulse)| pulse.is_working(slice));
        // Too many who are stuck count as working after all.
        if working.len() + beside.len().saturating_sub(MOST_BESIDE) >= cores {
            return None;
        }
        let is_next = |line: &Line| {
            line.running.is_none()
                && match line.stage {
                    Stage::New => true,
                    Stage::Ready => !line.waiting.is_empty(),
                    Stage::Shut => false,
                }
        };
        let (tenant, line) = self
            .lines
            .iter_mut()
            .enumerate()
            .filter(|(_, line)| is_next(line))
            .min_by_key(|(_, line)| (line.is_troubled, line.served))?;
        self.turns += 1;
        line.served = self.turns;
        let job = match line.stage {
            Stage::New => Job::Prepare,
            _ => Job::Publish(line.waiting.pop_front()?),
        };
        let pulse = Pulse::new();
        line.running = Some((job.clone(), pulse.clone()));
        Some((tenant, job, pulse))
    }

    /// Jobs that take longer than they may.
    fn late(&self, is_late: impl Fn(Duration, &Pulse) -> bool) -> Vec<(usize, Job, Pulse)> {
        let late = |(tenant, line): (usize, &Line)| {
            let (job, pulse) = line.running.as_ref()?;
            let patience = match job {
                Job::Prepare => line.patience.prepare,
                Job::Publish(_) => line.patience.publish,
            };
            is_late(patience, pulse).then(|| (tenant, job.clone(), pulse.clone()))
        };
        self.lines.iter().enumerate().filter_map(late).collect()
    }

    fn end(&mut self, tenant: usize, pulse: &Pulse, ended: Ended) {
        let Some(line) = self.lines.get_mut(tenant) else {
            return;
        };
        let is_own = |(_, running): &mut (Job, Pulse)| running.is(pulse);
        let Some((job, _)) = line.running.take_if(is_own) else {
            // It was given up before.
            return;
        };
        let work = match job {
            Job::Prepare => None,
            Job::Publish(work) => Some(work),
        };
        match (ended, &work) {
            (Ended::Done, _) if line.stage == Stage::New => line.stage = Stage::Ready,
            (Ended::Failed, Some(work)) => {
                line.failed.insert(work.agreement.clone());
            }
            (Ended::Failed, None) | (Ended::Hopeless | Ended::Stop, _) => line.stage = Stage::Shut,
            (Ended::Done, _) => {}
        }
        if let Some(work) = &work {
            self.close_one(work.delivery);
        }
        match (ended, work) {
            (Ended::Done, _) => {}
            (Ended::Failed, Some(work)) => {
                self.give_up(|number, other| number == tenant && other.agreement == work.agreement);
            }
            (Ended::Failed, None) | (Ended::Hopeless, _) => {
                self.give_up(|number, _| number == tenant)
            }
            (Ended::Stop, _) => {
                self.is_stopped = true;
                self.give_up(|_, _| true);
            }
        }
    }

    /// Whether anything is still to come.
    fn is_busy(&self) -> bool {
        let is_new = |line: &Line| line.stage == Stage::New && !self.is_stopped;
        !self.open.is_empty()
            || self
                .lines
                .iter()
                .any(|line| line.running.is_some() || is_new(line))
    }

    fn give_up(&mut self, is_hopeless: impl Fn(usize, &Work) -> bool) {
        let mut given_up = Vec::new();
        for (number, line) in self.lines.iter_mut().enumerate() {
            line.waiting.retain(|work| {
                let is_hopeless = is_hopeless(number, work);
                if is_hopeless {
                    given_up.push(work.delivery);
                }
                !is_hopeless
            });
        }
        for delivery in given_up {
            self.close_one(delivery);
        }
    }

    fn close_one(&mut self, delivery: i64) {
        if let Some(open) = self.open.get_mut(&delivery) {
            *open -= 1;
            if *open == 0 {
                self.open.remove(&delivery);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENT: Patience = Patience {
        prepare: Duration::from_secs(600),
        publish: Duration::from_secs(600),
    };

    fn pool(tenants: usize, troubled: &BTreeSet<usize>, cores: usize) -> Arc<Pool> {
        Arc::new(Pool::with_cores(
            &vec![PATIENT; tenants],
            troubled,
            cores,
            SLICE,
        ))
    }

    fn work(delivery: i64) -> Work {
        Work {
            delivery,
            agreement: "a".to_owned(),
        }
    }

    /// Does the work of those tenants, and gives the order in which it was begun.
    fn run(
        pool: &Arc<Pool>,
        act: impl Fn(usize, i64, &Pulse) -> Ended + Send + Sync + 'static,
    ) -> Vec<(usize, i64)> {
        let begun = Arc::new(Mutex::new(Vec::new()));
        let (act, told) = (Arc::new(act), Arc::clone(&begun));
        let act = move |tenant: usize, job: &Job, pulse: &Pulse| {
            let Job::Publish(work) = job else {
                return Ended::Done;
            };
            told.lock().unwrap().push((tenant, work.delivery));
            act(tenant, work.delivery, pulse)
        };
        pool.close();
        let lost = |tenant: usize, _: &Job, pulse: &Pulse, loss: Loss| {
            assert_eq!(loss, Loss::Late);
            assert!(pulse.abandon());
            pool.end(tenant, pulse, Ended::Hopeless);
        };
        pool.run(&Stop::default(), act, lost);
        let begun = begun.lock().unwrap();
        begun.clone()
    }

    #[test]
    fn everybody_has_a_turn_and_each_in_order() {
        let pool = pool(3, &BTreeSet::from([0]), 1);
        for tenant in 0..3 {
            for delivery in 1..=2 {
                pool.add(tenant, work(delivery));
            }
        }
        let begun = run(&pool, |_, _, _| Ended::Done);
        assert_eq!(begun, [(1, 1), (2, 1), (1, 2), (2, 2), (0, 1), (0, 2)]);
        assert!(pool.is_settled(1) && pool.is_settled(2));
    }

    #[test]
    fn what_follows_a_failure_waits_and_others_go_on() {
        let pool = pool(2, &BTreeSet::new(), 1);
        for delivery in 1..=3 {
            pool.add(0, work(delivery));
            pool.add(1, work(delivery));
        }
        let other = Work {
            delivery: 4,
            agreement: "b".to_owned(),
        };
        pool.add(0, other);
        let begun = run(&pool, |tenant, delivery, _| match (tenant, delivery) {
            (0, 2) => Ended::Failed,
            (1, 2) => panic!("a bug"),
            _ => Ended::Done,
        });
        let of = |tenant| {
            begun
                .iter()
                .filter(move |one| one.0 == tenant)
                .map(|one| one.1)
        };
        assert_eq!(of(0).collect::<Vec<_>>(), [1, 2, 4]);
        assert_eq!(of(1).collect::<Vec<_>>(), [1, 2]);
        assert!((1..=4).all(|delivery| pool.is_settled(delivery)));
        assert!(pool.add(0, work(5)));
        assert!(pool.is_settled(5), "it is left for another run");
    }

    #[test]
    fn whoever_is_stuck_keeps_nobody_waiting() {
        let pool = pool(4, &BTreeSet::new(), 1);
        for tenant in 0..4 {
            pool.add(tenant, work(1));
        }
        let (sender, receiver) = std::sync::mpsc::channel::<()>();
        let (sender, receiver) = (Mutex::new(sender), Mutex::new(receiver));
        run(&pool, move |tenant, _, _| {
            match tenant {
                // Until the last of the others is done.
                0 => receiver.lock().unwrap().recv().unwrap(),
                3 => sender.lock().unwrap().send(()).unwrap(),
                _ => {}
            }
            Ended::Done
        });
    }

    /// It moves all the time, and has everything it needs: so have the others, after its slice.
    #[test]
    fn whoever_is_slow_keeps_nobody_waiting() {
        let slice = Duration::from_millis(50);
        let pool = Pool::with_cores(&[PATIENT; 4], &BTreeSet::new(), 2, slice);
        let pool = Arc::new(pool);
        for tenant in 0..4 {
            pool.add(tenant, work(1));
        }
        let is_over = Arc::new(std::sync::atomic::AtomicBool::new(false));
        run(&pool, move |tenant, _, pulse| {
            match tenant {
                // Until the last of the others is done.
                0 | 1 => {
                    while !is_over.load(Ordering::SeqCst) {
                        pulse.beat();
                        thread::sleep(Duration::from_millis(1));
                    }
                }
                3 => is_over.store(true, Ordering::SeqCst),
                _ => {}
            }
            Ended::Done
        });
    }

    #[test]
    fn whoever_does_not_come_back_is_given_up() {
        let short = Patience {
            publish: Duration::from_millis(200),
            ..PATIENT
        };
        let pool = Pool::with_cores(&[short, PATIENT], &BTreeSet::new(), 2, SLICE);
        let pool = Arc::new(pool);
        for delivery in 1..=2 {
            pool.add(0, work(delivery));
            pool.add(1, work(delivery));
        }
        let (sender, receiver) = std::sync::mpsc::channel::<()>();
        let receiver = Mutex::new(receiver);
        let (told, ended) = std::sync::mpsc::channel();
        let begun = run(&pool, move |tenant, _, pulse| {
            if tenant == 0 {
                // Until the run is over.
                let _ = receiver.lock().unwrap().recv();
                told.send((pulse.is_abandoned(), pulse.finish())).unwrap();
            }
            Ended::Done
        });
        assert_eq!(begun.iter().filter(|(tenant, _)| *tenant == 0).count(), 1);
        assert_eq!(begun.iter().filter(|(tenant, _)| *tenant == 1).count(), 2);
        assert!(pool.is_settled(1) && pool.is_settled(2));
        assert!(!pool.add(0, work(3)), "it gets nothing more in this run");
        pool.wait();
        drop(sender);
        // It comes back in the end, and hears that it is too late.
        assert_eq!(ended.recv().unwrap(), (true, false));
    }

    #[test]
    fn stopped_nothing_more_is_begun() {
        let pool = pool(2, &BTreeSet::new(), 1);
        for tenant in 0..2 {
            pool.add(tenant, work(1));
        }
        let begun = run(&pool, |_, _, _| Ended::Stop);
        assert_eq!(begun.len(), 1);
        assert!(pool.is_settled(1));
    }
}
