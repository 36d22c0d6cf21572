//! Who is next: each tenant's deliveries in their order, one at a time, and all tenants beside each other.
//!
//! As many work at once as there are cores. Whoever has had a turn goes to the end of the line, and whoever failed in
//! an earlier run comes after those who did not. A tenant that has stopped moving (its component is stuck in a call,
//! its disk does not answer) no longer counts as working, so somebody else begins in its place.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, Scope};
use std::time::{Duration, Instant};

/// A delivery that a tenant is to get.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Work {
    /// Its row in the ledger.
    pub(super) delivery: i64,
    /// Its agreement. What comes after a delivery that failed waits with it, as far as it is of the same agreement.
    pub(super) agreement: String,
}

/// How a piece of work ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    /// It is done; the next of that tenant may come.
    Done,
    /// It is not, and what follows it must not come before it.
    Failed,
    /// Nothing more is to be begun, of anybody.
    Stop,
}

/// The lines of work, one for each tenant.
pub(super) struct Pool {
    state: Mutex<Lines>,
    changed: Condvar,
    cores: usize,
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

#[derive(Default)]
struct Line {
    waiting: VecDeque<Work>,
    running: Option<Pulse>,
    /// Agreements of which a delivery failed in this run.
    failed: BTreeSet<String>,
    /// Whether it failed in an earlier run.
    is_troubled: bool,
    /// When it had its last turn.
    served: u64,
}

/// Shows that somebody is still moving.
#[derive(Debug, Clone)]
pub(super) struct Pulse {
    begun: Instant,
    last: Arc<AtomicU64>,
}

/// Whoever has not moved for so long is stuck.
const STUCK: Duration = Duration::from_millis(500);

/// How many who are stuck may have somebody else working in their place.
const MOST_STUCK: usize = 16;

/// How often it is looked who is stuck.
const GLANCE: Duration = Duration::from_millis(100);

impl Pulse {
    fn new() -> Self {
        Self {
            begun: Instant::now(),
            last: Arc::default(),
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

    fn is_stuck(&self) -> bool {
        let last = Duration::from_millis(self.last.load(Ordering::Relaxed));
        self.begun.elapsed().saturating_sub(last) > STUCK
    }
}

impl Pool {
    /// Lines for so many tenants; `troubled` are those who failed in an earlier run.
    pub(super) fn new(tenants: usize, troubled: &BTreeSet<usize>) -> Self {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        Self::with_cores(tenants, troubled, cores)
    }

    fn with_cores(tenants: usize, troubled: &BTreeSet<usize>, cores: usize) -> Self {
        let line = |number| Line {
            is_troubled: troubled.contains(&number),
            ..Line::default()
        };
        Self {
            state: Mutex::new(Lines {
                lines: (0..tenants).map(line).collect(),
                ..Lines::default()
            }),
            changed: Condvar::new(),
            cores,
        }
    }

    /// Puts work at the end of a tenant's line. Behind one of its agreement that failed it is left for another run.
    pub(super) fn add(&self, tenant: usize, work: Work) {
        let mut state = self.lock();
        if state.is_stopped {
            return;
        }
        let Some(line) = state.lines.get_mut(tenant) else {
            return;
        };
        if line.failed.contains(&work.agreement) || line.waiting.contains(&work) {
            return;
        }
        let delivery = work.delivery;
        line.waiting.push_back(work);
        *state.open.entry(delivery).or_default() += 1;
        self.changed.notify_all();
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
                .wait_while(state, |state| !state.open.is_empty())
                .unwrap_or_else(PoisonError::into_inner),
        );
    }

    /// Has all work done that comes until [`close`](Self::close), each piece in a thread of its own.
    pub(super) fn run<'scope>(
        &'scope self,
        scope: &'scope Scope<'scope, '_>,
        act: &'scope (impl Fn(usize, &Work, &Pulse) -> Ended + Sync),
    ) {
        loop {
            let mut state = self.lock();
            while let Some((tenant, work, pulse)) = state.next(self.cores) {
                scope.spawn(move || {
                    // A bug in one tenant's work is not to end that of the others; it says itself what it was.
                    let ended = catch_unwind(AssertUnwindSafe(|| act(tenant, &work, &pulse)));
                    self.end(tenant, &work, ended.unwrap_or(Ended::Failed));
                });
            }
            if state.is_closed && state.open.is_empty() {
                return;
            }
            drop(
                self.changed
                    .wait_timeout(state, GLANCE)
                    .unwrap_or_else(PoisonError::into_inner),
            );
        }
    }

    fn end(&self, tenant: usize, work: &Work, ended: Ended) {
        let mut state = self.lock();
        state.close_one(work.delivery);
        if let Some(line) = state.lines.get_mut(tenant) {
            line.running = None;
            if ended == Ended::Failed {
                line.failed.insert(work.agreement.clone());
            }
        }
        match ended {
            Ended::Done => {}
            Ended::Failed => {
                state.give_up(|number, other| number == tenant && other.agreement == work.agreement)
            }
            Ended::Stop => {
                state.is_stopped = true;
                state.give_up(|_, _| true);
            }
        }
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, Lines> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lines {
    /// Who is next, if there is room for anybody.
    fn next(&mut self, cores: usize) -> Option<(usize, Work, Pulse)> {
        let running = self.lines.iter().filter_map(|line| line.running.as_ref());
        let (stuck, moving): (Vec<_>, Vec<_>) = running.partition(|pulse| pulse.is_stuck());
        // Too many who are stuck count as working after all.
        if moving.len() + stuck.len().saturating_sub(MOST_STUCK) >= cores {
            return None;
        }
        let ready = |line: &&mut Line| line.running.is_none() && !line.waiting.is_empty();
        let (tenant, _) = self
            .lines
            .iter_mut()
            .enumerate()
            .filter(|(_, line)| ready(line))
            .min_by_key(|(_, line)| (line.is_troubled, line.served))?;
        self.turns += 1;
        let line = self.lines.get_mut(tenant)?;
        line.served = self.turns;
        let pulse = Pulse::new();
        line.running = Some(pulse.clone());
        Some((tenant, line.waiting.pop_front()?, pulse))
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

    fn work(delivery: i64) -> Work {
        Work {
            delivery,
            agreement: "a".to_owned(),
        }
    }

    /// Does the work of those tenants, and gives the order in which it was begun.
    fn run(pool: &Pool, act: impl Fn(usize, i64) -> Ended + Sync) -> Vec<(usize, i64)> {
        let begun = Mutex::new(Vec::new());
        let act = |tenant: usize, work: &Work, _: &Pulse| {
            begun.lock().unwrap().push((tenant, work.delivery));
            act(tenant, work.delivery)
        };
        pool.close();
        thread::scope(|scope| pool.run(scope, &act));
        begun.into_inner().unwrap()
    }

    #[test]
    fn everybody_has_a_turn_and_each_in_order() {
        let pool = Pool::with_cores(3, &BTreeSet::from([0]), 1);
        for tenant in 0..3 {
            for delivery in 1..=2 {
                pool.add(tenant, work(delivery));
            }
        }
        let begun = run(&pool, |_, _| Ended::Done);
        assert_eq!(begun, [(1, 1), (2, 1), (1, 2), (2, 2), (0, 1), (0, 2)]);
        assert!(pool.is_settled(1) && pool.is_settled(2));
    }

    #[test]
    fn what_follows_a_failure_waits_and_others_go_on() {
        let pool = Pool::with_cores(2, &BTreeSet::new(), 1);
        for delivery in 1..=3 {
            pool.add(0, work(delivery));
            pool.add(1, work(delivery));
        }
        let other = Work {
            delivery: 4,
            agreement: "b".to_owned(),
        };
        pool.add(0, other);
        let begun = run(&pool, |tenant, delivery| match (tenant, delivery) {
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
        pool.add(0, work(5));
        assert!(pool.is_settled(5), "it is left for another run");
    }

    #[test]
    fn whoever_is_stuck_keeps_nobody_waiting() {
        let pool = Pool::with_cores(4, &BTreeSet::new(), 1);
        for tenant in 0..4 {
            pool.add(tenant, work(1));
        }
        let (sender, receiver) = std::sync::mpsc::channel::<()>();
        let (sender, receiver) = (Mutex::new(sender), Mutex::new(receiver));
        run(&pool, |tenant, _| {
            match tenant {
                // Until the last of the others is done.
                0 => receiver.lock().unwrap().recv().unwrap(),
                3 => sender.lock().unwrap().send(()).unwrap(),
                _ => {}
            }
            Ended::Done
        });
    }

    #[test]
    fn stopped_nothing_more_is_begun() {
        let pool = Pool::with_cores(2, &BTreeSet::new(), 1);
        for tenant in 0..2 {
            pool.add(tenant, work(1));
        }
        let begun = run(&pool, |_, _| Ended::Stop);
        assert_eq!(begun.len(), 1);
        assert!(pool.is_settled(1));
    }
}
