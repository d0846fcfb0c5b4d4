//! Which members serve, and with which share: from what is known of each.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use super::layout::{Distance, Kind, Plan};
use crate::{
    backend::Locality,
    fitness::{Ejection, Health, Standing},
    health::{Group, SlowStart, Warmth, spill},
    selector::At,
};

/// What is set for all members.
#[derive(Default)]
pub(super) struct Rules {
    /// Whether members have to pass a health check.
    pub(super) checked: bool,
    /// Below which part of fit members all count; 0: never.
    pub(super) panic: f64,
    /// Where this process stands.
    pub(super) here: Option<Locality>,
    pub(super) slow_start: Option<SlowStart>,
}

/// What is known of a member, each by itself.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Facts {
    pub(crate) health: Health,
    pub(crate) ejection: Ejection,
    /// The operator's wish.
    pub(crate) draining: bool,
    /// When sessions that are at home here have to go, of one that drains; none: never.
    pub(crate) leave: Option<Instant>,
    /// Since when it is unfit or in maintenance, for the sessions that are at home here; none if it is not.
    pub(crate) away: Option<Instant>,
    /// The backend's own.
    pub(crate) standing: Standing,
    /// Its weight by its own word, in hundredths.
    pub(crate) percent: u32,
    pub(crate) warmth: Warmth,
    /// The part of its share that it has as yet.
    pub(crate) part: f32,
    /// What health and ejection come to.
    pub(crate) is_fit: bool,
}

impl Default for Facts {
    fn default() -> Self {
        Self {
            health: Health::Unchecked,
            ejection: Ejection::None,
            draining: false,
            leave: None,
            away: None,
            standing: Standing::Ready,
            percent: 100,
            warmth: Warmth::Cold,
            part: 1.0,
            is_fit: true,
        }
    }
}

impl Facts {
    fn judge(&self, rules: &Rules) -> bool {
        (!rules.checked || self.health == Health::Passing) && self.ejection != Ejection::Ejected
    }

    fn is_on_probation(&self) -> bool {
        self.ejection == Ejection::Probation
    }

    /// Whether sessions that are at home here may come, even where nothing new does.
    fn takes_homes(&self, now: Instant) -> bool {
        self.away.is_none() && self.leave.is_none_or(|leave| now < leave)
    }

    /// Whether it takes anything new, if it has a weight and is fit.
    pub(super) fn is_willing(&self) -> bool {
        !self.draining && self.standing == Standing::Ready && self.percent > 0
    }
}

/// A member as it is planned for.
pub(super) struct Candidate<'a> {
    /// Of which whether it is fit, and how warm it is, are found out by planning.
    pub(super) facts: Facts,
    /// As a backend: 0 if it takes nothing new.
    pub(super) weight: u32,
    pub(super) priority: u8,
    pub(super) locality: Option<&'a Locality>,
}

/// What a plan comes to.
pub(super) struct Planned {
    /// Which members are where: those that serve, those that take homes, the rest.
    pub(super) order: Vec<usize>,
    pub(super) open: usize,
    pub(super) homes: usize,
    /// By place.
    pub(super) weights: Vec<u32>,
    /// Of members that are being brought in by key: the place, and how much of the keys, of 2³² − 1.
    pub(super) ramps: Vec<(At, u32)>,
    pub(super) groups: Vec<Plan>,
    /// Priorities whose members all count.
    pub(super) panics: Vec<u8>,
    /// Whether who is on probation is spared: not where all count and there is nobody else.
    pub(super) spares: bool,
    /// What is known of each candidate now.
    pub(super) facts: Vec<Facts>,
    /// When to plan anew, at the latest.
    pub(super) again: Option<Duration>,
    /// When sessions have to leave a member that drains.
    pub(super) leave: Option<Instant>,
}

/// `by_key`: whether the selector wants members brought in key by key.
pub(super) fn plan(candidates: &[Candidate<'_>], rules: &Rules, by_key: bool, now: Instant) -> Planned {
    let judged = candidates.iter().map(|candidate| candidate.facts.judge(rules));
    let planner = Planner {
        candidates,
        rules,
        fit: judged.collect(),
        now,
    };
    let tiers = planner.tiers();
    let sizes = |counts: &dyn Fn(usize) -> bool| -> Vec<Group> {
        let sizes = tiers.values();
        sizes.map(|members| planner.size(members, counts)).collect()
    };
    let shares = spill(&sizes(&|index| planner.fit[index]), rules.panic);
    let sure = spill(&sizes(&|index| planner.is_sure(index)), rules.panic);

    let mut serving = Vec::new();
    let mut panics = Vec::new();
    let mut facts = planner.facts_of_nobody_served();
    let mut again = None;
    for (((priority, members), tier), sure) in tiers.iter().zip(shares).zip(sure) {
        if tier.of_all <= 0.0 && sure.of_all <= 0.0 {
            continue;
        }
        if sure.panics {
            panics.push(*priority);
        }
        let serve = members.iter().copied();
        let serve: Vec<usize> = serve.filter(|index| sure.panics || planner.fit[*index]).collect();
        again = planner.bring_in(members, &serve, sure.panics, &mut facts).or(again);
        for (distance, share, members) in planner.near_first(serve) {
            let plan = Plan {
                kind: Kind {
                    priority: *priority,
                    distance,
                },
                share: share * tier.of_all,
                panics: sure.panics,
                places: Vec::new(),
            };
            serving.push((plan, members));
        }
    }
    planner.arrange(serving, panics, facts, by_key, again)
}

struct Planner<'a> {
    candidates: &'a [Candidate<'a>],
    rules: &'a Rules,
    /// Whether each is.
    fit: Vec<bool>,
    now: Instant,
}

impl Planner<'_> {
    /// Who takes anything new, by priority.
    fn tiers(&self) -> BTreeMap<u8, Vec<usize>> {
        let mut tiers: BTreeMap<u8, Vec<usize>> = BTreeMap::new();
        for (index, candidate) in self.candidates.iter().enumerate() {
            if candidate.weight > 0 && candidate.facts.is_willing() {
                tiers.entry(candidate.priority).or_default().push(index);
            }
        }
        tiers
    }

    /// Who is on probation takes one request at a time: its share is tried there first, and the rest needs others.
    fn is_sure(&self, index: usize) -> bool {
        self.fit[index] && !self.candidates[index].facts.is_on_probation()
    }

    fn share(&self, index: usize) -> f64 {
        let Candidate { weight, facts, .. } = &self.candidates[index];
        f64::from(*weight) * f64::from(facts.percent) / 100.0
    }

    fn weigh(&self, members: impl Iterator<Item = usize>) -> f64 {
        members.map(|index| self.share(index)).sum()
    }

    fn size(&self, members: &[usize], counts: &dyn Fn(usize) -> bool) -> Group {
        let members = || members.iter().copied();
        Group {
            fit: self.weigh(members().filter(|index| counts(*index))),
            enough: self.weigh(members()),
        }
    }

    /// What is known of each as long as it serves nobody.
    fn facts_of_nobody_served(&self) -> Vec<Facts> {
        let facts = self.candidates.iter().zip(&self.fit).map(|(candidate, is_fit)| {
            let mut facts = Facts {
                warmth: Warmth::Cold,
                part: 1.0,
                is_fit: *is_fit,
                ..candidate.facts
            };
            let is_away = !facts.is_fit || facts.standing == Standing::Maintenance;
            facts.away = is_away.then_some(facts.away.unwrap_or(self.now));
            facts
        });
        facts.collect()
    }

    /// How warm those are that serve of these members; when to look again, if any of them is being brought in.
    fn bring_in(&self, members: &[usize], serve: &[usize], panics: bool, facts: &mut [Facts]) -> Option<Duration> {
        let is_cold = |index: &usize| self.candidates[*index].facts.warmth == Warmth::Cold || !self.fit[*index];
        let alone = members.iter().all(is_cold);
        let slow_start = self.rules.slow_start.as_ref();
        let mut again = None;
        for index in serve {
            let last = self.candidates[*index].facts;
            if last.is_on_probation() {
                // One request at a time is gentle enough.
                continue;
            }
            if panics {
                // Were who becomes fit brought in by and by, more would go to those that are not.
                facts[*index].warmth = Warmth::Warm;
                continue;
            }
            let (warmth, part) = last.warmth.serve(slow_start, alone, self.now);
            (facts[*index].warmth, facts[*index].part) = (warmth, part as f32);
            if matches!(warmth, Warmth::Since(_)) {
                again = slow_start.map(SlowStart::step);
            }
        }
        again
    }

    /// The members of a tier by how far away they are, each group with its share: the same zone, the same region, the rest.
    ///
    /// Each zone has to do with the requests that begin in it: as much as any other. A group takes what it is able to of
    /// those, 1.4 times its weight, and what is left spills to the next.
    fn near_first(&self, members: Vec<usize>) -> Vec<(Option<Distance>, f64, Vec<usize>)> {
        let Some(here) = &self.rules.here else {
            return vec![(None, 1.0, members)];
        };
        let locality = |index: &usize| self.candidates[*index].locality;
        let zones: BTreeSet<_> = members
            .iter()
            .filter_map(locality)
            .map(|locality| (locality.region(), locality.zone()))
            .collect();
        let of_a_zone = self.weigh(members.iter().copied()) / zones.len().max(1) as f64;
        let mut near = [Vec::new(), Vec::new(), Vec::new()];
        for index in members {
            near[match locality(&index) {
                Some(there) if there == here => 0,
                Some(there) if there.region() == here.region() => 1,
                _ => 2,
            }]
            .push(index);
        }
        let shares = |counts: &dyn Fn(usize) -> bool| {
            let sizes = near.each_ref().map(|members| Group {
                enough: of_a_zone,
                ..self.size(members, counts)
            });
            spill(&sizes, 0.0).into_iter().map(|share| share.of_all)
        };
        let is_sure = |index: usize| !self.candidates[index].facts.is_on_probation();
        let shares: Vec<_> = shares(&|_| true).zip(shares(&is_sure)).collect();
        let distances = [Distance::SameZone, Distance::SameRegion, Distance::Elsewhere].map(Some);
        let groups = distances.into_iter().zip(shares).zip(near);
        let groups = groups.filter(|((_, (share, sure)), _)| *share > 0.0 || *sure > 0.0);
        groups
            .map(|((distance, (share, _)), members)| (distance, share, members))
            .collect()
    }

    /// Gives each its place: first those that serve, group by group or not, then those that take homes, then the rest.
    fn arrange(
        &self,
        serving: Vec<(Plan, Vec<usize>)>,
        panics: Vec<u8>,
        facts: Vec<Facts>,
        by_key: bool,
        again: Option<Duration>,
    ) -> Planned {
        let homes = |facts: &Facts| {
            if facts.takes_homes(self.now) {
                Place::Home
            } else {
                Place::Nowhere
            }
        };
        let mut places: Vec<Place> = facts.iter().map(homes).collect();
        for (group, (_, members)) in serving.iter().enumerate() {
            members.iter().for_each(|index| places[*index] = Place::Group(group));
        }
        let places = &places;
        let of = |wanted: fn(&Place) -> bool| (0..places.len()).filter(move |index| wanted(&places[*index]));
        let mut order: Vec<usize> = of(|place| matches!(place, Place::Group(_))).collect();
        let open = order.len();
        order.extend(of(|place| *place == Place::Home));
        let homes = order.len();
        order.extend(of(|place| *place == Place::Nowhere));

        let spares = panics.is_empty() || order[..open].iter().any(|index| !facts[*index].is_on_probation());
        let part = |index: usize| f64::from(facts[index].part);
        let weights = order[..open].iter().map(|index| {
            let brought_in = if by_key { 1.0 } else { part(*index) };
            self.share(*index) * brought_in
        });
        let weights = whole(weights.collect());
        let mut groups: Vec<Plan> = serving.into_iter().map(|(plan, _)| plan).collect();
        let mut ramps = Vec::new();
        for (place, index) in order[..open].iter().enumerate() {
            let at = At::new(place);
            if let Place::Group(group) = places[*index] {
                groups[group].places.push(at);
            }
            if by_key && part(*index) < 1.0 {
                ramps.push((at, of_keys(part(*index))));
            }
        }
        Planned {
            order,
            open,
            homes,
            weights,
            ramps,
            groups,
            panics,
            spares,
            leave: facts
                .iter()
                .filter_map(|facts| facts.leave)
                .filter(|leave| *leave > self.now)
                .min(),
            facts,
            again,
        }
    }
}

/// A part of all keys, of 2³² − 1.
pub(super) fn of_keys(part: f64) -> u32 {
    (part * f64::from(u32::MAX)) as u32
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Group(usize),
    /// It takes nothing new.
    Home,
    Nowhere,
}

/// Weights as whole numbers in proportion, none of them 0, as small as they can be.
fn whole(weights: Vec<f64>) -> Vec<u32> {
    /// Hundredths, each way: by a backend's word, and by what it is brought in with.
    const EXACT: f64 = 10_000.0;
    let most = weights.iter().copied().fold(0.0, f64::max);
    let is_whole = most <= f64::from(u32::MAX) && weights.iter().all(|weight| weight.fract() == 0.0 && *weight >= 1.0);
    if is_whole {
        return weights.into_iter().map(|weight| weight as u32).collect();
    }
    let scale = EXACT.min(f64::from(u32::MAX) / most);
    let scaled: Vec<u32> = weights
        .into_iter()
        .map(|weight| ((weight * scale).round() as u32).max(1))
        .collect();
    let divisor = scaled.iter().copied().fold(0, greatest_common_divisor);
    scaled.into_iter().map(|weight| weight / divisor.max(1)).collect()
}

fn greatest_common_divisor(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}

#[cfg(all(test, not(loom)))]
mod tests;
