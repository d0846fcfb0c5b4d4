//! What the answers of one member come to.

use super::Initial;
use crate::fitness::Health;

/// How many answers in a row change a verdict.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Thresholds {
    pub(crate) rise: u32,
    pub(crate) fall: u32,
}

/// The verdict on one member: changed by so many contrary answers in a row, as HAProxy's `rise` and `fall` have it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Verdict {
    health: Health,
    /// How many answers in a row have contradicted it.
    contrary: u32,
    is_answered: bool,
}

impl Verdict {
    pub(crate) fn new(initial: Initial) -> Self {
        let health = match initial {
            Initial::UpUntilFailing => Health::Passing,
            Initial::DownUntilPassing => Health::Failing,
            Initial::FirstProbeDecides => Health::Unchecked,
        };
        Self {
            health,
            contrary: 0,
            is_answered: false,
        }
    }

    pub(crate) fn health(&self) -> Health {
        self.health
    }

    /// It has answered; what it is now, if that has changed.
    pub(crate) fn passed(&mut self, thresholds: Thresholds) -> Option<Health> {
        self.answered(Health::Passing, thresholds.rise)
    }

    /// It has not; what it is now, if that has changed.
    pub(crate) fn failed(&mut self, thresholds: Thresholds) -> Option<Health> {
        self.answered(Health::Failing, thresholds.fall)
    }

    fn answered(&mut self, answer: Health, enough: u32) -> Option<Health> {
        self.is_answered = true;
        if answer == self.health {
            self.contrary = 0;
            return None;
        }
        self.contrary += 1;
        if self.health != Health::Unchecked && self.contrary < enough {
            return None;
        }
        self.health = answer;
        self.contrary = 0;
        Some(answer)
    }

    /// Whether it is worth asking sooner: its last answers contradict the verdict, or it is sent nothing because it was
    /// never asked.
    pub(crate) fn is_in_transition(&self) -> bool {
        self.contrary > 0 || !(self.is_answered || self.health == Health::Passing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const THRESHOLDS: Thresholds = Thresholds { rise: 2, fall: 3 };

    /// The verdicts after each answer: `+` it has passed, `-` it has failed; `*` after those that changed it.
    fn told(initial: Initial, thresholds: Thresholds, answers: &str) -> String {
        let mut verdict = Verdict::new(initial);
        let mut told = String::new();
        for answer in answers.chars() {
            let changed = match answer {
                '+' => verdict.passed(thresholds),
                _ => verdict.failed(thresholds),
            };
            if let Some(changed) = changed {
                assert_eq!(changed, verdict.health());
            }
            told.push(match verdict.health() {
                Health::Unchecked => '?',
                Health::Passing => 'p',
                Health::Failing => 'f',
            });
            if changed.is_some() {
                told.push('*');
            }
        }
        told
    }

    #[test]
    fn fall_failures_in_a_row_fell_it_and_rise_answers_in_a_row_raise_it() {
        let up = |answers| told(Initial::UpUntilFailing, THRESHOLDS, answers);
        assert_eq!(up("---"), "ppf*");
        assert_eq!(up("----"), "ppf*f");
        assert_eq!(up("--+--+---"), "ppppppppf*");
        assert_eq!(up("---+-++--"), "ppf*fffp*pp");
        let touchy = Thresholds { rise: 1, fall: 1 };
        assert_eq!(told(Initial::UpUntilFailing, touchy, "-+-+"), "f*p*f*p*");
    }

    #[test]
    fn who_is_down_at_first_needs_as_many_answers_as_any_other() {
        assert_eq!(Verdict::new(Initial::DownUntilPassing).health(), Health::Failing);
        assert_eq!(told(Initial::DownUntilPassing, THRESHOLDS, "+-++"), "fffp*");
    }

    #[test]
    fn the_first_answer_decides_alone_and_the_next_do_not() {
        assert_eq!(Verdict::new(Initial::FirstProbeDecides).health(), Health::Unchecked);
        assert_eq!(told(Initial::FirstProbeDecides, THRESHOLDS, "+---"), "p*ppf*");
        assert_eq!(told(Initial::FirstProbeDecides, THRESHOLDS, "-++"), "f*fp*");
    }

    #[test]
    fn it_is_in_transition_while_answers_contradict_it_or_it_waits_for_its_first() {
        let mut verdict = Verdict::new(Initial::UpUntilFailing);
        assert!(!verdict.is_in_transition());
        for (passes, is_in_transition) in [
            (false, true),
            (true, false),
            (false, true),
            (false, true),
            (false, false),
            (false, false),
            (true, true),
            (false, false),
            (true, true),
            (true, false),
        ] {
            if passes {
                verdict.passed(THRESHOLDS);
            } else {
                verdict.failed(THRESHOLDS);
            }
            assert_eq!(verdict.is_in_transition(), is_in_transition, "{verdict:?}");
        }
        for initial in [Initial::DownUntilPassing, Initial::FirstProbeDecides] {
            let mut verdict = Verdict::new(initial);
            assert!(verdict.is_in_transition());
            verdict.failed(THRESHOLDS);
            assert!(!verdict.is_in_transition());
        }
    }
}
