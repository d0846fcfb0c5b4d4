//! Several keys made one, as the hash policies of a route in Envoy and gRPC are.

use std::ops::ControlFlow;

use super::HashKey;

/// In a [chain](super#chains): what follows is asked only if there is no key by now, from this or from those before
/// (Envoy, `RouteAction.HashPolicy.terminal`).
#[derive(Clone, Copy, Debug, Default)]
pub struct Terminal<K>(pub K);

impl<Req, K: HashKey<Req>> HashKey<Req> for Terminal<K> {
    #[inline]
    fn key(&self, request: &Req) -> Option<u64> {
        self.0.key(request)
    }

    fn is_terminal(&self) -> bool {
        true
    }
}

/// The key of a chain after one more, and whether the chain goes on.
#[inline]
fn after<Req, K: HashKey<Req> + ?Sized>(
    so_far: Option<u64>,
    next: &K,
    request: &Req,
) -> ControlFlow<Option<u64>, Option<u64>> {
    let key = match (so_far, next.key(request)) {
        (Some(so_far), Some(next)) => Some(so_far.rotate_left(1) ^ next),
        (so_far, next) => so_far.or(next),
    };
    if key.is_some() && next.is_terminal() {
        ControlFlow::Break(key)
    } else {
        ControlFlow::Continue(key)
    }
}

impl<Req, K: HashKey<Req>> HashKey<Req> for [K] {
    fn key(&self, request: &Req) -> Option<u64> {
        let ended = self.iter().try_fold(None, |so_far, next| after(so_far, next, request));
        match ended {
            ControlFlow::Continue(key) | ControlFlow::Break(key) => key,
        }
    }
}

impl<Req, K: HashKey<Req>, const N: usize> HashKey<Req> for [K; N] {
    fn key(&self, request: &Req) -> Option<u64> {
        self.as_slice().key(request)
    }
}

impl<Req, K: HashKey<Req>> HashKey<Req> for Vec<K> {
    fn key(&self, request: &Req) -> Option<u64> {
        self.as_slice().key(request)
    }
}

macro_rules! chain {
    ($($policy:ident $at:tt),+) => {
        impl<Req, $($policy: HashKey<Req>),+> HashKey<Req> for ($($policy,)+) {
            #[inline]
            fn key(&self, request: &Req) -> Option<u64> {
                let so_far = None;
                $(let so_far = match after(so_far, &self.$at, request) {
                    ControlFlow::Continue(key) => key,
                    ControlFlow::Break(key) => return key,
                };)+
                so_far
            }
        }
    };
}

chain!(A 0);
chain!(A 0, B 1);
chain!(A 0, B 1, C 2);
chain!(A 0, B 1, C 2, D 3);
chain!(A 0, B 1, C 2, D 3, E 4);
chain!(A 0, B 1, C 2, D 3, E 4, F 5);
chain!(A 0, B 1, C 2, D 3, E 4, F 5, G 6);
chain!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7);

#[cfg(test)]
mod tests {
    use std::{cell::Cell, sync::Arc};

    use super::*;

    /// Finds this, and notes that it was asked.
    struct Found<'a>(Option<u64>, &'a Cell<u32>);

    impl HashKey<()> for Found<'_> {
        fn key(&self, (): &()) -> Option<u64> {
            self.1.set(self.1.get() + 1);
            self.0
        }
    }

    const TOP: u64 = 1 << 63;

    #[test]
    fn what_is_found_is_rotated_and_xored() {
        let asked = Cell::new(0);
        let found = |key| Found(key, &asked);
        assert_eq!((found(Some(5)),).key(&()), Some(5));
        assert_eq!((found(None), found(None)).key(&()), None);
        assert_eq!((found(None), found(Some(5)), found(None)).key(&()), Some(5));
        // The bit that leaves at the top comes in at the bottom; the same twice is not nothing.
        assert_eq!((found(Some(TOP | 2)), found(Some(8))).key(&()), Some(1 ^ 4 ^ 8));
        assert_eq!((found(Some(6)), found(Some(6))).key(&()), Some(12 ^ 6));
        // From left to right: ((1 rotated ^ 2) rotated ^ 4).
        let three = (found(Some(1)), found(Some(2)), found(Some(4)));
        assert_eq!(three.key(&()), Some(4), "((1 << 1 ^ 2) << 1) ^ 4");
        assert_eq!((found(Some(4)), found(Some(2)), found(Some(1))).key(&()), Some(21));
        // Nothing does not rotate.
        assert_eq!((found(Some(4)), found(None), found(Some(1))).key(&()), Some(9));
        // A key of 0 is one.
        assert_eq!((found(Some(0)), found(None)).key(&()), Some(0));
    }

    #[test]
    fn a_terminal_ends_the_chain_once_there_is_a_key() {
        let asked = Cell::new(0);
        let found = |key| Found(key, &asked);
        let key_and_asked = |chain: &dyn Fn() -> Option<u64>| {
            asked.set(0);
            (chain(), asked.get())
        };
        for (chain, expected) in [
            (
                &(|| (Terminal(found(Some(5))), found(Some(9))).key(&())) as &dyn Fn() -> Option<u64>,
                (Some(5), 1),
            ),
            (&|| (Terminal(found(None)), found(Some(9))).key(&()), (Some(9), 2)),
            (
                &|| (found(Some(4)), Terminal(found(Some(1))), found(Some(3))).key(&()),
                (Some(9), 2),
            ),
            // It found nothing itself, but there is a key: "already a hash computed", as Envoy and gRPC have it.
            (
                &|| (found(Some(4)), Terminal(found(None)), found(Some(3))).key(&()),
                (Some(4), 2),
            ),
            (
                &|| (found(Some(0)), Terminal(found(None)), found(Some(3))).key(&()),
                (Some(0), 2),
            ),
            // A chain within a chain ends alone.
            (
                &|| ((Terminal(found(Some(5))), found(Some(7))), found(Some(1))).key(&()),
                (Some(11), 2),
            ),
            // And ends the outer one if it is itself made terminal.
            (
                &|| (Terminal((found(None), found(Some(5)))), found(Some(1))).key(&()),
                (Some(5), 2),
            ),
        ] {
            assert_eq!(key_and_asked(chain), expected);
        }
    }

    #[test]
    fn chains_of_any_form_and_length_are_alike() {
        let policy = |n: u64| move |(): &()| (n != 3).then_some(n);
        type Policy = Arc<dyn HashKey<()> + Send + Sync>;
        let shared = |n: u64, is_last: bool| match is_last {
            true => Arc::new(Terminal(policy(n))) as Policy,
            false => Arc::new(policy(n)),
        };
        let list = |last: u64| (1..=8).map(|n| shared(n, n == last)).collect::<Vec<_>>();
        let eight = (
            policy(1),
            policy(2),
            policy(3),
            policy(4),
            policy(5),
            policy(6),
            policy(7),
            policy(8),
        );
        let whole = eight.key(&());
        assert!(whole.is_some());
        assert_eq!(list(8).key(&()), whole);
        assert_eq!(<[Policy; 8]>::try_from(list(8)).ok().unwrap().key(&()), whole);
        assert_eq!(Arc::<[Policy]>::from(list(8)).key(&()), whole);
        let head = (
            policy(1),
            policy(2),
            policy(3),
            policy(4),
            Terminal(policy(5)),
            policy(6),
        );
        assert_eq!(list(5).key(&()), head.key(&()));
        assert_ne!(head.key(&()), whole);
        assert_eq!(Vec::<Policy>::new().key(&()), None);
    }
}
