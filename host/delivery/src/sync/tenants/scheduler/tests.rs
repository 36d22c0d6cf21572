use std::sync::atomic::Ordering;

use super::*;

const LONG: Timeouts = Timeouts {
    prepare: Duration::from_secs(600),
    publish: Duration::from_secs(600),
};

fn scheduler(tenants: usize, failed_before: &BTreeSet<usize>, cores: usize) -> Arc<Scheduler> {
    Arc::new(Scheduler::with_cores(
        &vec![LONG; tenants],
        failed_before,
        cores,
        TIME_SLICE,
    ))
}

fn pending(delivery: i64) -> PendingDelivery {
    PendingDelivery {
        delivery,
        agreement: "a".to_owned(),
    }
}

/// Runs all jobs and returns the tenants and deliveries in the order in which they were started.
fn run(
    scheduler: &Arc<Scheduler>,
    publish: impl Fn(usize, i64, &Heartbeat) -> JobOutcome + Send + Sync + 'static,
) -> Vec<(usize, i64)> {
    let started = Arc::new(Mutex::new(Vec::new()));
    let (publish, log) = (Arc::new(publish), Arc::clone(&started));
    let run_job = move |tenant: usize, job: &Job, heartbeat: &Heartbeat| {
        let Job::Publish(pending) = job else {
            return JobOutcome::Done;
        };
        log.lock().unwrap().push((tenant, pending.delivery));
        publish(tenant, pending.delivery, heartbeat)
    };
    scheduler.close();
    let on_failure = |tenant: usize, _: &Job, heartbeat: &Heartbeat, failure: JobFailure| {
        assert_eq!(failure, JobFailure::TimedOut);
        assert!(heartbeat.abandon());
        scheduler.end_job(tenant, heartbeat, JobOutcome::TenantFailed);
    };
    scheduler.run(&Stop::default(), run_job, on_failure);
    let started = started.lock().unwrap();
    started.clone()
}

#[test]
fn gives_tenants_turns_in_rotation_and_deliveries_in_order() {
    let scheduler = scheduler(3, &BTreeSet::from([0]), 1);
    for tenant in 0..3 {
        for delivery in 1..=2 {
            scheduler.add(tenant, pending(delivery));
        }
    }
    let started = run(&scheduler, |_, _, _| JobOutcome::Done);
    assert_eq!(started, [(1, 1), (2, 1), (1, 2), (2, 2), (0, 1), (0, 2)]);
    assert!(scheduler.is_settled(1) && scheduler.is_settled(2));
}

#[test]
fn holds_back_deliveries_after_a_failure_of_the_same_agreement() {
    let scheduler = scheduler(2, &BTreeSet::new(), 1);
    for delivery in 1..=3 {
        scheduler.add(0, pending(delivery));
        scheduler.add(1, pending(delivery));
    }
    let other = PendingDelivery {
        delivery: 4,
        agreement: "b".to_owned(),
    };
    scheduler.add(0, other);
    let started = run(&scheduler, |tenant, delivery, _| match (tenant, delivery) {
        (0, 2) => JobOutcome::Failed,
        (1, 2) => panic!("a bug"),
        _ => JobOutcome::Done,
    });
    let started_for = |tenant| {
        started
            .iter()
            .filter(move |one| one.0 == tenant)
            .map(|one| one.1)
    };
    assert_eq!(started_for(0).collect::<Vec<_>>(), [1, 2, 4]);
    assert_eq!(started_for(1).collect::<Vec<_>>(), [1, 2]);
    assert!((1..=4).all(|delivery| scheduler.is_settled(delivery)));
    assert!(scheduler.add(0, pending(5)));
    assert!(
        scheduler.is_settled(5),
        "the delivery is left for another run"
    );
}

#[test]
fn starts_other_tenants_beside_a_stalled_one() {
    let scheduler = scheduler(4, &BTreeSet::new(), 1);
    for tenant in 0..4 {
        scheduler.add(tenant, pending(1));
    }
    let (sender, receiver) = std::sync::mpsc::channel::<()>();
    let (sender, receiver) = (Mutex::new(sender), Mutex::new(receiver));
    run(&scheduler, move |tenant, _, _| {
        match tenant {
            // Blocks until the last of the other tenants is done.
            0 => receiver.lock().unwrap().recv().unwrap(),
            3 => sender.lock().unwrap().send(()).unwrap(),
            _ => {}
        }
        JobOutcome::Done
    });
}

/// The slow jobs make progress all the time. The others start after the time slice.
#[test]
fn starts_other_tenants_beside_a_slow_one_after_its_time_slice() {
    let time_slice = Duration::from_millis(50);
    let scheduler = Scheduler::with_cores(&[LONG; 4], &BTreeSet::new(), 2, time_slice);
    let scheduler = Arc::new(scheduler);
    for tenant in 0..4 {
        scheduler.add(tenant, pending(1));
    }
    let others_are_done = Arc::new(std::sync::atomic::AtomicBool::new(false));
    run(&scheduler, move |tenant, _, heartbeat| {
        match tenant {
            // Blocks until the last of the other tenants is done.
            0 | 1 => {
                while !others_are_done.load(Ordering::SeqCst) {
                    heartbeat.beat();
                    std::thread::sleep(Duration::from_millis(1));
                }
            }
            3 => others_are_done.store(true, Ordering::SeqCst),
            _ => {}
        }
        JobOutcome::Done
    });
}

#[test]
fn abandons_a_job_that_exceeds_its_timeout() {
    let short = Timeouts {
        publish: Duration::from_millis(200),
        ..LONG
    };
    let scheduler = Scheduler::with_cores(&[short, LONG], &BTreeSet::new(), 2, TIME_SLICE);
    let scheduler = Arc::new(scheduler);
    for delivery in 1..=2 {
        scheduler.add(0, pending(delivery));
        scheduler.add(1, pending(delivery));
    }
    let (sender, receiver) = std::sync::mpsc::channel::<()>();
    let receiver = Mutex::new(receiver);
    let (result_sender, result) = std::sync::mpsc::channel();
    let started = run(&scheduler, move |tenant, _, heartbeat| {
        if tenant == 0 {
            // Blocks until the run is over.
            let _ = receiver.lock().unwrap().recv();
            result_sender
                .send((heartbeat.is_abandoned(), heartbeat.finish()))
                .unwrap();
        }
        JobOutcome::Done
    });
    assert_eq!(started.iter().filter(|(tenant, _)| *tenant == 0).count(), 1);
    assert_eq!(started.iter().filter(|(tenant, _)| *tenant == 1).count(), 2);
    assert!(scheduler.is_settled(1) && scheduler.is_settled(2));
    assert!(
        !scheduler.add(0, pending(3)),
        "the tenant receives nothing more in this run"
    );
    scheduler.wait();
    drop(sender);
    // The abandoned thread ends later and learns that its result does not count.
    assert_eq!(result.recv().unwrap(), (true, false));
}

#[test]
fn starts_nothing_after_a_job_stopped_the_run() {
    let scheduler = scheduler(2, &BTreeSet::new(), 1);
    for tenant in 0..2 {
        scheduler.add(tenant, pending(1));
    }
    let started = run(&scheduler, |_, _, _| JobOutcome::StopRun);
    assert_eq!(started.len(), 1);
    assert!(scheduler.is_settled(1));
}
