//! `ring_hash/ring_hash_lb_test.cc`: each test here has the name of one there.

use equipoise::selector::hash::{Ring, RingMode};

use super::super::keyed::Keyed;

/// A ring of so many points at least, and so many at most.
fn ring(size: u32, max: u32) -> Ring {
    let ring = Ring::new().with_mode(RingMode::Envoy).with_size(size).unwrap();
    ring.with_max(max).unwrap()
}

/// Envoy's own limit, unless said otherwise.
const MAX: u32 = 8 * 1024 * 1024;

/// Addresses from a port on, of these weights.
fn addresses(from: u16, weights: &[u32]) -> Vec<(String, u32)> {
    let ports = from..;
    ports
        .zip(weights)
        .map(|(port, weight)| (format!("127.0.0.1:{port}"), *weight))
        .collect()
}

/// That the points are at these places, each of the address with this port, and that there are no others.
#[track_caller]
fn assert_points(ring: &mut Keyed<Ring>, points: &[(u64, &str)]) {
    for (index, (place, id)) in points.iter().enumerate() {
        let next = points[(index + 1) % points.len()].1;
        assert_eq!(ring.id(*place), *id);
        assert_eq!(ring.id(place + 1), next, "after {place}");
    }
    assert_eq!(ring.id(0), points[0].1);
    assert_eq!(ring.id(u64::MAX), points[0].1);
}

/// How many of so many keys, even around the ring, each member gets.
fn histogram(mut ring: Keyed<Ring>, keys: u64) -> Vec<usize> {
    let step = u64::MAX / keys;
    ring.counts((0..keys).map(|key| key * step)).into_values().collect()
}

const BASIC: [(u64, &str); 12] = [
    (833_437_586_790_550_860, "127.0.0.1:94"),
    (928_266_305_478_181_108, "127.0.0.1:92"),
    (1_033_482_794_131_418_490, "127.0.0.1:90"),
    (3_551_244_743_356_806_947, "127.0.0.1:95"),
    (3_851_675_632_748_031_481, "127.0.0.1:93"),
    (5_583_722_120_771_150_861, "127.0.0.1:91"),
    (6_311_230_543_546_372_928, "127.0.0.1:91"),
    (7_700_377_290_971_790_572, "127.0.0.1:93"),
    (13_144_177_310_400_110_813, "127.0.0.1:95"),
    (13_444_792_449_719_432_967, "127.0.0.1:92"),
    (15_516_499_411_664_133_160, "127.0.0.1:94"),
    (16_117_243_373_044_804_889, "127.0.0.1:90"),
];

#[test]
fn basic() {
    let mut basic = Keyed::new(ring(12, MAX), &addresses(90, &[1; 6]));
    assert_points(&mut basic, &BASIC);
}

#[test]
fn basic_with_hostname() {
    let names: Vec<_> = (90..96).map(|name| (name.to_string(), 1)).collect();
    let points = [
        (1_975_508_444_536_362_413, "95"),
        (2_376_063_919_839_173_711, "95"),
        (2_386_806_903_309_390_596, "93"),
        (6_749_904_478_991_551_885, "94"),
        (6_803_900_775_736_438_537, "93"),
        (7_225_015_537_174_310_577, "92"),
        (8_787_465_352_164_086_522, "90"),
        (11_282_020_843_382_717_940, "92"),
        (13_723_418_369_486_627_818, "91"),
        (13_776_502_110_861_797_421, "90"),
        (14_338_313_586_354_474_791, "91"),
        (15_364_271_037_087_512_980, "94"),
    ];
    assert_points(&mut Keyed::new(ring(12, MAX), &names), &points);
}

/// There an attempt passes a host by; here a closed member is passed by.
#[test]
fn basic_with_retry_host_predicate() {
    let members = addresses(90, &[1; 6]);
    let closed = |ids: &[&str]| Keyed::closing(ring(12, MAX), &members, ids);
    assert_eq!(closed(&[]).id(0), "127.0.0.1:94");
    assert_eq!(closed(&["127.0.0.1:94"]).id(0), "127.0.0.1:92");
    assert_eq!(closed(&["127.0.0.1:94", "127.0.0.1:92"]).id(0), "127.0.0.1:90");
    // Around the end as well.
    assert_eq!(closed(&["127.0.0.1:90"]).id(16_117_243_373_044_804_889), "127.0.0.1:94");
}

#[test]
fn uneven_hosts() {
    let mut uneven = Keyed::new(ring(3, MAX), &addresses(80, &[1; 2]));
    let points = [
        (5_454_692_015_285_649_509, "127.0.0.1:80"),
        (7_859_399_908_942_313_493, "127.0.0.1:81"),
        (13_838_424_394_637_650_569, "127.0.0.1:80"),
        (16_064_866_803_292_627_174, "127.0.0.1:81"),
    ];
    assert_points(&mut uneven, &points);
    let mut uneven = Keyed::new(ring(3, MAX), &addresses(81, &[1; 2]));
    let points = [
        (7_859_399_908_942_313_493, "127.0.0.1:81"),
        (8_241_336_090_459_785_962, "127.0.0.1:82"),
        (12_882_406_409_176_325_258, "127.0.0.1:82"),
        (16_064_866_803_292_627_174, "127.0.0.1:81"),
    ];
    assert_points(&mut uneven, &points);
}

/// Also `LocalityWeightedTinyRing`, where the weights are those of localities.
#[test]
fn host_weighted_tiny_ring() {
    let mut tiny = Keyed::new(ring(6, 6), &addresses(90, &[1, 2, 3, 0]));
    let points = [
        (928_266_305_478_181_108, "127.0.0.1:92"),
        (4_443_673_547_860_492_590, "127.0.0.1:92"),
        (5_583_722_120_771_150_861, "127.0.0.1:91"),
        (6_311_230_543_546_372_928, "127.0.0.1:91"),
        (13_444_792_449_719_432_967, "127.0.0.1:92"),
        (16_117_243_373_044_804_889, "127.0.0.1:90"),
    ];
    assert_points(&mut tiny, &points);
}

/// Also `LocalityWeightedLargeRing`.
#[test]
fn host_weighted_large_ring() {
    let large = Keyed::new(ring(6144, MAX), &addresses(90, &[1, 2, 3, 0]));
    assert_eq!(histogram(large, 6000), [987, 1932, 3081]);
}

/// Weights 1 and 2 in each of two localities of weights 1 and 2.
const BOTH: [u32; 4] = [1, 2, 2, 4];

#[test]
fn host_and_locality_weighted_tiny_ring() {
    let mut tiny = Keyed::new(ring(9, 9), &addresses(90, &BOTH));
    let points = [
        (928_266_305_478_181_108, "127.0.0.1:92"),
        (3_851_675_632_748_031_481, "127.0.0.1:93"),
        (5_583_722_120_771_150_861, "127.0.0.1:91"),
        (6_311_230_543_546_372_928, "127.0.0.1:91"),
        (7_700_377_290_971_790_572, "127.0.0.1:93"),
        (12_559_126_875_973_811_811, "127.0.0.1:93"),
        (13_444_792_449_719_432_967, "127.0.0.1:92"),
        (13_784_988_426_630_141_778, "127.0.0.1:93"),
        (16_117_243_373_044_804_889, "127.0.0.1:90"),
    ];
    assert_points(&mut tiny, &points);
}

#[test]
fn host_and_locality_weighted_large_ring() {
    let large = Keyed::new(ring(9216, MAX), &addresses(90, &BOTH));
    assert_eq!(histogram(large, 9000), [924, 2009, 2053, 4014]);
}

#[test]
fn small_fractional_scale() {
    let small = Keyed::new(ring(2, 2), &addresses(90, &[1; 4]));
    let counts = histogram(small, 1024);
    assert!(counts.len() == 2 && counts.iter().sum::<usize>() == 1024, "{counts:?}");
}

#[test]
fn large_fractional_scale() {
    let large = Keyed::new(ring(1023, 1023), &addresses(90, &[1; 2]));
    assert_eq!(histogram(large, 1023), [526, 497]);
}

/// There every 128th of the light hosts in the order of their numbers has a point; here, of those in the order of their
/// ids. Of the heavy one it is the same 1016 points of 1024 all the same, and of eight of the others one each.
#[test]
fn lopsided_weight_small_scale() {
    let weight = |port| if port == 0 { 127 * 1023 } else { 1 };
    let members: Vec<_> = (0..1024)
        .map(|port| (format!("127.0.0.1:{port}"), weight(port)))
        .collect();
    let mut lopsided = Keyed::new(ring(1024, 1024), &members);
    // Between two points of those eight, all is the heavy one's but 8 of 1024 points.
    let counts = lopsided.counts((0..1 << 16).map(|key| key << 48));
    assert_eq!(counts.len(), 9, "{counts:?}");
    assert!(counts["127.0.0.1:0"] > 64_500, "{counts:?}");
}
