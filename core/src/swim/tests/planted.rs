//! Each planted bug makes a check fail that holds without it.

use super::failures::{a_suspect_can_object, others_speak_for_the_unreached, the_dead_are_found};
use super::identity::{a_restart_is_noticed, clusters_keep_apart};
use super::splits::the_dead_stay_dead;
use super::*;

#[test]
fn each_planted_bug_is_found() {
    assert!(a_suspect_can_object(Bug::RefuteWithoutIncarnation).is_err());
    assert!(a_restart_is_noticed(Bug::LowerIncarnationWins).is_err());
    assert!(clusters_keep_apart(Bug::ClustersMerge).is_err());
    assert!(others_speak_for_the_unreached(Bug::NoIndirectProbe).is_err());
    assert!(the_dead_are_found(1, 3, Bug::SuspicionForever).is_err());
    assert!(the_dead_stay_dead(Bug::DeadRevivedByRumour).is_err());
}
