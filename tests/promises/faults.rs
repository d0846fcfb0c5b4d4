//! What panics on a request's way harms that request alone.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
};

use equipoise::{
    Ask, Backend, ManualClock, Pool, Selector,
    selector::{At, Members, Needs, Pick},
};

use super::*;

/// Panics while it is told to.
#[derive(Clone, Default)]
struct Panicking(Arc<AtomicBool>);

impl<B: Backend> Selector<B> for Panicking {
    type Memory = ();
    type Table = ();
    fn memory(&self, _: &B) {}
    fn prepare(&self, _: &Members<'_, B, ()>) {}
    fn select(&self, (): &(), pick: &Pick<'_, B, ()>) -> Option<At> {
        assert!(!self.0.load(SeqCst), "as told");
        pick.any_open()
    }
}

#[test]
fn a_panic_in_a_pick_harms_that_request_alone() {
    let panicking = Panicking::default();
    let (mut pool, _driver) = builder(&["a"]).selector(panicking.clone()).build();
    panicking.0.store(true, SeqCst);
    let picked = catch_unwind(AssertUnwindSafe(|| pool.pick(&Ask::new()).is_ok()));
    assert!(picked.is_err());
    panicking.0.store(false, SeqCst);
    assert!(pool.pick(&Ask::new()).is_ok());
    assert_eq!(pool.members()[0].in_flight, 0);
}

/// Its drop panics if it is told to.
struct Fragile(&'static str, bool);

impl Backend for Fragile {
    fn id(&self) -> &str {
        self.0
    }
}

impl Drop for Fragile {
    fn drop(&mut self) {
        assert!(!self.1, "as told");
    }
}

/// Takes the first, and tells how many are in flight.
struct Counting(Arc<AtomicUsize>);

impl<B: Backend> Selector<B> for Counting {
    type Memory = ();
    type Table = ();
    fn memory(&self, _: &B) {}
    fn prepare(&self, _: &Members<'_, B, ()>) {}
    fn needs(&self) -> Needs {
        Needs::nothing().total_in_flight()
    }
    fn select(&self, (): &(), pick: &Pick<'_, B, ()>) -> Option<At> {
        self.0.store(pick.total_in_flight() as usize, SeqCst);
        (0..pick.len()).map(|index| pick.at(index)).find(|at| pick.is_open(*at))
    }
}

#[test]
fn a_backend_whose_drop_panics_is_in_flight_no_more() {
    let total = Arc::<AtomicUsize>::default();
    let (mut pool, mut driver) = Pool::builder_on(ManualClock::new().clock())
        .selector(Counting(Arc::clone(&total)))
        .backend(Fragile("a", true))
        .build();
    let lease = pool.pick(&Ask::new()).unwrap();
    drop(pool.handle().remove("a"));
    drop(pool.handle().insert(Fragile("b", false)));
    assert!(poll_once(&mut driver).is_pending());
    let dropped = catch_unwind(AssertUnwindSafe(|| drop(lease)));
    assert!(dropped.is_err(), "the last to hold it drops it");
    drop(pool.pick(&Ask::new()).unwrap());
    assert_eq!(total.load(SeqCst), 0);
}
