//! Where members stand on the ring.

use super::{ENVOY_SIZE, Ring, RingMode, table::Point};
use crate::{
    backend::Backend,
    key::{HashFunction, xxh64},
    selector::{Generator, Members, roster::At},
};

/// How many times the middle weight the mean may be before it counts instead: else a few heavy members would have points
/// without end.
const LOPSIDED: u64 = 8;

/// All points, those of the first by id first.
pub(super) fn points<B: Backend, M>(ring: &Ring, members: &Members<'_, B, M>, order: &[At]) -> Vec<Point> {
    if order.is_empty() {
        return Vec::new();
    }
    let weights: Vec<u32> = order.iter().map(|at| members.weight(*at)).collect();
    let id = |at: At| members.backend(at).id();
    let mut points = Vec::new();
    match ring.mode {
        RingMode::Plain | RingMode::Nginx => {
            let rate = Rate::new(ring, &weights);
            for (at, weight) in order.iter().zip(weights) {
                let hash = HashFunction::Xxh3.hash(id(*at).as_bytes());
                let count = rate.points(weight, hash);
                if ring.mode == RingMode::Plain {
                    let mut places = Generator::new(hash);
                    points.extend((0..count).map(|_| Point::new(places.next(), *at)));
                } else {
                    let places = nginx(id(*at)).take(count as usize);
                    points.extend(places.map(|place| Point::new(u64::from(place) << 32, *at)));
                }
            }
        }
        RingMode::Envoy => {
            for (at, count) in order.iter().zip(envoy_counts(ring, &weights)) {
                envoy(id(*at), count, |place| points.push(Point::new(place, *at)));
            }
        }
    }
    points
}

/// How many points a weight is due: a whole number of them over another.
struct Rate {
    points: u64,
    weight: u64,
}

impl Rate {
    /// Weights: at least one.
    fn new(ring: &Ring, weights: &[u32]) -> Self {
        let sum: u128 = weights.iter().map(|weight| u128::from(*weight)).sum();
        let mut points = u64::from(ring.points);
        let mut weight = 1;
        if ring.mode == RingMode::Plain {
            let mut sorted = weights.to_vec();
            let (_, middle, _) = sorted.select_nth_unstable((weights.len() - 1) / 2);
            let mean = sum.div_ceil(weights.len() as u128) as u64;
            weight = u64::from(*middle).max(mean.div_ceil(LOPSIDED));
            let size = u128::from(ring.size.unwrap_or(1));
            // Doubled rather than scaled: from one doubling to the next the number stays the same, and no key moves.
            while u128::from(points) * sum < size * u128::from(weight) {
                points *= 2;
            }
        }
        let least = (u128::from(points) * sum).div_ceil(u128::from(ring.max));
        Self {
            points,
            weight: weight.max(least.try_into().unwrap_or(u64::MAX)),
        }
    }

    /// A fraction of a point is one or none, by chance of the id's hash.
    fn points(&self, weight: u32, hash: u64) -> u64 {
        let due = u128::from(self.points) * u128::from(weight);
        let (whole, rest) = (due / u128::from(self.weight), due % u128::from(self.weight));
        let is_lucky = u128::from(hash >> 32) * u128::from(self.weight) < rest << 32;
        whole as u64 + u64::from(is_lucky)
    }
}

/// The places of an id on nginx's ring, which never end: each is the CRC-32 of the host, a zero byte, the port, and the
/// place before (`ngx_http_upstream_update_chash`).
fn nginx(id: &str) -> impl Iterator<Item = u32> {
    let (host, port) = host_and_port(id);
    let mut base = crc32fast::Hasher::new();
    base.update(host.as_bytes());
    base.update(&[0]);
    base.update(port.as_bytes());
    let mut place = 0_u32;
    std::iter::repeat_with(move || {
        let mut hasher = base.clone();
        hasher.update(&place.to_le_bytes());
        place = hasher.finalize();
        place
    })
}

/// As nginx takes them apart: a path of a socket without `unix:`, or what is before and after a colon that only digits
/// follow.
fn host_and_port(id: &str) -> (&str, &str) {
    if let Some((scheme, path)) = id.split_at_checked(5) {
        if scheme.eq_ignore_ascii_case("unix:") {
            return (path, "");
        }
    }
    id.rsplit_once(':')
        .filter(|(_, port)| port.bytes().all(|byte| byte.is_ascii_digit()))
        .unwrap_or((id, ""))
}

/// How many points each member has on Envoy's ring (`RingHashLoadBalancer::Ring::Ring`), in its doubles.
fn envoy_counts(ring: &Ring, weights: &[u32]) -> impl Iterator<Item = u64> {
    let sum: u64 = weights.iter().map(|weight| u64::from(*weight)).sum();
    let shares: Vec<f64> = (weights.iter()).map(|weight| f64::from(*weight) / sum as f64).collect();
    let least = shares.iter().copied().fold(1.0, f64::min);
    let size = f64::from(ring.size.unwrap_or(ENVOY_SIZE));
    // The lightest gets a whole number of points, if the ring may be so large.
    let scale = ((least * size).ceil() / least).min(f64::from(ring.max));
    let mut counted = 0.0;
    let mut due = 0.0;
    shares.into_iter().map(move |share| {
        due += scale * share;
        let count = (due.ceil() - counted).max(0.0);
        counted += count;
        count as u64
    })
}

/// The places of an id on Envoy's ring: the XXH64 of the id, an underscore, and the number of the point.
fn envoy(id: &str, count: u64, mut place: impl FnMut(u64)) {
    use std::io::Write;
    let mut text = format!("{id}_").into_bytes();
    let length = text.len();
    for number in 0..count {
        text.truncate(length);
        // A vector takes whatever is written to it.
        let _ = write!(text, "{number}");
        place(xxh64(0, &text));
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::{super::MAX, *};

    /// How many points each weight has, fractions left out.
    fn counts(ring: Ring, weights: &[u32]) -> Vec<u64> {
        let rate = Rate::new(&ring, weights);
        // Of all hashes this one is the least lucky.
        weights.iter().map(|weight| rate.points(*weight, u64::MAX)).collect()
    }

    #[test]
    fn a_middle_weight_has_the_points_said() {
        let ring = Ring::new();
        for count in 1..50 {
            for weight in [1, 3, 100, u32::MAX] {
                assert_eq!(counts(ring, &vec![weight; count]), vec![160; count]);
            }
        }
        assert_eq!(counts(ring, &[1, 2, 3]), [80, 160, 240]);
        // An eighth of the mean, rounded up, is 9.
        assert_eq!(counts(ring, &[198, 1, 1]), [160 * 198 / 9, 160 / 9, 160 / 9]);
        assert_eq!(counts(ring.with_points(10).unwrap(), &[7, 7, 14]), [10, 10, 20]);
    }

    #[test]
    fn sizes_are_held() {
        let ring = Ring::new();
        // Doubled four times, so that no key moves as long as that is enough.
        for count in [2, 3] {
            let least = ring.with_size(4_096).unwrap();
            assert_eq!(counts(least, &vec![1; count]), vec![2_560; count]);
        }
        assert_eq!(counts(ring.with_max(100).unwrap(), &[1; 10]), [10; 10]);
        let both = ring.with_size(4_096).unwrap().with_max(100).unwrap();
        assert_eq!(
            counts(both, &[5; 10]),
            [10; 10],
            "the most counts for more than the least"
        );
        let nginx = ring.with_mode(RingMode::Nginx);
        assert_eq!(counts(nginx, &[1, 100]), [160, 16_000]);
        let total: u64 = counts(nginx, &[u32::MAX; 3]).into_iter().sum();
        assert!((u64::from(MAX) - 3..=u64::from(MAX)).contains(&total), "{total}");
    }

    #[test]
    fn fractions_of_points_come_true_by_chance() {
        // A third of a point each, besides one.
        let rate = Rate { points: 4, weight: 3 };
        let mut hashes = Generator::new(1);
        let sum: u64 = (0..30_000).map(|_| rate.points(1, hashes.next())).sum();
        assert!((39_500..40_500).contains(&sum), "{sum}");
    }

    /// By Envoy's documentation of `minimum_ring_size` and its source: the lightest gets a whole number of points, all get
    /// the size at least, and fractions go to those whose turn it is.
    #[test]
    fn envoy_s_lightest_gets_a_whole_number_of_points() {
        let counts = |size, max, weights: &[u32]| -> Vec<u64> {
            let ring = Ring::new().with_size(size).unwrap().with_max(max).unwrap();
            envoy_counts(&ring, weights).collect()
        };
        assert_eq!(counts(5, MAX, &[1, 3]), [2, 6], "2 of 8, not 2 of 5");
        assert_eq!(counts(1, MAX, &[3, 2, 3]), [2, 1, 1], "1.5, 1 and 1.5");
        assert_eq!(counts(5, 3, &[1, 3]), [1, 2]);
        let default: Vec<u64> = envoy_counts(&Ring::new(), &[7; 4]).collect();
        assert_eq!(default, [256; 4]);
    }

    #[test]
    fn names_are_taken_apart_as_in_nginx() {
        for (id, host, port) in [
            ("127.0.0.1:8081", "127.0.0.1", "8081"),
            ("backend", "backend", ""),
            ("backend:", "backend", ""),
            ("backend:http", "backend:http", ""),
            ("[::1]:80", "[::1]", "80"),
            ("[::1]", "[::1]", ""),
            ("::1", ":", "1"),
            ("unix:/tmp/socket:1", "/tmp/socket:1", ""),
            ("UNIX:/tmp/socket", "/tmp/socket", ""),
            ("ünix:1", "ünix", "1"),
            ("", "", ""),
        ] {
            assert_eq!(host_and_port(id), (host, port), "{id}");
        }
    }
}
